"""What the numbers say, in plain words: each verdict names its line, its size, and the remedy that addresses it.

Thresholds: the code is barely used when I(n; z) < 5% of log N, and saturated when it is above 95%; the prior is named when the marginal KL is above 0.5
nats, 5% of the average KL and 3 standard errors; the posterior when the Jensen gap is above 1 nat or 5% of |ELBO|, and 3 standard errors; the evidence is not
trusted when k-hat is too high for more than 5% of the data.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jensen.anatomy.account import Account

BARELY_USED, SATURATED, UNTRUSTED = 0.05, 0.95, 0.05


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
BETTER_POSTERIOR = {
    "diagonal_normal": "a richer posterior (--set encoder.name=full_normal, or flow) or a better encoder",
    "student_t": "a richer posterior (--set encoder.name=full_normal, or flow) or a better encoder",
    "full_normal": "a richer posterior (--set encoder.name=flow) or a better encoder",
    "flow": "more layers (--set encoder.num_layers=8) or a better encoder",
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
            f"and the Jensen gap are likely too low there. Try more samples (jensen evidence RUN --num-samples {10 * account.evidence_estimate.num_samples})."
        )
    if marginal.value > max(0.5, 0.05 * average.value, 3 * marginal.standard_error):
        said.append(
            f"Prior: the marginal KL is {marginal.value:.2f} +- {marginal.standard_error:.2f} of {average.value:.2f} nats of KL: with this encoder, a better "
            f"prior can win at most that ({BETTER_PRIOR.get(prior, '--prior vamp, --prior mixture')})."
        )
    if gap.value > max(min(1.0, 0.05 * abs(account.elbo.value)), 3 * gap.standard_error):
        said.append(
            f"Posterior: the Jensen gap is {gap.value:.2f} +- {gap.standard_error:.2f} nats: "
            f"{BETTER_POSTERIOR.get(encoder, 'a richer posterior or a better encoder')} can win at most that; a tighter "
            "bound in training reaches for it too (--bound iwae --num-samples 10)."
        )
    if not said:
        said.append(
            f"Nothing stands out: a better prior can win at most {max(marginal.value, 0):.2f} nats (the marginal KL), a better posterior at most "
            f"{max(gap.value, 0):.2f} (the Jensen gap), and the code is used. What is left lies in the decoder and in the data."
        )
    return tuple(said)
