"""Fits of a posterior, by jensen and by NumPyro's stochastic variational inference.

NumPyro runs as its users run it: Adam at a constant rate, one draw a step, NumPyro's own initial
values, the last iterate. A window is WINDOW steps in one compiled program; the ELBO of a step is
that of the draw its gradient was taken at. The fit stops when the mean ELBO of the last BACK
windows is not above that of the BACK windows before by more than two standard errors of the
difference, or after `max_steps`. For the comparison of speed it then goes on to `max_steps`,
which does not change the fit.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from numpyro.infer import SVI, Trace_ELBO, autoguide
from numpyro.optim import Adam

import jensen
from jensen.evidence._record import evidence_of_log_weights, pareto_k, pareto_k_threshold
from jensen.reproductions.posteriordb._posteriors import AbstractPosterior

WINDOW, BACK = 1000, 5
DRAWS_AT_A_TIME = 500
Guide = Literal["AutoNormal", "AutoMultivariateNormal"]


@dataclass(frozen=True)
class Fit:
    """A variational fit, and its own account of itself.

    Attributes:
        draws: of the model's sites on the constrained space, each [S, *shape].
        elbo, elbo_error: on fresh draws, nats, with its standard error.
        evidence, evidence_error: log p(y) by importance sampling from the fit; None where it is
            undefined.
        pareto_k: k-hat of the log-weights of these draws.
        evaluations: number of gradients of the log density, one for each draw of q.
        seconds: wall time with compilation; of ours also the time of all measurements on fresh
            draws.
        seconds_fitting: the part of it until q was found.
        outcome: how it ended, a sentence.
        converged: whether it ended by its own stopping rule.
        trusted: whether it is trusted by its own diagnostics.
        trace: (seconds, mean ELBO of a window of steps, its standard error), where there are
            steps; those made after the fit had ended are included.
        warnings: of the fit.
        weights: [S], importance weights of the draws that sum to 1, where it has them.
    """

    draws: Mapping[str, np.ndarray]
    elbo: float
    elbo_error: float
    evidence: float | None
    evidence_error: float | None
    pareto_k: float
    evaluations: int
    seconds: float
    seconds_fitting: float
    outcome: str
    converged: bool
    trusted: bool
    trace: tuple[tuple[float, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    weights: np.ndarray | None = None


def fit_jensen(
    posterior: AbstractPosterior, family: str, *, seed: int, num_samples: int | None = None
) -> Fit:
    """Fits a family of jensen to a posterior, with default options.

    Args:
        posterior: the model and its data.
        family: of jensen.variational.families.
        seed: of start, fixed draws and fresh draws.
        num_samples: fresh draws; by default as many as are enough.

    Raises:
        ValueError: as `jensen.from_numpyro` and `jensen.fit_variational`.

        fit_jensen(load("blr"), "full_rank", seed=0).elbo
    """
    start = time.perf_counter()
    with jax.enable_x64(True):
        target = jensen.from_numpyro(posterior.model, *posterior.arguments)
    seconds_of_target = time.perf_counter() - start
    fit: Any = jensen.fit_variational(
        target, family, key=jax.random.key(seed), num_draws=num_samples
    )
    seconds = time.perf_counter() - start
    evidence = fit.evidence if posterior.proper else None
    return Fit(
        draws=dict(fit.draws),
        elbo=float(fit.elbo.value),
        elbo_error=float(fit.elbo.standard_error),
        evidence=None if evidence is None else float(evidence.value),
        evidence_error=None if evidence is None else float(evidence.error),
        pareto_k=float(fit.pareto_k),
        evaluations=int(fit.evaluations),
        seconds=seconds,
        seconds_fitting=seconds_of_target + fit.seconds_fitting,
        outcome=str(fit.outcome.message),
        converged=bool(fit.outcome.converged),
        trusted=bool(fit.trusted),
        warnings=tuple(fit.verdicts),
        weights=getattr(fit, "importance", None),
    )


def fit_svi(
    posterior: AbstractPosterior,
    guide: Guide,
    *,
    seed: int,
    num_samples: int = 10_000,
    learning_rate: float = 0.01,
    max_steps: int = 50_000,
) -> Fit:
    """Fits a posterior by NumPyro's SVI, in float64, and measures the fit on fresh draws.

    Args:
        posterior: the model and its data.
        guide: NumPyro's automatic guide.
        seed: of the initial values, the steps and the fresh draws.
        num_samples: fresh draws.
        learning_rate: of Adam.
        max_steps: rounded up to whole windows.

    Returns:
        The fit. It is `trusted` where it has converged and k-hat is below its threshold, which
        NumPyro itself does not compute.

    Raises:
        FloatingPointError: the ELBO is not finite; the message names the step.

        fit_svi(load("blr"), "AutoNormal", seed=0).elbo
    """
    with jax.enable_x64(True):
        key_fit, key_elbo, key_draws = jax.random.split(jax.random.key(seed), 3)
        start = time.perf_counter()
        svi = SVI(
            posterior.model,
            getattr(autoguide, guide)(posterior.model),
            Adam(learning_rate),
            Trace_ELBO(),
        )
        state = svi.init(key_fit, *posterior.arguments)

        @jax.jit
        def run_window(state: Any) -> tuple[Any, Any]:
            def step(state: Any, _: None) -> tuple[Any, Any]:
                state, loss = svi.update(state, *posterior.arguments)
                return state, -loss

            return jax.lax.scan(step, state, None, length=WINDOW)

        trace: list[tuple[float, float, float]] = []
        parameters, stopped_after = None, 0
        while len(trace) * WINDOW < max_steps:
            state, elbos = run_window(state)
            elbos = np.asarray(elbos)
            if not np.isfinite(elbos).all():
                if stopped_after:  # the fit is done, only the comparison of speed ends
                    break
                step = len(trace) * WINDOW + int(np.argmin(np.isfinite(elbos))) + 1
                raise FloatingPointError(
                    f"NumPyro's {guide} on {posterior.name}: "
                    f"the ELBO of step {step} is {elbos[~np.isfinite(elbos)][0]}."
                )
            error = float(elbos.std(ddof=1)) / math.sqrt(WINDOW)
            trace.append((time.perf_counter() - start, float(elbos.mean()), error))
            if not stopped_after and no_longer_rises([(elbo, se) for _, elbo, se in trace]):
                parameters, stopped_after = svi.get_params(state), len(trace)
        converged = stopped_after > 0
        windows = stopped_after or len(trace)
        parameters = parameters if converged else svi.get_params(state)
        log_w = _log_weights(svi, parameters, posterior, key_elbo, num_samples)
        sites = svi.guide.sample_posterior(key_draws, parameters, sample_shape=(num_samples,))
        draws = {name: np.asarray(values) for name, values in sites.items()}
    k_hat = float(pareto_k(log_w[None])[0])
    evidence, evidence_error = _evidence(log_w) if posterior.proper else (None, None)
    steps = windows * WINDOW
    reason = (
        "the ELBO no longer rises" if converged else f"the ELBO still rises after {max_steps} steps"
    )
    return Fit(
        draws=draws,
        elbo=float(log_w.mean()),
        elbo_error=float(log_w.std(ddof=1)) / math.sqrt(num_samples),
        evidence=evidence,
        evidence_error=evidence_error,
        pareto_k=k_hat,
        evaluations=steps,
        seconds=trace[windows - 1][0],
        seconds_fitting=trace[windows - 1][0],
        outcome=f"{reason}: {steps} steps.",
        converged=converged,
        trusted=converged and k_hat < pareto_k_threshold(num_samples),
        trace=tuple(trace),
    )


def no_longer_rises(windows: list[tuple[float, float]]) -> bool:
    """Returns whether the last BACK windows are no better than the BACK windows before.

    Better means above by more than two standard errors.

    Args:
        windows: each the mean ELBO and its standard error.

        no_longer_rises([(0.0, 0.1)] * 10)  # True
    """
    if len(windows) < 2 * BACK:
        return False
    mean, error = np.asarray(windows[-2 * BACK :]).T
    rise = mean[BACK:].mean() - mean[:BACK].mean()
    return bool(rise <= 2 * math.sqrt(np.sum(error**2)) / BACK)


def _log_weights(
    svi: SVI, parameters: Any, posterior: AbstractPosterior, key: Any, num_samples: int
) -> np.ndarray:
    """Returns the log-weights [S] of fresh draws of the guide."""

    def log_weight(key: Any) -> Any:
        # With one draw, Trace_ELBO's loss is -log w of that draw.
        return -svi.loss.loss(key, parameters, svi.model, svi.guide, *posterior.arguments)

    log_weights = jax.jit(lambda keys: jax.lax.map(log_weight, keys, batch_size=DRAWS_AT_A_TIME))
    return np.asarray(log_weights(jax.random.split(key, num_samples)))


def _evidence(log_w: np.ndarray) -> tuple[float, float]:
    """Returns log p(y) by the mean weight, and its error; NaN where k-hat makes it a bound."""
    evidence = evidence_of_log_weights(log_w[None])
    return evidence.value, evidence.error
