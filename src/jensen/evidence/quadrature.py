"""log p(x) = log of the integral of p(x|z) p(z) dz, by the trapezoid rule on a grid.

It is for small models, an oracle for every other estimator.

For a smooth density that ends within the grid the rule's error falls exponentially with the number
of points (Trefethen & Weideman 2014, section 5).
"""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Array, Distribution, Key
from jensen.distributions.code_kinds import CONTINUOUS, code_kind
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.evidence._grid import Grid, box_of, grid_of_mass
from jensen.evidence._record import Evidence
from jensen.evidence._streaming import chunk_or_default
from jensen.model import Model
from jensen.progress import OnProgress, silent
from jensen.weights import weigh

TOLERANCE = 0.01  # nats between a grid and the one of half its resolution
EDGE = 20.0  # nats below the maximum that a density has to be at the edge
DRAWS = 1000
SEARCH = {1: 256, 2: 64}  # points along each axis of the grids that look for the mass
NOTE = (
    "Standard errors are discretisation errors: the difference to the grid of half the resolution, "
    "which is far more than the error of the fine one."
)


class Quadrature(AbstractEvidenceEstimator):
    """The integral over z on a grid of `num_samples` points along each axis.

    The grid covers where p(x, z) is within 40 nats of its maximum. Codes of one level, continuous,
    of one or two dimensions. The model is evaluated in its own precision, sums are taken in
    float64.

    `standard_errors` holds the discretisation error, the difference to the grid of every second
    point, no Monte Carlo error; random is only where the mass is looked for. A datum is trusted
    where it is below 0.01 nats and the density ends within the grid. k-hat is -inf;
    `effective_samples` are (sum p)^2 / sum p^2 of the grid's points. The cost is num_samples^d
    decoded codes for each datum, and some thousands to find the mass.

    Raises:
        ValueError: fewer than 16 points; of `estimate`: codes that are discrete, of several levels
            or of more than two dimensions, or a density that is NaN or +inf.

        estimate_evidence(model, x, Quadrature(num_samples=256), key=key).values  # nats
    """

    num_samples: int = eqx.field(static=True)

    def __init__(self, *, num_samples: int = 256):
        self.num_samples = num_samples

    def __check_init__(self):
        _check_points(self.num_samples)

    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None,
        on_progress: Callable[[int, int], None],
        store: Path | None,
    ) -> Evidence:
        densities = _Densities(model, data, key, chunk)
        rows = []
        for n in range(len(data)):
            grid = densities.posterior_grid(n, self.num_samples)
            log_joint = densities(n, grid.at, joint=True)
            rows.append(
                (
                    *_integral(grid, log_joint),
                    grid.edge(log_joint),
                    np.exp(2 * logsumexp(log_joint) - logsumexp(2 * log_joint)),
                )
            )
            on_progress(n + 1, len(data))
        values, errors, edges, effective = np.array(rows).T
        trusted = (errors < TOLERANCE) & (edges > EDGE)
        reasons = np.where(edges > EDGE, "", "the density does not end within the grid")
        reasons = np.where(
            errors < TOLERANCE,
            reasons,
            f"too coarse a grid at {self.num_samples} points along each axis",
        )
        points = self.num_samples**densities.dimensions
        k = np.full(len(data), -np.inf)
        return Evidence(
            values,
            errors,
            effective,
            k,
            num_samples=points,
            estimator="Quadrature",
            reasons=reasons,
            trusted=trusted,
            # A grid that misses mass is low and one that is too coarse may be either; its error
            # says how far.
            shortfalls=np.where(trusted, 0.0, np.where(edges > EDGE, errors, np.inf)),
            unbiased_weights=False,
            notes=(NOTE,),
        )


def kl_to_posterior(
    model: Model,
    data: np.ndarray,
    *,
    num_samples: int = 256,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
) -> np.ndarray:
    """Compute KL(q(z|x) || p(z|x)) of every datum, nats [N].

    It is the Jensen gap log p(x) - ELBO, without a random error.

    E_q[log q(z|x) - log p(x, z)] on a grid of `num_samples` points along each axis where q is
    within 40 nats of its maximum, plus log p(x) on the grid of the posterior.

    Args:
        model: of one level of continuous codes, of one or two dimensions.
        data: [N, *event].
        num_samples: points along each axis.
        chunk: how many points are decoded at a time; bounds the memory, not the result.
        on_progress: called with what is being done, the number of data done, and N.

    Raises:
        ValueError: no data, fewer than 16 points, codes that `Quadrature` refuses, or a grid too
            coarse for a datum (0.01 nats from that of half its resolution).

        kl_to_posterior(model, data.test)
    """
    _check_points(num_samples)
    if len(data) == 0:
        raise ValueError("no data: there is no posterior to compare with.")
    densities = _Densities(model, data, jr.key(0), chunk)
    out = np.empty(len(data))
    for n in range(len(data)):
        evidence_grid, grid = (
            densities.posterior_grid(n, num_samples),
            densities.proposal_grid(n, num_samples),
        )
        log_evidence, error = _integral(evidence_grid, densities(n, evidence_grid.at, joint=True))
        log_q, log_joint = densities(n, grid.at, joint=False), densities(n, grid.at, joint=True)
        mass, mass_error = _integral(grid, log_q)
        fine, coarse = (
            _average(grid.shaped(log_q)[part], grid.shaped(log_joint)[part])
            for part in _fine_and_coarse(densities.dimensions)
        )
        worst = max(error, abs(mass), mass_error, 0.0 if np.isinf(fine) else abs(fine - coarse))
        if worst > TOLERANCE:
            remedy = f"more than num_samples = {num_samples} points along each axis"
            raise ValueError(
                f"the grids of datum {n} are too coarse, by {worst:.2g} nats: take {remedy}, or a "
                "posterior of lighter tails."
            )
        out[n] = fine + log_evidence
        on_progress("quadrature", n + 1, len(data))
    return out


class _Densities:
    """log p(x, z) and log q(z|x) of each datum at any points, and grids that hold their mass."""

    def __init__(self, model: Model, data: np.ndarray, key: Key, chunk: int | None):
        self._model, self._data, self._key = model, data, key
        self.dimensions = _dimensions(model, data)
        self._block = chunk_or_default(chunk, model, data)
        self._prior = model.prior(model.encoder)
        self._from_prior = np.asarray(_draws(self._prior, jr.fold_in(key, len(data))), np.float64)

    def __call__(self, n: int, points: np.ndarray, *, joint: bool) -> np.ndarray:
        """The log densities at points [P, d] for datum n, nats, float64 [P]."""
        out = np.asarray(
            _log_density(
                self._model,
                self._prior,
                jnp.asarray(self._data[n]),
                jnp.asarray(points),
                self._block,
                joint,
            ),
            np.float64,
        )
        bad = np.isnan(out) | (out == np.inf)
        if bad.any():
            name = "log p(x, z)" if joint else "log q(z|x)"
            raise ValueError(
                f"{name} of datum {n} is {out[bad][0]} at z = {points[bad][0]}: the model gives no "
                "finite density there."
            )
        return out

    def posterior_grid(self, n: int, points: int) -> Grid:
        """Where p(x, z) has its mass, looked for around draws of the prior and of q."""
        return self._grid(
            n, np.concatenate([self._from_prior, self._from_proposal(n)]), points, joint=True
        )

    def proposal_grid(self, n: int, points: int) -> Grid:
        """Where q(z|x) has its mass."""
        return self._grid(n, self._from_proposal(n), points, joint=False)

    def _grid(self, n: int, draws: np.ndarray, points: int, *, joint: bool) -> Grid:
        return grid_of_mass(
            lambda at: self(n, at, joint=joint),
            *box_of(draws),
            search=SEARCH[self.dimensions],
            points=points,
        )

    def _from_proposal(self, n: int) -> np.ndarray:
        return np.asarray(
            _posterior_draws(self._model, jnp.asarray(self._data[n]), jr.fold_in(self._key, n)),
            np.float64,
        )


@eqx.filter_jit
def _log_density(
    model: Model, prior: Distribution, x: Array, points: Array, block: int, joint: bool
) -> Array:
    posterior = model.encoder(x)

    def one(z):
        weights = weigh(model, prior, x, z, posterior)
        return weights.log_joint if joint else weights.log_posterior

    return jax.lax.map(one, points, batch_size=min(block, len(points)))


@eqx.filter_jit
def _posterior_draws(model: Model, x: Array, key: Key) -> Array:
    return _draws(model.encoder(x), key)


def _draws(distribution: Distribution, key: Key) -> Array:
    return jax.vmap(distribution.sample)(jr.split(key, DRAWS))


def _check_points(num_samples: int) -> None:
    if num_samples < 16:
        raise ValueError(
            "quadrature: num_samples, the points along each axis, must be at least 16; got "
            f"{num_samples}. Try 256."
        )


def _dimensions(model: Model, data: np.ndarray) -> int:
    posterior = model.encoder(jnp.asarray(data[0]))
    code = posterior.sample(jr.key(0))
    other = "use importance sampling or annealing (--estimator importance, auto)."
    if isinstance(code, tuple):
        raise ValueError(
            f"quadrature: a grid is for one level of latent variables, this model has {len(code)}; "
            f"{other}"
        )
    kind = code_kind(posterior)
    if kind != CONTINUOUS:
        raise ValueError(
            f"quadrature: a grid is for continuous codes, those of this model are {kind}; {other}"
        )
    if code.shape[0] > 2:
        raise ValueError(
            f"quadrature: a grid is for 1 or 2 latent dimensions, this model has {code.shape[0]}; "
            f"{other}"
        )
    return code.shape[0]


def _integral(grid: Grid, log_density: np.ndarray) -> tuple[float, float]:
    """(its log, nats; the difference to that of every second point)."""
    fine, coarse = grid.log_integral(log_density), grid.log_integral(log_density, every=2)
    return fine, abs(fine - coarse)


def _average(log_q: np.ndarray, log_joint: np.ndarray) -> float:
    """E_q[log q - log p(x, z)] on a grid; +inf where q is not 0 and p is."""
    with np.errstate(invalid="ignore"):
        terms = np.where(log_q == -np.inf, 0.0, log_q - log_joint)
    return float(np.sum(np.exp(log_q - logsumexp(log_q)) * terms))


def _fine_and_coarse(dimensions: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    return (slice(None),) * dimensions, (slice(None, None, 2),) * dimensions
