"""The front door of variational inference: a target, a family, and what comes of them."""

import time
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.bounds import AbstractBound, bounds
from jensen.bounds.cubo import CUBO
from jensen.evidence import Evidence, evidence_of_log_weights, pareto_k_threshold
from jensen.evidence._corrections import summarise_corrected
from jensen.evidence._corrections import pareto_smoothed
from jensen.variational._draws import weighted_draws
from jensen.variational._fixed_draws import fit_fixed_draws, fixed_noise, how_many_draws
from jensen.variational._linear_response import linear_response
from jensen.variational._problem import as_model, datum
from jensen.variational._start import begin
from jensen.variational._verdicts import Seen, verdicts
from jensen.variational.families import AbstractFamily, Start, families
from jensen.variational.families.mean_field import MeanField
from jensen.variational.result import Figure, Outcome, VariationalFit
from jensen.variational.target import Target

MOST_FIXED_DRAWS, OVER_FIT = 16384, 0.01
LARGE = 500


def fit_variational(
    target: Target,
    family: str | Mapping[str, Any] = "full_rank",
    *,
    key: Key,
    method: Literal["auto", "fixed_draws", "stochastic"] = "auto",
    bound: str | Mapping[str, Any] | AbstractBound | None = None,
    num_draws: int = 10_000,
    start: np.ndarray | Start | None = None,
    fixed_draws: int | None = None,
    max_evaluations: int = 5000,
) -> VariationalFit:
    """Fits a family to a target, and says what the fit is worth, on draws that it has not seen. All of it in float64.

    Args:
        target: by `from_log_joint`, `from_unconstrained`, `from_numpyro`, or a `Target`.
        family: a name of the families room (mean_field, full_rank, low_rank, student_t, mixture, flow), or {"name": ..., option: value}.
        key: decides start, draws and all.
        method: 'fixed_draws' climbs the ELBO over draws that stay the same, by L-BFGS from a Laplace start; 'auto' is that.
        bound: what to climb; the ELBO when absent.
        num_draws: fresh draws that everything reported is measured on.
        start: unconstrained coordinates [D] to set out from (a random place when absent), or a `Start` with its units, which is taken as it is.
        fixed_draws: how many draws stay the same; when absent enough for the family, doubled while they are over-fitted: while their ELBO is above that of fresh
            draws by two standard errors and .01 nats.
        max_evaluations: of the ELBO over all fixed draws, for each number of them.

    Returns:
        A `VariationalFit`; one that did not converge says so in `outcome` and `verdicts`.

    Raises:
        ValueError: an unknown name, a start where the density is not finite, a gradient that is not, a direction along which the density is constant.

        fit = jensen.fit_variational(target, "full_rank", key=jax.random.key(0))
    """
    began = time.monotonic()
    if num_draws < 100:
        raise ValueError(f"num_draws must be at least 100, or k-hat means nothing; got {num_draws}.")
    name, options = _named(family)
    with jax.enable_x64(True):
        key_start, key_fit, key_draws = jr.split(key, 3)
        if isinstance(start, Start):
            setting_out, kind, evaluations = Start(*(jnp.asarray(a, float) for a in start)), "given", 0
        else:
            begun = begin(target, key_start, at=start)
            setting_out, kind, evaluations = begun
        first = families.build(name, options, {"start": setting_out})
        count = fixed_draws or how_many_draws(first, target.size)
        member = first
        while True:
            found = fit_fixed_draws(target, member, key_fit, num_draws=count, max_evaluations=max_evaluations)
            evaluations += found.evaluations * count
            member = found.family
            drawn = _Drawn(target, member, key_draws, num_draws)
            excess = found.value - drawn.elbo.value
            over_fitted = excess > max(2 * drawn.elbo.standard_error, OVER_FIT)
            if not over_fitted or fixed_draws is not None or 2 * count > MOST_FIXED_DRAWS:
                break
            count *= 2
        outcome = Outcome(found.converged, found.message)
        if over_fitted:
            outcome = Outcome(False, f"{count} fixed draws are over-fitted by {excess:.2g} nats, as fresh ones say; raise fixed_draws=, or take fewer parameters")
        noise = fixed_noise(member, key_fit, count)
        covariance = linear_response(target, member, noise) if isinstance(member, MeanField) and outcome.converged else None
    settings = {"method": "fixed_draws", "family": name, **options, "start": kind, "fixed_draws": count}
    return drawn.summary(outcome, covariance, evaluations, began, settings)


def _named(choice: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(choice, str):
        return choice, {}
    options = dict(choice)
    return options.pop("name"), options


class _Drawn:
    """A family's fresh draws with their log-weights, and all that is made from them."""

    def __init__(self, target: Target, family: AbstractFamily, key: Key, num_draws: int):
        self.target, self.family, self.model = target, family, as_model(target, family)
        u, draws, weights = weighted_draws(self.model, jnp.asarray(datum(target)[0]), key, num_draws)
        self.u, self.draws = np.asarray(u), {name: np.asarray(value) for name, value in draws.items()}
        self.log_likelihood, self.log_prior, self.log_q = (np.asarray(leaf) for leaf in (weights.log_likelihood, weights.log_prior, weights.log_posterior))
        self.log_w = self.log_likelihood + self.log_prior - self.log_q

    @property
    def elbo(self) -> Figure:
        """On these draws, nats."""
        return _average(self.log_w)

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
            trusted=outcome.converged and bool(k <= pareto_k_threshold(len(self.log_w))),
            verdicts=(),
            evaluations=evaluations,
            seconds=0.0,
            settings=settings,
            model=self.model,
        )
        object.__setattr__(fit, "verdicts", verdicts(_seen(fit)))
        object.__setattr__(fit, "seconds", time.monotonic() - began)
        return fit


def _average(values: np.ndarray) -> Figure:
    return Figure(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _smoothed(log_w: np.ndarray) -> Evidence:
    return Evidence(*summarise_corrected(log_w, smooth=True, correction="none"), num_samples=log_w.shape[1], estimator="PSIS")


def _seen(fit: VariationalFit) -> Seen:
    def flat(parts: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([np.ravel(parts[name]) for name in fit.draws])

    moments = [flat(part) for part in (fit.mean(), fit.sd(), fit.mean(weighted=True), fit.sd(weighted=True))]
    response = None if fit.covariance is None else flat(fit.sd(linear_response=True))
    facts = fit.pareto_k, len(fit.log_p), fit.outcome.converged, fit.outcome.message, fit.target.proper, fit.settings["family"]
    return Seen(fit.target.names, *moments, response, *facts)
