"""Targets with known evidence and moments: two normals, a banana, two modes, eight schools."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RHO = 0.9

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

# u0 ~ N(mean, sd^2), u1 ~ N(bend u0^2, noise^2)
BANANA = {"mean": 1.0, "sd": 1.0, "bend": 0.5, "noise": 0.5}

WEIGHTS = np.array([0.6, 0.4])
MEANS = np.array([[-1.5, -0.75], [1.5, 0.75]])
COVARIANCES = np.array([[[0.5, 0.25], [0.25, 0.4]], [[0.4, -0.15], [-0.15, 0.3]]])


@dataclass(frozen=True, kw_only=True)
class KnownTarget:
    """A target with its answers, which come from closed forms or from quadrature.

    Attributes:
        title: in words.
        log_z: the log evidence, nats.
        mean, sd: [2], of the two coordinates that are drawn.
        axes: labels of these coordinates.
        plane: the entries of u that they are.
        window: ((low, high), (low, high)) of the picture.
        log_density: (x, y) -> log marginal density of the two, up to a constant, in NumPy.
        light_tails: whether the chi^2 divergence from some normal is finite.
        make_density: () -> the target of `jensen.fit_variational`.
        start_sd: the standard deviation of the normal around 0 from which fits start; None for
            the default start.
    """

    title: str
    log_z: float
    mean: np.ndarray
    sd: np.ndarray
    axes: tuple[str, str] = ("u0", "u1")
    plane: tuple[int, int] = (0, 1)
    window: tuple[tuple[float, float], tuple[float, float]]
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray]
    light_tails: bool
    make_density: Callable[[], Any]
    start_sd: float | None = None


def two_normals() -> KnownTarget:
    """Returns N(0, [[1, .9], [.9, 1]])."""
    constant = -math.log(2 * math.pi) - 0.5 * math.log1p(-(RHO**2))

    def log_density(x: Any, y: Any) -> Any:
        return constant - 0.5 * (x**2 - 2 * RHO * x * y + y**2) / (1 - RHO**2)

    return KnownTarget(
        title="two normals, correlation .9",
        log_z=0.0,
        mean=np.zeros(2),
        sd=np.ones(2),
        window=((-3.1, 3.1), (-3.1, 3.1)),
        log_density=log_density,
        light_tails=True,
        make_density=_plane_density(log_density),
    )


def banana() -> KnownTarget:
    """Returns Rosenbrock's density, u0 ~ N(1, 1), u1 | u0 ~ N(u0^2 / 2, 1/4), which is normalised.

    u1 has a tail like that of a chi^2 variable.
    """
    m, s, bend, noise = BANANA.values()
    constant = -math.log(2 * math.pi * s * noise)

    def log_density(x: Any, y: Any) -> Any:
        return constant - 0.5 * ((x - m) / s) ** 2 - 0.5 * ((y - bend * x**2) / noise) ** 2

    mean = np.array([m, bend * (m**2 + s**2)])
    sd = np.array([s, math.sqrt(bend**2 * (4 * m**2 * s**2 + 2 * s**4) + noise**2)])
    return KnownTarget(
        title="banana",
        log_z=0.0,
        mean=mean,
        sd=sd,
        window=((-3.6, 5.6), (-3.6, 7.2)),
        log_density=log_density,
        light_tails=False,
        make_density=_plane_density(log_density),
    )


def two_modes() -> KnownTarget:
    """Returns .6 and .4 of two normals, about four standard deviations apart."""
    factors = np.linalg.inv(COVARIANCES)
    constants = np.log(WEIGHTS) - 0.5 * np.log(np.linalg.det(COVARIANCES)) - math.log(2 * math.pi)

    def log_density(x: Any, y: Any) -> Any:
        import jax.numpy as jnp

        xp = np if isinstance(x, np.ndarray) else jnp  # the picture takes arrays, a fit tracers
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
    return KnownTarget(
        title="two modes",
        log_z=0.0,
        mean=mean,
        sd=np.sqrt(second - mean**2),
        window=((-4.6, 4.6), (-3.6, 3.6)),
        log_density=log_density,
        light_tails=True,
        make_density=_plane_density(log_density),
        start_sd=2.0,
    )


def eight_schools() -> KnownTarget:
    """Returns eight schools, not centred (tau ~ HalfCauchy(5), mu ~ N(0, 5)).

    Its plane is that of mu and log tau, where the effects integrate out in closed form.
    """

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
    return KnownTarget(
        title="eight schools",
        log_z=log_z,
        mean=mean,
        sd=sd,
        axes=("mu", "log tau"),
        window=((-8, 17), (-4.2, 4.2)),
        log_density=log_density,
        light_tails=False,
        make_density=_eight_schools_density,
    )


TARGETS: dict[str, Callable[[], KnownTarget]] = {
    "two_normals": two_normals,
    "banana": banana,
    "two_modes": two_modes,
    "eight_schools": eight_schools,
}


def by_quadrature(
    log_density: Callable, window: tuple, points: int = 1201
) -> tuple[float, np.ndarray, np.ndarray]:
    """Integrates a density of the plane by the trapezoidal rule.

    Args:
        log_density: (x, y) -> log density.
        window: ((low, high), (low, high)); the density has to vanish at its edge.
        points: along each axis.

    Returns:
        The log integral, the means [2] and the standard deviations [2].

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


def density_on_grid(target: KnownTarget, points: int = 161) -> dict[str, Any]:
    """Returns the target for a picture, its density on a grid.

    Returns:
        'title', 'axes', 'x' and 'y' [points], and 'density' [points, points], up to a constant.
    """
    x, y = (np.linspace(low, high, points) for low, high in target.window)
    log_p = target.log_density(*np.meshgrid(x, y, indexing="ij"))
    return {
        "title": target.title,
        "axes": target.axes,
        "x": x,
        "y": y,
        "density": np.exp(log_p - log_p.max()),
    }


def _plane_density(log_density: Callable) -> Callable[[], Any]:
    def make_density() -> Any:
        import jensen

        return jensen.from_unconstrained(lambda u: log_density(u[0], u[1]), size=2)

    return make_density


def _eight_schools_density() -> Any:
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
