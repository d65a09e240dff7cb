"""Fits a family to a target under one divergence, and measures the fit beside the truth."""

from typing import Any

import jax
import numpy as np

import jensen
from jensen.reproductions.divergences._divergences import DIVERGENCES, Divergence
from jensen.reproductions.divergences._targets import RHO, KnownTarget
from jensen.variational.families import Start


def fit_and_measure(
    target: KnownTarget,
    target_name: str,
    family: str,
    divergence_name: str,
    *,
    seed: int,
    num_samples: int,
    tolerance: float,
    max_steps: int,
) -> dict[str, Any]:
    """Returns the row of one fit, plain values.

    It holds the fit's own account, the moments of q in the plane that is drawn, and their
    distance from the target's.

    Args:
        target: with its answers.
        target_name: of TARGETS.
        family: of q.
        divergence_name: of DIVERGENCES.
        seed: of the fit.
        num_samples: fresh draws.
        tolerance: of a stochastic fit.
        max_steps: of a stochastic fit.

    Raises:
        ValueError: as `jensen.fit_variational`.

        options = {"seed": 0, "num_samples": 1000, "tolerance": 0.02, "max_steps": 10_000}
        fit_and_measure(two_normals(), "two_normals", "mean_field", "elbo", **options)["elbo"]
    """
    divergence = DIVERGENCES[divergence_name]
    method: dict[str, Any] = {"method": "fixed_draws"}
    if divergence.bound is not None:
        factor = divergence.two_normals_factor if target_name == "two_normals" else 1
        method = _stochastic_method(divergence, factor)
        method |= {"tolerance": tolerance, "max_steps": max_steps}
    with jax.enable_x64(True):
        density = target.make_density()
    start = None
    if target.start_sd is not None:
        scale = target.start_sd * np.eye(density.size)
        start = Start(np.zeros(density.size), scale)  # type: ignore[arg-type]
    fit = jensen.fit_variational(
        density, family, key=jax.random.key(seed), num_draws=num_samples, start=start, **method
    )
    mean, covariance = plane_moments(fit.family, target.plane)
    sd = np.sqrt(np.diag(covariance))
    row: dict[str, Any] = {
        "target": target_name,
        "family": family,
        "divergence": divergence_name,
        "status": "done",
        "elbo": fit.elbo.value,
        "elbo_error": fit.elbo.standard_error,
        "evidence": fit.evidence.value,  # type: ignore[union-attr]
        "evidence_error": fit.evidence.error,  # type: ignore[union-attr]
        "log_z": target.log_z,
        "pareto_k": fit.pareto_k,
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "mean_error": float(np.max(np.abs(mean - target.mean) / target.sd)),
        "sd_ratios": (sd / target.sd).tolist(),
        "verdict": fit.verdicts[0],
        "converged": fit.outcome.converged,
        "trusted": fit.trusted,
        "infinite": divergence.needs_second_moment and not target.light_tails,
        "message": fit.outcome.message,
        "evaluations": fit.evaluations,
        "seconds": round(fit.seconds, 2),
    }
    if target_name == "two_normals" and family == "mean_field":
        # A scale is s0 exp(log_ratio), and the Monte Carlo error is that of log_ratio: the
        # relative error of a variance is twice as large. Fixed draws have none.
        error = 2 * fit.settings.get("monte_carlo_error", 0.0)
        row |= {
            "best_variance": divergence.best_variance(RHO),
            "variance_error": float(error * covariance.diagonal().max()),
        }
    return row


def plane_moments(family: Any, plane: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean [2] and covariance [2, 2] of a normal family's member at two entries of u.

    plane_moments(fit.family, (0, 1))
    """
    with jax.enable_x64(True):
        loc, scale = (np.asarray(part) for part in family.parameters())
    # A mean-field family has standard deviations, a full-rank one a Cholesky factor.
    covariance = np.diag(scale**2) if scale.ndim == 1 else scale @ scale.T
    entries = list(plane)
    return loc[entries], covariance[np.ix_(entries, entries)]


def _stochastic_method(divergence: Divergence, factor: int) -> dict[str, Any]:
    """Returns the bound and the draws of a step, multiplied by `factor`."""
    bound = divergence.bound
    bound = dict(bound) if isinstance(bound, dict) else {"name": bound}
    if "num_groups" in bound:
        # More groups of the same size: more samples in a group would change the bound.
        bound["num_groups"] *= factor
    return {"bound": bound, "num_samples": divergence.num_samples * factor}
