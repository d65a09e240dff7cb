"""Fresh draws of q, which the fit has not used, and every figure that a fit reports, computed from
their log-weights.
"""

import math
import time
from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from jensen._types import Array, Key
from jensen.bounds.cubo import CUBO
from jensen.evidence import Evidence, evidence_of_log_weights
from jensen.evidence._corrections import pareto_smoothed, summarise_corrected
from jensen.variational._compilation import quick_jit
from jensen.variational._draws import draws_at_a_time, names_to_keep, weighted_draws
from jensen.variational._modes import Mode
from jensen.variational._moment_moves import moment_moves
from jensen.variational._problem import as_model, datum
from jensen.variational._verdicts import (
    NO_VARIANCE,
    FitDiagnostics,
    biased,
    in_doubt,
    nearly_equal,
    trustworthy,
    verdicts,
)
from jensen.variational.families import AbstractFamily
from jensen.variational.result import Figure, Outcome, VariationalFit
from jensen.variational.target import Target

DRAWS = 10_000
MORE = 10  # times as many draws where k-hat of the first DRAWS is above NO_VARIANCE
MOST_NUMBERS = 20_000_000  # largest size of all draws for which MORE are made
DEPTH = 20.0  # spreads (or nats, whichever is more) below the median


class FreshDraws:
    """Fresh draws of a family with their log-weights, and the figures computed from them.

    Args:
        target, family: p and q.
        key: decides the draws.
        num_draws: how many; by default DRAWS, and MORE times as many where k-hat or a moment is in
            doubt.
        keep: names of large derived values to store.

        FreshDraws(target, fit.family, jax.random.key(0), 1000).elbo.value  # nats
    """

    def __init__(
        self,
        target: Target,
        family: AbstractFamily,
        key: Key,
        num_draws: int | None,
        keep: Collection[str] = (),
    ):
        self.began = time.monotonic()
        self.names, self.block = names_to_keep(target, keep), draws_at_a_time(target)
        self.target, self.family, self.model = target, family, as_model(target, family)
        self.key, self.may_grow, self.size = key, num_draws is None, num_draws or DRAWS
        self.first = self._drawn(0)
        self._take([self.first])

    def _drawn(self, first: int) -> Any:
        return jax.tree.map(
            np.asarray,
            weighted_draws(
                self.model,
                datum(self.target)[0],
                self.key,
                self.size,
                np.asarray(first),
                self.names,
                self.block,
            ),
        )

    def _take(self, parts: list[Any]) -> None:
        u, draws, weights = (
            parts[0]
            if len(parts) == 1
            else jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        )
        self.u, self.draws = u, draws
        self.log_likelihood, self.log_prior, self.log_q = (
            weights.log_likelihood,
            weights.log_prior,
            weights.log_posterior,
        )
        # NaN means that q has draws outside the model's domain: their density is 0.
        self.log_likelihood = np.where(
            np.isnan(self.log_likelihood + self.log_prior), -np.inf, self.log_likelihood
        )
        self.log_w = np.nan_to_num(
            self.log_likelihood + self.log_prior - self.log_q,
            nan=-np.inf,
            neginf=-np.inf,
            posinf=np.inf,
        )

    @cached_property
    def importance(self) -> np.ndarray:
        """Pareto-smoothed weights [S] that sum to 1."""
        smoothed = pareto_smoothed(self.log_w[None])[0][0]
        weights = np.exp(smoothed - smoothed.max())
        return weights / weights.sum()

    @cached_property
    def evidence(self) -> Evidence:
        """log p(x), nats, from MORE times as many draws where k-hat or a verdict on q's moments is
        in doubt: of ten thousand draws k-hat may be far too high.
        """
        evidence = evidence_of_log_weights(self.log_w[None])
        numbers = self.size * (
            self.u.shape[1] + sum(math.prod(d.shape[1:]) for d in self.draws.values())
        )
        if (
            self.may_grow
            and MORE * numbers <= MOST_NUMBERS
            and (self._tail_in_doubt(evidence) or self._moments_in_doubt(evidence))
        ):
            self._take([self.first, *(self._drawn(i * self.size) for i in range(1, MORE))])
            self.__dict__.pop("importance", None)  # of the first draws
            evidence = evidence_of_log_weights(self.log_w[None])
        if self._nearly_equal(evidence):  # trusted as q is, whatever k-hat of a tail without weight
            return replace(evidence, trusted=np.array([True]))
        return evidence

    def _tail_in_doubt(self, evidence: Evidence) -> bool:
        return not (evidence.pareto_k[0] <= NO_VARIANCE or self._nearly_equal(evidence))

    def _nearly_equal(self, evidence: Evidence) -> bool:
        effective = float(1 / np.sum(np.square(self.importance)))
        return nearly_equal(float(evidence.pareto_k[0]), effective, len(self.log_w))

    def _moments_in_doubt(self, evidence: Evidence) -> bool:
        moves = moment_moves(self.draws, self.importance)
        return in_doubt(moves, float(evidence.pareto_k[0]))

    @property
    def elbo(self) -> Figure:
        """The ELBO on these draws, nats."""
        return _average(self.log_w)

    @property
    def clipped_elbo(self) -> Figure:
        """The ELBO with its lowest log-weights raised to a floor, nats.

        Over-fitting is judged by it, since the ELBO of heavy tails may be -inf.
        """
        with np.errstate(invalid="ignore"):  # between two draws of no density
            low, middle, high = np.quantile(self.log_w, [0.25, 0.5, 0.75])
            return _average(np.maximum(self.log_w, middle - DEPTH * max(high - low, 1.0)))

    def summary(
        self,
        outcome: Outcome,
        covariance: np.ndarray | None,
        evaluations: int,
        began: float,
        settings: dict[str, Any],
        missed_modes: tuple[Mode, ...] = (),
    ) -> VariationalFit:
        """Makes the record of a fit that began at time.monotonic() == `began`."""
        evidence = self.evidence
        log_w = self.log_w[None]
        k = float(evidence.pareto_k[0])
        proper, separate = self.target.proper, self.target.separate
        fit = VariationalFit(
            target=self.target,
            family=self.family,
            elbo=self.elbo,
            reconstruction=_average(self.log_likelihood) if separate else None,
            kl=_average(self.log_q - self.log_prior) if separate else None,
            evidence=evidence if proper else None,
            smoothed=_smoothed(log_w) if proper else None,
            cubo=float(_cubo(log_w[0])) if proper else None,
            pareto_k=k,
            draws=self.draws,
            unconstrained=self.u,
            log_p=self.log_likelihood + self.log_prior,
            log_q=self.log_q,
            importance=self.importance,
            missed_modes=missed_modes,
            covariance=covariance,
            outcome=outcome,
            trusted=False,
            verdicts=(),
            evaluations=evaluations,
            seconds=0.0,
            seconds_fitting=self.began - began,
            settings=settings,
            model=self.model,
        )
        diagnostics = _diagnostics(fit)
        object.__setattr__(
            fit,
            "trusted",
            outcome.converged
            and trustworthy(diagnostics)
            and not biased(diagnostics)
            and not missed_modes,
        )
        object.__setattr__(fit, "verdicts", verdicts(diagnostics))
        object.__setattr__(fit, "seconds", time.monotonic() - began)
        return fit


@quick_jit
def _cubo(log_w: Array) -> Array:
    return CUBO()(log_w)


def _average(values: np.ndarray) -> Figure:
    if not np.isfinite(values).all():
        return Figure(float(values.mean()), np.inf)
    return Figure(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _smoothed(log_w: np.ndarray) -> Evidence:
    return Evidence(
        *summarise_corrected(log_w, smooth=True, correction="none"),
        num_samples=log_w.shape[1],
        estimator="PSIS",
    )


def _diagnostics(fit: VariationalFit) -> FitDiagnostics:
    def flat(parts: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([np.ravel(parts[name]) for name in fit.draws])

    return FitDiagnostics(
        names=fit.names,
        varies=~flat(fit.constant),
        mean=flat(fit.mean()),
        sd=flat(fit.sd()),
        moves=moment_moves(fit.draws, fit.importance),
        response_sd=None if fit.covariance is None else flat(fit.sd(linear_response=True)),
        pareto_k=fit.pareto_k,
        num_draws=len(fit.log_p),
        effective_draws=float(1 / np.sum(np.square(fit.importance))),
        missed_modes=tuple(mode.mass for mode in fit.missed_modes),
        converged=fit.outcome.converged,
        message=fit.outcome.message,
        improper_because=fit.target.improper_because,
        family=fit.settings["family"],
        elbo_error=fit.elbo.standard_error,
    )
