"""A fit is measured on fresh draws: everything that it reports is made here, from their log-weights."""

import time
from typing import Any

import jax.numpy as jnp
import numpy as np

from jensen._types import Key
from jensen.bounds.cubo import CUBO
from jensen.evidence import Evidence, evidence_of_log_weights, pareto_k_threshold
from jensen.evidence._corrections import pareto_smoothed, summarise_corrected
from jensen.variational._draws import weighted_draws
from jensen.variational._problem import as_model, datum
from jensen.variational._verdicts import Seen, biased, verdicts
from jensen.variational.families import AbstractFamily
from jensen.variational.result import Figure, Outcome, VariationalFit
from jensen.variational.target import Target

DEPTH = 20.0  # spreads (or nats, whichever is more) below the median


class Drawn:
    """A family's fresh draws with their log-weights, and all that is made from them."""

    def __init__(self, target: Target, family: AbstractFamily, key: Key, num_draws: int):
        self.target, self.family, self.model = target, family, as_model(target, family)
        u, draws, weights = weighted_draws(self.model, jnp.asarray(datum(target)[0]), key, num_draws)
        self.u, self.draws = np.asarray(u), {name: np.asarray(value) for name, value in draws.items()}
        self.log_likelihood, self.log_prior, self.log_q = (np.asarray(leaf) for leaf in (weights.log_likelihood, weights.log_prior, weights.log_posterior))
        # Where the density is not a number the posterior is not: q put draws where the model cannot go.
        self.log_likelihood = np.where(np.isnan(self.log_likelihood + self.log_prior), -np.inf, self.log_likelihood)
        self.log_w = np.nan_to_num(self.log_likelihood + self.log_prior - self.log_q, nan=-np.inf, neginf=-np.inf, posinf=np.inf)

    @property
    def elbo(self) -> Figure:
        """On these draws, nats."""
        return _average(self.log_w)

    @property
    def clipped_elbo(self) -> Figure:
        """The ELBO without the depth of its lowest draws, nats: by it over-fitting is judged, for the ELBO of heavy tails may be -inf."""
        with np.errstate(invalid="ignore"):  # between two draws of no density
            low, middle, high = np.quantile(self.log_w, [0.25, 0.5, 0.75])
            return _average(np.maximum(self.log_w, middle - DEPTH * max(high - low, 1.0)))

    def summary(self, outcome: Outcome, covariance: np.ndarray | None, evaluations: int, began: float, settings: dict[str, Any]) -> VariationalFit:
        """The record of the fit."""
        log_w = self.log_w[None]
        evidence = evidence_of_log_weights(log_w)
        k = float(evidence.pareto_k[0])
        smoothed = pareto_smoothed(log_w)[0][0]
        importance = np.exp(smoothed - smoothed.max())
        proper, separate = self.target.proper, self.target.separate
        fit = VariationalFit(
            target=self.target,
            family=self.family,
            elbo=self.elbo,
            reconstruction=_average(self.log_likelihood) if separate else None,
            kl=_average(self.log_q - self.log_prior) if separate else None,
            evidence=evidence if proper else None,
            smoothed=_smoothed(log_w) if proper else None,
            cubo=float(CUBO()(jnp.asarray(log_w[0]))) if proper else None,
            pareto_k=k,
            draws=self.draws,
            unconstrained=self.u,
            log_p=self.log_likelihood + self.log_prior,
            log_q=self.log_q,
            importance=importance / importance.sum(),
            covariance=covariance,
            outcome=outcome,
            trusted=False,
            verdicts=(),
            evaluations=evaluations,
            seconds=0.0,
            settings=settings,
            model=self.model,
        )
        seen = _seen(fit)
        object.__setattr__(fit, "trusted", outcome.converged and bool(k <= pareto_k_threshold(len(self.log_w))) and not biased(seen))
        object.__setattr__(fit, "verdicts", verdicts(seen))
        object.__setattr__(fit, "seconds", time.monotonic() - began)
        return fit


def _average(values: np.ndarray) -> Figure:
    if not np.isfinite(values).all():
        return Figure(float(values.mean()), np.inf)
    return Figure(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _smoothed(log_w: np.ndarray) -> Evidence:
    return Evidence(*summarise_corrected(log_w, smooth=True, correction="none"), num_samples=log_w.shape[1], estimator="PSIS")


def _seen(fit: VariationalFit) -> Seen:
    def flat(parts: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([np.ravel(parts[name]) for name in fit.draws])

    return Seen(
        names=fit.target.names,
        mean=flat(fit.mean()),
        sd=flat(fit.sd()),
        weighted_mean=flat(fit.mean(weighted=True)),
        weighted_sd=flat(fit.sd(weighted=True)),
        response_sd=None if fit.covariance is None else flat(fit.sd(linear_response=True)),
        pareto_k=fit.pareto_k,
        num_draws=len(fit.log_p),
        effective_draws=float(1 / np.sum(np.square(fit.importance))),
        converged=fit.outcome.converged,
        message=fit.outcome.message,
        proper=fit.target.proper,
        family=fit.settings["family"],
        elbo_error=fit.elbo.standard_error,
    )
