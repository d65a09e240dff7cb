"""The marginal KL in two parts, and every latent dimension's share.

    KL(q(z) || p(z)) = KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))
       marginal KL         total correlation         dimension-wise KL

for a prior of independent dimensions (Chen, Li, Grosse & Duvenaud 2018, section 3). Where the
dimensions of q(z|x) are independent as well, the average KL of a dimension is I(n; z_j) + KL(q(z_j)
|| p(z_j)). The total correlation needs q(z) to have normal marginals only: diagonal and full
normals; under a prior whose dimensions depend on each other the second part has no such meaning,
and is left out. All on the same draws as the rest of the account, each q(z_j) the mixture over all
N data (`univariate`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._types import Distribution
from jensen.anatomy.elbo_surgery import Normals, Surgery
from jensen.anatomy.lines import Line, line_from_draws
from jensen.anatomy.univariate import univariate_mixture_log_density
from jensen.distributions import diagonal_normal_parameters, full_normal_parameters


@dataclass(frozen=True)
class Marginals:
    """The marginal KL split by the marginals q(z_1), ..., q(z_D), nats per datum.

    Attributes:
        total_correlation: KL(q(z) || prod_j q(z_j)).
        dimension_wise_kl: sum_j KL(q(z_j) || p(z_j)); None where the prior's dimensions are not
            independent.
        by_dimension: arrays [D], nats: `index_information`, I(n; z_j), where the dimensions of
            q(z|x) are independent; `marginal_kl`, KL(q(z_j) || p(z_j)), where those of the prior
            are; `average_kl`, KL(q(z_j|x) || p(z_j)), where both are. Each with `NAME.error`, its
            Monte Carlo standard error.
    """

    total_correlation: Line
    dimension_wise_kl: Line | None
    by_dimension: dict[str, np.ndarray]

    @property
    def lines(self) -> dict[str, Line]:
        """The lines of the account that are here, by name."""
        return {"total_correlation": self.total_correlation} | (
            {} if self.dimension_wise_kl is None else {"dimension_wise_kl": self.dimension_wise_kl}
        )


def marginals(draws: Surgery) -> tuple[Marginals | None, dict[str, str]]:
    """Split the marginal KL, as far as that is possible.

    Args:
        draws: the surgery of the same account.

    Returns:
        (the parts, or None; {line that is left out: the reason}).

        parts, left_out = marginals(surgery(model, x, key=key))
    """
    if len(draws.indexed) > 1:
        return None, _all("q(z) is that of all levels of a chain")
    n = len(draws.posterior_means)
    if draws.aggregated_over < n:
        return None, _all(f"q(z) is over random subsets of {draws.aggregated_over} data")
    normals, independent = draws.posteriors.map(diagonal_normal_parameters), True
    if normals is None:
        normals, independent = draws.posteriors.map(_marginals_of_full_normal), False
    if normals is None:
        return None, _all("the posteriors of this family have no marginals in closed form")
    loc, scale = (np.asarray(parameter, np.float64) for parameter in normals)
    factors = draws.factors
    sets = [some for some in (draws, draws.second_draws) if some is not None]
    at = _log_densities(sets, loc, scale, independent, factors)
    correlation = line_from_draws(
        *(
            some.log_aggregated - values["q"].sum(axis=2)
            for some, values in zip(sets, at, strict=True)
        )
    )
    pairs = {
        "index_information": ("own", "q"),
        "marginal_kl": ("q", "p"),
        "average_kl": ("own", "p"),
    }
    columns: dict[str, np.ndarray] = {}
    for name, (first, second) in pairs.items():
        if first not in at[0] or second not in at[0]:
            continue
        dimensions = [
            line_from_draws(*(values[first][:, :, j] - values[second][:, :, j] for values in at))
            for j in range(loc.shape[1])
        ]
        columns |= {
            name: np.array([d.value for d in dimensions]),
            f"{name}.error": np.array([d.standard_error for d in dimensions]),
        }
    if factors is None:
        reason = "the prior's dimensions depend on each other, and the marginal KL does not split"
        return Marginals(correlation, None, columns), {"dimension_wise_kl": reason}
    return Marginals(
        correlation,
        line_from_draws(*((values["q"] - values["p"]).sum(axis=2) for values in at)),
        columns,
    ), {}


def _all(reason: str) -> dict[str, str]:
    return {"total_correlation": reason, "dimension_wise_kl": reason}


def _log_densities(
    sets: list[Surgery],
    loc: np.ndarray,
    scale: np.ndarray,
    independent: bool,
    prior: Normals | None,
) -> list[dict[str, np.ndarray]]:
    """The log densities of each dimension of each set of draws, [n, draws, D], by name.

    "q" is the mixture, "own" the posterior and "p" the prior, where they exist.
    """
    codes = [np.asarray(draws.z, np.float64) for draws in sets]
    # Of all sets at once: most of the work is with the components.
    flat = np.concatenate([z.reshape(-1, z.shape[-1]) for z in codes])
    with ThreadPoolExecutor() as pool:  # NumPy's loops run side by side
        mixtures = np.stack(
            list(pool.map(univariate_mixture_log_density, flat.T, loc.T, scale.T)), axis=1
        )
    out, start = [], 0
    for draws, z in zip(sets, codes, strict=True):
        size = z.shape[0] * z.shape[1]
        densities = {"q": mixtures[start : start + size].reshape(z.shape)}
        start += size
        if independent:
            densities["own"] = _normal(z, loc[draws.rows, None], scale[draws.rows, None])
        if prior is not None:
            densities["p"] = _normal(z, *prior)
        out.append(densities)
    return out


def _normal(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return -0.5 * np.square((z - loc) / scale) - np.log(scale) - 0.5 * LOG_2PI


def _marginals_of_full_normal(posterior: Distribution) -> Any:
    parameters = full_normal_parameters(posterior)
    return (
        None
        if parameters is None
        else (parameters[0], jnp.sqrt(jnp.sum(jnp.square(parameters[1]), axis=-1)))
    )
