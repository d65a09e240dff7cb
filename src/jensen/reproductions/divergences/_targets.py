"""Targets whose density, evidence and moments are known: two normals, a banana, two modes, eight schools."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RHO = 0.9

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

BANANA = {
    "mean": 1.0,
    "sd": 1.0,
    "bend": 0.5,
    "noise": 0.5,
}  # u0 ~ N(mean, sd^2), u1 ~ N(bend u0^2, noise^2)

WEIGHTS = np.array([0.6, 0.4])
MEANS = np.array([[-1.5, -0.75], [1.5, 0.75]])
COVARIANCES = np.array([[[0.5, 0.25], [0.25, 0.4]], [[0.4, -0.15], [-0.15, 0.3]]])


@dataclass(frozen=True)
class Known:
    """A target with its answers.

    Attributes:
        title: in words.
        log_z: the log evidence, nats; `mean` and `sd` [2] of the coordinates that are drawn, all by closed form or quadrature.
        axes: labels of these coordinates; `places`: which entries of u they are.
        window: ((low, high), (low, high)) of the picture, and of the quadrature where there is one.
        log_density: (x, y) -> their log marginal density, up to a constant, NumPy.
        light: whether its tails are so light that some normal q has a finite chi^2 divergence.
        make: () -> the `jensen` target.
        wide: the sd of the normal around 0 that fits set out from; None: the default start.
    """

    title: str
    log_z: float
    mean: np.ndarray
    sd: np.ndarray
    axes: tuple[str, str]
    places: tuple[int, int]
    window: tuple[tuple[float, float], tuple[float, float]]
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray]
    light: bool
    make: Callable[[], Any]
    wide: float | None = None


def two_normals() -> Known:
    """N(0, [[1, .9], [.9, 1]])."""
    constant = -math.log(2 * math.pi) - 0.5 * math.log1p(-(RHO**2))

    def log_density(x: Any, y: Any) -> Any:
        return constant - 0.5 * (x**2 - 2 * RHO * x * y + y**2) / (1 - RHO**2)

    window = ((-3.1, 3.1), (-3.1, 3.1))
    return Known(
        "two normals, correlation .9",
        0.0,
        np.zeros(2),
        np.ones(2),
        ("u0", "u1"),
        (0, 1),
        window,
        log_density,
        True,
        _plane(log_density),
    )


def banana() -> Known:
    """Rosenbrock's density, u0 ~ N(1, 1), u1 | u0 ~ N(u0^2 / 2, 1/4): normalised as it stands. u1 has a tail like that of a chi^2 variable."""
    m, s, bend, noise = BANANA.values()
    constant = -math.log(2 * math.pi * s * noise)

    def log_density(x: Any, y: Any) -> Any:
        return constant - 0.5 * ((x - m) / s) ** 2 - 0.5 * ((y - bend * x**2) / noise) ** 2

    mean = np.array([m, bend * (m**2 + s**2)])
    sd = np.array([s, math.sqrt(bend**2 * (4 * m**2 * s**2 + 2 * s**4) + noise**2)])
    window = ((-3.6, 5.6), (-3.6, 7.2))
    return Known(
        "banana",
        0.0,
        mean,
        sd,
        ("u0", "u1"),
        (0, 1),
        window,
        log_density,
        False,
        _plane(log_density),
    )


def two_modes() -> Known:
    """.6 and .4 of two normals, about four standard deviations apart."""
    factors = np.linalg.inv(COVARIANCES)
    constants = np.log(WEIGHTS) - 0.5 * np.log(np.linalg.det(COVARIANCES)) - math.log(2 * math.pi)

    def log_density(x: Any, y: Any) -> Any:
        import jax.numpy as jnp

        xp = np if isinstance(x, np.ndarray) else jnp
        parts = []
        for precision, (a, b), constant in zip(factors, MEANS, constants, strict=True):
            u, v = x - a, y - b
            parts.append(
                constant
                - 0.5
                * (precision[0, 0] * u * u + 2 * precision[0, 1] * u * v + precision[1, 1] * v * v)
            )
        return xp.logaddexp(*parts)

    mean = WEIGHTS @ MEANS
    second = np.einsum("k,kii->i", WEIGHTS, COVARIANCES) + WEIGHTS @ MEANS**2
    window = ((-4.6, 4.6), (-3.6, 3.6))
    return Known(
        "two modes",
        0.0,
        mean,
        np.sqrt(second - mean**2),
        ("u0", "u1"),
        (0, 1),
        window,
        log_density,
        True,
        _plane(log_density),
        wide=2.0,
    )


def eight_schools() -> Known:
    """Eight schools, not centred (tau ~ HalfCauchy(5), mu ~ N(0, 5)), in the plane of mu and log tau: there the effects integrate out in closed form."""

    def log_density(mu: np.ndarray, log_tau: np.ndarray) -> np.ndarray:
        tau = np.exp(log_tau)
        variance = ERRORS**2 + tau[..., None] ** 2
        log_likelihood = -0.5 * np.sum(
            (EFFECTS - mu[..., None]) ** 2 / variance + np.log(2 * math.pi * variance), axis=-1
        )
        log_prior = (
            -0.5 * (mu / 5) ** 2
            - math.log(5 * math.sqrt(2 * math.pi))
            + math.log(2 / (math.pi * 5))
            - np.log1p((tau / 5) ** 2)
        )
        return log_likelihood + log_prior + log_tau  # the Jacobian of tau -> log tau

    log_z, mean, sd = by_quadrature(log_density, ((-25, 35), (-20, 12)))
    places, window = (0, 1), ((-8, 17), (-4.2, 4.2))
    return Known(
        "eight schools",
        log_z,
        mean,
        sd,
        ("mu", "log tau"),
        places,
        window,
        log_density,
        False,
        _eight_schools,
    )


TARGETS: dict[str, Callable[[], Known]] = {
    "two_normals": two_normals,
    "banana": banana,
    "two_modes": two_modes,
    "eight_schools": eight_schools,
}


def by_quadrature(
    log_density: Callable, window: tuple, points: int = 1201
) -> tuple[float, np.ndarray, np.ndarray]:
    """(log integral, means [2], standard deviations [2]) of a density of the plane, by the trapezoidal rule; it has to vanish at the window's edge.

    by_quadrature(banana().log_density, ((-6, 8), (-6, 30)))[0]  # 0
    """
    x, y = (np.linspace(low, high, points) for low, high in window)
    log_p = log_density(*np.meshgrid(x, y, indexing="ij"))
    top = log_p.max()
    share = np.exp(log_p - top)
    total = share.sum()
    log_z = top + math.log(total * (x[1] - x[0]) * (y[1] - y[0]))
    moments = [
        (float(share.sum(axis=1 - i) @ u / total), float(share.sum(axis=1 - i) @ u**2 / total))
        for i, u in enumerate((x, y))
    ]
    mean = np.array([first for first, _ in moments])
    return log_z, mean, np.sqrt(np.array([second for _, second in moments]) - mean**2)


def plane(known: Known, points: int = 161) -> dict[str, Any]:
    """What a picture wants of a target: 'title', 'axes', 'x' and 'y' [points], and the 'density' [points, points], up to a constant."""
    x, y = (np.linspace(low, high, points) for low, high in known.window)
    log_p = known.log_density(*np.meshgrid(x, y, indexing="ij"))
    return {
        "title": known.title,
        "axes": known.axes,
        "x": x,
        "y": y,
        "density": np.exp(log_p - log_p.max()),
    }


def _plane(log_density: Callable) -> Callable[[], Any]:
    def make() -> Any:
        import jensen

        return jensen.from_unconstrained(lambda u: log_density(u[0], u[1]), size=2)

    return make


def _eight_schools() -> Any:
    import jax.numpy as jnp
    import numpyro.distributions as dist
    from numpyro.distributions import constraints

    import jensen

    def log_joint(p: Any) -> Any:
        mu, tau, z = p["mu"], p["tau"], p["z"]
        log_prior = (
            dist.Normal(0.0, 5.0).log_prob(mu)
            + dist.HalfCauchy(5.0).log_prob(tau)
            + jnp.sum(dist.Normal(0.0, 1.0).log_prob(z))
        )
        return log_prior + jnp.sum(dist.Normal(mu + tau * z, ERRORS).log_prob(EFFECTS))

    return jensen.from_log_joint(
        log_joint, {"mu": 0.0, "tau": 1.0, "z": np.zeros(8)}, {"tau": constraints.positive}
    )
