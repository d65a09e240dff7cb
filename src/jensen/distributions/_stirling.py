"""Log-gamma differences without cancellation, for count and Student's t distributions.

Differences of `lgamma` lose all digits in float32 at large arguments. Loader (2000), "Fast and
accurate computation of binomial probabilities", writes log p as Stirling errors and deviances, each
small where p is large. `log_gamma_half_step` may be differentiated; for the other functions, the
distributions that use them define their own derivatives.
"""

import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from jensen._numerics import LOG_2PI
from jensen._types import Array


def stirling_error(x: Array) -> Array:
    """Compute log Gamma(x + 1) - [(x + 1/2) log x - x + 1/2 log 2 pi] for x > 0.

    It is 1 / (12 x) - ... at large x.

        stirling_error(jnp.ones(()))  # 0.0811 = 1 - log(2 pi) / 2
    """
    small, large = _parts(x)
    direct = gammaln(small + 1) - (small + 0.5) * jnp.log(small) + small - 0.5 * LOG_2PI
    return jnp.where(
        x < _switch(x),
        direct,
        _series(
            1 / large, (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
        ),
    )


def digamma_less_log(x: Array) -> Array:
    """Compute psi(x) - log x for x > 0; it is -1 / (2 x) - ... at large x.

    digamma_less_log(jnp.ones(()))  # -0.5772
    """
    small, large = _parts(x)
    tail = (
        _series(1 / large, (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12))
        / large
    )
    return jnp.where(x < _switch(x), digamma(small) - jnp.log(small), -0.5 / large + tail)


def log_gamma_half_step(x: Array) -> Array:
    """Compute log Gamma(x + 1/2) - log Gamma(x) - 1/2 log x for x > 0.

    It is -1 / (8 x) + ... at large x, and may be differentiated.

        log_gamma_half_step(jnp.ones(()))  # -0.1208 = log(sqrt(pi) / 2)
    """
    steps = 10
    shifted = x + steps
    tail = _series(1 / shifted, (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432))
    # Gamma(x + 1) = x Gamma(x), ten times; as log1p, so that nothing cancels.
    ratios = sum(jnp.log1p(0.5 / (x + k)) for k in range(steps))
    return tail + 0.5 * jnp.log1p(steps / x) - ratios


def excess(t: Array, log1p_t: Array) -> Array:
    """Compute t - log(1 + t) >= 0, with full relative precision at small t.

    `log1p_t` is log(1 + t), which the caller may compute more exactly than from t when t is near
    -1.

        excess(jnp.asarray(1e-4), jnp.log1p(1e-4))  # 5.0e-9
    """
    near = jnp.abs(t) < 0.25
    u = jnp.where(near, t, 0.0)
    # With s = t / (2 + t): log(1 + t) = 2 artanh(s) and t - 2 s = t s, so t cancels analytically.
    s = u / (2 + u)
    return jnp.where(
        near, u * s - 2 * s**2 * _series(s, tuple(1 / n for n in range(3, 21, 2))), t - log1p_t
    )


def _series(y: Array, coefficients: tuple[float, ...]) -> Array:
    """Compute y (c_0 + c_1 y^2 + c_2 y^4 + ...)."""
    total = jnp.zeros_like(y)
    for c in reversed(coefficients):
        total = total * y**2 + c
    return y * total


# The asymptotic series is exact to rounding above this argument; `lgamma` does not cancel below it.
def _switch(x: Array) -> float:
    return 10.0 if x.dtype == jnp.float64 else 4.0


# Each branch of a `where` gets arguments from its own range only: the other ones could overflow.
def _parts(x: Array) -> tuple[Array, Array]:
    return jnp.minimum(x, _switch(x)), jnp.maximum(x, _switch(x))
