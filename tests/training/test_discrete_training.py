"""Models of discrete codes learn: a few epochs on data made of four patterns win most of what there is to win."""

import jax
import numpy as np
import pytest

import jensen
from jensen.bounds import bounds
from jensen.gradients import gradients
from jensen.weights import log_weights

PATTERNS = np.random.default_rng(0).integers(0, 2, (4, 12)).astype(bool)


def rows(n, seed):
    """A pattern with one pixel in twenty turned over."""
    rng = np.random.default_rng(seed)
    return (PATTERNS[rng.integers(0, 4, n)] ^ (rng.random((n, 12)) < 0.05)).astype(np.uint8)


def log_evidence(x):
    """Of the mixture that made the data, nats."""
    different = (x[:, None] != PATTERNS[None]).sum(-1)
    return np.logaddexp.reduce(
        different * np.log(0.05) + (12 - different) * np.log(0.95), axis=1
    ) - np.log(4)


@pytest.mark.parametrize(
    ("name", "options", "bound", "gradient"),
    [
        ("bernoulli", {}, "elbo", "score_function"),
        ("bernoulli", {}, "iwae", "vimco"),
        ("categorical", {"num_classes": 4}, "elbo", "score_function"),
    ],
)
def test_training_wins_most_of_what_a_code_can_win(name, options, bound, gradient):
    train, test = rows(1000, seed=1), rows(500, seed=2)
    data = jensen.Dataset("patterns", train, rows(200, seed=3), test)
    network = {"name": "dense", "hidden": (30,)}
    model = jensen.vae(
        (12,),
        latent_dim=4,
        prior=name,
        encoder={"name": name, **options},
        network=network,
        data=data,
        key=jax.random.key(0),
    )

    def elbo(model):
        return np.asarray(
            log_weights(model, test, key=jax.random.key(1), num_samples=20).tempered()
        ).mean()

    made = bounds.build(bound, {}, {}), gradients.build(gradient, {}, {})
    settings = {"epochs": 40, "num_samples": 4, "learning_rate": 5e-3, "warm_up": 5, "patience": 0}
    fit = jensen.fit(
        model,
        data,
        bound=made[0],
        gradient=made[1],
        **settings,
        key=jax.random.key(2),
        progress=False,
    )
    start, end, best = elbo(model), elbo(fit.model), log_evidence(test).mean()
    assert end <= best + 0.1
    assert end - start > 0.7 * (best - start)
