"""Signal and noise of gradient estimators, against moments of gradients drawn one by one, and the laws of Rainforth et al. and Tucker et al."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from jax.flatten_util import ravel_pytree

from jensen.bounds import bounds
from jensen.gradients import gradient_noise, gradients
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
X = TRUTH.data(5, seed=1).astype(np.float32)


def noise(bound, gradient, key=0, **options):
    return gradient_noise(
        TRUTH.model,
        X,
        bounds.build(bound, {}, {}),
        gradients.build(gradient, {}, {}),
        key=jr.key(key),
        **options,
    )


def test_signal_and_deviation_are_the_moments_of_gradients_drawn_one_by_one():
    found = noise("iwae", "pathwise", num_samples=3, draws=2000)
    estimator, bound, model = (
        gradients.build("pathwise", {}, {}),
        bounds.build("iwae", {}, {}),
        TRUTH.model,
    )

    def value(encoder, key):
        changed = eqx.tree_at(lambda m: m.encoder, model, encoder)
        one = lambda x, n: estimator.surrogate(  # noqa: E731
            bound, changed, model.prior(encoder), x, jr.fold_in(key, n), num_samples=3, beta=1.0
        )
        return jax.vmap(one)(jnp.asarray(X), jnp.arange(5)).surrogate.mean()

    draws = np.asarray(
        jax.jit(jax.vmap(lambda k: ravel_pytree(jax.grad(value)(model.encoder, k))[0]))(
            jr.split(jr.key(9), 4000)
        ),
        np.float64,
    )
    deviation = np.sqrt(draws.var(0, ddof=1).sum())
    signal = np.sqrt(np.square(draws.mean(0)).sum() - deviation**2 / 4000)
    assert found["encoder"].parameters == draws.shape[1]
    assert found["encoder"].deviation == pytest.approx(deviation, rel=0.1)
    assert found["encoder"].signal == pytest.approx(signal, rel=0.15)
    assert abs(found["encoder"].ratio - signal / deviation) < 5 * np.hypot(
        found["encoder"].standard_error, 1 / np.sqrt(4000)
    )
    assert set(found) == {"encoder", "decoder"}  # this prior has no parameters


def test_the_encoders_signal_falls_with_samples_under_pathwise_and_rises_under_doubly_reparameterised():
    ratios = {
        name: [noise("iwae", name, num_samples=k, draws=2000)["encoder"] for k in (1, 16, 128)]
        for name in ("pathwise", "doubly_reparameterised")
    }
    for (less, more), sign in [
        ((a, b), -1) for a, b in zip(ratios["pathwise"][:-1], ratios["pathwise"][1:], strict=True)
    ] + [
        ((a, b), 1)
        for a, b in zip(
            ratios["doubly_reparameterised"][:-1], ratios["doubly_reparameterised"][1:], strict=True
        )
    ]:
        assert sign * (more.ratio - less.ratio) > 3 * np.hypot(
            less.standard_error, more.standard_error
        )


def test_a_signal_below_the_noise_is_not_made_of_noise():
    # At the exact posterior the encoder's expected gradient is 0: a biased estimate would be the deviation over the root of the draws.
    exact = make(dimension=4, latent=2, orthogonal=True)
    x = exact.data(5, seed=1).astype(np.float32)
    found = gradient_noise(
        exact.model,
        x,
        bounds.build("elbo", {}, {}),
        gradients.build("pathwise", {}, {}),
        key=jr.key(0),
        num_samples=2,
        draws=500,
    )
    assert found["encoder"].ratio < 0.02
    assert found["encoder"].deviation > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 3, "draws": 10}, "draws must be at least 20.*got 10"),
        ({"num_samples": 0}, "num_samples must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        noise("iwae", "pathwise", **arguments)
    with pytest.raises(ValueError, match="biased for the IWAE bound"):
        noise("iwae", "sticking_the_landing", num_samples=3)
