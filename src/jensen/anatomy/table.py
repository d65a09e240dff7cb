"""An account, and a comparison of two, as plain text."""

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jensen.anatomy.account import Account
    from jensen.anatomy.gaps import Gaps

ROWS = (
    ("evidence", "log p(x)", "importance sampling; lower in expectation"),
    ("jensen_gap", "- Jensen gap", "KL(q || posterior): a richer q, a better encoder"),
    ("elbo", "= ELBO", "evidence lower bound, at beta = 1"),
    ("reconstruction", "    reconstruction", "E_q log p(x|z)"),
    ("average_kl", "  - average KL", "= I(n; z) + marginal KL"),
    ("index_information", "      - I(n; z)", "what the code tells of the datum"),
    ("marginal_kl", "      - marginal KL", "KL(q(z) || p(z)): a better prior"),
    ("expected_energy", "  - expected energy", "-E_q log p(x, z)"),
    ("entropy", "  + entropy", "of q(z|x)"),
)


GAP_ROWS = (
    ("approximation_gap", "    - approximation", "what a richer family of q could win"),
    ("amortisation_gap", "    - amortisation", "what a better encoder could win"),
)


def table_rows(account: "Account") -> tuple[tuple[str, str, str], ...]:
    """(name, label, meaning) of every line of this account: ROWS, with the two parts of the Jensen gap where it is split, and with a line for each level of a
    model of several.

    table_rows(acc)[0]  # ('evidence', 'log p(x)', ...)
    """
    rows = ROWS
    if account.gaps is not None:
        subset = "" if account.gaps.complete else f", on {account.gaps.n} of the data"
        rows = (*ROWS[:2], *((name, label, meaning + subset) for name, label, meaning in GAP_ROWS), *ROWS[2:])
    if not account.levels:
        return rows
    top = len(account.levels)
    levels = [(f"kl_z{n}", f"      - KL of z{n}", f"q(z{n}|x, z{n + 1}) from p(z{n}|z{n + 1})") for n in range(1, top)]
    levels.append((f"kl_z{top}", f"      - KL of z{top}", f"= I(n; z{top}) + marginal KL"))
    out: list[tuple[str, str, str]] = []
    for name, label, meaning in rows:
        if name == "index_information":
            out += [*levels, (name, f"          - I(n; z{top})", meaning)]
        elif name == "marginal_kl":
            out.append((name, "          - marginal KL", f"KL(q(z{top}) || p(z{top})): a better prior"))
        else:
            out.append((name, label, "= sum of the KLs of its levels" if name == "average_kl" else meaning))
    return tuple(out)


def table(account: "Account") -> str:
    """The account as a table of text, verdicts below.

    print(table(acc))
    """
    out = [
        f"Account of the {account.split} split: {account.n} data, nats per datum, +- Monte Carlo standard error",
        "",
        f"  {'line':<22}{'nats':>10}    {'+-':>6}   what it is",
        "  " + "-" * 76,
    ]
    for name, label, meaning in table_rows(account):
        line = account.line(name)
        if name == "index_information":
            meaning += f" (at most {account.ceiling})"
        out.append(f"  {label:<22}{round(line.value, 3) + 0.0:>10.3f}    {line.standard_error:>6.3f}   {meaning}")
    if account.gaps is not None:
        out += ["", *textwrap.wrap(_gaps_note(account.gaps), 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)]
    bits = account.bits_per_dimension
    if bits is not None:
        out += ["", f"  in bits per dimension ({bits['dimensions']} dimensions; lower is better):"]
        out += [f"  {label:<22}{bits[n]['value']:>10.4f}    {bits[n]['standard_error']:>6.4f}" for n, label in (("evidence", "log p(x)"), ("elbo", "ELBO"))]
    trusted = f"k-hat too high for {account.pareto_k:.1%} of the data"
    level = f" of z{len(account.levels)}" if account.levels else ""
    joint = account.joint_information
    if joint is not None:
        codes = ", ".join(f"z{n}" for n in range(1, len(account.levels) + 1))
        out += ["", f"  I(n; {codes}) on {joint.n} of the data: {joint.value:.3f} +- {joint.standard_error:.3f} (at most log {joint.n} = {joint.log_n:.2f})."]
    out += [
        "",
        f"  {account.active_units} of {account.latent_dim} units{level} active; "
        f"{account.evidence_estimate.num_samples} importance samples per datum, {trusted}.",
        "",
    ]
    return "\n".join(out + [textwrap.fill(v, 100, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False) for v in account.verdicts])


def _gaps_note(gaps: "Gaps") -> str:
    odd = f" At {gaps.non_finite} of them the search met values that are not finite, and kept the best before." if gaps.non_finite else ""
    return f"The Jensen gap is split at the best posterior of each datum: {gaps.where}; its ELBO is {gaps.refined_elbo.value:.3f}.{odd}"
