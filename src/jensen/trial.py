"""A prior on trial: how much of the gain that the marginal KL predicts is real.

With encoder and decoder frozen the ELBO depends on the prior p alone through E_q log p(z). For any new prior r, on the same draws z_n ~ q(z|x_n),

    E log r(z) - log p(z)  =  KL(q(z) || p(z))  -  KL(q(z) || r(z))
    realised               =  predicted         -  left

exactly; and since what is left is a KL, no prior can realise more than is predicted (Hoffman & Johnson 2016).
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._files import write_atomically
from jensen._types import Distribution, Key
from jensen.anatomy import Surgery, surgery
from jensen.anatomy._lines import line_from_draws
from jensen.anatomy.prior_density import log_density
from jensen.config import Config
from jensen.datasets import Dataset, load_dataset
from jensen.distributions import CONTINUOUS, code_kind, top_of
from jensen.model import Model
from jensen.models import Choice
from jensen.progress import CountProgress
from jensen.refitting import refit_prior

STEPS, LEARNING_RATE = 3000, 1e-2  # of re-fitting, unless its options say otherwise
LINES = {"predicted": "predicted: marginal KL", "realised": "realised: E log p(z), new - old", "left": "left: marginal KL, new prior"}


@dataclass(frozen=True)
class Measured:
    """A mean over one split, nats per datum: its Monte Carlo standard error (other draws) and its data error (another split), both of paired differences."""

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
        """What is realised of what is predicted; not a number where nothing is predicted beyond its noise."""
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
        if math.isnan(gain.share):
            p = gain.predicted
            said = f"On {self.split} nothing was predicted to win ({p.value:.2f} +- {p.standard_error:.2f} nats); {new} changes the ELBO by {size}."
        elif gain.realised.value < 0:
            lost = f"{-gain.realised.value:.2f} +- {gain.realised.standard_error:.2f}"
            said = f"{new} loses {lost} nats on {self.split}, where up to {gain.predicted.value:.2f} could be won."
        else:
            said = f"{new} realises {size} of the {gain.predicted.value:.2f} nats predicted on {self.split} ({gain.share:.0%})."
        train = self.gains.get("train", gain).realised
        if train.value - gain.realised.value > 3 * math.hypot(train.data_error, gain.realised.data_error):
            verb = "gains" if train.value > 0 else "changes by"
            said += f" On train it {verb} {train.value:.2f}: {train.value - gain.realised.value:.2f} of that is the training data learned by heart."
        return said

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the share and the verdict."""
        gains = {split: asdict(gain) | {"share": gain.share if math.isfinite(gain.share) else None} for split, gain in self.gains.items()}
        kept = {name: getattr(self, name) for name in ("split", "epochs", "seconds", "outcome", "verdict")}
        return {"prior": dict(self.prior), "instead_of": dict(self.instead_of), "unit": "nats per datum", **kept, "gains": gains}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Trial":
        """The trial that `to_json` describes."""
        gains = {
            split: Gain(gain["n"], gain["num_draws"], *(Measured(**gain[name]) for name in LINES))  # pyright: ignore[reportCallIssue]
            for split, gain in values["gains"].items()
        }
        return Trial(values["prior"], values["instead_of"], values["split"], gains, values["epochs"], values["seconds"], values["outcome"])

    def __str__(self) -> str:
        out = [
            f"Trial of {label(self.prior)} in the place of {label(self.instead_of)}, encoder and decoder as they were; nats per datum, +- Monte Carlo standard "
            "error, +- data error",
            "",
            f"  {'':<32}" + "".join(f"{f'{split} ({gain.n} data)':>30}" for split, gain in self.gains.items()),
            "  " + "-" * (32 + 30 * len(self.gains)),
        ]
        for name, text in LINES.items():
            values = [getattr(gain, name) for gain in self.gains.values()]
            out.append(f"  {text:<32}" + "".join(f"{v.value:>14.3f} {v.standard_error:>7.3f} {v.data_error:>7.3f}" for v in values))
        shares = [f"{gain.share:.1%}" if math.isfinite(gain.share) else "-" for gain in self.gains.values()]
        out.append(f"  {'realised of predicted':<32}" + "".join(f"{share:>14}{'':16}" for share in shares).rstrip())
        return "\n".join([*out, "", f"  * {self.verdict}"])


def try_prior(
    model: Model,
    prior: Choice,
    data: Dataset | np.ndarray,
    *,
    key: Key,
    split: str = "test",
    num_draws: int | None = None,
    aggregated_over: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Trial:
    """Re-fits the prior alone on the training data, and measures what it gains on a split and on the training data.

    Args:
        model: with a recipe; encoder and decoder do not change.
        prior: a member of the priors room, as for `jensen.vae`; of the top level in a model of several.
        data: as for `jensen.fit`.
        key: a JAX random key; draws are those of `jensen.account(model, data.split(split), key=key)`, so that `predicted` is its marginal KL.
        split: what to judge by.
        num_draws, aggregated_over: see `jensen.surgery`.
        progress: show progress lines on stderr.
        options: of re-fitting (see `refit_prior`); by default about 3000 steps at a rate of 0.01 that falls to 0 over the last half.

    Returns:
        A `Trial`.

    Raises:
        ValueError: the prior is the model's own, the model was put together by hand, its codes are discrete, or it is a Markov chain.
        ArithmeticError: re-fitting diverged, or gives some draws no density.

        print(jensen.try_prior(fit.model, "vamp", data, key=jax.random.key(2)))
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    new, old = check_trial(model, prior, dataset)
    batch = min(int(options.get("batch_size", 100)), len(dataset.train))
    epochs = int(options.get("epochs", max(5, -(-STEPS * batch // len(dataset.train)))))
    settings = {"epochs": epochs, "learning_rate": LEARNING_RATE, "cool_down": epochs // 2, "patience": 0} | options
    began = time.monotonic()
    fit = refit_prior(model, new, dataset, key=jr.fold_in(key, 4), progress=progress, **settings)
    if fit.outcome.status == "interrupted":
        raise KeyboardInterrupt
    if fit.outcome.status == "diverged":
        raise ArithmeticError(f"re-fitting the prior {label(new)} diverged: {fit.outcome.message} (--set training.learning_rate=0.001)")
    seconds = time.monotonic() - began
    before, after = (top_of(m.prior(m.encoder)) for m in (model, fit.model))
    gains = {}
    with CountProgress(shown=progress) as bar:
        for name in dict.fromkeys((split, "train")):
            rows = dataset.split(name)
            settings_of = {"num_draws": num_draws, "aggregated_over": aggregated_over and min(aggregated_over, len(rows))}
            report = lambda *a, name=name: bar.advance(f"aggregated posterior, {name}", *a)  # noqa: E731
            cut = surgery(model, rows, jr.split(key)[0], **settings_of, on_progress=report)
            draws = [_parts(some, before, after, f"{label(new)} on {name}") for some in (cut, cut.again) if some is not None]
            gains[name] = Gain(len(rows), cut.z.shape[1], **{line: _measured(*(some[line] for some in draws)) for line in draws[0]})
    return Trial(new, old, split, gains, len(fit.history), round(seconds, 2), fit.outcome.message)


def check_trial(model: Model, prior: Choice, dataset: Dataset) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the new prior, the old one), names with all their options.

    Raises:
        ValueError: see `try_prior`.
    """
    if model.recipe is None:
        raise ValueError("a trial wants a model with a recipe: this one was put together by hand. Re-fit a prior of your own with jensen.refit_prior.")
    if model.encoder.bottom_up:
        raise ValueError("no prior can be tried on a markov model: its top level has no q(z|x) in closed form, so there is nothing to fit a prior to.")
    kind = code_kind(model.encoder(jnp.asarray(dataset.train[0])))
    if kind != CONTINUOUS:
        raise ValueError(f"a trial wants continuous codes, and this model's are {kind}. Train the model anew with the other prior and compare the two runs.")
    wanted, own = ({"name": p} if isinstance(p, str) else dict(p) for p in (prior, model.recipe.values["prior"]))
    new, old = (Config.read({"prior": p}).prior for p in (wanted, own))
    if new == old:
        raise ValueError(f"{label(new)} is the model's own prior, with the same options; try another, or other options (--set prior.KEY=VALUE).")
    return new, old


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
    write_atomically(path, json.dumps(trial.to_json(), indent=1))
    return path


def stored_trials(folder: Path, split: str = "test") -> tuple[Trial, ...]:
    """The trials in a run folder that were judged on a split, the largest realised gain first.

    Raises:
        ValueError: one of them cannot be read.

        stored_trials(Path("runs/digits"))[0].verdict
    """
    found = []
    for path in sorted((folder / "accounts").glob(f"{split}.trial-*.json")):
        try:
            found.append(Trial.from_json(json.loads(path.read_text())))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the stored trial {path} cannot be read ({error}). Make it again: jensen account {folder} --try PRIOR") from error
    return tuple(sorted(found, key=lambda t: -t.gain.realised.value))


def _parts(cut: Surgery, before: Distribution, after: Distribution, what: str) -> dict[str, np.ndarray]:
    """What was predicted, what of it is realised, and what is left, at every draw."""
    was, now = log_density(before, cut.z), log_density(after, cut.z)
    if not (np.isfinite(was).all() and np.isfinite(now).all()):
        raise ArithmeticError(f"log p(z) is not finite at some draws of q(z|x): {what} gives them no density.")
    return {"predicted": cut.log_aggregated - was, "realised": now - was, "left": cut.log_aggregated - now}


def _measured(draws: np.ndarray, again: np.ndarray | None = None) -> Measured:
    line = line_from_draws(draws, again)
    return Measured(line.value, line.standard_error, line.data_error)
