"""One of our own trained models, and copies of it in NumPy and in PyTorch: the same numbers, written down again with none of our code."""

import functools

import jax
import numpy as np

import jensen

LATENT = 8


@functools.cache
def trained(prior: str = "standard_normal"):
    """(model, the first 60 test data): digits, a few epochs, always the same."""
    data = jensen.load_dataset("digits")
    chosen = {"name": "vamp", "num_components": 12} if prior == "vamp" else prior
    network = {"name": "dense", "hidden": [50]}
    model = jensen.vae(
        data.event_shape,
        latent_dim=LATENT,
        prior=chosen,
        network=network,
        data=data,
        key=jax.random.key(0),
    )
    fit = jensen.fit(
        model, data, epochs=30, learning_rate=3e-3, key=jax.random.key(1), progress=False
    )
    return fit.model, data.test[:60]


def layers(part) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (np.asarray(layer.weight), np.asarray(layer.bias))
        for layer in (*part.network.layers, part.head)
    ]


def run(weights, h, keep=None):
    kept = []
    for i, (w, b) in enumerate(weights):
        h = h @ w + b
        if i < len(weights) - 1:
            kept.append(h > 0)
            h = np.maximum(h, 0)
    if keep is not None:
        keep.extend(kept)
    return h


class NumpyCopy:
    """The callables of `jensen.foreign`."""

    def __init__(self, model):
        self.encoder, self.decoder = layers(model.encoder), layers(model.decoder)
        self.mean, self.spread = (
            np.asarray(model.encoder.data_mean),
            np.asarray(model.encoder.data_scale),
        )

    def encode(self, x):
        loc, log_scale = np.split(
            run(self.encoder, (x.reshape(len(x), -1) - self.mean) / self.spread), 2, axis=1
        )
        return loc, np.exp(np.clip(log_scale, -10, 10))

    def log_likelihood(self, x, z):
        logits = run(self.decoder, z)
        return (x.reshape(len(x), -1) * logits - np.logaddexp(0, logits)).sum(1)

    def gradient(self, x, z):
        keep = []
        logits = run(self.decoder, z, keep)
        slope = x.reshape(len(x), -1) - 1 / (1 + np.exp(-logits))
        for (w, _), open_ in zip(self.decoder[:0:-1], keep[::-1], strict=True):
            slope = (slope @ w.T) * open_
        return slope @ self.decoder[0][0].T

    def foreign(self, **options):
        return jensen.foreign(
            **{
                "event_shape": (8, 8),
                "latent_dim": LATENT,
                "encode": self.encode,
                "log_likelihood": self.log_likelihood,
            }
            | {"log_likelihood_gradient": self.gradient}
            | options
        )


def torch_modules(model):
    """(encoder, decoder): torch modules with our weights; the encoder gives (loc, log variance), the decoder logits."""
    import torch

    def sequence(part):
        modules = []
        for w, b in layers(part):
            linear = torch.nn.Linear(*w.shape)
            linear.load_state_dict({"weight": torch.tensor(w.T), "bias": torch.tensor(b)})
            modules += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*modules[:-1])

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = sequence(model.encoder)
            self.register_buffer("mean", torch.tensor(np.asarray(model.encoder.data_mean)))
            self.register_buffer("spread", torch.tensor(np.asarray(model.encoder.data_scale)))

        def forward(self, x):
            loc, log_scale = self.network((x.flatten(1) - self.mean) / self.spread).chunk(2, dim=1)
            return loc, 2 * log_scale.clamp(-10, 10)

    return Encoder(), sequence(model.decoder)
