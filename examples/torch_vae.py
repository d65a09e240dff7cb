"""A plain PyTorch VAE of the digits, and its account: python examples/torch_vae.py (needs the extra `torch`; seconds on two CPU cores)."""

import jax
import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import jensen
from jensen.interop.torch import from_torch

LATENT = 8


class Encoder(torch.nn.Module):
    """x -> (mean, log variance) of q(z|x)."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(64, 200),
            torch.nn.ReLU(),
            torch.nn.Linear(200, 2 * LATENT),
        )

    def forward(self, x):
        return self.network(x).chunk(2, dim=1)


def train(data, epochs=30):
    torch.manual_seed(0)
    encoder, decoder = (
        Encoder(),
        torch.nn.Sequential(
            torch.nn.Linear(LATENT, 200),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.1),
            torch.nn.Linear(200, 64),
        ),
    )
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    rows = torch.from_numpy(
        np.random.default_rng(0).binomial(1, data.train / data.levels).astype("float32")
    )
    for epoch in range(epochs):
        for x in rows[torch.randperm(len(rows))].split(100):
            mean, log_var = encoder(x)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            reconstruction = -binary_cross_entropy_with_logits(
                decoder(z), x.flatten(1), reduction="none"
            ).sum(1)
            kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)
            loss = -(reconstruction - min(1, epoch / 10) * kl).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return encoder, decoder


def make():
    """The model, for the command line too: jensen account --model examples/torch_vae.py:make --data x.npy."""
    encoder, decoder = train(jensen.load_dataset("digits"))
    return from_torch(
        encoder,
        decoder,
        event_shape=(8, 8),
        latent_dim=LATENT,
        likelihood="bernoulli",
        second="log_var",
    )


if __name__ == "__main__":
    print(jensen.account(make(), jensen.load_dataset("digits").test, key=jax.random.key(0)))
