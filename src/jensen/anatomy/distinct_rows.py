"""How many of the rows are distinct, and what that makes of the ceiling of I(n; z).

The code learns of n only through x_n, so that I(n; z) <= H, the entropy of the empirical
distribution of the rows. A row that occurs c times has probability c / N:

    H = log N - (1/N) sum_n log c(x_n)        = log N where all rows differ, 0 where none do

Where q(z) is over random subsets of M data, each with the draw's own datum, c(x_n) is the number of
copies in the subset: 1 + a hypergeometric number, and H is taken in expectation.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.special import gammaln


@dataclass(frozen=True)
class RowCounts:
    """`multiplicities[c]` distinct rows occur c times each.

    RowCounts({1: 98, 2: 1}).ceiling()  # a little below log 100
    """

    multiplicities: Mapping[int, int]

    @property
    def n(self) -> int:
        """How many rows there are."""
        return sum(copies * rows for copies, rows in self.multiplicities.items())

    @property
    def distinct(self) -> int:
        """How many distinct rows there are."""
        return sum(self.multiplicities.values())

    @property
    def most(self) -> int:
        """How often the most frequent row occurs."""
        return max(self.multiplicities, default=0)

    def ceiling(self, over: int | None = None) -> float:
        """The most that I(n; z) can be, nats; `over`: of how many data each subset is, if any."""
        n, over = self.n, over or self.n
        log_copies = sum(
            rows * copies / n * _mean_log_copies(copies, n, over)
            for copies, rows in self.multiplicities.items()
            if copies > 1
        )
        return max(math.log(over) - log_copies, 0.0)

    def ceiling_words(self, over: int | None = None, *, of_all: str = "N") -> str:
        """The ceiling with what it is: `log N = 6.91`, or `3.21, the entropy of ...`.

        RowCounts({1: 1000}).ceiling_words()  # 'log N = 6.91'
        """
        n, size = self.n, over or self.n
        value = f"{self.ceiling(over):.2f}"
        subsets = "" if size == n else f"random subsets of {size} of the data"
        if self.distinct == n:
            return (
                f"log {size} = {value}, q(z) being over {subsets}"
                if subsets
                else f"log {of_all} = {value}"
            )
        return (
            f"{value}, the entropy of the distinct rows in {subsets}"
            if subsets
            else f"{value}, the entropy of the {self.distinct} distinct rows of {n}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {str(copies): rows for copies, rows in sorted(self.multiplicities.items())}

    @staticmethod
    def from_json(values: Mapping[str, int]) -> "RowCounts":
        """The counts that `to_json` describes."""
        return RowCounts({int(copies): rows for copies, rows in values.items()})


def count_rows(data: np.ndarray) -> RowCounts:
    """The multiplicities of the rows of data [N, *event], as the model sees them.

    count_rows(np.array([[0.0], [1.0], [1.0]])).multiplicities  # {1: 1, 2: 1}
    """
    data = np.asarray(data)
    # In JAX's precision: float64 rows that differ beyond it are one row to the model.
    dtype = jax.dtypes.canonicalize_dtype(data.dtype)
    counts: Counter[bytes] = Counter()
    for row in data:
        # Adding 0 makes -0.0 and 0.0 the same bytes; digests keep the memory small.
        values = np.ascontiguousarray(row, dtype) + np.zeros((), dtype)
        counts[hashlib.blake2b(values.tobytes(), digest_size=16).digest()] += 1
    return RowCounts(dict(sorted(Counter(counts.values()).items())))


def _mean_log_copies(copies: int, n: int, over: int) -> float:
    """E log(1 + H): copies of a datum in a random subset of `over` of n data that holds it."""
    if over >= n:
        return math.log(copies)
    extra = np.arange(max(0, over - 1 - (n - copies)), min(copies, over))
    log_probability = (
        _log_binomial(copies - 1, extra)
        + _log_binomial(n - copies, over - 1 - extra)
        - _log_binomial(n - 1, over - 1)
    )
    return float(np.sum(np.exp(log_probability) * np.log1p(extra)))


def _log_binomial(n: Any, k: Any) -> Any:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
