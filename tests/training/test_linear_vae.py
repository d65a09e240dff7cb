"""A linear VAE trains to the maximum likelihood of probabilistic PCA (Tipping & Bishop 1999; Lucas et al. 2019), known from eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random as jr

from jensen.bounds import ELBO
from jensen.gradients import ClosedFormKL
from jensen.models.vae import vae
from jensen.training import TrainingOptions, train

LATENT = 2


def ppca_maximum(x):
    """The maximum log-likelihood, nats per datum."""
    dimension = x.shape[1]
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    s2 = eigenvalues[LATENT:].mean()
    return -0.5 * (
        np.log(eigenvalues[:LATENT]).sum()
        + (dimension - LATENT) * np.log(s2)
        + dimension * np.log(2 * np.pi)
        + dimension
    )


def exact_elbo(model, x):
    """The ELBO of a linear VAE in float64, with no sampling, nats per datum."""
    double = lambda a: np.asarray(a, np.float64)  # noqa: E731
    q = jax.vmap(model.encoder)(jnp.asarray(x))
    loc, scale = double(q.base_dist.loc), double(q.base_dist.scale)
    w, b = double(model.decoder.head.weight).T, double(model.decoder.head.bias)
    s2 = double(model.decoder(jnp.zeros(LATENT)).base_dist.scale)[0] ** 2
    squares = np.sum((x - b - loc @ w.T) ** 2, axis=1) + scale**2 @ np.sum(w**2, axis=0)
    reconstruction = -0.5 * (squares / s2 + x.shape[1] * np.log(2 * np.pi * s2))
    return np.mean(reconstruction - 0.5 * np.sum(loc**2 + scale**2 - 1 - 2 * np.log(scale), axis=1))


def test_a_linear_vae_reaches_the_maximum_likelihood_and_never_exceeds_it():
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(6, LATENT)))[0] * [2.0, 1.2]
    x = rng.normal(size=(400, LATENT)) @ w.T + 0.5 * rng.normal(size=(400, 6))
    x = ((x - x.mean(0)) / x.std(0) + 0.5 * rng.normal(size=6)).astype(np.float32)
    model = vae(
        (6,),
        latent_dim=LATENT,
        likelihood={"name": "normal", "scale": "shared"},
        network={"name": "dense", "hidden": ()},
        key=jr.key(1),
    )
    maximum = ppca_maximum(x.astype(np.float64))
    values = [exact_elbo(model, x)]
    # Full batches; the learning rate falls so that the gradient's noise, from the sampled reconstruction, does too.
    for stage, (learning_rate, epochs) in enumerate([(2e-2, 1000), (2e-3, 1000), (2e-4, 400)]):
        options = TrainingOptions(
            epochs=epochs, batch_size=400, num_samples=4, learning_rate=learning_rate, patience=0
        )
        trained = train(
            model,
            x,
            x[:0],
            bound=ELBO(),
            gradient=ClosedFormKL(),
            options=options,
            key=jr.key(2 + stage),
        )
        model = trained.last
        values.append(exact_elbo(model, x))
    assert values[0] < maximum - 1
    assert max(values) <= maximum + 1e-6
    assert maximum - values[-1] < 1e-3
    # What training reported of its last epoch is an estimate of the same number: 1600 draws, and the spread of log p(x|z) is below 2 nats.
    assert abs(trained.history[-1]["train"]["bound"] - values[-1]) < 5 * 2 / np.sqrt(1600)
    sigma = float(model.decoder(jnp.zeros(LATENT)).base_dist.scale[0])
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))
    assert abs(sigma**2 / eigenvalues[: 6 - LATENT].mean() - 1) < 0.01
