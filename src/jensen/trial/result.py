"""What a trial hands over, and where a run folder keeps it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jensen._checksums import from_checked_json, to_checked_json
from jensen._files import write_atomically

LINES = {
    "predicted": "predicted: marginal KL",
    "realised": "realised: E log p(z), new - old",
    "left": "left: marginal KL, new prior",
}


@dataclass(frozen=True)
class Measured:
    """A mean over one split, nats per datum: its Monte Carlo standard error (other draws) and its
    data error (another split), both of paired differences."""

    value: float
    standard_error: float
    data_error: float


@dataclass(frozen=True)
class Gain:
    """What a new prior does on one split: `realised` = `predicted` - `left`, on the same draws."""

    n: int
    num_draws: int
    predicted: Measured
    realised: Measured
    left: Measured

    @property
    def share(self) -> float:
        """What is realised of what is predicted; not a number where nothing is predicted beyond its
        noise."""
        certain = self.predicted.value > 3 * self.predicted.standard_error
        return self.realised.value / self.predicted.value if certain else math.nan


@dataclass(frozen=True)
class Trial:
    """A new prior on a frozen encoder and decoder; prints as a table.

    Attributes:
        prior, instead_of: the new and the old prior, a name and its options.
        split: which data it is judged on.
        gains: for that split, and for the training data that it was fitted to.
        epochs, seconds: of re-fitting.
        outcome: how re-fitting ended.
    """

    prior: Mapping[str, Any]
    instead_of: Mapping[str, Any]
    split: str
    gains: Mapping[str, Gain]
    epochs: int
    seconds: float
    outcome: str

    @property
    def gain(self) -> Gain:
        """That on the split it is judged on."""
        return self.gains[self.split]

    @property
    def verdict(self) -> str:
        """How much of the gain is real, in a sentence or two."""
        new, gain = label(self.prior), self.gain
        size = f"{gain.realised.value:.2f} +- {gain.realised.standard_error:.2f}"
        predicted = gain.predicted
        if math.isnan(gain.share):
            error = predicted.standard_error
            sentence = (
                f"On {self.split} nothing was predicted to win ({predicted.value:.2f} +- "
                f"{error:.2f} nats); {new} changes the ELBO by {size}."
            )
        elif gain.realised.value < 0:
            lost = f"{-gain.realised.value:.2f} +- {gain.realised.standard_error:.2f}"
            sentence = (
                f"{new} loses {lost} nats on {self.split}, where up to {predicted.value:.2f} could "
                "be won."
            )
        else:
            sentence = (
                f"{new} realises {size} of the {predicted.value:.2f} nats predicted on "
                f"{self.split} ({gain.share:.0%})."
            )
        train = self.gains.get("train", gain).realised
        # What is won on training data beyond that on the split, told where it is no noise.
        excess = train.value - gain.realised.value
        if excess > 3 * math.hypot(train.data_error, gain.realised.data_error):
            verb = "gains" if train.value > 0 else "changes by"
            sentence += (
                f" On train it {verb} {train.value:.2f}: {excess:.2f} of that is the training data "
                "learned by heart."
            )
        return sentence

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the share and the verdict."""
        gains = {
            split: asdict(gain) | {"share": gain.share if math.isfinite(gain.share) else None}
            for split, gain in self.gains.items()
        }
        plain = {
            name: getattr(self, name)
            for name in ("split", "epochs", "seconds", "outcome", "verdict")
        }
        return {
            "prior": dict(self.prior),
            "instead_of": dict(self.instead_of),
            "unit": "nats per datum",
            **plain,
            "gains": gains,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Trial":
        """The trial that `to_json` describes."""
        gains = {
            split: Gain(
                gain["n"], gain["num_draws"], **{name: Measured(**gain[name]) for name in LINES}
            )
            for split, gain in values["gains"].items()
        }
        return Trial(
            values["prior"],
            values["instead_of"],
            values["split"],
            gains,
            values["epochs"],
            values["seconds"],
            values["outcome"],
        )

    def __str__(self) -> str:
        out = [
            (
                f"Trial of {label(self.prior)} in the place of {label(self.instead_of)}, encoder "
                "and decoder as they were; nats per datum, +- Monte Carlo standard "
                "error, +- data error"
            ),
            "",
            f"  {'':<32}"
            + "".join(f"{f'{split} ({gain.n} data)':>30}" for split, gain in self.gains.items()),
            "  " + "-" * (32 + 30 * len(self.gains)),
        ]
        for name, text in LINES.items():
            values = [getattr(gain, name) for gain in self.gains.values()]
            out.append(
                f"  {text:<32}"
                + "".join(
                    f"{v.value:>14.3f} {v.standard_error:>7.3f} {v.data_error:>7.3f}"
                    for v in values
                )
            )
        shares = [
            f"{gain.share:.1%}" if math.isfinite(gain.share) else "-"
            for gain in self.gains.values()
        ]
        out.append(
            f"  {'realised of predicted':<32}"
            + "".join(f"{share:>14}{'':16}" for share in shares).rstrip()
        )
        return "\n".join([*out, "", f"  * {self.verdict}"])


def label(prior: Mapping[str, Any]) -> str:
    """A prior in a word: `vamp(500)`.

    label({"name": "vamp", "num_components": 500})
    """
    name = Path(prior["name"]).stem
    return f"{name}({prior['num_components']})" if prior.get("num_components") else name


def store_trial(folder: Path, trial: Trial) -> Path:
    """Writes a trial into a run folder: accounts/SPLIT.trial-PRIOR.json."""
    slug = label(trial.prior).replace("(", "-").rstrip(")")
    path = folder / "accounts" / f"{trial.split}.trial-{slug}.json"
    write_atomically(path, to_checked_json(trial.to_json(), indent=1), parents=False)
    return path


def stored_trials(folder: Path, split: str = "test") -> tuple[Trial, ...]:
    """The trials in a run folder that were judged on a split, the largest realised gain first.

    Raises:
        ValueError: one of them cannot be read.

        stored_trials(Path("runs/digits"))[0].verdict
    """
    trials = []
    for path in sorted((folder / "accounts").glob(f"{split}.trial-*.json")):
        try:
            values = from_checked_json(path.read_text(encoding="utf-8")).values
            trials.append(Trial.from_json(values))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"the stored trial {path} cannot be read ({error}). Make it again: jensen account "
                f"{folder} --try PRIOR"
            ) from error
    return tuple(sorted(trials, key=lambda t: -t.gain.realised.value))
