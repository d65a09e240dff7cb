"""The other side of the table: NumPyro's stochastic variational inference as its users run it, with a stopping rule and an account of what it cost.

Adam at a constant rate, one draw a step, NumPyro's own initial values, the last iterate. A window is WINDOW steps in one compiled program; the ELBO of a step
is the one that its gradient was taken of. It stops when the mean ELBO of the last BACK windows is not above that of the BACK windows before by more than two
standard errors of the difference, or after `max_steps`. For the comparison of speed it then goes on to `max_steps`, which changes nothing of what it found.
"""

import math
import time
from typing import Any, Literal

import jax
import numpy as np
from numpyro.infer import SVI, Trace_ELBO, autoguide
from numpyro.optim import Adam

from jensen.evidence._record import pareto_k, pareto_k_threshold
from jensen.reproductions._posteriors._base import AbstractPosterior
from jensen.reproductions._posteriors._fitted import Fitted

WINDOW, BACK = 1000, 5
AT_A_TIME = 500
Guide = Literal["AutoNormal", "AutoMultivariateNormal"]


def fit_svi(
    posterior: AbstractPosterior,
    guide: Guide,
    *,
    seed: int,
    num_samples: int = 10_000,
    learning_rate: float = 0.01,
    max_steps: int = 50_000,
) -> Fitted:
    """NumPyro's SVI on a posterior, in float64, and its ELBO, evidence and k-hat on fresh draws.

    Args:
        posterior: the model and its data.
        guide: NumPyro's automatic guide.
        seed: of the initial values, the steps and the fresh draws.
        num_samples: fresh draws.
        learning_rate: of Adam.
        max_steps: rounded up to whole windows.

    Returns:
        The fit; it is `trusted` where k-hat is below its threshold, which NumPyro by itself does not look at, and where it has converged.

    Raises:
        FloatingPointError: the ELBO is not finite, with the step.

        fit_svi(load("blr"), "AutoNormal", seed=0).elbo
    """
    with jax.enable_x64(True):
        key_fit, key_elbo, key_draws = jax.random.split(jax.random.key(seed), 3)
        began = time.perf_counter()
        svi = SVI(
            posterior.model,
            getattr(autoguide, guide)(posterior.model),
            Adam(learning_rate),
            Trace_ELBO(),
        )
        state = svi.init(key_fit, *posterior.arguments)

        @jax.jit
        def window(state: Any) -> tuple[Any, Any]:
            def step(state: Any, _: None) -> tuple[Any, Any]:
                state, loss = svi.update(state, *posterior.arguments)
                return state, -loss

            return jax.lax.scan(step, state, None, length=WINDOW)

        trace: list[tuple[float, float, float]] = []
        kept, stopped = None, 0
        while len(trace) * WINDOW < max_steps:
            state, elbos = window(state)
            elbos = np.asarray(elbos)
            if not np.isfinite(elbos).all():
                if stopped:
                    break
                step = len(trace) * WINDOW + int(np.argmin(np.isfinite(elbos))) + 1
                raise FloatingPointError(
                    f"NumPyro's {guide} on {posterior.name}: the ELBO of step {step} is {elbos[~np.isfinite(elbos)][0]}."
                )
            trace.append(
                (
                    time.perf_counter() - began,
                    float(elbos.mean()),
                    float(elbos.std(ddof=1)) / math.sqrt(WINDOW),
                )
            )
            if not stopped and no_longer_rises([(elbo, error) for _, elbo, error in trace]):
                kept, stopped = svi.get_params(state), len(trace)
        converged, windows = stopped > 0, stopped or len(trace)
        log_w, draws = _fresh(
            svi,
            kept if converged else svi.get_params(state),
            posterior,
            key_elbo,
            key_draws,
            num_samples,
        )
    k_hat = float(pareto_k(log_w[None])[0])
    evidence, evidence_error = _importance(log_w) if posterior.proper else (None, None)
    said = (
        "the ELBO no longer rises" if converged else f"the ELBO still rises after {max_steps} steps"
    )
    steps = windows * WINDOW
    return Fitted(
        draws=draws,
        elbo=float(log_w.mean()),
        elbo_error=float(log_w.std(ddof=1)) / math.sqrt(num_samples),
        evidence=evidence,
        evidence_error=evidence_error,
        pareto_k=k_hat,
        evaluations=steps,
        seconds=trace[windows - 1][0],
        seconds_fitting=trace[windows - 1][0],
        outcome=f"{said}: {steps} steps.",
        converged=converged,
        trusted=converged and k_hat < pareto_k_threshold(num_samples),
        trace=tuple(trace),
    )


def no_longer_rises(windows: list[tuple[float, float]]) -> bool:
    """Whether the last BACK windows, each (mean ELBO, its standard error), are not above the BACK before by more than two standard errors.

    no_longer_rises([(0.0, 0.1)] * 10)  # True
    """
    if len(windows) < 2 * BACK:
        return False
    mean, error = np.asarray(windows[-2 * BACK :]).T
    rise = mean[BACK:].mean() - mean[:BACK].mean()
    return bool(rise <= 2 * math.sqrt(np.sum(error**2)) / BACK)


def _fresh(
    svi: SVI,
    params: Any,
    posterior: AbstractPosterior,
    key_elbo: Any,
    key_draws: Any,
    num_samples: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    # With one draw, Trace_ELBO's loss is -log w of that draw.
    def log_weight(key: Any) -> Any:
        return -svi.loss.loss(key, params, svi.model, svi.guide, *posterior.arguments)

    log_w = jax.jit(lambda keys: jax.lax.map(log_weight, keys, batch_size=AT_A_TIME))(
        jax.random.split(key_elbo, num_samples)
    )
    draws = svi.guide.sample_posterior(key_draws, params, sample_shape=(num_samples,))
    return np.asarray(log_w), {name: np.asarray(values) for name, values in draws.items()}


def _importance(log_w: np.ndarray) -> tuple[float, float]:
    """log of the mean weight, and its standard error by the delta method."""
    top = log_w.max()
    weights = np.exp(log_w - top)
    return float(top + math.log(weights.mean())), float(
        weights.std(ddof=1) / weights.mean() / math.sqrt(len(weights))
    )
