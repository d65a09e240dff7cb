"""Our side of the table: the one place that calls `jensen.fit_variational`."""

import time
from typing import Any

import jax

import jensen
from jensen.reproductions._posteriors._base import AbstractPosterior
from jensen.reproductions._posteriors._fitted import Fitted


def fit_ours(
    posterior: AbstractPosterior, family: str, *, seed: int, num_samples: int | None = None
) -> Fitted:
    """A family of ours fitted to a posterior, everything else as it is by default.

    Args:
        posterior: the model and its data.
        family: of jensen.variational.families.
        seed: of start, fixed draws and fresh draws.
        num_samples: fresh draws; by default as many as are enough.

    Returns:
        The fit; `seconds` are of the whole call: compilation, fit, and all that it measures on fresh draws; `seconds_fitting` leave the last out.

    Raises:
        ValueError: what `jensen.from_numpyro` and `jensen.fit_variational` refuse.

        fit_ours(load("blr"), "full_rank", seed=0).elbo
    """
    began = time.perf_counter()
    with jax.enable_x64(True):
        target = jensen.from_numpyro(posterior.model, *posterior.arguments)
    made = time.perf_counter() - began
    found: Any = jensen.fit_variational(
        target, family, key=jax.random.key(seed), num_draws=num_samples
    )
    seconds = time.perf_counter() - began
    evidence = found.evidence if posterior.proper else None
    return Fitted(
        draws=dict(found.draws),
        elbo=float(found.elbo.value),
        elbo_error=float(found.elbo.standard_error),
        evidence=None if evidence is None else float(evidence.value),
        evidence_error=None if evidence is None else float(evidence.standard_error),
        pareto_k=float(found.pareto_k),
        evaluations=int(found.evaluations),
        seconds=seconds,
        seconds_fitting=made + found.seconds_fitting,
        outcome=str(found.outcome.message),
        converged=bool(found.outcome.converged),
        trusted=bool(found.trusted),
        warnings=tuple(found.verdicts),
        weights=getattr(found, "importance", None),
    )
