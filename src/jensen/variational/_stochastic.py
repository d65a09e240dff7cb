"""Any bound by any gradient estimator of the house, with Adam, for minibatches and large models;
the answer is an average of iterates.

At one rate the iterates end in a stationary law around the optimum. They are there when the split
R-hat of the last half of them is small (Dhaka et al. 2020), and are averaged until the Monte Carlo
error of the average is small; then the rate falls by four, and when the averages at two rates agree
what the rate leaves as bias is small too (Welandawe et al. 2024, RABVI). Parameters are in units of
the start, where 1 is about a standard deviation of the posterior.

A network's weights are not in such units: they wander along directions in which q does not change.
There draws of q on held noise are judged, by their rms distance in standard deviations of q, which
is no less than the Wasserstein distance of two q; drifts below three tolerances are none, whatever
R-hat says; and the rate falls in time for four of them.
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
from jensen.gradients import AbstractGradientEstimator, gradients
from jensen.variational._fixed_draws import fixed_noise
from jensen.variational._problem import as_model, datum
from jensen.variational.families import AbstractFamily
from jensen.variational.target import Target

PART, LEAST_WINDOW, BATCHES = 200, 600, 20
STATIONARY = 1.1  # R-hat
NETWORK_PACE = 0.1  # of the rate: sums over some ten hidden units move by that many steps at once
PROBES = 32  # draws on held noise
NETWORK_WINDOW, RATES = (
    1500,
    4,
)  # no less steps to judge by; how many rates at the least there is time for
FALL = 4.0
REPARAMETERISED = ("pathwise", "closed_form_kl", "sticking_the_landing", "doubly_reparameterised")


class Stochastic(NamedTuple):
    """A family made of averaged iterates, evaluations of the log-density at one point with all data
    (minibatches count by their share), whether it converged, why it ended, and the largest Monte
    Carlo error of the averages, in units of the start (NaN where it was never measured).
    """

    family: AbstractFamily
    evaluations: int
    converged: bool
    message: str
    error: float


class How(eqx.Module):
    """What a stochastic fit ascends, and how."""

    bound: AbstractBound
    estimator: AbstractGradientEstimator
    num_samples: int = eqx.field(static=True)
    batch: int | None = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)


def default_estimator(bound: AbstractBound, family: AbstractFamily) -> str:
    """The gradient estimator of least noise that is valid: sticking the landing for the ELBO, wake
    for bounds from above, doubly reparameterised for the others; the score function for families
    whose draws no derivative passes.
    """
    if bound.estimators is not None:
        return bound.estimators[0]
    if not family.reparameterised:
        return "score_function"
    return "sticking_the_landing" if bound.linear else "doubly_reparameterised"


def make_how(
    target: Target,
    family: AbstractFamily,
    bound: AbstractBound,
    *,
    gradient: str | None,
    num_samples: int | None,
    batch: int | None,
    rate: float,
    tolerance: float,
    max_steps: int,
) -> How:
    """The settings, checked.

    Raises:
        ValueError: an estimator that does not go with the bound or the family, or a batch that the
            target cannot have.
    """
    name = gradient or default_estimator(bound, family)
    if name in REPARAMETERISED and not family.reparameterised:
        raise ValueError(
            f"gradient {name} differentiates through the draws, and those of this family have no "
            "derivative; take score_function or vimco."
        )
    if batch is not None and not target.num_data:
        raise ValueError(
            "batch= needs a likelihood that can be had for some of the data: "
            "from_log_joint(log_prior=, log_likelihood=(parameters, rows) -> [B], data=)."
        )
    if batch is not None and not 1 <= batch <= target.num_data:
        raise ValueError(
            f"batch must be from 1 to the {target.num_data} rows of data; got {batch}."
        )
    for what, value in {"rate": rate, "tolerance": tolerance}.items():
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"{what} must be positive and finite; got {value}.")
    estimator = gradients.build(name, {}, {})
    samples = num_samples or (8 if bound.linear and family.reparameterised else 64)
    estimator.check(bound, as_model(target, family), samples)
    return How(bound, estimator, samples, batch, rate, tolerance, max_steps)


@eqx.filter_jit
def _part(
    how: How,
    target: Target,
    rest: Any,
    unravel: Any,
    flat: Array,
    state: Any,
    key: Key,
    rate: Array,
) -> tuple[Array, Any, Array, Array]:
    """PART steps of Adam: (parameters, its state, all iterates [PART, P], the number of steps whose
    gradient was not finite).
    """
    whole = jnp.asarray(datum(target)[0])

    def surrogate(flat: Array, key: Key) -> Array:
        model = as_model(
            target,
            eqx.combine(unravel(flat), rest),
            together=how.estimator.name == "closed_form_kl" and how.batch is None,
        )
        key_rows, key_draws = jr.split(key)
        x = whole if how.batch is None else jr.randint(key_rows, (how.batch,), 0, target.num_data)
        return how.estimator.surrogate(
            how.bound,
            model,
            model.prior(model.encoder),
            x,
            key_draws,
            num_samples=how.num_samples,
            beta=1.0,
        ).surrogate

    def step(carry, number):
        flat, state, bad = carry
        gradient = jax.grad(surrogate)(flat, jr.fold_in(key, number))
        fine = jnp.isfinite(gradient).all()
        updates, state = optax.scale_by_adam().update(jnp.where(fine, -gradient, 0.0), state)
        flat = flat - rate * jnp.asarray(updates)
        return (flat, state, bad + ~fine), flat

    (flat, state, bad), iterates = jax.lax.scan(
        step, (flat, state, jnp.zeros((), int)), jnp.arange(PART)
    )
    return flat, state, iterates, bad


def fit_stochastic(target: Target, family: AbstractFamily, key: Key, how: How) -> Stochastic:
    """The family's member that ascends the bound, from its present parameters on.

    fit_stochastic(target, MeanField(start), key, how).family
    """
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    rest = eqx.combine(parts.constants, parts.static)
    judged = _Judged(family, unravel, rest)
    state, rate = (
        optax.scale_by_adam().init(flat),
        how.rate * (NETWORK_PACE if family.network else 1.0),
    )
    share = 1.0 if how.batch is None else how.batch / target.num_data
    iterates, earlier, average, steps, bad = [], None, np.asarray(flat), 0, 0
    said, converged, error = "too few steps to judge convergence by", False, np.nan
    while steps < how.max_steps and not converged:
        flat, state, some, wrong = _part(
            how, target, rest, unravel, flat, state, jr.fold_in(key, steps), jnp.asarray(rate)
        )
        iterates.append((np.asarray(some), judged(some)))
        steps, bad = steps + PART, bad + int(wrong)
        if bad > 0.05 * steps and steps >= LEAST_WINDOW:
            said = f"the gradient was not finite at {bad} of {steps} steps"
            break
        average, window = (
            np.concatenate(part) for part in zip(*iterates[len(iterates) // 2 :], strict=True)
        )
        average = average.mean(axis=0)
        if len(window) < judged.least_window:
            continue
        spread, error, drift = (
            float(split_r_hat(window).max()),
            judged.worst(monte_carlo_error(window), window),
            np.inf,
        )
        if family.network:
            spread, drift = (
                judged.root_mean_square(split_r_hat(window)),
                judged.worst(
                    np.subtract(*(h.mean(axis=0) for h in np.array_split(window, 2))), window
                ),
            )
        now = judged(jnp.asarray(average)[None])
        moved = np.inf if earlier is None else judged.worst(now[0] - earlier, window)
        said = (
            f"R-hat {spread:.3f}, Monte Carlo error {error:.3f} and change between rates "
            f"{moved:.3f} of a standard deviation"
        )
        late = family.network and PART * len(iterates) >= how.max_steps // RATES
        still = (spread <= STATIONARY or drift <= 3 * how.tolerance) and error <= how.tolerance
        if not (still or late):
            continue
        converged = still and moved < 3 * how.tolerance
        earlier, rate, iterates = now[0], rate / FALL, []
        flat = jnp.asarray(average)
    if not converged:
        wanted = (
            f"R-hat {STATIONARY}, error {how.tolerance} and change {3 * how.tolerance:g} "
            f"within {how.max_steps} steps"
        )
        said = f"{said}; wanted are {wanted}. Raise max_steps=, or tolerance="
    message = f"{steps} steps, the last at rate {rate:.2g}: {said}"
    return Stochastic(
        eqx.combine(unravel(jnp.asarray(average)), rest),
        round(steps * how.num_samples * share),
        converged,
        message,
        error,
    )


class _Judged:
    """What convergence is judged by, [T, Q] of iterates [T, P]: the parameters, or of a network its
    draws on held noise, [PROBES, D] in a row.
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
        """The largest of parameters; over draws the root mean square, in standard deviations of q."""
        if not self.network:
            return float(np.abs(values).max())
        return self.root_mean_square(
            values.reshape(PROBES, -1) / window.mean(axis=0).reshape(PROBES, -1).std(axis=0)
        )

    def root_mean_square(self, values: np.ndarray) -> float:
        """Over all of them."""
        return float(np.sqrt(np.mean(np.square(values))))


@eqx.filter_jit
def _points(unravel: Any, rest: Any, iterates: Array, noise: Array) -> Array:
    return jax.lax.map(lambda flat: eqx.combine(unravel(flat), rest).spread(noise).points, iterates)


def split_r_hat(window: np.ndarray, *, pieces: int = 4) -> np.ndarray:
    """R-hat [P] of iterates [T, P], consecutive pieces of them taken for chains; 1 where nothing
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
    """The standard error [P] of the mean of iterates [T, P], by the means of 20 batches of
    consecutive ones.

    monte_carlo_error(np.random.default_rng(0).normal(size=(10_000, 1)))  # about 0.01
    """
    length = len(window) // BATCHES
    means = window[-BATCHES * length :].reshape(BATCHES, length, -1).mean(axis=1)
    return means.std(axis=0, ddof=1) / np.sqrt(BATCHES)
