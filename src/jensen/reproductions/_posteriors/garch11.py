"""Volatility that follows yesterday's surprise, GARCH(1, 1) (garch11.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, Coordinates, Values, column


def _to_named(sites: Values) -> Values:
    return {
        **{k: sites[k] for k in ("mu", "alpha0", "alpha1")},
        "beta1": sites["share"] * (1 - sites["alpha1"]),
    }


def _to_sites(named: Values) -> Values:
    return {
        **{k: named[k] for k in ("mu", "alpha0", "alpha1")},
        "share": named["beta1"] / (1 - named["alpha1"]),
    }


class GARCH(AbstractPosterior):
    """sigma_t^2 = alpha0 + alpha1 (y_{t-1} - mu)^2 + beta1 sigma_{t-1}^2, y_t ~ N(mu, sigma_t); mu and alpha0 > 0 flat.

    (alpha1, beta1) is uniform on the triangle alpha1, beta1 > 0, alpha1 + beta1 < 1: alpha1 ~ Beta(1, 2), of density 2 (1 - alpha1), and beta1 uniform below
    1 - alpha1. As the support of beta1 would depend on alpha1, the site is share = beta1 / (1 - alpha1): on the unconstrained space, logit(share), this is the
    same as Stan's.
    """

    name = "garch-garch11"
    data_name = "garch"
    reference_name = "garch-garch11"
    proper = False
    stan_offset = -math.log(2)  # the triangle's area is 1/2
    coordinates = Coordinates(_to_named, _to_sites)

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = column(data, "y"), float(data["sigma1"])
        self.shapes = {"mu": (), "alpha0": (), "alpha1": (), "beta1": ()}

    @staticmethod
    def model(y, first_sigma):
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
        alpha0 = numpyro.sample("alpha0", dist.ImproperUniform(dist.constraints.positive, (), ()))
        alpha1 = numpyro.sample("alpha1", dist.Beta(1.0, 2.0))
        beta1 = numpyro.sample("share", dist.Uniform(0.0, 1.0)) * (1 - alpha1)

        def following(variance, earlier):
            now = alpha0 + alpha1 * (earlier - mu) ** 2 + beta1 * variance
            return now, now

        first = jnp.full_like(mu, first_sigma**2)
        _, later = jax.lax.scan(following, first, jnp.asarray(y[:-1]))
        numpyro.sample(
            "y", dist.Normal(mu, jnp.sqrt(jnp.concatenate([first[None], later]))).to_event(1), obs=y
        )
