"""A VAMP of Pythae, trained on the digits for seconds, and its account: python examples/pythae_model.py (needs the extra `pythae`)."""

import jax
import numpy as np
import torch
from pythae.models import VAMP, VAMPConfig

import jensen
from jensen.interop.pythae import from_pythae


def train(data, epochs=20):
    torch.manual_seed(0)
    vae = VAMP(
        VAMPConfig(
            input_dim=(1, 8, 8),
            latent_dim=8,
            reconstruction_loss="bce",
            number_components=50,
            linear_scheduling_steps=10,
        )
    )
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-3)
    rows = torch.from_numpy(
        np.random.default_rng(0).binomial(1, data.train / data.levels).astype("float32")
    )[:, None]
    for epoch in range(
        epochs
    ):  # Pythae's own trainers do the same, and write folders: from_pythae(folder, trust_code=True)
        for x in rows[torch.randperm(len(rows))].split(100):
            loss = vae({"data": x}, epoch=epoch).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return vae


if __name__ == "__main__":
    digits = jensen.load_dataset("digits")
    print(jensen.account(from_pythae(train(digits)), digits.test[:, None], key=jax.random.key(0)))
