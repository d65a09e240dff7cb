"""The record of an account."""

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.anatomy._lines import LINES, Line
from jensen.anatomy.bits import bits_record
from jensen.anatomy.ceilings import Ceiling, ceilings
from jensen.anatomy.distinct_rows import RowCounts
from jensen.anatomy.gaps import SUBSET_GAP, Gaps
from jensen.anatomy.influence import Influence, influences
from jensen.anatomy.joint_information import JointInformation
from jensen.anatomy.marginals import Marginals
from jensen.evidence import Evidence

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Account:
    """The account of one model on one split; prints as a table.

    Attributes:
        split, n: which data, and how many.
        evidence ... entropy: the lines (see MEANING), nats per datum. Where k-hat distrusts data that matter to the mean, evidence and
            Jensen gap are lower bounds: `bound` of those lines says so, and no standard error is told.
        active_units, latent_dim: how many latent dimensions carry anything, of how many; in a model of several levels of that which the
            datum decides by itself: the top, or z1 of a Markov chain.
        levels: the KL of each level, kl_z1 first; empty where I(n; z) and the marginal KL are those of all levels together.
        joint_information: I(n; z1, z2, ...) over a subset of the data; None where I(n; z) is that of all levels.
        evidence_estimate: the estimate behind the evidence line, with k-hat per datum.
        num_draws: posterior draws per datum behind the other lines.
        verdicts: what the numbers say, in plain words.
        fingerprint: of the data, so that two accounts can be compared datum by datum; empty when unknown.
        aggregated_over: how many data q(z) is the mixture of. All N as a rule; None means that too. With fewer (where all pairs of a draw and a datum would
            take too long), I(n; z) is that of so many random data, a lower value than that of all N in expectation, and the marginal KL is the rest.
        marginals: the marginal KL split into total correlation and dimension-wise KL, and every latent dimension's share, where q(z) and the prior allow it.
        prior, encoder: the names of the model's, where it has them: remedies speak of them.
        gaps: the Jensen gap split into approximation and amortisation, where that was asked for.
        left_out: lines that this account cannot have, and why.
        row_counts: how often each distinct row of the data occurs; the ceiling of I(n; z) follows.
            None (accounts of earlier versions): all rows are taken to differ.
        can_try_prior: whether `jensen.try_prior` and `--try` can re-fit the prior alone.
        dimensions: the numbers in one datum if its likelihood is customarily reported in bits per dimension, otherwise None.
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

    @property
    def bits_per_dimension(self) -> dict[str, Any] | None:
        """Evidence and ELBO with their errors in bits per dimension (lower is better), or None where that is not the custom.

        Where log p(x) is a lower bound ("at least" so many nats), its bits per dimension are an upper one, "at most" so many.
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
    def influential(self) -> tuple[Influence, ...]:
        """The lines that a few data carry, and these data; empty as a rule."""
        return influences(self)

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """What each remedy could win: at most so much, or at least where the line that it rests on is a lower bound."""
        return ceilings(self, self.prior, self.encoder)

    @property
    def lines(self) -> dict[str, Line]:
        """Every line by its name, in the order of LINES; those of the levels follow the average KL, those of the marginals the marginal KL, whose parts they
        are."""
        out = {}
        for name in LINES:
            out[name] = getattr(self, name)
            if name == "average_kl":
                out |= self.levels
            if name == "marginal_kl" and self.marginals is not None:
                out |= self.marginals.lines
        return out

    def line(self, name: str) -> Line:
        """The line called `name`, those of the gaps included."""
        if name == SUBSET_GAP and self.gaps is not None:
            return self.gaps.jensen_gap
        return (self.lines | ({} if self.gaps is None else self.gaps.lines))[name]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `jensen account RUN --json` prints."""
        from jensen.anatomy._storage import to_json

        return to_json(self)

    def arrays(self) -> dict[str, np.ndarray]:
        """The values per datum, as they are kept in a run folder."""
        from jensen.anatomy._storage import arrays

        return arrays(self)

    @staticmethod
    def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Account":
        """The account that `to_json` and `arrays` describe."""
        from jensen.anatomy._storage import from_json

        return from_json(values, arrays)

    def to_dataset(self) -> "xarray.Dataset":
        """An xarray Dataset: every line over the dimension `datum`, with value and standard errors as attributes; latent dimensions along `latent`.

        acc.to_dataset()["elbo"].mean()  # the ELBO
        """
        from jensen.anatomy._storage import to_dataset

        return to_dataset(self)

    def to_netcdf(self, path: str | Path) -> None:
        """Writes `to_dataset` as a netCDF file, whole or not at all.

        acc.to_netcdf("account.nc")  # xarray.open_dataset("account.nc") reads it
        """
        from jensen.anatomy._storage import to_netcdf

        to_netcdf(self, Path(path))

    def __str__(self) -> str:
        from jensen.anatomy.table import table

        return table(self)
