"""An account, and a comparison of two, as plain text."""

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jensen.anatomy.account import Account

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
    for name, label, meaning in ROWS:
        line = account.line(name)
        if name == "index_information":
            meaning += f" (at most log N = {account.log_n:.2f})"
        out.append(f"  {label:<22}{round(line.value, 3) + 0.0:>10.3f}    {line.standard_error:>6.3f}   {meaning}")
    bits = account.bits_per_dimension
    if bits is not None:
        out += ["", f"  in bits per dimension ({bits['dimensions']} dimensions; lower is better):"]
        out += [f"  {label:<22}{bits[n]['value']:>10.4f}    {bits[n]['standard_error']:>6.4f}" for n, label in (("evidence", "log p(x)"), ("elbo", "ELBO"))]
    trusted = f"k-hat too high for {account.pareto_k:.1%} of the data"
    out += [
        "",
        f"  {account.active_units} of {account.latent_dim} units active; {account.evidence_estimate.num_samples} importance samples per datum, {trusted}.",
        "",
    ]
    return "\n".join(out + [textwrap.fill(v, 100, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False) for v in account.verdicts])
