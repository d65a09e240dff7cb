"""The KL weight's reproduction as a table, with what its figures say of the claim."""

from itertools import pairwise
from typing import Any

from jensen.reproductions._base import Column, Row, number, plus_minus

LABELS = {
    "reconstruction": "reconstruction",
    "average_kl": "average KL",
    "index_information": "I(n; z)",
    "marginal_kl": "marginal KL",
    "elbo": "ELBO",
}
SWITCHED_OFF = 0.01  # nats of average KL below which there is no code to speak of
STILL = 0.1  # of the span that beta covers; a prior's variance that moves less is said to leave a line where it is


def notes(rows: list[dict[str, Any]], details: dict[str, Any]) -> tuple[str, ...]:
    """What the rows say, in sentences: first what of the claim holds, then what does not."""
    along = sorted((r for r in rows if r["kind"] == "beta"), key=lambda r: r["beta"])
    priors = [r for r in rows if r["kind"] == "variance"]
    return (
        _as_temperature(along, details),
        _as_prior_variance(along, priors, details),
        _frozen(along),
        _best(along),
        f"Last epoch of {details['epochs']}, one training each, seed {details['seed']}; {rows[0]['n']} test data, I(n; z) at most {number(rows[0]['log_n'])}. "
        "+- is the Monte Carlo standard error. Fitted variance: of N(0, c I), best for the training data with encoder and decoder frozen; beside it the test "
        "ELBO that it gives.",
    )


def name_of(setting: tuple[str, float]) -> str:
    """'beta = 4', or 'beta = 1, prior variance 0.25'."""
    kind, value = setting
    return f"beta = {value:g}" if kind == "beta" else f"beta = 1, prior variance {value:g}"


def in_words(row: Row) -> str:
    """Rate, distortion and bounds of one run."""
    parts = {
        "reconstruction": "reconstruction",
        "average_kl": "average KL",
        "elbo": "ELBO",
        "evidence": "log p(x)",
    }
    return ", ".join(
        f"{label} {number(row['test'][line]['value'])}" for line, label in parts.items()
    )


def _as_temperature(along: list[dict[str, Any]], details: dict[str, Any]) -> str:
    first, last = along[0], along[-1]
    inside = [r["inside"] for r in details["exchange_rates"] if r["inside"] is not None]
    rates = [r["test"]["average_kl"]["value"] for r in along]
    falls = rates[0] > rates[-1] and all(a > b - SWITCHED_OFF for a, b in pairwise(rates))
    off = [r["beta"] for r, rate in zip(along, rates, strict=True) if rate < SWITCHED_OFF]
    return (
        f"A temperature, {'yes' if falls else 'not by these figures alone'}: from beta = {first['beta']:g} to {last['beta']:g} the average KL "
        f"{'falls' if falls else 'goes, up and down,'} from {number(rates[0])} to {number(rates[-1])} nats and the reconstruction goes from "
        f"{_of(first, 'reconstruction')} to {_of(last, 'reconstruction')}{f' (at beta = {off[0]:g} the code is switched off)' if off else ''}; on the training "
        f"data the price in reconstruction of a nat of KL lies between the neighbours' betas for {sum(inside)} of the {len(inside)} pairs that differ in KL. "
        "With a linear-Gaussian decoder and fixed noise s2 the best q at beta is the posterior under the noise variance beta s2 (docs/temperature.md): beta "
        "heats the likelihood."
    )


def _as_prior_variance(
    along: list[dict[str, Any]], priors: list[dict[str, Any]], details: dict[str, Any]
) -> str:
    ours, theirs = (
        sorted(r["test"]["average_kl"]["value"] for r in found)
        for found in (along, [*priors, *(r for r in along if r["beta"] == 1)])
    )
    still = theirs[-1] - theirs[0] < STILL * (ours[-1] - ours[0])
    elbos = [
        sorted(r["test"]["elbo"]["value"] for r in found)
        for found in (along, [*priors, along[[r["beta"] for r in along].index(1)]])
    ]
    exact = max(details["linear_gaussian"], key=lambda r: abs(r["beta"] - 1))
    means = max(r["mean_difference"] for r in details["linear_gaussian"])
    return (
        f"A prior's variance, {'no' if still else 'not by these figures alone'}: trained at beta = 1 under N(0, I / beta) instead, the average KL lies within "
        f"{number(theirs[0])} and {number(theirs[-1])} nats, where beta takes it from {number(ours[-1])} to {number(ours[0])}, and the "
        f"ELBO within {number(elbos[1][0])} and {number(elbos[1][-1])}, where beta takes it down to {number(elbos[0][0])}"
        f"{'; encoder and decoder absorb the variance by a change of the unit of z' if still else ''}. With a linear-Gaussian decoder and fixed noise the "
        f"prior variance 1/beta gives the posterior means of beta (largest difference {means:.0e}) and 1/beta of its covariance (ratio "
        f"{exact['variance_ratio']:g} at beta = {exact['beta']:g}): the claim holds for the energy term E log p(z), not for the entropy."
    )


def _frozen(along: list[dict[str, Any]]) -> str:
    said = ", ".join(f"{r['fitted_variance']['value']:.3g} at beta = {r['beta']:g}" for r in along)
    gain = max(along, key=lambda r: r["fitted_variance"]["gain"])
    return (
        f"The prior variance that fits the frozen codes best is {said}; the claim would have it 1/beta, and at an optimum it is 1 at every beta, since "
        f"a change of the unit of z is open to the training. The most that it wins on test data is "
        f"{number(gain['fitted_variance']['gain'])} nats, at beta = {gain['beta']:g}."
    )


def _best(along: list[dict[str, Any]]) -> str:
    best = {
        line: max(along, key=lambda r, line=line: r["test"][line]["value"])
        for line in ("elbo", "evidence")
    }
    said = [
        f"{label} is highest at beta = {best[line]['beta']:g} ({_of(best[line], line)})"
        for line, label in (("elbo", "ELBO"), ("evidence", "log p(x)"))
    ]
    over = [r for r in along if r["beta"] != 1]
    bettered = [
        f"{label} at beta = {r['beta']:g} by {plus_minus(r['against_one'][line]['value'], r['against_one'][line]['standard_error'])}"
        for line, label in (("elbo", "ELBO"), ("evidence", "log p(x)"))
        for r in over
        if r["against_one"][line]["value"] > 2 * r["against_one"][line]["standard_error"]
    ]
    return f"{' and '.join(said)}. Better than beta = 1 by more than two standard errors (paired, over the data): {'; '.join(bettered) or 'none'}."


def _of(row: Row, line: str) -> str:
    return number(row["test"][line]["value"])


def _cell(line: str, label: str) -> Column:
    return Column(
        label,
        lambda row: plus_minus(row["test"][line]["value"], row["test"][line]["standard_error"]),
    )


def _fitted(row: Row, key: str, digits: int) -> str:
    return number(row["fitted_variance"][key], digits) if row["fitted_variance"] else ""


COLUMNS = (
    Column("beta", lambda row: f"{row.get('beta', 1):g}"),
    Column("prior variance", lambda row: f"{row.get('variance', 1):g}"),
    *(_cell(line, label) for line, label in LABELS.items()),
    Column(
        "log p(x)",
        lambda row: plus_minus(
            row["test"]["evidence"]["value"], row["test"]["evidence"]["standard_error"]
        ),
    ),
    Column("active", lambda row: f"{row['active_units']} of {row['latent_dim']}"),
    Column("k-hat too high", lambda row: f"{row['k_hat_too_high']:.0%}"),
    Column("fitted variance", lambda row: _fitted(row, "value", 3)),
    Column("ELBO with it", lambda row: _fitted(row, "elbo", 2)),
)
