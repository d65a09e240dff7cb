"""The table of the KL weight, and the sentences under it."""

from itertools import pairwise
from typing import Any, NamedTuple

from jensen.reproductions._base import Column, Row, number, plus_minus

LABELS = {
    "reconstruction": "reconstruction",
    "average_kl": "average KL",
    "index_information": "I(n; z)",
    "marginal_kl": "marginal KL",
    "elbo": "ELBO",
}
SWITCHED_OFF = 0.01  # nats of average KL below which the code holds nothing
# A prior's variance has no effect where its range is below this share of the range over beta.
NO_EFFECT = 0.1


class Setting(NamedTuple):
    """One training: ("beta", 4.0) at that KL weight, ("variance", 0.25) under N(0, I / 4)."""

    kind: str
    value: float


def notes(rows: list[dict[str, Any]], details: dict[str, Any]) -> tuple[str, ...]:
    """Returns sentences about the rows: what of the claim holds, then what does not."""
    by_beta = sorted((row for row in rows if row["kind"] == "beta"), key=lambda row: row["beta"])
    by_variance = [row for row in rows if row["kind"] == "variance"]
    # Rows of earlier versions have log N alone.
    ceiling = rows[0].get("index_ceiling", rows[0]["log_n"])
    return (
        _temperature_note(by_beta, details),
        _prior_variance_note(by_beta, by_variance, details),
        _fitted_variance_note(by_beta),
        _best_beta_note(by_beta),
        (
            f"Last epoch of {details['epochs']}, one training each, seed {details['seed']}; "
            f"{rows[0]['n']} test data, I(n; z) at most {number(ceiling)}. "
            "+- is the Monte Carlo standard error. Fitted variance: of N(0, c I), best for the "
            "training data with encoder and decoder frozen; beside it the test ELBO that it gives."
        ),
    )


def name_of(setting: Setting) -> str:
    """Returns 'beta = 4', or 'beta = 1, prior variance 0.25'."""
    if setting.kind == "beta":
        return f"beta = {setting.value:g}"
    return f"beta = 1, prior variance {setting.value:g}"


def progress_text(row: Row) -> str:
    """Returns rate, distortion and bounds of one run, in words."""
    lines = ("reconstruction", "average_kl", "elbo")
    texts = [f"{LABELS[line]} {_value_text(row, line)}" for line in lines]
    return ", ".join([*texts, f"log p(x) {_value_text(row, 'evidence')}"])


def _temperature_note(by_beta: list[dict[str, Any]], details: dict[str, Any]) -> str:
    first, last = by_beta[0], by_beta[-1]
    inside = [rate["inside"] for rate in details["exchange_rates"] if rate["inside"] is not None]
    kl = [_value(row, "average_kl") for row in by_beta]
    # A run whose code is switched off may have a little more KL than its neighbour.
    falls = kl[0] > kl[-1] and all(a > b - SWITCHED_OFF for a, b in pairwise(kl))
    off = next((row["beta"] for row in by_beta if _value(row, "average_kl") < SWITCHED_OFF), None)
    verdict = "yes" if falls else "not by these figures alone"
    movement = "falls" if falls else "goes, up and down,"
    switched_off = "" if off is None else f" (at beta = {off:g} the code is switched off)"
    return (
        f"A temperature, {verdict}: from beta = {first['beta']:g} to {last['beta']:g} "
        f"the average KL {movement} from {number(kl[0])} to {number(kl[-1])} nats and the "
        f"reconstruction goes from {_value_text(first, 'reconstruction')} to "
        f"{_value_text(last, 'reconstruction')}{switched_off}; on the training data the price in "
        "reconstruction of a nat of KL lies between the neighbours' betas for "
        f"{sum(inside)} of the {len(inside)} pairs that differ in KL. "
        "With a linear-Gaussian decoder and fixed noise s2 the best q at beta is the posterior "
        "under the noise variance beta s2 (docs/temperature.md): beta heats the likelihood."
    )


def _prior_variance_note(
    by_beta: list[dict[str, Any]], by_variance: list[dict[str, Any]], details: dict[str, Any]
) -> str:
    one = next(row for row in by_beta if row["beta"] == 1)
    at_one = [*by_variance, one]
    kl = sorted(_value(row, "average_kl") for row in by_beta)
    kl_at_one = sorted(_value(row, "average_kl") for row in at_one)
    elbo = sorted(_value(row, "elbo") for row in by_beta)
    elbo_at_one = sorted(_value(row, "elbo") for row in at_one)
    no_effect = kl_at_one[-1] - kl_at_one[0] < NO_EFFECT * (kl[-1] - kl[0])
    exact = max(details["linear_gaussian"], key=lambda case: abs(case["beta"] - 1))
    mean_difference = max(case["mean_difference"] for case in details["linear_gaussian"])
    verdict = "no" if no_effect else "not by these figures alone"
    reason = (
        "; encoder and decoder absorb the variance by a change of the unit of z"
        if no_effect
        else ""
    )
    return (
        f"A prior's variance, {verdict}: trained at beta = 1 under N(0, I / beta) instead, the "
        f"average KL lies within {number(kl_at_one[0])} and {number(kl_at_one[-1])} nats, "
        f"where beta takes it from {number(kl[-1])} to {number(kl[0])}, and the ELBO within "
        f"{number(elbo_at_one[0])} and {number(elbo_at_one[-1])}, where beta takes it down to "
        f"{number(elbo[0])}{reason}. With a linear-Gaussian decoder and fixed noise the prior "
        "variance 1/beta gives the posterior means of beta "
        f"(largest difference {mean_difference:.0e}) and 1/beta of its covariance "
        f"(ratio {exact['variance_ratio']:g} at beta = {exact['beta']:g}): the claim holds for "
        "the energy term E log p(z), not for the entropy."
    )


def _fitted_variance_note(by_beta: list[dict[str, Any]]) -> str:
    variances = ", ".join(
        f"{row['fitted_variance']['value']:.3g} at beta = {row['beta']:g}" for row in by_beta
    )
    best = max(by_beta, key=lambda row: row["fitted_variance"]["gain"])
    return (
        f"The prior variance that fits the frozen codes best is {variances}; the claim would have "
        "it 1/beta, and at an optimum it is 1 at every beta, since a change of the unit of z is "
        "open to the training. The most that it wins on test data is "
        f"{number(best['fitted_variance']['gain'])} nats, at beta = {best['beta']:g}."
    )


def _best_beta_note(by_beta: list[dict[str, Any]]) -> str:
    bounds = {"elbo": "ELBO", "evidence": "log p(x)"}
    highest, better = [], []
    for line, label in bounds.items():
        best = max(by_beta, key=lambda row, line=line: _value(row, line))
        text = f"{label} is highest at beta = {best['beta']:g} ({_value_text(best, line)})"
        highest.append(text)
        for row in by_beta:
            difference = row["against_one"][line] if row["beta"] != 1 else None
            if difference and difference["value"] > 2 * difference["standard_error"]:
                gain = plus_minus(difference["value"], difference["standard_error"])
                better.append(f"{label} at beta = {row['beta']:g} by {gain}")
    return (
        f"{' and '.join(highest)}. Better than beta = 1 by more than two standard errors "
        f"(paired, over the data): {'; '.join(better) or 'none'}."
    )


def _value(row: Row, line: str) -> float:
    return row["test"][line]["value"]


def _value_text(row: Row, line: str) -> str:
    return number(_value(row, line))


def _line_column(line: str, label: str) -> Column:
    return Column(
        label,
        lambda row: plus_minus(row["test"][line]["value"], row["test"][line]["standard_error"]),
    )


def _fitted_variance_cell(row: Row, key: str, digits: int) -> str:
    return number(row["fitted_variance"][key], digits) if row["fitted_variance"] else ""


COLUMNS = (
    Column("beta", lambda row: f"{row.get('beta', 1):g}"),
    Column("prior variance", lambda row: f"{row.get('variance', 1):g}"),
    *(_line_column(line, label) for line, label in LABELS.items()),
    _line_column("evidence", "log p(x)"),
    Column("active", lambda row: f"{row['active_units']} of {row['latent_dim']}"),
    Column("k-hat too high", lambda row: f"{row['k_hat_too_high']:.0%}"),
    Column("fitted variance", lambda row: _fitted_variance_cell(row, "value", 3)),
    Column("ELBO with it", lambda row: _fitted_variance_cell(row, "elbo", 2)),
)
