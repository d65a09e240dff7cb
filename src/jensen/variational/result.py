"""The result of a variational fit: the approximation, its figures, and the verdicts on it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._rooms import nearest
from jensen._types import Key
from jensen.evidence import Evidence
from jensen.model import Model
from jensen.variational._draws import constrained, draws_at_a_time
from jensen.variational._modes import Mode
from jensen.variational._moment_moves import ROUNDING
from jensen.variational.families import AbstractFamily
from jensen.variational.target import Target, labels

AT_A_TIME = 2**20  # numbers, while moments are summed


class Figure(NamedTuple):
    """A number in nats with its Monte Carlo standard error."""

    value: float
    standard_error: float


@dataclass(frozen=True)
class Outcome:
    """Whether a fit converged, and why it ended, in words."""

    converged: bool
    message: str

    def __bool__(self) -> bool:
        return self.converged


@dataclass(frozen=True)
class VariationalFit:
    """An approximation q of a posterior. All figures come from fresh draws that the fit has not
    used.

    Attributes:
        target, family: the target, and the fitted member of the family; `family()` is q, with
            sample and log_prob of unconstrained u.
        elbo: E_q[log p(x, u) - log q(u)], nats.
        reconstruction, kl: the two parts of the ELBO, E_q log p(x|u) and KL(q || p(u)), nats, if
            prior and likelihood are separate; otherwise None.
        evidence: log p(x) by importance sampling, None where it is not defined
            (`target.improper_because` says why). `smoothed` is the same with Pareto-smoothed
            weights.
        cubo: (1/2) log mean w^2, an estimate of an upper bound on log p(x) (Dieng et al. 2017). It
            is biased low and no bound itself.
        gap: evidence minus ELBO, which is KL(q || posterior), nats.
        pareto_k: k-hat of the weights; -inf where they are equal.
        draws: name -> array [S, ...] of constrained parameters and derived values; `unconstrained`
            [S, D] are the same draws. Derived values with more than 1,000 numbers are not stored
            (`left_out`), unless keep= names them; `derived` computes them.
        log_p, log_q: [S], log p(x, u) and log q(u), nats.
        importance: [S], Pareto-smoothed weights that sum to 1.
        missed_modes: maxima of the log-density that q does not reach, each with its place u and its
            mass relative to what q covers.
        covariance: [D, D] of u by linear response, for a mean-field fit at its maximum; else None.
        outcome: whether it converged, and why it ended.
        trusted: whether the fit converged, k-hat is at most its threshold, no mode is missed, and
            the weights show q's own moments to be right within 0.05 standard deviations and 5%.
        verdicts: the conclusions, a sentence each, the most serious first.
        evaluations: number of evaluations of the log-density and its gradient at one point.
        seconds: wall time, compilation included.
        seconds_fitting: the part of it before the fresh draws.
        settings: method, family, start, number of fixed draws, evaluations of the ELBO over all of
            them, and other choices; for a stochastic fit also `monte_carlo_error`, the largest
            error of its averaged parameters, in units of the start.
        model: target and family as a `Model` of one datum, for every function that takes models.
    """

    target: Target = field(repr=False)
    family: AbstractFamily = field(repr=False)
    elbo: Figure
    reconstruction: Figure | None
    kl: Figure | None
    evidence: Evidence | None = field(repr=False)
    smoothed: Evidence | None = field(repr=False)
    cubo: float | None
    pareto_k: float
    draws: dict[str, np.ndarray] = field(repr=False)
    unconstrained: np.ndarray = field(repr=False)
    log_p: np.ndarray = field(repr=False)
    log_q: np.ndarray = field(repr=False)
    importance: np.ndarray = field(repr=False)
    missed_modes: tuple[Mode, ...] = field(repr=False)
    covariance: np.ndarray | None = field(repr=False)
    outcome: Outcome
    trusted: bool
    verdicts: tuple[str, ...]
    evaluations: int
    seconds: float
    seconds_fitting: float
    settings: dict[str, Any]
    model: Model = field(repr=False)

    @property
    def gap(self) -> Figure | None:
        """log p(x) - ELBO, nats.

        Its error is the sum of the errors of evidence and ELBO. Where log p(x) is a lower bound
        (`evidence.bound`), so is the gap, and the error is NaN.
        """
        if self.evidence is None:
            return None
        return Figure(
            self.evidence.value - self.elbo.value,
            self.evidence.error + self.elbo.standard_error,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the numbers in `draws`, in their order."""
        return labels({name: draws[0] for name, draws in self.draws.items()})

    @property
    def left_out(self) -> dict[str, tuple[int, ...]]:
        """Derived values that are not stored in `draws`, with their shapes."""
        return {name: shape for name, shape in self.target.shapes if name not in self.draws}

    @cached_property
    def constant(self) -> dict[str, np.ndarray]:
        """Which numbers are equal in all draws, up to rounding.

        These are parts of a parameter that its support fixes, or values derived from data alone;
        they have no posterior.

        fit.constant["correlation"][0, 0]  # True
        """
        with np.errstate(invalid="ignore"):
            return {
                name: np.asarray(np.ptp(draws, axis=0) <= ROUNDING * np.abs(draws[0]))
                for name, draws in self.draws.items()
            }

    def mean(self, *, weighted: bool = False) -> dict[str, np.ndarray]:
        """Computes the means of the constrained parameters under q, or with `weighted` under its
        importance weights.

        fit.mean()["beta"]
        """
        weights = self._weights(weighted)
        return {
            name: np.where(self.constant[name], draws[0], np.tensordot(weights, draws, 1))
            for name, draws in self.draws.items()
        }

    def sd(self, *, weighted: bool = False, linear_response: bool = False) -> dict[str, np.ndarray]:
        """Computes the standard deviations of the constrained parameters: under q, under its
        importance weights (`weighted`), or by linear response (mean-field fits only).

        Raises:
            ValueError: no linear response was computed for this fit.

            fit.sd(linear_response=True)["beta"]
        """
        if linear_response:
            return {
                name: np.where(self.constant[name], 0.0, draws.std(axis=0))
                for name, draws in self._response_draws.items()
            }
        weights, mean = self._weights(weighted), self.mean(weighted=weighted)
        # A fit that went wrong may have draws at the end of the numbers.
        with np.errstate(over="ignore", invalid="ignore"):
            return {
                name: np.asarray(np.sqrt(_second_moment(draws, mean[name], weights)))
                for name, draws in self.draws.items()
            }

    def _weights(self, weighted: bool) -> np.ndarray:
        return self.importance if weighted else np.full(len(self.log_p), 1 / len(self.log_p))

    def derived(self, name: str, num_draws: int = 1000) -> np.ndarray:
        """Computes a derived value [num_draws, ...] that is not stored, for the first draws of q.

        Raises:
            ValueError: a name that the target does not have, or more draws than there are.

            fit.derived("theta", 200)
        """
        names = [name for name, _ in self.target.shapes]
        if name not in names:
            raise ValueError(
                f"the target has no {name!r}{nearest(name, names)}; it has {', '.join(names)}."
            )
        if not 1 <= num_draws <= len(self.unconstrained):
            raise ValueError(
                f"num_draws must be from 1 to the {len(self.unconstrained)} draws; got {num_draws}."
            )
        return self._constrained(self.unconstrained[:num_draws], (name,))[name]

    def _constrained(self, u: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The named constrained values of u [S, D], in blocks."""
        with jax.enable_x64(True):
            size = draws_at_a_time(self.target)
            parts = [
                jax.tree.map(
                    np.asarray,
                    constrained(self.target.constrain, jnp.asarray(u[i : i + size]), names),
                )
                for i in range(0, len(u), size)
            ]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    @cached_property
    def _response_draws(self) -> dict[str, np.ndarray]:
        if self.covariance is None:
            raise ValueError(
                "linear response belongs to a mean-field fit that has reached its maximum "
                "(family='mean_field', method='fixed_draws')."
            )
        # Antithetic normal draws, pushed through the constraints: sd() is in constrained units.
        noise = np.random.default_rng(0).normal(size=(2000, self.target.size))
        u = (
            self.unconstrained.mean(axis=0)
            + np.concatenate([noise, -noise]) @ np.linalg.cholesky(self.covariance).T
        )
        return self._constrained(u, tuple(self.draws))

    def predict(self, *, key: Key) -> dict[str, np.ndarray]:
        """Makes predictive draws, one for each draw of q.

        Raises:
            ValueError: the target has no `predictive`.

            fit.predict(key=jax.random.key(1))["y"]
        """
        if self.target.predictive is None:
            raise ValueError(
                "this target has no predictions: give predictive=(key, draws) -> dict, "
                "or make it by jensen.from_numpyro or jensen.from_pymc."
            )
        with jax.enable_x64(True):
            predictions = self.target.predictive(
                key, {name: jnp.asarray(value) for name, value in self.draws.items()}
            )
            return {name: np.asarray(value) for name, value in predictions.items()}

    def resampled(self, num_draws: int = 1000, *, key: Key) -> dict[str, np.ndarray]:
        """Resamples the draws by their importance weights, with replacement: [num_draws, ...].

        The result is nearer to the posterior than q where k-hat is low.

        Raises:
            ValueError: fewer than 1.

            fit.resampled(key=jax.random.key(1))["beta"]
        """
        if num_draws < 1:
            raise ValueError(f"num_draws must be at least 1; got {num_draws}.")
        seed = np.asarray(jr.key_data(key)).ravel()
        rows = np.random.default_rng(seed).choice(
            len(self.importance), size=num_draws, p=self.importance / self.importance.sum()
        )
        return {name: draws[rows] for name, draws in self.draws.items()}

    def to_datatree(self) -> Any:
        """Makes an xarray DataTree in ArviZ's conventions, with one chain: `posterior`,
        `unconstrained_posterior`, and `sample_stats` with log_p, log_q and importance weights.

        `az.loo_approximate_posterior(tree, log_p=..., log_q=...)` takes its log_p and log_q,
        flattened, where a log_likelihood group is added.

            fit.to_datatree()["posterior"]["beta"].dims  # ('chain', 'draw', 'beta_dim_0')
        """
        import xarray

        def dataset(values: dict[str, np.ndarray]) -> xarray.Dataset:
            coords: dict[str, Any] = {"chain": [0], "draw": np.arange(len(self.log_p))}
            coords |= {
                f"{k}_dim_{i}": np.arange(size)
                for k, v in values.items()
                for i, size in enumerate(v.shape[1:])
            }
            return xarray.Dataset(
                {
                    k: (("chain", "draw", *(f"{k}_dim_{i}" for i in range(v.ndim - 1))), v[None])
                    for k, v in values.items()
                },
                coords,
            )

        facts = {
            "elbo": self.elbo.value,
            "elbo_standard_error": self.elbo.standard_error,
            "pareto_k": self.pareto_k,
            "converged": int(self.outcome.converged),
        }
        facts |= (
            {}
            if self.evidence is None
            else {
                "evidence": self.evidence.value,
                "evidence_standard_error": self.evidence.error,
                "evidence_bound": self.evidence.bound,
            }
        )
        groups = {
            "posterior": dataset(self.draws).assign_attrs(
                inference_library="jensen", verdicts=list(self.verdicts)
            ),
            "unconstrained_posterior": dataset({"u": self.unconstrained}),
            "sample_stats": dataset(
                {"log_p": self.log_p, "log_q": self.log_q, "importance_weight": self.importance}
            ).assign_attrs(facts),
        }
        return xarray.DataTree.from_dict(groups)

    def __str__(self) -> str:
        names = self.names
        columns = [
            np.concatenate([np.ravel(part[name]) for name in self.draws])
            for part in (self.mean(), self.sd(), self.mean(weighted=True), self.constant)
        ]
        width = max(len("ELBO"), *map(len, names))
        lines = [f"{'':{width}}  {'mean':>11} {'sd':>10} {'weighted mean':>14}"]
        lines += [
            f"{name:{width}}  {m:11.4g} {'constant' if fixed else f'{s:.3g}':>10} {w:14.4g}"
            for name, m, s, w, fixed in zip(names[:40], *(c[:40] for c in columns), strict=True)
        ]
        lines += [f"... {len(names) - 40} more"] if len(names) > 40 else []
        lines.append(
            f"ELBO {self.elbo.value:.4f} +- {self.elbo.standard_error:.4f} nats; k-hat "
            f"{self.pareto_k:.2f}"
        )
        if self.evidence is not None:
            figure = (
                f">= {self.evidence.value:.4f}"
                if self.evidence.bound
                else f"{self.evidence.value:.4f} +- {self.evidence.error:.4f}"
            )
            lines.append(f"log p(x) {figure} nats by importance sampling")
        else:
            lines.append(f"log p(x) is not defined: {self.target.improper_because}")
        if self.left_out:
            shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.left_out.items())
            lines.append(
                f"Derived values that are not stored, for their size: {shapes} (keep=, fit.derived)"
            )
        return "\n".join([*lines, *self.verdicts])


def _second_moment(draws: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_s weights_s (draws_s - mean)^2, in blocks: draws may take most of the memory."""
    size = max(1, AT_A_TIME // max(1, mean.size))
    moment = np.zeros(mean.shape)
    for i in range(0, len(draws), size):
        moment += np.tensordot(weights[i : i + size], np.square(draws[i : i + size] - mean), 1)
    return moment
