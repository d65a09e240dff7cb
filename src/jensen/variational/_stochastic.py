"""Ascends any bound by any gradient estimator with Adam, for minibatches and large models; the
result is an average of iterates.

At a constant learning rate the iterates reach a stationary distribution around the optimum. They
have reached it when the split R-hat of the last half of them is small (Dhaka et al. 2020), and are
averaged until the Monte Carlo error of the average is small. Then the rate falls by a factor of
four, and when the averages at two rates agree the bias of the rate is small too (Welandawe et al.
2024, RABVI). Parameters are in units of the start, where 1 is about a standard deviation of the
posterior.

A network's weights are not in such units: they drift along directions in which q does not change.
For a network, draws of q on fixed noise are judged instead, by their rms distance in standard
deviations of q, which is an upper bound on the Wasserstein distance of two q. A drift below three
tolerances counts as none, whatever R-hat is, and the rate falls early enough for four rates.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from jensen._parameters import partition
from jensen._types import Array, Key
from jensen.bounds import AbstractBound
from jensen.gradients import AbstractGradientEstimator, GradientChoice, gradients
from jensen.variational._fixed_draws import fixed_noise
from jensen.variational._problem import as_model, datum
from jensen.variational.families import AbstractFamily
from jensen.variational.target import Target

PART = 200  # steps of Adam in one compiled program
LEAST_WINDOW = 600  # steps to judge convergence by, at least
BATCHES = 20  # of the batch means
STATIONARY = 1.1  # R-hat
NETWORK_PACE = 0.1  # of the rate: sums over some ten hidden units move by that many steps at once
PROBES = 32  # draws on held noise
NETWORK_WINDOW = 1500  # steps to judge a network's convergence by, at least
RATES = 4  # learning rates that a network's fit has time for, at least
FALL = 4.0  # factor between learning rates
REPARAMETERISED = ("pathwise", "closed_form_kl", "sticking_the_landing", "doubly_reparameterised")


class StochasticFit(NamedTuple):
    """A stochastic fit: the family with averaged parameters, the number of evaluations of the
    log-density at one point (minibatches count by their share of the data), whether it converged,
    why it ended, and the largest Monte Carlo error of the averages, in units of the start (NaN if
    it was never computed).
    """

    family: AbstractFamily
    evaluations: int
    converged: bool
    message: str
    error: float


class StochasticSettings(eqx.Module):
    """The settings of a stochastic fit; `rate` and `tolerance` in units of the start."""

    bound: AbstractBound
    estimator: AbstractGradientEstimator
    num_samples: int = eqx.field(static=True)
    batch: int | None = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)


def default_estimator(bound: AbstractBound, family: AbstractFamily) -> str:
    """Chooses the valid gradient estimator with the least noise: sticking the landing for the ELBO,
    wake for upper bounds, doubly reparameterised for others; the score function for families whose
    draws have no derivative.
    """
    if bound.estimators is not None:
        return bound.estimators[0]
    if not family.reparameterised:
        return "score_function"
    return "sticking_the_landing" if bound.linear else "doubly_reparameterised"


def stochastic_settings(
    target: Target,
    family: AbstractFamily,
    bound: AbstractBound,
    *,
    gradient: GradientChoice,
    num_samples: int | None,
    batch: int | None,
    rate: float,
    tolerance: float,
    max_steps: int,
) -> StochasticSettings:
    """Checks the options and makes the settings.

    Raises:
        ValueError: an estimator that does not go with the bound or the family, or a batch that the
            target cannot have.
    """
    choice = default_estimator(bound, family) if gradient is None else gradient
    resolved = gradients.resolve(choice)
    name = resolved.name
    if name in REPARAMETERISED and not family.reparameterised:
        raise ValueError(
            f"gradient={name!r} differentiates through the draws, and those of this family have no "
            "derivative; use gradient='score_function' or 'vimco'."
        )
    if batch is not None and not target.num_data:
        raise ValueError(
            "batch= needs a likelihood that can be computed for some of the data: "
            "from_log_joint(log_prior=, log_likelihood=(parameters, rows) -> [B], data=)."
        )
    if batch is not None and not 1 <= batch <= target.num_data:
        raise ValueError(
            f"batch must be from 1 to the {target.num_data} rows of data; got {batch}."
        )
    for what, value in {"rate": rate, "tolerance": tolerance}.items():
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"{what} must be positive and finite; got {value}.")
    estimator = resolved.build({})
    samples = num_samples or (8 if bound.linear and family.reparameterised else 64)
    estimator.check(bound, as_model(target, family), samples)
    return StochasticSettings(bound, estimator, samples, batch, rate, tolerance, max_steps)


@eqx.filter_jit
def _part(
    settings: StochasticSettings,
    target: Target,
    rest: Any,
    unravel: Any,
    flat: Array,
    state: Any,
    key: Key,
    rate: Array,
) -> tuple[Array, Any, Array, Array]:
    """Makes PART steps of Adam: (parameters [P], Adam's state, all iterates [PART, P], the number
    of steps whose gradient was not finite, for which Adam sees a gradient of 0).
    """
    all_rows = jnp.asarray(datum(target)[0])

    def surrogate(flat: Array, key: Key) -> Array:
        model = as_model(
            target,
            eqx.combine(unravel(flat), rest),
            together=settings.estimator.name == "closed_form_kl" and settings.batch is None,
        )
        key_rows, key_draws = jr.split(key)
        x = (
            all_rows
            if settings.batch is None
            else jr.randint(key_rows, (settings.batch,), 0, target.num_data)
        )
        return settings.estimator.surrogate(
            settings.bound,
            model,
            model.prior(model.encoder),
            x,
            key_draws,
            num_samples=settings.num_samples,
            beta=1.0,
        ).surrogate

    def step(carry, number):
        flat, state, bad = carry
        gradient = jax.grad(surrogate)(flat, jr.fold_in(key, number))
        # A gradient that is not finite is counted and skipped.
        fine = jnp.isfinite(gradient).all()
        updates, state = optax.scale_by_adam().update(jnp.where(fine, -gradient, 0.0), state)
        flat = flat - rate * jnp.asarray(updates)
        return (flat, state, bad + ~fine), flat

    (flat, state, bad), iterates = jax.lax.scan(
        step, (flat, state, jnp.zeros((), int)), jnp.arange(PART)
    )
    return flat, state, iterates, bad


def fit_stochastic(
    target: Target, family: AbstractFamily, key: Key, settings: StochasticSettings
) -> StochasticFit:
    """Ascends the bound over the family's parameters, from its present ones.

    fit_stochastic(target, MeanField(start), key, settings).family
    """
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    rest = eqx.combine(parts.constants, parts.static)
    criterion = _ConvergenceCriterion(family, unravel, rest)
    state, rate = (
        optax.scale_by_adam().init(flat),
        settings.rate * (NETWORK_PACE if family.network else 1.0),
    )
    share = 1.0 if settings.batch is None else settings.batch / target.num_data
    iterates, earlier, average, steps, bad = [], None, np.asarray(flat), 0, 0
    reason, converged, error = "too few steps to judge convergence by", False, np.nan
    while steps < settings.max_steps and not converged:
        flat, state, part_iterates, part_bad = _part(
            settings, target, rest, unravel, flat, state, jr.fold_in(key, steps), jnp.asarray(rate)
        )
        iterates.append((np.asarray(part_iterates), criterion(part_iterates)))
        steps, bad = steps + PART, bad + int(part_bad)
        if bad > 0.05 * steps and steps >= LEAST_WINDOW:
            reason = f"the gradient was not finite at {bad} of {steps} steps"
            break
        # The last half of the iterates at this rate.
        average, window = (
            np.concatenate(part) for part in zip(*iterates[len(iterates) // 2 :], strict=True)
        )
        average = average.mean(axis=0)
        if len(window) < criterion.least_window:
            continue
        spread, error, drift = (
            float(split_r_hat(window).max()),
            criterion.worst(monte_carlo_error(window), window),
            np.inf,
        )
        if family.network:
            # One of many draws always moves: their root mean square is judged, and their drift
            # from the first to the second half of the window.
            spread, drift = (
                criterion.root_mean_square(split_r_hat(window)),
                criterion.worst(
                    np.subtract(*(h.mean(axis=0) for h in np.array_split(window, 2))), window
                ),
            )
        now = criterion(jnp.asarray(average)[None])
        moved = np.inf if earlier is None else criterion.worst(now[0] - earlier, window)
        reason = (
            f"R-hat {spread:.3f}, Monte Carlo error {error:.3f} and change between rates "
            f"{moved:.3f} of a standard deviation"
        )
        # The rate falls in time for RATES of them, converged or not.
        late = family.network and PART * len(iterates) >= settings.max_steps // RATES
        still = (
            spread <= STATIONARY or drift <= 3 * settings.tolerance
        ) and error <= settings.tolerance
        if not (still or late):
            continue
        # Converged when the averages at two rates agree; otherwise it goes on at a lower rate.
        converged = still and moved < 3 * settings.tolerance
        earlier, rate, iterates = now[0], rate / FALL, []
        flat = jnp.asarray(average)
    if not converged:
        criteria = (
            f"R-hat {STATIONARY}, error {settings.tolerance} and change {3 * settings.tolerance:g} "
            f"within {settings.max_steps} steps"
        )
        reason = f"{reason}; convergence needs {criteria}. Raise max_steps= or tolerance="
    message = f"{steps} steps, the last at rate {rate:.2g}: {reason}"
    return StochasticFit(
        eqx.combine(unravel(jnp.asarray(average)), rest),
        round(steps * settings.num_samples * share),
        converged,
        message,
        error,
    )


class _ConvergenceCriterion:
    """The quantities that must converge, [T, Q] for iterates [T, P]: the parameters, or for a
    network its draws on fixed noise, [PROBES, D] flattened.
    """

    def __init__(self, family: AbstractFamily, unravel: Any, rest: Any):
        self.network, self.unravel, self.rest = family.network, unravel, rest
        self.least_window = NETWORK_WINDOW if family.network else LEAST_WINDOW
        self.noise = fixed_noise(family, jr.key(0), PROBES) if family.network else jnp.zeros(0)

    def __call__(self, iterates: Array) -> np.ndarray:
        if not self.network:
            return np.asarray(iterates)
        return np.asarray(_points(self.unravel, self.rest, iterates, self.noise)).reshape(
            len(iterates), -1
        )

    def worst(self, values: np.ndarray, window: np.ndarray) -> float:
        """The largest |value|; over draws the root mean square, in standard deviations of q."""
        if not self.network:
            return float(np.abs(values).max())
        return self.root_mean_square(
            values.reshape(PROBES, -1) / window.mean(axis=0).reshape(PROBES, -1).std(axis=0)
        )

    def root_mean_square(self, values: np.ndarray) -> float:
        """The root of the mean square of all values."""
        return float(np.sqrt(np.mean(np.square(values))))


@eqx.filter_jit
def _points(unravel: Any, rest: Any, iterates: Array, noise: Array) -> Array:
    return jax.lax.map(lambda flat: eqx.combine(unravel(flat), rest).spread(noise).points, iterates)


def split_r_hat(window: np.ndarray, *, pieces: int = 4) -> np.ndarray:
    """Computes R-hat [P] of iterates [T, P], with consecutive pieces as chains; 1 where nothing
    moves.

    split_r_hat(np.random.default_rng(0).normal(size=(1000, 1)))  # about 1
    """
    length = len(window) // pieces
    chains = window[-pieces * length :].reshape(pieces, length, -1)
    within, between = (
        chains.var(axis=1, ddof=1).mean(axis=0),
        chains.mean(axis=1).var(axis=0, ddof=1),
    )
    still = within + between < 1e-16
    return np.where(
        still,
        1.0,
        np.sqrt((length - 1) / length + between / np.where(still, 1.0, np.maximum(within, 1e-300))),
    )


def monte_carlo_error(window: np.ndarray) -> np.ndarray:
    """Computes the standard error [P] of the mean of iterates [T, P] by batch means (20 batches).

    monte_carlo_error(np.random.default_rng(0).normal(size=(10_000, 1)))  # about 0.01
    """
    length = len(window) // BATCHES
    means = window[-BATCHES * length :].reshape(BATCHES, length, -1).mean(axis=1)
    return means.std(axis=0, ddof=1) / np.sqrt(BATCHES)
