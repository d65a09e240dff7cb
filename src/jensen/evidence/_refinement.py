"""The best posterior of one datum: q(z|x) moved by a bijection T that is fitted to this datum alone.

(Cremer, Li & Duvenaud 2018, section 4.2.)

    maximise over T    E_q [log p(x, T(z)) + log |det dT/dz| - log q(z)]

T starts at the identity and acts in units of q. Adam climbs with fresh draws at every step, in
windows of steps. After each window its average iterate is scored on draws that stay the same, and
kept only if it is better than the best so far by more than the standard error of the paired
difference: so noise is not taken for progress, and the amortised posterior, where it cannot be
improved, stays.

The gradient is the path derivative (Roeder, Wu & Duvenaud 2017): log q'(T(z)) is taken at fixed
parameters of T. It costs T^-1, which all families have in closed form, and has no variance where q'
is the true posterior; without it, on digits, 16 draws a step left a fifth of what a `full` map can
win (docs/results.md).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from jensen._rooms import nearest
from jensen._types import Array, Distribution, Key
from jensen.distributions import (
    BIJECTIONS,
    CONTINUOUS,
    Pushforward,
    code_kind,
    full_normal_parameters,
    pushforward,
)
from jensen.distributions.bijections import Bijection
from jensen.interop import require_gradient
from jensen.model import Model
from jensen.weights import over_samples, weigh

FAMILIES = ("own", *BIJECTIONS)
LEAST = 1e-3  # nats: what is less is no improvement to go on for


class Refinement(eqx.Module):
    """What came of refining the posterior of one datum.

    Attributes:
        posterior: the best distribution found.
        windows: how many windows of steps were run.
        non_finite: how many of them ended at a value that is not finite; nothing of these is kept.
    """

    posterior: Pushforward
    windows: Array
    non_finite: Array


def family_of(model: Model, family: str, x: Array | np.ndarray) -> str:
    """The family of maps meant: 'own' becomes that of the model's encoder; others are checked.

    Raises:
        ValueError: an unknown family, or codes that no map can move.

        family_of(model, "own", data[0])  # 'diagonal'
    """
    if family not in FAMILIES:
        raise ValueError(
            f"unknown family {family!r}{nearest(family, FAMILIES)}; known: {', '.join(FAMILIES)}."
        )
    posterior = model.encoder(jnp.asarray(x))
    kind = code_kind(posterior)
    if kind != CONTINUOUS:
        raise ValueError(
            f"the codes are {kind}: a posterior over them cannot be moved by a map, so its gaps "
            "are not to be had. Leave out the gaps."
        )
    require_gradient(model, "refining a posterior")
    if family != "own":
        return family
    levels = isinstance(jax.eval_shape(lambda key: posterior.sample(key), jr.key(0)), tuple)
    if model.recipe is None:  # built by hand: what it is, and not what it was called
        return "full" if full_normal_parameters(posterior) is not None else "diagonal"
    # A posterior of several levels is moved by shifts and scales as a whole.
    return "diagonal" if levels else model.encoder.closed_under


def refine(model: Model, prior: Distribution, x: Array, key: Key, **options: Any) -> Pushforward:
    """The best posterior of one datum; see `refinement`, whose options these are.

    refine(model, model.prior(model.encoder), x, key, family="full").sample(key)
    """
    return refinement(model, prior, x, key, **options).posterior


def refinement(
    model: Model,
    prior: Distribution,
    x: Array,
    key: Key,
    *,
    family: str = "own",
    num_samples: int = 16,
    window: int = 100,
    max_windows: int = 30,
    patience: int = 3,
    rate: float = 0.02,
    num_scored: int = 512,
    block: int | None = None,
) -> Refinement:
    """The best member of a family for one datum, and how it was found; `vmap` it over data.

    Args:
        model: its codes must be continuous.
        prior: model.prior(model.encoder), made once.
        x: one datum.
        key: of this datum, e.g. folded with its index.
        family: 'own' (that of the encoder), 'diagonal', 'full' or 'flow': the maps T (see
            `distributions.bijections`).
        num_samples: fresh draws per step.
        window: steps between two scores; what is scored is the mean iterate of the second half of
            them.
        max_windows: at most so many.
        patience: stop after so many windows in a row without improvement; each of them halves the
            rate and goes back to the best.
        rate: of Adam, in units of q's scale.
        num_scored: the draws that every score is made on.
        block: no more than so many samples are decoded at a time.

    Raises:
        ValueError: an unknown family, discrete codes, or a number out of range.

        refined = refinement(model, model.prior(model.encoder), x, key, family="diagonal")
        refined.posterior.log_prob(z)
    """
    for name, value, least in [
        ("num_samples", num_samples, 1),
        ("window", window, 1),
        ("max_windows", max_windows, 0),
        ("num_scored", num_scored, 2),
    ]:
        if value < least:
            raise ValueError(f"refinement: {name} must be at least {least}; got {value}.")
    start = pushforward(model.encoder(x), family_of(model, family, x))
    key_steps, key_scores = jr.split(key)
    adam = optax.scale_by_adam()

    def moved(bijection):
        return eqx.tree_at(lambda q: q.bijection, start, bijection)

    def slopes(bijection, key):
        def height(bijection):
            q, constant = moved(bijection), moved(jax.lax.stop_gradient(bijection))

            def one(sample):
                z, _ = q.transform(q.base.sample(jr.fold_in(key, sample)))
                return weigh(model, prior, x, z, constant).log_w

            return jnp.mean(over_samples(one, num_samples, block))

        return jax.grad(height)(bijection)

    def scores(bijection):
        q = moved(bijection)

        def one(sample):
            z, log_det = q.transform(q.base.sample(jr.fold_in(key_scores, sample)))
            # Without - log q(z), which is the same for all maps.
            return weigh(model, prior, x, z).log_joint + log_det

        return over_samples(one, num_scored, block)

    def climb(climber: _Climber) -> _Climber:
        def step(i, state):
            bijection, moments, total = state
            move, moments = adam.update(
                slopes(bijection, jr.fold_in(key_steps, climber.windows * window + i)), moments
            )
            bijection = jax.tree.map(lambda b, m: b + climber.rate * m, bijection, move)
            return (
                bijection,
                moments,
                jax.tree.map(
                    lambda t, b: t + jnp.where(i >= window // 2, b, 0.0), total, bijection
                ),
            )

        nothing = jax.tree.map(jnp.zeros_like, climber.best)
        bijection, moments, total = jax.lax.fori_loop(
            0, window, step, (climber.bijection, climber.moments, nothing)
        )
        mean = jax.tree.map(lambda t: t / (window - window // 2), total)
        new_scores = scores(mean)
        gain = new_scores - climber.scores
        # Never where the gain is NaN.
        better = jnp.mean(gain) > jnp.maximum(jnp.std(gain) / num_scored**0.5, LEAST)
        finite = jnp.isfinite(jnp.mean(new_scores))
        best: Any = climber.best
        return jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            _Climber(
                bijection,
                moments,
                mean,
                new_scores,
                climber.rate,
                jnp.asarray(0),
                climber.windows + 1,
                climber.non_finite,
            ),
            _Climber(
                best,
                adam.init(best),
                best,
                climber.scores,
                climber.rate / 2,
                climber.misses + 1,
                climber.windows + 1,
                climber.non_finite + ~finite,
            ),
        )

    first: Any = start.bijection
    none = jnp.asarray(0)
    climber = _Climber(
        first,
        adam.init(first),
        first,
        scores(first),
        jnp.asarray(rate, start.loc.dtype),
        none,
        none,
        none,
    )
    climber = jax.lax.while_loop(
        lambda c: (c.windows < max_windows) & (c.misses < patience), climb, climber
    )
    return Refinement(moved(climber.best), climber.windows, climber.non_finite)


class _Climber(eqx.Module):
    """Where Adam is, the best so far with its scores, and the count of windows."""

    bijection: Bijection
    moments: optax.OptState
    best: Bijection
    scores: Array
    rate: Array
    misses: Array
    windows: Array
    non_finite: Array
