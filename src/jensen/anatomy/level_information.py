"""I(n; z1, z2, ...) of several levels, and the split of every level's KL, on a subset of the data.

The exact aggregated posterior of all levels, (1/M) sum_m q(z1, z2 | x_m), needs q(z1 | x_m, z2) for
every pair of a datum and a draw: M^2 evaluations of a network, where the top level alone needs
matrix products only. So it is taken over M data, and says so: its ceiling is log M, not log N.

The aggregate of a level given those above it follows from the same densities, since
q(z_l | z_>l) = q(z_>=l) / q(z_>l), each a mixture over the M data. On the same draws,

    KL of z_l       = I(n; z_l | z_>l)                       + KL of the aggregate
    E log q / p     = E log q(z_l|x, z_>l) / q(z_l|z_>l)     + E log q(z_l|z_>l) / p(z_l|z_l+1)

The last term is what a better p(z_l | z_l+1) could win at most with this encoder and decoder, as
the marginal KL is for the prior of the top. The terms I(n; z_l | z_>l) sum to I(n; z1, z2, ...).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Array, Key
from jensen.anatomy.distinct_rows import RowCounts, count_rows
from jensen.distributions import level_log_probs
from jensen.model import Model

SUBSET = 500
BLOCK = 16
PARTS = ("kl", "information", "aggregate_kl")


@dataclass(frozen=True)
class SubsetMean:
    """A mean over the data of the subset, nats per datum; its standard error covers draws and data.

    SubsetMean(1.0, 0.1).value
    """

    value: float
    standard_error: float


@dataclass(frozen=True)
class LevelSplit:
    """The KL of one level given those above it: `kl` = `information` + `aggregate_kl`.

    Attributes:
        kl: E log q(z_l|x, z_>l) - log p(z_l|z_l+1).
        information: I(n; z_l | z_>l), what the level tells of the datum beyond those above it.
        aggregate_kl: KL(q(z_l|z_>l) || p(z_l|z_l+1)): what a better p(z_l|z_l+1) could win at most.
    """

    kl: SubsetMean
    information: SubsetMean
    aggregate_kl: SubsetMean


@dataclass(frozen=True)
class JointInformation:
    """I(n; z) over all levels, nats per datum, with its standard error, on `n` data.

    Attributes:
        value, standard_error, n: of I(n; z1, z2, ...).
        row_counts: how often each distinct row of the subset occurs; None: all rows differ.
        levels: the split of the KL of each level, by its name, z1 first; empty where it was not
            recorded (accounts of earlier versions).
    """

    value: float
    standard_error: float
    n: int
    row_counts: RowCounts | None = None
    levels: Mapping[str, LevelSplit] = field(default_factory=dict)

    @property
    def log_n(self) -> float:
        """log n."""
        return math.log(self.n)

    @property
    def rows(self) -> RowCounts:
        """How often each distinct row of the subset occurs."""
        return self.row_counts or RowCounts({1: self.n})

    @property
    def ceiling(self) -> float:
        """The most that it can be: log n, or the entropy of the distinct rows."""
        return self.rows.ceiling()

    def above(self, level: int) -> float:
        """I(n; z_>l), what the levels above z_l tell of the datum; 0 for the top."""
        return sum(split.information.value for split in list(self.levels.values())[level:])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "n": self.n,
            "log_n": self.log_n,
            "ceiling": self.ceiling,
            "row_multiplicities": self.rows.to_json(),
            "levels": {
                name: {part: vars(getattr(split, part)) for part in PARTS}
                for name, split in self.levels.items()
            },
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "JointInformation":
        """The record that `to_json` describes."""
        rows = values.get("row_multiplicities")
        return JointInformation(
            values["value"],
            values["standard_error"],
            values["n"],
            None if rows is None else RowCounts.from_json(rows),
            {
                name: LevelSplit(*(SubsetMean(**parts[part]) for part in PARTS))
                for name, parts in values.get("levels", {}).items()
            },
        )


def joint_information(
    model: Model, data: np.ndarray, *, key: Key, subset: int = SUBSET
) -> JointInformation:
    """Estimate I(n; z1, z2, ...) and the split of each level's KL on M data chosen at random.

    I(n; z1, z2, ...) is E log q(z|x_n) - log (1/M) sum_m q(z|x_m), with one draw z of all levels
    from each of the data.

    Args:
        model: any whose encoder gives a distribution with sample and log_prob.
        data: [N, *event].
        key: chooses the data and the draws.
        subset: M, or all N data if they are fewer.

    Raises:
        ValueError: fewer than two data.

        joint_information(model, data.test, key=jax.random.key(0)).value
    """
    m = min(subset, len(data))
    if m < 2:
        raise ValueError(f"I(n; z) needs at least two data; got {m}.")
    key_choice, key_draws = jr.split(key)
    chosen = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:m])
    pairs, priors = (
        np.asarray(a, np.float64) for a in _densities(model, jnp.asarray(data[chosen]), key_draws)
    )
    # Summed from the top down: log q(z_>=l) of each draw under each component.
    at_and_above = np.cumsum(pairs[..., ::-1], axis=-1)[..., ::-1]  # [component, draw, level]
    own = np.diagonal(at_and_above).T  # [draw, level]
    total = np.asarray(logsumexp(at_and_above, axis=0))  # [draw, level]
    information = own - (total - math.log(m))  # I(n; z_>=l)
    without = np.stack(  # the same means with each datum left out: [left out, level]
        [
            _means_without_one(at_and_above[..., level], own[:, level], total[:, level])
            for level in range(pairs.shape[-1])
        ],
        axis=-1,
    )
    levels = {}
    for level in range(pairs.shape[-1]):
        below_top = level + 1 < pairs.shape[-1]
        of_level = information[:, level] - (information[:, level + 1] if below_top else 0.0)
        of_level_without = without[:, level] - (without[:, level + 1] if below_top else 0.0)
        kl = np.diagonal(pairs[..., level]) - priors[:, level]
        kl_without = (kl.sum() - kl) / max(m - 1, 1)
        levels[f"z{level + 1}"] = LevelSplit(
            _mean(kl, kl_without),
            _mean(of_level, of_level_without),
            _mean(kl - of_level, kl_without - of_level_without),
        )
    joint = _mean(information[:, 0], without[:, 0])
    # A chain inferred from the data upwards has no KL of a single level (see `surgery`).
    splits = {} if model.encoder.bottom_up else levels
    return JointInformation(joint.value, joint.standard_error, m, count_rows(data[chosen]), splits)


def _mean(values: np.ndarray, without_one: np.ndarray) -> SubsetMean:
    """The mean over the subset, with the jackknife's standard error over random subsets; of two
    data there is none."""
    m = len(values)
    error = math.sqrt((m - 1) * float(np.var(without_one))) if m > 2 else math.nan
    return SubsetMean(float(values.mean()), error)


def _means_without_one(densities: np.ndarray, own: np.ndarray, total: np.ndarray) -> np.ndarray:
    """I(n; z) with each datum left out in turn, [left out].

    A datum that is left out takes its draw with it, and its density at all other draws: the mixture
    over the subset is what makes I(n; z) vary from one subset to another."""
    m = len(own)
    if m < 3:
        return np.full(m, math.nan)
    with np.errstate(divide="ignore"):
        # [left out, draw]
        rest = total + np.log1p(-np.exp(np.minimum(densities - total, 0.0)))
    # A draw's own density is always in the sum: where rounding leaves less, that is all there is.
    values = own - (np.maximum(rest, own) - math.log(m - 1))
    np.fill_diagonal(values, 0.0)
    return values.sum(axis=1) / (m - 1)


class PairDensities(NamedTuple):
    """Log densities level by level of one draw z_n for each of the data.

    Attributes:
        log_posteriors: log q(z_n | x_m) at [m, n, level].
        log_priors: log p(z_n) at [n, level].
    """

    log_posteriors: Array
    log_priors: Array


@eqx.filter_jit
def _densities(model: Model, x: Array, key: Key) -> PairDensities:
    """The densities of draws z_n ~ q(z|x_n) under the posteriors of all data."""
    draws = jax.vmap(lambda x, n: model.encoder(x).sample(jr.fold_in(key, n)))(
        x, jnp.arange(x.shape[0])
    )
    prior = model.prior(model.encoder)

    def component(x: Array) -> Array:
        posterior = model.encoder(x)
        return jax.vmap(lambda z: level_log_probs(posterior, z))(draws)

    return PairDensities(
        jax.lax.map(component, x, batch_size=BLOCK),
        jax.vmap(lambda z: level_log_probs(prior, z))(draws),
    )
