"""What each line could buy: the most that a remedy can win, from the numbers of one account.

    marginal KL           a better prior can win at most that with this encoder: mean_n E_q log p(z) is highest where p(z) = q(z)
      dimension-wise KL   of it, what a prior of independent dimensions can win; the rest, the total correlation, needs dependent dimensions
    Jensen gap            a better q(z|x) can win at most that with this decoder: the ELBO of the true posterior is log p(x)
      approximation gap   of it, a richer family; the rest, the amortisation gap, a better encoder

    KL of the aggregate   of a level given those above it: what a better p(z1|z2) can win at most with this
                          encoder and decoder, on the stated subset

A better prior's ceiling is that of re-fitting the prior alone (`jensen.try_prior`): a training that moves
encoder and decoder too can win more, or less.

Where k-hat distrusts log p(x), the Jensen gap and its approximation part are lower bounds, and so
are the ceilings made of them: "at least", and not "at most".

They are ceilings for one remedy at a time, on these data. q(z) is the mixture over these very data, so that on few of them the first is out of reach of any
prior that does not know them. What a better decoder could win, no term of the bound says.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jensen.anatomy.gaps import SUBSET_GAP

if TYPE_CHECKING:
    from jensen.anatomy._record import Account
    from jensen.anatomy.joint_information import LevelSplit

# What to re-fit alone before any retraining, by the prior that is there already.
TRY_PRIOR = {
    "vamp": "more components: --try vamp --set prior.num_components=1000",
    "vamp_data": "pseudo-inputs that learn: --try vamp",
    "aggregated": "one that knows less of the training data: --try vamp",
    "mixture": "more components: --try mixture --set prior.num_components=500; or --try vamp",
    "flow": "more layers: --try flow --set prior.num_layers=16; or --try vamp",
}
TRY_ANY = "--try vamp, --try mixture"

# What to retrain with where the prior cannot be re-fitted alone.
BETTER_PRIOR = {
    "vamp": "more components: --set prior.num_components=1000; or learned weights: --set prior.learn_weights=true",
    "vamp_data": "pseudo-inputs that learn: --prior vamp; or more components: --set prior.num_components=1000",
    "aggregated": "one that knows less of the training data: --prior vamp",
    "mixture": "more components: --set prior.num_components=500; or --prior vamp",
    "bernoulli": "bits that depend on each other: --prior vamp",
    "categorical": "variables that depend on each other: --prior vamp",
    "flow": "more layers: --set prior.num_layers=16; or --prior vamp",
}

# What to try for the posterior line, by the encoder that is there already.
RICHER_POSTERIOR = {
    "diagonal_normal": "a richer posterior (--set encoder.name=full_normal, or flow)",
    "student_t": "a richer posterior (--set encoder.name=full_normal, or flow)",
    "full_normal": "a richer posterior (--set encoder.name=flow)",
    "flow": "more layers (--set encoder.num_layers=8)",
}
SATURATED = 0.95  # of the ceiling of I(n; z)
BOTH, DECODER = "with this encoder and decoder", "with this decoder"
BETTER_CONDITIONAL = "longer training, a larger network (--set network.hidden='[500, 500]')"
ANY_PRIOR, ANY_POSTERIOR, BETTER_ENCODER = (
    "--prior vamp, --prior mixture",
    "a richer posterior",
    "a larger network, longer training",
)


@dataclass(frozen=True)
class Ceiling:
    """The most that a remedy can win, nats per datum, with its Monte Carlo standard error.

    `part_of` names the ceiling that it is a part of, `given` what stays as it is. `bound` is "upper":
    the remedy wins at most `value`. It is "lower" where evidence that k-hat does not trust stands
    behind it: the ceiling itself is then known from below alone, at least `value`, with no standard
    error (None).
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


def ceilings(account: "Account", prior: str = "", encoder: str = "") -> tuple[Ceiling, ...]:
    """The ceilings of an account; `prior` and `encoder` are the names of the model's, if they have one.

    ceilings(acc, "standard_normal", "diagonal_normal")[0].value  # the marginal KL
    """
    richer = RICHER_POSTERIOR.get(encoder, ANY_POSTERIOR)
    full = account.n > 1 and account.index_information.value > SATURATED * account.index_ceiling
    code = code_name(account)
    better = (
        f"I(n; {code}) is at its ceiling: out of reach of a prior that does not know these data"
        if full
        else better_prior(account, prior)
    )
    of_level = f" of {code}" if account.levels else ""
    out = [_ceiling(account, "marginal_kl", f"a better prior{of_level}", better, given=BOTH)]
    if account.marginals is not None and account.marginals.dimension_wise_kl is not None:
        out.append(
            _ceiling(
                account,
                "dimension_wise_kl",
                "dimension by dimension",
                "other means, scales or shapes",
                "marginal_kl",
                BOTH,
            )
        )
        out.append(
            _ceiling(
                account, "total_correlation", "by their dependence", better, "marginal_kl", BOTH
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
            ("approximation_gap", "a richer family", richer),
            ("amortisation_gap", "a better encoder", BETTER_ENCODER),
        )
        out += [_ceiling(account, *part, whole, DECODER) for part in parts]
    return tuple(out)


def better_prior(account: "Account", prior: str) -> str:
    """What to try instead of this prior: re-fit one alone where that can be, before retraining.

    better_prior(acc, "standard_normal")
    """
    if not account.can_try_prior:
        return BETTER_PRIOR.get(prior, ANY_PRIOR)
    return f"before retraining, {TRY_PRIOR.get(prior, TRY_ANY)} (jensen.try_prior)"


def code_name(account: "Account") -> str:
    """What I(n; z) and the marginal KL speak of: 'z', or the top of several levels, 'z2'.

    code_name(acc)  # 'z'
    """
    return f"z{len(account.levels)}" if account.levels else "z"


def conditional(name: str) -> str:
    """The generative conditional of a level below the top.

    conditional("z1")  # 'p(z1|z2)'
    """
    return f"p({name}|z{int(name[1:]) + 1})"


def lower_levels(account: "Account") -> "dict[str, LevelSplit]":
    """The split KL of every level below the top, z1 first; empty for a model of one level.

    lower_levels(acc)["z1"].aggregate_kl.value
    """
    joint = account.joint_information
    return {} if joint is None else dict(list(joint.levels.items())[:-1])


def saturated_down_to(account: "Account", name: str) -> bool:
    """Whether a level and those above it tell nearly all data of the subset apart.

    saturated_down_to(acc, "z1")
    """
    joint = account.joint_information
    return joint is not None and joint.above(int(name[1:]) - 1) > SATURATED * joint.ceiling


def _of_lower_levels(account: "Account") -> list[Ceiling]:
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
        out.append(
            Ceiling(
                f"aggregate_kl_{name}", what, value.value, value.standard_error, remedy, given=BOTH
            )
        )
    return out


def _ceiling(
    account: "Account", name: str, what: str, remedy: str, part_of: str = "", given: str = ""
) -> Ceiling:
    line = account.line(name)
    error, bound = (None, "lower") if line.bound else (line.standard_error, "upper")
    return Ceiling(name, what, line.value, error, remedy, part_of, given, bound)
