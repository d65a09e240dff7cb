"""What the numbers say, in plain words: each verdict names its line, its size, and the remedy that addresses it.

Thresholds: the code is barely used when I(n; z) < 5% of log N, and saturated when it is above 95%; the prior is named when the marginal KL is above 0.5
nats, 5% of the average KL and 3 standard errors; the posterior when the Jensen gap is above 1 nat or 5% of |ELBO|, and 3 standard errors; the evidence is not
trusted when k-hat is too high for more than 5% of the data. Where the Jensen gap is split, a part is named when it is above a quarter of the gap (on the same
data) and 3 standard errors, and an approximation gap 3 standard errors below 0 says that log p(x) is too low.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jensen.anatomy.account import Account
    from jensen.anatomy.gaps import Gaps

BARELY_USED, SATURATED, UNTRUSTED, PART = 0.05, 0.95, 0.05, 0.25


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


def verdicts(account: "Account", prior: str = "", encoder: str = "") -> tuple[str, ...]:
    """The verdicts on an account, the gravest first; never empty. `prior` and `encoder` are the names of the model's, if they have one.

    verdicts(acc)[0]
    """
    information, marginal, gap, average = (account.line(k) for k in ("index_information", "marginal_kl", "jensen_gap", "average_kl"))
    said = []
    share = information.value / account.log_n if account.n > 1 else 0.0
    if account.n > 1 and share < BARELY_USED:
        said.append(
            f"Collapsed: I(n; z) is {abs(information.value):.2f} nats, {abs(share):.2f} of {account.ceiling}: the code is barely used "
            f"({account.active_units} of {account.latent_dim} units active). Try a KL warm-up (--warm-up 50), a smaller --beta, or a weaker decoder."
        )
    elif share > SATURATED:
        said.append(
            f"Saturated: I(n; z) is {information.value:.2f} nats, {share:.2f} of {account.ceiling}: the code tells nearly every datum apart, so this "
            "line cannot grow with these N data, and a longer code would show up in the marginal KL."
        )
    if account.pareto_k > UNTRUSTED:
        said.append(
            f"Untrusted evidence: k-hat is too high for {account.pareto_k:.0%} of the data at {account.evidence_estimate.num_samples} samples: log p(x) "
            "and the Jensen gap are likely too low there. Anneal what k-hat does not trust (jensen evidence RUN --estimator auto)."
        )
    if marginal.value > max(0.5, 0.05 * average.value, 3 * marginal.standard_error):
        said.append(
            f"Prior: the marginal KL is {marginal.value:.2f} +- {marginal.standard_error:.2f} of {average.value:.2f} nats of KL: with this encoder, a better "
            f"prior can win at most that ({BETTER_PRIOR.get(prior, '--prior vamp, --prior mixture')})."
        )
    if account.gaps is not None and account.gaps.approximation_gap.value < -3 * account.gaps.approximation_gap.standard_error:
        said.append(
            f"Evidence too low: the best posterior of each datum has an ELBO {-account.gaps.approximation_gap.value:.2f} +- "
            f"{account.gaps.approximation_gap.standard_error:.2f} nats above the estimate of log p(x), which it cannot exceed. Try more samples "
            f"(jensen account RUN --num-samples {10 * account.evidence_estimate.num_samples})."
        )
    if gap.value > max(min(1.0, 0.05 * abs(account.elbo.value)), 3 * gap.standard_error):
        richer = RICHER_POSTERIOR.get(encoder, "a richer posterior")
        parts = f"{richer} or a better encoder can win at most that" if account.gaps is None else _parts(account.gaps, richer)
        said.append(
            f"Posterior: the Jensen gap is {gap.value:.2f} +- {gap.standard_error:.2f} nats: {parts}; a tighter "
            "bound in training reaches for it too (--bound iwae --num-samples 10)."
        )
    if not said:
        said.append(
            f"Nothing stands out: a better prior can win at most {max(marginal.value, 0):.2f} nats (the marginal KL), a better posterior at most "
            f"{max(gap.value, 0):.2f} (the Jensen gap), and the code is used. What is left lies in the decoder and in the data."
        )
    return tuple(said)


def _parts(gaps: "Gaps", richer: str) -> str:
    """What can win which part of the Jensen gap."""
    own = "its family" if gaps.own else f"the {gaps.family} family"
    of_family = "" if gaps.own else f" or one of {own}"
    remedies = {
        "approximation_gap": f"of {{}} that the best member of {own} leaves, {richer} can win at most that",
        "amortisation_gap": f"of {{}} by which the encoder misses that best member, a better encoder{of_family}: a larger network, longer training",
    }
    said = []
    for name, remedy in remedies.items():
        line = gaps.lines[name]
        if line.value > max(PART * gaps.jensen_gap.value, 3 * line.standard_error):
            said.append(remedy.format(f"{line.value:.2f} +- {line.standard_error:.2f}"))
    where = "" if gaps.complete else f" (on {gaps.n} of the data)"
    return "; ".join(said) + where if said else f"{richer} or a better encoder can win at most that"
