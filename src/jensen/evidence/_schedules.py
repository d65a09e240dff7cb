"""Temperatures beta_0 = 0 < beta_1 < ... < beta_T = 1 of an annealing."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import expit

from jensen._types import Distribution, Key
from jensen.evidence._chains import (
    Chains,
    Moves,
    Steps,
    advance,
    begin,
    chain_keys,
    log_ratios,
    tuned,
)
from jensen.model import Model

STEEPNESS = 4.0  # of the sigmoid, as in Wu et al. (2017)
PILOT_DATA, PILOT_CHAINS, MOST_PILOT = 24, 16, 20_000
PILOT_GRID = 50


def linear(num_temperatures: int) -> np.ndarray:
    """beta_t = t / T.

    linear(4)  # [0, .25, .5, .75, 1]
    """
    return np.linspace(0.0, 1.0, num_temperatures + 1)


def sigmoid(num_temperatures: int) -> np.ndarray:
    """Temperatures close together at both ends: a logistic curve from -4 to 4, scaled to [0, 1] (Wu et al. 2017, section 3).

    sigmoid(4)  # [0, .105, .5, .895, 1]
    """
    curve = expit(STEEPNESS * np.linspace(-1.0, 1.0, num_temperatures + 1))
    return (curve - curve[0]) / (curve[-1] - curve[0])


def adaptive(
    chains: Chains,
    model: Model,
    prior: Distribution,
    data: np.ndarray,
    key: Key,
    *,
    target_ess: float,
    most: int,
) -> tuple[np.ndarray, int]:
    """(temperatures, how many the target asks for): each as far from the last as keeps the effective sample size of that one step at `target_ess` of the
    chains, on average over a few data (Zhou, Johansen & Aston 2016, equation 13); thinned evenly to `most` of them if there are more.

    Found by chains of their own, whose keys and weights are used for nothing else.

        adaptive(chains, model, prior, data, key, target_ess=0.995, most=1000)[0]
    """
    key_choice, key_steps, key_moves = jr.split(key, 3)
    chosen = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:PILOT_DATA])
    x, numbers = jnp.asarray(data[chosen]), jnp.asarray(chosen)
    pilot = Chains(PILOT_CHAINS, chains.num_leapfrog, chains.target_acceptance, chains.start)
    grid = np.linspace(0, 1, PILOT_GRID + 1)[1:]
    steps = Steps(
        tuned(pilot, model, prior, x, chain_keys(pilot, numbers, key_steps), grid, 2),
        jnp.asarray(grid, float),
    )
    keys = chain_keys(pilot, numbers, key_moves)
    z = begin(pilot, model, prior, x, keys)
    betas = [0.0]
    while betas[-1] < 1:
        if len(betas) > MOST_PILOT:
            raise ValueError(
                f"target_ess={target_ess} asks for more than {MOST_PILOT} temperatures on this model; take a smaller one, such as 0.99."
            )
        step = _longest_step(
            np.asarray(log_ratios(pilot, model, prior, x, z), np.float64), 1 - betas[-1], target_ess
        )
        betas.append(min(1.0, betas[-1] + step))
        at = np.array(betas[-1:])
        z = advance(
            pilot,
            model,
            prior,
            x,
            keys,
            z,
            steps,
            Moves.of(at, number=np.array([len(betas)]), place=at),
        ).z
    asked = len(betas) - 1
    if asked > most:
        betas = list(np.interp(np.linspace(0, asked, most + 1), np.arange(asked + 1), betas))
    return np.asarray(betas), asked


def _longest_step(log_ratio: np.ndarray, most: float, target: float) -> float:
    """The largest step in beta that keeps the mean conditional effective sample size at the target, by bisection."""
    log_ratio = log_ratio[np.isfinite(log_ratio).all(axis=1)]
    if len(log_ratio) == 0 or _conditional_ess(log_ratio * most) >= target:
        return most
    low, high = 0.0, most
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if _conditional_ess(log_ratio * middle) >= target else (low, middle)
        )
    return max(low, 1e-6)


def _conditional_ess(log_w: np.ndarray) -> float:
    """mean over data of (mean w)^2 / mean w^2."""
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    return float(np.mean(w.mean(axis=1) ** 2 / np.mean(w**2, axis=1)))
