"""A prior on trial: how much of the gain that the marginal KL predicts is real.

With encoder and decoder frozen the ELBO depends on the prior p alone through E_q log p(z). For any
new prior r, on the same draws z_n ~ q(z|x_n),

    E log r(z) - log p(z)  =  KL(q(z) || p(z))  -  KL(q(z) || r(z))
    realised               =  predicted         -  left

exactly; and since what is left is a KL, no prior can realise more than is predicted (Hoffman &
Johnson 2016).
"""

import time
from typing import Any, Unpack

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._rooms import ROOMS
from jensen._types import Distribution, Key
from jensen._words import in_python_words
from jensen.anatomy import Surgery, surgery
from jensen.anatomy.lines import line_from_draws, with_shared_error
from jensen.anatomy.prior_density import log_density
from jensen.datasets import Dataset, load_dataset
from jensen.distributions import CONTINUOUS, code_kind, top_of
from jensen.model import Model
from jensen.models import Choice
from jensen.progress import CountProgress, renamed
from jensen.refitting import refit_prior
from jensen.training.options import RefittingKeywords
from jensen.trial.result import Gain, Measured, Trial, label

STEPS, LEARNING_RATE = 3000, 1e-2  # of re-fitting, unless its options say otherwise


@in_python_words
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
    **options: Unpack[RefittingKeywords],
) -> Trial:
    """Re-fit the prior alone on the training data, and measure what it gains there and on a split.

    Args:
        model: with a recipe; encoder and decoder do not change.
        prior: a member of the priors room, as for `jensen.vae`; of the top level in a model of
            several.
        data: as for `jensen.fit`.
        key: a JAX random key; draws are those of `jensen.account(model, data.split(split),
            key=key)`, so that `predicted` is its marginal KL.
        split: what to judge by.
        num_draws, aggregated_over: see `jensen.surgery`.
        progress: show progress lines on stderr.
        options: of re-fitting (see `refit_prior`); by default about 3000 steps at a rate of 0.01
            that falls to 0 over the last half.

    Returns:
        A `Trial`.

    Raises:
        ValueError: the prior is the model's own, the model was put together by hand, its codes are
            discrete, or it is a Markov chain.
        ArithmeticError: re-fitting diverged, or gives some draws no density.

        print(jensen.try_prior(fit.model, "vamp", data, key=jax.random.key(2)))
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    new, old = check_trial(model, prior, dataset)
    batch = min(int(options.get("batch_size", 100)), len(dataset.train))
    epochs = int(options.get("epochs", max(5, -(-STEPS * batch // len(dataset.train)))))
    settings: RefittingKeywords = {
        "epochs": epochs,
        "learning_rate": LEARNING_RATE,
        "cool_down": epochs // 2,
        "patience": 0,
    }
    settings.update(options)
    began = time.monotonic()
    fit = refit_prior(model, new, dataset, key=jr.fold_in(key, 4), progress=progress, **settings)
    if fit.outcome.status == "interrupted":
        raise KeyboardInterrupt
    if fit.outcome.status == "diverged":
        raise ArithmeticError(
            f"re-fitting the prior {label(new)} diverged: {fit.outcome.message} (--set "
            "training.learning_rate=0.001)"
        )
    seconds = time.monotonic() - began
    before, after = (top_of(m.prior(m.encoder)) for m in (model, fit.model))
    gains = {}
    with CountProgress(shown=progress) as bar:
        for name in dict.fromkeys((split, "train")):
            rows = dataset.split(name)
            settings_of = {
                "num_draws": num_draws,
                "aggregated_over": aggregated_over and min(aggregated_over, len(rows)),
            }
            report = renamed(bar.advance, f"aggregated posterior, {name}")
            draws = surgery(model, rows, key=jr.split(key)[0], **settings_of, on_progress=report)
            parts = [
                _parts(some, before, after, f"{label(new)} on {name}")
                for some in (draws, draws.second_draws)
                if some is not None
            ]
            gains[name] = Gain(
                len(rows),
                draws.z.shape[1],
                **{
                    # What is realised has no q(z) in it.
                    line: _measured(
                        *(some[line] for some in parts),
                        subset_error=0.0 if line == "realised" else draws.subset_error,
                    )
                    for line in parts[0]
                },
            )
    return Trial(new, old, split, gains, len(fit.history), round(seconds, 2), fit.outcome.message)


def check_trial(
    model: Model, prior: Choice, dataset: Dataset
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the new prior, the old one), names with all their options.

    Raises:
        ValueError: see `try_prior`.
    """
    if model.recipe is None:
        raise ValueError(
            "a trial wants a model with a recipe: this one was put together by hand. Re-fit a "
            "prior of your own with jensen.refit_prior."
        )
    if model.encoder.bottom_up:
        raise ValueError(
            "no prior can be tried on a markov model: its top level has no q(z|x) in closed form, "
            "so there is nothing to fit a prior to."
        )
    kind = code_kind(model.encoder(jnp.asarray(dataset.train[0])))
    if kind != CONTINUOUS:
        raise ValueError(
            f"a trial wants continuous codes, and this model's are {kind}. Train the model anew "
            "with the other prior and compare the two runs."
        )
    choices = (prior, model.recipe.values["prior"])
    new, old = (ROOMS["prior"].resolve(choice).section for choice in choices)
    if new == old:
        raise ValueError(
            f"{label(new)} is the model's own prior, with the same options; try another, or other "
            "options (--set prior.KEY=VALUE)."
        )
    return new, old


def _parts(
    draws: Surgery, before: Distribution, after: Distribution, what: str
) -> dict[str, np.ndarray]:
    """What was predicted, what of it is realised, and what is left, at every draw."""
    was, now = log_density(before, draws.z), log_density(after, draws.z)
    if not (np.isfinite(was).all() and np.isfinite(now).all()):
        raise ArithmeticError(
            f"log p(z) is not finite at some draws of q(z|x): {what} gives them no density."
        )
    return {
        "predicted": draws.log_aggregated - was,
        "realised": now - was,
        "left": draws.log_aggregated - now,
    }


def _measured(
    draws: np.ndarray, second_draws: np.ndarray | None = None, *, subset_error: float = 0.0
) -> Measured:
    line = with_shared_error(line_from_draws(draws, second_draws), subset_error)
    return Measured(line.value, line.standard_error, line.data_error)
