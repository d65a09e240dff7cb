"""What each line could buy: the most that a remedy can win, from the numbers of one account.

    marginal KL           a better prior can win at most that with this encoder: mean_n E_q log p(z) is highest where p(z) = q(z)
      dimension-wise KL   of it, what a prior of independent dimensions can win; the rest, the total correlation, needs dependent dimensions
    Jensen gap            a better q(z|x) can win at most that with this decoder: the ELBO of the true posterior is log p(x)
      approximation gap   of it, a richer family; the rest, the amortisation gap, a better encoder

Where k-hat distrusts log p(x), the Jensen gap and its approximation part are lower bounds, and so are the ceilings made of them:
"at least", and not "at most".

They are ceilings for one remedy at a time, on these data. q(z) is the mixture over these very data, so that on few of them the first is out of reach of any
prior that does not know them. What a better decoder could win, no term of the bound says.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jensen.anatomy._record import Account

# What to try for the prior line, by the prior that is there already.
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
SATURATED = 0.95  # of log N
ANY_PRIOR, ANY_POSTERIOR, BETTER_ENCODER = (
    "--prior vamp, --prior mixture",
    "a richer posterior",
    "a larger network, longer training",
)


@dataclass(frozen=True)
class Ceiling:
    """The most that a remedy can win, nats per datum, with its Monte Carlo standard error; `part_of` names the ceiling that it is a part of.

    `bound` is "upper": the remedy wins at most `value`. It is "lower" where evidence that k-hat does not trust stands behind it: the
    ceiling itself is then known from below alone, at least `value`, with no standard error (None).
    """

    line: str
    what: str
    value: float
    standard_error: float | None
    remedy: str
    part_of: str = ""
    bound: str = "upper"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def ceilings(account: "Account", prior: str = "", encoder: str = "") -> tuple[Ceiling, ...]:
    """The ceilings of an account; `prior` and `encoder` are the names of the model's, if they have one.

    ceilings(acc, "standard_normal", "diagonal_normal")[0].value  # the marginal KL
    """
    richer = RICHER_POSTERIOR.get(encoder, ANY_POSTERIOR)
    full = account.n > 1 and account.index_information.value > SATURATED * account.log_n
    better = (
        "I(n; z) is at its ceiling: out of reach of a prior that does not know these data"
        if full
        else BETTER_PRIOR.get(prior, ANY_PRIOR)
    )
    out = [_ceiling(account, "marginal_kl", "a better prior", better)]
    if account.marginals is not None and account.marginals.dimension_wise_kl is not None:
        out.append(
            _ceiling(
                account,
                "dimension_wise_kl",
                "dimension by dimension",
                "other means, scales or shapes",
                "marginal_kl",
            )
        )
        out.append(
            _ceiling(account, "total_correlation", "by their dependence", better, "marginal_kl")
        )
    splits = account.gaps is None and "amortisation_gap" not in account.left_out
    out.append(
        _ceiling(
            account, "jensen_gap", "a better q(z|x)", "--gaps 500 says which" if splits else ""
        )
    )
    if account.gaps is not None:
        out.append(_ceiling(account, "approximation_gap", "a richer family", richer, "jensen_gap"))
        out.append(
            _ceiling(account, "amortisation_gap", "a better encoder", BETTER_ENCODER, "jensen_gap")
        )
    return tuple(out)


def _ceiling(account: "Account", name: str, what: str, remedy: str, part_of: str = "") -> Ceiling:
    line = account.line(name)
    if line.bound:
        return Ceiling(name, what, line.value, None, remedy, part_of, "lower")
    return Ceiling(name, what, line.value, line.standard_error, remedy, part_of)
