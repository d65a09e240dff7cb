"""Measures a fit against reference draws, and what a mean-field family can reach at best."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jensen.reproductions.posteriordb._database import labels_of
from jensen.reproductions.posteriordb._fits import Fit
from jensen.reproductions.posteriordb._posteriors import AbstractPosterior
from jensen.reproductions.posteriordb._unconstrained_density import UnconstrainedDensity

PASSING_ERROR, PASSING_RATIO = 0.05, (0.95, 1.05)


class Moments(NamedTuple):
    """Means and standard deviations of parameters by name, each [*shape]."""

    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """The moments of an approximation against those of the reference, for each element.

    Attributes:
        labels: of the elements, from 1 on.
        mean_errors: (mean - reference mean) / reference sd.
        sd_ratios: sd / reference sd.
    """

    labels: tuple[str, ...]
    mean_errors: np.ndarray
    sd_ratios: np.ndarray

    @property
    def largest_mean_error(self) -> float:
        """max |mean error| / sd."""
        return float(np.max(np.abs(self.mean_errors)))

    @property
    def extreme_sd_ratios(self) -> list[float]:
        """The smallest and the largest sd ratio."""
        return [float(self.sd_ratios.min()), float(self.sd_ratios.max())]

    @property
    def passes(self) -> bool:
        """Whether every mean is within .05 sd, and every sd ratio within .95 and 1.05."""
        low, high = PASSING_RATIO
        return bool(
            self.largest_mean_error <= PASSING_ERROR
            and np.all((self.sd_ratios >= low) & (self.sd_ratios <= high))
        )


def measure(
    posterior: AbstractPosterior,
    fit: Fit,
    reference: dict[str, np.ndarray] | None,
    density: UnconstrainedDensity,
) -> dict[str, Any]:
    """Returns a fit's figures as plain values, and its agreement with reference draws.

    Args:
        posterior: that was fitted.
        fit: of it.
        reference: draws [chains, draws, *shape] by name; None where there are none.
        density: of the posterior.

        fit = fit_svi(posterior, "AutoNormal", seed=0)
        measure(posterior, fit, reference, UnconstrainedDensity(posterior))
    """
    row: dict[str, Any] = {
        "elbo": fit.elbo,
        "elbo_error": fit.elbo_error,
        "evidence": fit.evidence,
        "evidence_error": fit.evidence_error,
        "evaluations": fit.evaluations,
        "outcome": fit.outcome,
        "converged": fit.converged,
        "trusted": fit.trusted,
        "pareto_k": fit.pareto_k,
        "stan_evidence": None if fit.evidence is None else fit.evidence + posterior.stan_offset,
        "seconds": round(fit.seconds, 3),
        "seconds_fitting": round(fit.seconds_fitting, 3),
        "trace": [list(point) for point in fit.trace],
        "warnings": list(fit.warnings),
    }
    if reference is None:
        return row
    sites = {name: fit.draws[name] for name in density.sites}
    named = posterior.coordinates.to_named(sites)
    agreement = compare_moments(moments(named), reference)
    if fit.weights is not None:
        weighted = compare_moments(moments(named, fit.weights), reference)
        row["weighted_mean_error"] = weighted.largest_mean_error
        row["weighted_sd_ratios"] = weighted.extreme_sd_ratios
    reference_points = density.unconstrain(
        {name: draws.reshape(-1, *draws.shape[2:]) for name, draws in reference.items()}
    )
    points = density.unconstrain(named)
    ratios = points.std(axis=0, ddof=1) / reference_points.std(axis=0, ddof=1)
    return row | {
        "largest_mean_error": agreement.largest_mean_error,
        "worst_parameter": agreement.labels[int(np.argmax(np.abs(agreement.mean_errors)))],
        "sd_ratios": agreement.extreme_sd_ratios,
        "unconstrained_sd_ratio": float(ratios.min()),
        "predicted_sd_ratio": float(predicted_sd_ratio(reference_points).min()),
        "verdict": verdict_of(agreement.passes, trusted=fit.trusted),
    }


def verdict_of(passes: bool, *, trusted: bool) -> str:
    """Returns the verdict on a fit, one of `_table.VERDICTS`.

    verdict_of(False, trusted=True)  # 'SILENT FAILURE'
    """
    if passes:
        return "passes" if trusted else "over-cautious"
    return "SILENT FAILURE" if trusted else "warned"


def compare_moments(approximation: Moments, reference: dict[str, np.ndarray]) -> Agreement:
    """Compares moments with reference draws [chains, draws, *shape], by name.

    Raises:
        ValueError: the approximation lacks a parameter of the reference, or has it in another
            shape.

        compare_moments(moments(draws), reference).largest_mean_error
    """
    mean, sd = approximation
    labels, errors, ratios = [], [], []
    for name, draws in reference.items():
        shape = draws.shape[2:]
        if name not in mean or np.shape(mean[name]) != shape:
            actual = f"of shape {np.shape(mean[name])}" if name in mean else "missing"
            raise ValueError(
                f"the reference has {name} of shape {shape}, which is {actual} in the "
                f"approximation ({', '.join(mean)})."
            )
        all_draws = draws.reshape(-1, *shape)
        labels += labels_of(name, shape)
        scale = all_draws.std(axis=0, ddof=1)
        errors.append(np.ravel((np.asarray(mean[name]) - all_draws.mean(axis=0)) / scale))
        ratios.append(np.ravel(np.asarray(sd[name]) / scale))
    return Agreement(tuple(labels), np.concatenate(errors), np.concatenate(ratios))


def moments(draws: dict[str, np.ndarray], weights: np.ndarray | None = None) -> Moments:
    """Returns the moments of draws [S, *shape] by name, weighted where there are weights.

    Args:
        draws: by name.
        weights: [S], they sum to 1.

        moments({"sigma": np.array([1.0, 3.0])}).mean["sigma"]  # 2.0
    """
    if weights is None:
        return Moments(
            {name: values.mean(axis=0) for name, values in draws.items()},
            {name: values.std(axis=0, ddof=1) for name, values in draws.items()},
        )
    mean = {name: np.tensordot(weights, values, 1) for name, values in draws.items()}
    sd = {
        name: np.sqrt(np.tensordot(weights, (values - mean[name]) ** 2, 1))
        for name, values in draws.items()
    }
    return Moments(mean, sd)


def predicted_sd_ratio(draws: np.ndarray) -> np.ndarray:
    """Returns the sd ratios of the best mean-field normal for a normal posterior.

    They are 1 / sqrt(S_jj (S^-1)_jj) for the covariance S of the draws: reverse KL gives each
    element its conditional variance 1 / (S^-1)_jj (Blei et al. 2017, section 2; Turner & Sahani
    2011), and the draws its marginal one, S_jj.

    Args:
        draws: [draws, D].

    Returns:
        [D], at most 1, whatever the units of the elements are.

    Raises:
        ValueError: fewer draws than elements + 1, or elements that are linearly dependent.

        predicted_sd_ratio(draws).min()
    """
    scale = draws.std(axis=0, ddof=1)
    if len(draws) <= draws.shape[1] or not np.all(scale > 0):
        raise ValueError(
            f"{len(draws)} draws of {draws.shape[1]} elements have no invertible covariance; "
            "wanted are more draws, of elements that all vary."
        )
    correlations = np.corrcoef(draws, rowvar=False).reshape(len(scale), len(scale))
    if np.linalg.matrix_rank(correlations) < len(scale):
        raise ValueError(
            f"the {len(scale)} elements are linearly dependent in these draws; "
            "leave out those that the others determine."
        )
    return 1 / np.sqrt(np.diag(np.linalg.inv(correlations)))
