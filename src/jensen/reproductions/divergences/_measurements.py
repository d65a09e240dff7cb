"""A fit of one f and one family to a target, as plain values beside the truth."""

from typing import Any

import jax
import numpy as np

import jensen
from jensen.reproductions._divergences._choices import DIVERGENCES
from jensen.reproductions._divergences._targets import RHO, Known
from jensen.variational.families import Start


def fitted(
    known: Known,
    target: str,
    family: str,
    divergence: str,
    *,
    seed: int,
    num_samples: int,
    tolerance: float,
    max_steps: int,
) -> dict[str, Any]:
    """The row of one fit: what the fit says, the moments of q in the plane that is drawn, and how far these are from the target's.

    Raises:
        ValueError: what `jensen.fit_variational` refuses.

        fitted(two_normals(), "two_normals", "mean_field", "elbo", seed=0, num_samples=1000, tolerance=0.02, max_steps=10_000)["covariance"]
    """
    chosen = DIVERGENCES[divergence]
    how: dict[str, Any] = {"method": "fixed_draws"}
    if chosen.bound is not None:
        more = chosen.sharper if target == "two_normals" else 1
        bound = dict(chosen.bound) if isinstance(chosen.bound, dict) else {"name": chosen.bound}
        if "num_groups" in bound:
            bound["num_groups"] *= more
        how = {
            "bound": bound,
            "num_samples": chosen.num_samples * more,
            "tolerance": tolerance,
            "max_steps": max_steps,
        }
    with jax.enable_x64(True):
        density = known.make()
    start = (
        None
        if known.wide is None
        else Start(np.zeros(density.size), known.wide * np.eye(density.size))
    )  # type: ignore[arg-type]
    found = jensen.fit_variational(
        density, family, key=jax.random.key(seed), num_draws=num_samples, start=start, **how
    )
    mean, covariance = plane_moments(found.family, known.places)
    sd = np.sqrt(np.diag(covariance))
    infinite = chosen.squares and not known.light
    row: dict[str, Any] = {
        "target": target,
        "family": family,
        "divergence": divergence,
        "status": "done",
        "elbo": found.elbo.value,
        "elbo_error": found.elbo.standard_error,
        "evidence": found.evidence.value,  # type: ignore[union-attr]
        "evidence_error": found.evidence.standard_error,  # type: ignore[union-attr]
        "log_z": known.log_z,
        "pareto_k": found.pareto_k,
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "mean_error": float(np.max(np.abs(mean - known.mean) / known.sd)),
        "sd_ratios": (sd / known.sd).tolist(),
        "verdict": found.verdicts[0],
        "converged": found.outcome.converged,
        "trusted": found.trusted,
        "infinite": infinite,
        "message": found.outcome.message,
        "evaluations": found.evaluations,
        "seconds": round(found.seconds, 2),
    }
    if target == "two_normals" and family == "mean_field":
        # A scale is s0 exp(log_ratio), and the error is of log_ratio: twice as much of the variance. Fixed draws have none.
        error = 2 * found.settings.get("monte_carlo_error", 0.0)
        row |= {
            "best_variance": chosen.best_variance(RHO),
            "variance_error": float(error * covariance.diagonal().max()),
        }
    return row


def plane_moments(family: Any, places: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean [2] and covariance [2, 2] of a normal family's member at two entries of u.

    plane_moments(fit.family, (0, 1))
    """
    with jax.enable_x64(True):
        loc, scale = (np.asarray(part) for part in family.parameters())
    covariance = np.diag(scale**2) if scale.ndim == 1 else scale @ scale.T
    at = list(places)
    return loc[at], covariance[np.ix_(at, at)]
