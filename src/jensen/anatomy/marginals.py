"""The marginal KL in two parts, and every latent dimension's share (Chen, Li, Grosse & Duvenaud 2018, section 3).

    KL(q(z) || p(z)) = KL(q(z) || prod_j q(z_j)) + sum_j KL(q(z_j) || p(z_j))       for a prior of independent dimensions
       marginal KL         total correlation         dimension-wise KL

and, where the dimensions of q(z|x) are independent as well, the average KL of a dimension is I(n; z_j) + KL(q(z_j) || p(z_j)). The total correlation needs
q(z) to have normal marginals only: diagonal and full normals; under a prior whose dimensions depend on each other the second part has no such meaning, and is
left out. On the same draws as the rest of the account, each q(z_j) the mixture over all N data (`univariate`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._types import Distribution
from jensen.anatomy._lines import Line, line_from_draws
from jensen.anatomy.surgery import Surgery
from jensen.anatomy.univariate import univariate_mixture_log_density
from jensen.distributions import diagonal_normal_parameters, full_normal_parameters

COLUMNS = ("average_kl", "index_information", "marginal_kl")


@dataclass(frozen=True)
class Marginals:
    """What q(z_1), ..., q(z_D) say.

    Attributes:
        total_correlation: KL(q(z) || prod_j q(z_j)).
        dimension_wise_kl: sum_j KL(q(z_j) || p(z_j)); None where the prior's dimensions are not independent.
        by_dimension: arrays [D], nats: `index_information`, I(n; z_j), where the dimensions of q(z|x) are independent; `marginal_kl`,
            KL(q(z_j) || p(z_j)), where those of the prior are; `average_kl`, KL(q(z_j|x) || p(z_j)), where both are. Each with `NAME.error`, its Monte Carlo
            standard error.
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


def marginals(cut: Surgery) -> tuple[Marginals | None, dict[str, str]]:
    """What there is to be had, and what is not: its names and the reasons.

    Args:
        cut: the surgery of the same account.

        found, left_out = marginals(surgery(model, x, key=key))
    """
    if len(cut.indexed) > 1:
        return None, _all("q(z) is that of all levels of a chain")
    n = len(cut.posterior_means)
    if cut.aggregated_over < n:
        return None, _all(f"q(z) is over random subsets of {cut.aggregated_over} data")
    normals, independent = cut.posteriors.map(diagonal_normal_parameters), True
    if normals is None:
        normals, independent = cut.posteriors.map(_marginals_of_full_normal), False
    if normals is None:
        return None, _all("the posteriors of this family have no marginals in closed form")
    loc, scale = (np.asarray(a, np.float64) for a in normals)
    factors = cut.factors
    cuts = [some for some in (cut, cut.again) if some is not None]
    at = _log_densities(cuts, loc, scale, independent, factors)
    correlation = line_from_draws(
        *(
            some.log_aggregated - values["q"].sum(axis=2)
            for some, values in zip(cuts, at, strict=True)
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
    cuts: list[Surgery],
    loc: np.ndarray,
    scale: np.ndarray,
    independent: bool,
    prior: tuple[Any, Any] | None,
) -> list[dict[str, np.ndarray]]:
    """The log densities of each dimension of the draws of each cut, [n, draws, D]: q, the mixture; own, the posterior; p, the prior; where they exist."""
    codes = [np.asarray(cut.z, np.float64) for cut in cuts]
    flat = np.concatenate(
        [z.reshape(-1, z.shape[-1]) for z in codes]
    )  # of all cuts at once: most of the work is with the components
    with ThreadPoolExecutor() as pool:  # NumPy's loops run side by side
        mixtures = np.stack(
            list(pool.map(univariate_mixture_log_density, flat.T, loc.T, scale.T)), axis=1
        )
    out, start = [], 0
    for cut, z in zip(cuts, codes, strict=True):
        size = z.shape[0] * z.shape[1]
        found = {"q": mixtures[start : start + size].reshape(z.shape)}
        start += size
        if independent:
            found["own"] = _normal(z, loc[cut.rows, None], scale[cut.rows, None])
        if prior is not None:
            found["p"] = _normal(z, *prior)
        out.append(found)
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
