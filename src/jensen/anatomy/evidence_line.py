"""The evidence behind an account: importance sampling, and cheap additions to it.

Where a few data carry what k-hat distrusts in the mean, those are annealed from q(z|x), as the
estimator `auto` does with all such data. And on some data the likelihood is averaged over draws
from the prior, which go where q(z|x) may never draw.

What may be spent is counted in numbers computed, not in seconds: an account depends on its key, not
on the machine. Both together take at most SHARE of what importance sampling took, so under a third
of the account's time.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy.aggregated import numbers_computed
from jensen.evidence import Evidence, estimate_evidence
from jensen.evidence._other_start import CHECK_DATA, compare_with_other_start
from jensen.evidence._path import differentiable
from jensen.evidence.annealed import Annealed
from jensen.evidence.auto import spliced
from jensen.evidence.importance import Importance
from jensen.evidence.monte_carlo import MonteCarlo
from jensen.model import Model
from jensen.progress import OnProgress, silent
from jensen.weights import draw

# Of the work of importance sampling: all that is added to it, and the prior's draws alone.
SHARE, PRIOR_SHARE = 0.5, 0.1
CHAINS, TEMPERATURES, LEAPFROG = 16, 100, 5
TUNING = 65  # moves in which step sizes are found
GRADIENT = 3  # evaluations that a gradient costs
COMPILATION = 1e10  # numbers computed while the annealing program is compiled: about ten seconds
LEAST_PRIOR_DRAWS, MOST_PRIOR_DRAWS = 1000, 20_000


def account_evidence(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    num_samples: int,
    on_progress: OnProgress = silent,
) -> Evidence:
    """Estimate log p(x) of every datum, for an account.

    Args:
        model: the model.
        data: [N, *event].
        key: with it, and a datum's index, everything random is determined.
        num_samples: importance samples per datum.
        on_progress: called with what is being done, the number of data done, and the total.

    Returns:
        An `Evidence`; its `methods` say which data were annealed, `other_start` what the prior's
        draws found.

        account_evidence(model, x, key=jax.random.key(0), num_samples=1000).bound  # "" or "lower"
    """
    importance = Importance(num_samples=num_samples)
    estimate = estimate_evidence(model, data, importance, key=key, on_progress=on_progress)
    key_annealed, key_prior = (jr.fold_in(key, 2**31 - 1 - i) for i in range(2))
    if estimate.bound:
        estimate = _with_few_annealed(estimate, model, data, key_annealed)
    return _with_prior_draws(estimate, model, data, key_prior)


def decisive_data(estimate: Evidence) -> np.ndarray:
    """Find the fewest data without whose shortfalls the standard error of the mean covers.

    They are those with the largest shortfalls; their indices are returned in ascending order.

    decisive_data(estimate_evidence(model, x, Importance(num_samples=1000), key=key))  # [17, 301]
    """
    order = np.argsort(-np.where(estimate.trusted, 0.0, estimate.shortfalls), kind="stable")
    untrusted = int((~estimate.trusted).sum())
    # By bisection: once enough of the largest are taken out, more of them change nothing.
    low, high = 0, untrusted
    while low < high:
        middle = (low + high) // 2
        without = estimate.shortfalls.copy()
        without[order[:middle]] = 0.0
        if replace(estimate, shortfalls=without).bound:
            low = middle + 1
        else:
            high = middle
    return np.sort(order[:low])


def affordable_annealing(model: Model, data: np.ndarray, num_samples: int) -> int:
    """How many data may be annealed within SHARE of the work of importance sampling of all data.

    affordable_annealing(model, x, 1000)  # 86 for 10,000 images and dense layers
    """
    pair = pair_work(model, data[0])
    moves = (TEMPERATURES + TUNING) * (LEAPFROG + 2) * GRADIENT
    budget = (SHARE - PRIOR_SHARE) * len(data) * num_samples * pair - COMPILATION
    return max(0, int(budget / (CHAINS * moves * pair)))


def pair_work(model: Model, x: np.ndarray) -> float:
    """Numbers computed for the log-weight of one more draw of a datum.

    pair_work(model, data[0])
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    datum = jnp.asarray(x)

    def log_weights(arrays, keys):
        model = eqx.combine(arrays, rest)
        prior, posterior = model.prior(model.encoder), model.encoder(datum)

        def one(key):
            return draw(model, prior, posterior, datum, key).weights.log_w

        return jax.vmap(one)(keys)

    def numbers(draws: int) -> float:
        keys = jr.split(jr.key(0), draws)
        return numbers_computed(jax.make_jaxpr(log_weights)(arrays, keys).jaxpr)

    return max(1.0, (numbers(9) - numbers(1)) / 8)  # without what is computed once for all draws


def _with_few_annealed(estimate: Evidence, model: Model, data: np.ndarray, key: Key) -> Evidence:
    index = decisive_data(estimate)
    if len(index) > affordable_annealing(model, data, estimate.num_samples):
        return estimate
    if not differentiable(model, data[0]):
        return estimate
    chains = Annealed(
        num_samples=CHAINS, num_temperatures=TEMPERATURES, num_leapfrog=LEAPFROG, check_data=0
    )
    annealed = chains.estimate(model, data[index], key, index=index)
    # Where annealing is no better than a bound itself, the higher of the two is the nearer one; a
    # datum of few chains that gave no number keeps what it had.
    better = annealed.trusted | (annealed.values > estimate.values[index])
    if not better.any():
        return estimate
    return spliced(estimate, annealed.rows(np.flatnonzero(better)), index[better])


class _PriorDraws:
    """Plain Monte Carlo as the other start that an estimate is compared with."""

    start = "prior"

    def __init__(self, num_samples: int):
        self._estimator = MonteCarlo(num_samples=num_samples)

    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None,
        on_progress: Callable[[int, int], None],
        store: Path | None,
        index: np.ndarray | None,
    ) -> Evidence:
        return estimate_evidence(
            model,
            data,
            self._estimator,
            key=key,
            chunk=chunk,
            on_progress=lambda _, done, total: on_progress(done, total),
        )


def _with_prior_draws(estimate: Evidence, model: Model, data: np.ndarray, key: Key) -> Evidence:
    """The estimate with its comparison with means over the prior's draws.

    Without one where too few draws are affordable, or where they do not reach the posteriors.
    """
    checked = min(CHECK_DATA, len(data))
    draws = int(PRIOR_SHARE * len(data) * estimate.num_samples / checked)
    if draws < LEAST_PRIOR_DRAWS:
        return estimate
    chains = _PriorDraws(min(draws, MOST_PRIOR_DRAWS))
    compared = compare_with_other_start(estimate, chains, model, data, key, num_data=checked)
    reached = compared.other_start is not None and len(compared.other_start.index) > 0
    return compared if reached else estimate
