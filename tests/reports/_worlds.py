"""Small worlds in which the truth is known.

Models whose code is the datum itself, and accounts made of given numbers that close exactly.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from jensen.anatomy import Account, Line
from jensen.datasets import Dataset
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.evidence import Evidence
from jensen.model import Model
from jensen.priors import AbstractPrior
from jensen.reports import ReportInputs


class EchoPrior(AbstractPrior):
    centre: float = eqx.field(static=True)
    dimensions: int = eqx.field(static=True)

    def __call__(self, encoder):
        return diagonal_normal(jnp.full(self.dimensions, self.centre), jnp.ones(self.dimensions))


class EchoEncoder(AbstractEncoder):
    """q(z|x) = N(x, 0.1^2), so the code of a datum is the datum."""

    def __call__(self, x):
        x = x.ravel().astype(jnp.float32)
        return diagonal_normal(x, jnp.full(x.shape, 0.1))


class EchoDecoder(AbstractDecoder):
    """p(x|z) = N(z, 1), so the mean of p(x|z) is the code."""

    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, z):
        return dist.Normal(z.reshape(self.event_shape), 1.0).to_event(len(self.event_shape))


def echo_model(event_shape, *, prior_centre=0.0):
    return Model(
        EchoPrior(prior_centre, int(np.prod(event_shape))),
        EchoEncoder(),
        EchoDecoder(tuple(event_shape)),
    )


def echo_data(event_shape, n=40, *, notes=(), name="echo", scale=1.0):
    rows = (scale * np.random.default_rng(0).normal(size=(2 * n, *event_shape))).astype(np.float32)
    return Dataset(name, rows[:n], rows[:0], rows[n:], notes=tuple(notes))


def account_of(
    n,
    split="test",
    *,
    latent_dim=3,
    pareto_k=None,
    seed=0,
    verdicts=("Prior: look there (--prior vamp).",),
):
    rng = np.random.default_rng(seed)

    def line(per_datum, error):
        errors = np.full(n, error * np.sqrt(n))
        return Line(
            float(per_datum.mean()),
            error,
            float(per_datum.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
            per_datum,
            errors,
        )

    evidence, gap = rng.normal(-80, 5, n), rng.gamma(2, 1, n)
    information, marginal, entropy = (
        rng.normal(3, 0.5, n),
        rng.normal(1, 0.5, n),
        rng.normal(5, 1, n),
    )
    elbo = evidence - gap
    lines = {
        "evidence": line(evidence, 0.02),
        "jensen_gap": line(gap, 0.04),
        "elbo": line(elbo, 0.03),
        "reconstruction": line(elbo + information + marginal, 0.05),
        "average_kl": line(information + marginal, 0.06),
        "index_information": line(information, 0.01),
        "marginal_kl": line(marginal, 0.07),
        "expected_energy": line(entropy - elbo, 0.08),
        "entropy": line(entropy, 0.09),
    }
    k = rng.uniform(0, 1, n) if pareto_k is None else np.broadcast_to(pareto_k, n).astype(float)
    estimate = Evidence(evidence, np.full(n, 0.1), np.full(n, 50.0), k, 1000, "Importance")
    return Account(
        split=split,
        n=n,
        **lines,
        active_units=2,
        latent_dim=latent_dim,
        evidence_estimate=estimate,
        num_draws=4,
        verdicts=verdicts,
    )


def history_of(epochs, *, warm_up=5, best=None, validation=True):
    def terms(e):
        return {"bound": -90 - 50 / e, "reconstruction": -80 - 40 / e, "average_kl": 10 + 10 / e}

    return [
        {
            "epoch": e,
            "beta": min(1.0, e / max(warm_up, 1)),
            "train": terms(e),
            "validation": terms(e + 1) if validation else None,
            "best_epoch": min(e, best or epochs),
            "seconds": 0.1,
        }
        for e in range(1, epochs + 1)
    ]


def inputs_of(event_shape=(3,), *, n=40, **changes):
    dataset = changes.pop("dataset", None) or echo_data(event_shape, n)
    values = {
        "title": "echo run",
        "model": echo_model(dataset.event_shape),
        "dataset": dataset,
        "accounts": {"test": account_of(n, latent_dim=int(np.prod(dataset.event_shape)))},
        "history": history_of(20, best=17),
        "outcome": "all 20 epochs done; the best was epoch 17.",
        "warnings": (),
        "config": {"seed": 3, "model": {"latent_dim": 3, "prior": {"name": "echo"}}},
        "version": "0.1.0",
        "seed": 3,
    }
    return ReportInputs(**(values | changes))
