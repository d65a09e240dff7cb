"""What each remedy can win at most, from the figures of one account.

    marginal KL           a better prior, with this encoder: mean_n E_q log p(z) is highest where
                          p(z) = q(z)
      dimension-wise KL   of it, a prior of independent dimensions; the rest, the total correlation,
                          needs dependent dimensions
    Jensen gap            a better q(z|x), with this decoder: the ELBO of the true posterior is
                          log p(x)
      approximation gap   of it, a richer family; the rest, the amortisation gap, a better encoder
    KL of the aggregate   of a level given those above it: a better p(z1|z2), with this encoder and
                          decoder, on the stated subset

The ceiling of a better prior is that of re-fitting the prior alone (`jensen.try_prior`): a training
that moves encoder and decoder too can win more, or less.

Where k-hat distrusts log p(x), the Jensen gap and its approximation part are lower bounds, and so
are the ceilings made of them: "at least", and not "at most".

They are ceilings for one remedy at a time, on these data. q(z) is the mixture over these very data,
so that on few of them the first is out of reach of any prior that does not know them. What a better
decoder can win is in none of the lines.

What to try is an attribute of the prior's and the encoder's class (`priors.AbstractPrior`,
`encoders.AbstractEncoder`), so that a new member brings its own.
"""

from dataclasses import asdict, dataclass
from typing import Any

from jensen._rooms import Room
from jensen.anatomy.level_information import LevelSplit
from jensen.anatomy.line_table import SUBSET_GAP
from jensen.anatomy.record import AccountRecord
from jensen.encoders import AbstractEncoder, encoders
from jensen.priors import AbstractPrior, priors

SATURATED = 0.95  # of the ceiling of I(n; z)
ENCODER_AND_DECODER, DECODER = "with this encoder and decoder", "with this decoder"
BETTER_CONDITIONAL = "longer training, a larger network (--set network.hidden='[500, 500]')"
BETTER_ENCODER = "a larger network, longer training"


@dataclass(frozen=True)
class Ceiling:
    """The most that a remedy can win, nats per datum.

    Attributes:
        line: the line of the account that it is made of.
        what: the remedy, in words.
        value: the most that it can win.
        standard_error: the Monte Carlo standard error of that; None where `bound` is "lower".
        remedy: what to try.
        part_of: the ceiling that it is a part of, or "".
        given: what stays as it is.
        bound: "upper": the remedy wins at most `value`. "lower" where evidence that k-hat does not
            trust stands behind it: only a lower bound of the ceiling is known.
    """

    line: str
    what: str
    value: float
    standard_error: float | None
    remedy: str
    part_of: str = ""
    given: str = ""
    bound: str = "upper"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def remedy_ceilings(account: AccountRecord) -> tuple[Ceiling, ...]:
    """Compute the ceilings of an account, nats per datum.

    remedy_ceilings(acc)[0].value  # the marginal KL
    """
    full = account.n > 1 and account.index_information.value > SATURATED * account.index_ceiling
    code = code_name(account)
    better = (
        f"I(n; {code}) is at its ceiling: out of reach of a prior that does not know these data"
        if full
        else better_prior(account)
    )
    of_level = f" of {code}" if account.levels else ""
    out = [
        _ceiling(
            account, "marginal_kl", f"a better prior{of_level}", better, given=ENCODER_AND_DECODER
        )
    ]
    if account.marginals is not None and account.marginals.dimension_wise_kl is not None:
        out.append(
            _ceiling(
                account,
                "dimension_wise_kl",
                "dimension by dimension",
                "other means, scales or shapes",
                "marginal_kl",
                ENCODER_AND_DECODER,
            )
        )
        out.append(
            _ceiling(
                account,
                "total_correlation",
                "by their dependence",
                better,
                "marginal_kl",
                ENCODER_AND_DECODER,
            )
        )
    out += _of_lower_levels(account)
    splits = account.gaps is None and "amortisation_gap" not in account.left_out
    out.append(
        _ceiling(
            account,
            "jensen_gap",
            "a better q(z|x)",
            "--gaps 500 says which" if splits else "",
            given=DECODER,
        )
    )
    if account.gaps is not None:
        whole = "jensen_gap" if account.gaps.complete else SUBSET_GAP
        if whole == SUBSET_GAP:
            # Parts and whole over the same data: a part could exceed the gap of all data.
            what = f"a better q(z|x), on {account.gaps.n} data"
            out.append(_ceiling(account, SUBSET_GAP, what, "", given=DECODER))
        parts = (
            ("approximation_gap", "a richer family", richer_posterior(account)),
            ("amortisation_gap", "a better encoder", BETTER_ENCODER),
        )
        out += [_ceiling(account, *part, whole, DECODER) for part in parts]
    return tuple(out)


def better_prior(account: AccountRecord) -> str:
    """What to try instead of this prior: where that is possible, re-fitting one before retraining.

    better_prior(acc)  # 'before retraining, --try vamp, --try mixture (jensen.try_prior)'
    """
    prior = _member(priors, account.prior, AbstractPrior)
    if not account.can_try_prior:
        return prior.retrain_remedy
    return f"before retraining, {prior.refit_remedy} (jensen.try_prior)"


def richer_posterior(account: AccountRecord) -> str:
    """What to try instead of this family of posteriors.

    richer_posterior(acc)  # 'a richer posterior (--set encoder.name=full_normal, or flow)'
    """
    return _member(encoders, account.encoder, AbstractEncoder).richer_remedy


def _member(room: Room, name: str, base: Any) -> Any:
    """The class of this name; for code from elsewhere, which is not imported, its base."""
    return room.find(name) if name in room.names() else base


def code_name(account: AccountRecord) -> str:
    """What I(n; z) and the marginal KL speak of: 'z', or the top of several levels, 'z2'.

    code_name(acc)  # 'z'
    """
    return f"z{len(account.levels)}" if account.levels else "z"


def conditional(name: str) -> str:
    """The generative conditional of a level below the top.

    conditional("z1")  # 'p(z1|z2)'
    """
    return f"p({name}|z{int(name[1:]) + 1})"


def lower_levels(account: AccountRecord) -> dict[str, LevelSplit]:
    """The split KL of every level below the top, z1 first; empty for a model of one level.

    lower_levels(acc)["z1"].aggregate_kl.value
    """
    joint = account.joint_information
    return {} if joint is None else dict(list(joint.levels.items())[:-1])


def saturated_down_to(account: AccountRecord, name: str) -> bool:
    """Whether a level and those above it tell nearly all data of the subset apart.

    saturated_down_to(acc, "z1")
    """
    joint = account.joint_information
    return joint is not None and joint.above(int(name[1:]) - 1) > SATURATED * joint.ceiling


def _of_lower_levels(account: AccountRecord) -> list[Ceiling]:
    """What a better p(z_l|z_l+1) could win, on the subset that the levels are split on."""
    joint = account.joint_information
    out = []
    for name, split in lower_levels(account).items():
        assert joint is not None
        what = f"a better {conditional(name)}, on {joint.n} data"
        remedy = (
            f"the levels down to {name} tell these {joint.n} data apart: out of reach, in part, of "
            f"a {conditional(name)} that does not know them"
            if saturated_down_to(account, name)
            else BETTER_CONDITIONAL
        )
        value = split.aggregate_kl
        figures = value.value, value.standard_error
        out.append(
            Ceiling(f"aggregate_kl_{name}", what, *figures, remedy, given=ENCODER_AND_DECODER)
        )
    return out


def _ceiling(
    account: AccountRecord, name: str, what: str, remedy: str, part_of: str = "", given: str = ""
) -> Ceiling:
    line = account.line(name)
    # A lower bound below 0 stays as it is, though no gap is negative: the parts sum to their whole.
    error, bound = (None, "lower") if line.bound else (line.standard_error, "upper")
    return Ceiling(name, what, line.value, error, remedy, part_of, given, bound)
