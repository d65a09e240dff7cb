"""Verdicts on the code: identical rows, collapsed, saturated."""

from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import SATURATED, code_name, lower_levels
from jensen.anatomy.verdicts.thresholds import BARELY_USED, TO_TELL_APART, information_share


def code_verdicts(account: AccountRecord) -> tuple[str, ...]:
    """The verdicts on the code of every level; empty as a rule."""
    if account.n > 1 and account.index_ceiling <= TO_TELL_APART:
        return (_identical_rows(account),)
    return tuple(filter(None, (_top_code(account), *_codes_below(account))))


def _identical_rows(account: AccountRecord) -> str:
    rows = account.rows
    what = (
        f"all {account.n} rows are the same"
        if rows.distinct == 1
        else f"{rows.distinct} of {account.n} rows are distinct, and one occurs {rows.most} times"
    )
    return (
        f"Identical rows: {what}, so there is next to nothing for a code to tell apart: I(n; z) is "
        f"at most {account.index_ceiling:.2f} nats whatever the model. Check the data."
    )


def _top_code(account: AccountRecord) -> str:
    share, information, code = (
        information_share(account),
        account.index_information.value,
        code_name(account),
    )
    level = f"{code}, the top level: " if account.levels else ""
    if share < BARELY_USED:
        carried = "".join(
            f" {name} carries {split.information.value:.2f} nats beyond it (on "
            f"{account.joint_information.n} data)."  # pyright: ignore[reportOptionalMemberAccess]
            for name, split in lower_levels(account).items()
        )
        return (
            f"Collapsed: {level}I(n; {code}) is {abs(information):.2f} nats, {abs(share):.2f} of "
            f"{account.ceiling}: the code is barely used ({account.active_units} of "
            f"{account.latent_dim} units active).{carried} Try a KL warm-up (--warm-up 50), a "
            "smaller --beta, or a weaker decoder."
        )
    if share > SATURATED:
        return (
            f"Saturated: {level}I(n; {code}) is {information:.2f} nats, {share:.2f} of "
            f"{account.ceiling}: the code tells nearly every datum apart, so this line cannot grow "
            "with these N data, and a longer code shows up in the marginal KL "
            f"({account.marginal_kl.value:.2f} nats), which only a prior that knows these very "
            "data could win. By itself no fault; if codes were to be shared between data, a larger "
            "--beta or fewer latent dimensions."
        )
    return ""


def _codes_below(account: AccountRecord) -> list[str]:
    """The levels below the top that tell nothing of the datum beyond those above them."""
    joint, out = account.joint_information, []
    if joint is None or joint.ceiling <= TO_TELL_APART:
        return out
    for name, split in lower_levels(account).items():
        least = BARELY_USED * joint.ceiling
        level = int(name[1:])
        # Where the levels above tell all data apart, nothing is left to tell: only a level whose
        # posterior is p(z_l|z_l+1) as well is unused.
        used = split.information.value > least or (
            joint.above(level) > SATURATED * joint.ceiling and split.kl.value > least
        )
        if not used:
            out.append(
                f"Collapsed: {name}: I(n; {name}) given the levels above is "
                f"{abs(split.information.value):.2f} nats of at most "
                f"{joint.rows.ceiling_words(of_all=str(joint.n))}, on {joint.n} data: {name} is "
                "barely used. Try a KL warm-up (--warm-up 50), a smaller --beta, or fewer levels."
            )
    return out
