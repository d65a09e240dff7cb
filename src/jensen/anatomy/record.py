"""The record of an account: data alone.

What is made of a record (tables, verdicts, ceilings, files) is in the modules above this one, as
functions; `anatomy.accounts.Account` gives them to users as methods.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jensen.anatomy.bits import bits_record
from jensen.anatomy.distinct_rows import RowCounts
from jensen.anatomy.gaps import Gaps
from jensen.anatomy.level_information import JointInformation
from jensen.anatomy.line_table import (
    SUBSET_GAP,
    LineSpec,
    entries,
    field_names,
    with_gap_subset,
)
from jensen.anatomy.lines import Line
from jensen.anatomy.marginal_split import Marginals
from jensen.evidence import Evidence


@dataclass(frozen=True)
class AccountRecord:
    """The data of an account of one model on one split.

    Attributes:
        split: what the data are called.
        n: how many data there are.
        evidence ... entropy: the lines that every account has (see `anatomy.line_table`), nats per
            datum. Where k-hat distrusts data that matter to the mean, evidence and Jensen gap are
            lower bounds: `bound` of those lines says so, and they have no standard error.
        active_units: how many latent dimensions carry anything; in a model of several levels, of
            the level that the datum decides by itself: the top, or z1 of a Markov chain.
        latent_dim: of how many.
        evidence_estimate: the estimate behind the evidence line, with k-hat per datum.
        num_draws: posterior draws per datum behind the other lines.
        verdicts: what the figures mean, in words.
        fingerprint: of the data, so that two accounts can be compared datum by datum; "" if
            unknown.
        levels: the KL of each level, kl_z1 first; empty where I(n; z) and the marginal KL are those
            of all levels together.
        joint_information: I(n; z1, z2, ...) over a subset of the data; None where I(n; z) is that
            of all levels.
        dimensions: the numbers in one datum if its likelihood is customarily reported in bits per
            dimension, otherwise None.
        aggregated_over: how many data q(z) is the mixture of; None means all N. With fewer (where
            all pairs of a draw and a datum would take too long), I(n; z) is that of so many random
            data, a lower value than that of all N in expectation, and the marginal KL is the rest.
        marginals: the marginal KL split into total correlation and dimension-wise KL, and every
            latent dimension's share, where q(z) and the prior allow it.
        gaps: the Jensen gap split into approximation and amortisation, where that was asked for.
        left_out: lines that this account cannot have, and why.
        prior, encoder: the names of the model's parts, "" for a model without a recipe: the
            remedies depend on them.
        row_counts: how often each distinct row of the data occurs; the ceiling of I(n; z) follows.
            None (accounts of earlier versions): all rows are taken to differ.
        can_try_prior: whether `jensen.try_prior` and `--try` can re-fit the prior alone.
        further_lines: lines of the table that have no attribute of their own here.
        row_columns: the columns that name the rows of the data: "row", "split" and the index
            columns by name, [N] each (see `datasets.Rows.columns`). Empty: data are named by their
            position.
    """

    split: str
    n: int
    evidence: Line
    jensen_gap: Line
    elbo: Line
    reconstruction: Line
    average_kl: Line
    index_information: Line
    marginal_kl: Line
    expected_energy: Line
    entropy: Line
    active_units: int
    latent_dim: int
    evidence_estimate: Evidence
    num_draws: int
    verdicts: tuple[str, ...] = ()
    fingerprint: str = ""
    levels: dict[str, Line] = field(default_factory=dict)
    joint_information: JointInformation | None = None
    dimensions: int | None = None
    aggregated_over: int | None = None
    marginals: Marginals | None = None
    gaps: Gaps | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    prior: str = ""
    encoder: str = ""
    row_counts: RowCounts | None = None
    can_try_prior: bool = True
    further_lines: dict[str, Line] = field(default_factory=dict)
    row_columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def bits_per_dimension(self) -> dict[str, Any] | None:
        """Evidence and ELBO with their errors in bits per dimension (lower is better).

        None where that is not the custom. Where log p(x) is a lower bound, "at least" so many nats,
        its bits per dimension are an upper bound, "at most" so many.
        """
        if self.dimensions is None:
            return None
        lines = {name: self.line(name).figures() for name in ("evidence", "elbo")}
        return bits_record(lines, self.dimensions)

    @property
    def log_n(self) -> float:
        """log N; with q(z) over random subsets of M data, log M."""
        return math.log(self.aggregated_over or self.n)

    @property
    def rows(self) -> RowCounts:
        """How often each distinct row occurs; where that is not recorded, once each."""
        return self.row_counts or RowCounts({1: self.n})

    @property
    def index_ceiling(self) -> float:
        """The most that I(n; z) can be, nats: log N, or the entropy of the distinct rows."""
        return self.rows.ceiling(self.aggregated_over)

    @property
    def ceiling(self) -> str:
        """The most that I(n; z) can be, in words: `log N = 6.91`."""
        return self.rows.ceiling_words(self.aggregated_over)

    @property
    def untrusted_share(self) -> float:
        """The share of data whose evidence estimate is not trusted (k-hat above its threshold)."""
        return self.evidence_estimate.untrusted

    @property
    def k_hat_max(self) -> float | None:
        """The largest k-hat of a datum; None where no datum has one."""
        k_hat = self.evidence_estimate.pareto_k
        return None if np.isnan(k_hat).all() else float(np.nanmax(k_hat))

    @property
    def pareto_k(self) -> float:
        """Deprecated, removed in the next version: `untrusted_share`, which it always was."""
        warnings.warn(
            "Account.pareto_k is the share of untrusted data and is now called untrusted_share; "
            "k-hat of each datum is evidence_estimate.pareto_k. The old name goes next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.untrusted_share

    @property
    def lines(self) -> dict[str, Line]:
        """Every line by its name, in the order of the table; those of the gaps are in `gaps`."""
        lines = {name: getattr(self, name) for name in field_names()}
        lines |= self.levels | self.further_lines
        lines |= {} if self.marginals is None else self.marginals.lines
        order = [entry.name for entry in entries(len(self.levels))]
        return {name: lines[name] for name in order if name in lines}

    def line(self, name: str) -> Line:
        """The line called `name`, those of the gaps included.

        acc.line("marginal_kl").value
        """
        if name == SUBSET_GAP and self.gaps is not None:
            return self.gaps.jensen_gap
        return (self.lines | ({} if self.gaps is None else self.gaps.lines))[name]

    @property
    def line_specs(self) -> tuple[LineSpec, ...]:
        """The entries of the table for the lines here, worded for the model's levels and gaps.

        acc.line_specs[0].text_label  # 'log p(x)'
        """
        gaps = self.gaps
        present = self.lines.keys() | (set() if gaps is None else gaps.lines.keys())
        specs = [entry for entry in entries(len(self.levels)) if entry.name in present]
        if gaps is not None and not gaps.complete:
            specs = [with_gap_subset(entry, gaps.n) for entry in specs]
        return tuple(specs)

    def datum_names(self, data: Iterable[int]) -> list[dict[str, Any]]:
        """The index of each of some data, with its row number, split and index columns by name.

        acc.datum_names([17])  # [{'index': 17, 'row': 412, 'id': 'x-3'}]
        """
        columns = {name: np.asarray(column) for name, column in self.row_columns.items()}
        return [
            {"index": int(n)} | {name: column[n].item() for name, column in columns.items()}
            for n in data
        ]
