"""What is trained: all that determines a training, and what a run folder records of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._rooms import ROOMS, RecordedName, Resolved
from jensen._types import Key
from jensen.bounds import AbstractBound, BoundChoice
from jensen.checks import check_data, check_posterior, check_size
from jensen.config import Config
from jensen.datasets import Dataset, dataset_names, load_dataset
from jensen.gradients import AbstractGradientEstimator, GradientChoice
from jensen.model import Model
from jensen.models import build_model
from jensen.models._parts import PARTS
from jensen.runs import Run, RunError
from jensen.training import TrainingOptions
from jensen.training.optimisers import make_optimiser
from jensen.training.state import TrainingState, initial_state

# Independent streams for everything that is drawn with one seed.
STREAMS = {"model": 0, "training": 1, "account": 2, "evidence": 3, "sample": 4, "gradients": 5}


def stream_key(seed: int, stream: str) -> Key:
    """The random key of one stream of a seed, e.g. 'account'.

    stream_key(0, "account")
    """
    return jr.fold_in(jr.key(seed), STREAMS[stream])


@dataclass(frozen=True)
class Setup:
    """All that determines a training.

    Attributes:
        model, dataset, bound, gradient, options, key: what is trained, on what, how, and with which
            random key.
        settings: the same as a configuration, nested plain values: what config.toml records.
        by_hand: {section: description in words} of all that no configuration can describe.
        reloadable: whether `settings["data"]` says how to load the data again.
    """

    model: Model
    dataset: Dataset
    bound: AbstractBound
    gradient: AbstractGradientEstimator
    options: TrainingOptions
    key: Key
    settings: dict[str, Any]
    by_hand: dict[str, str]
    reloadable: bool

    def check(self) -> None:
        """Refuses, before anything is written or computed, what cannot be trained.

        Raises:
            ValueError: data that do not fit the model or its likelihood, posteriors that nothing
                could account for, or a bound and gradient estimator that do not go together.
        """
        check_data(self.model, self.dataset)
        check_posterior(self.model, self.dataset)
        self.gradient.check(self.bound, self.model, self.options.num_samples)


def setup_from_objects(
    model: Model,
    data: Dataset | np.ndarray,
    *,
    bound: BoundChoice,
    gradient: GradientChoice,
    options: TrainingOptions,
    key: Key,
) -> Setup:
    """The setup of a training from Python; see `jensen.fit` for the arguments.

    Raises:
        ValueError: an unknown bound or gradient estimator, or options that it does not have.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jr.wrap_key_data(key)  # of jax.random.PRNGKey
    strategies = {
        section: ROOMS[section].resolve(ROOMS[section].default if choice is None else choice)
        for section, choice in {"bound": bound, "gradient": gradient}.items()
    }
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    settings, by_hand = _describe(model, dataset, strategies, options, key)
    return Setup(
        model,
        dataset,
        strategies["bound"].build({}),
        strategies["gradient"].build({}),
        options,
        key,
        settings,
        by_hand,
        reloadable=dataset.name in dataset_names(),
    )


def setup_from_config(config: Config) -> Setup:
    """The setup that a configuration describes: loads the data and builds the model.

    Raises:
        ValueError: data that cannot be loaded, a model that cannot be built or would not fit into
            memory.

        setup_from_config(Config.read({"data": {"source": "digits"}})).model
    """
    source = config.data.source
    if source not in dataset_names() and Path(source).expanduser().exists():
        config.data.source = _absolute(source)
    dataset = load_dataset(config.data.source, **config.data.model_dump(exclude={"source"}))
    recipe = {
        "model": config.model.name,
        "event_shape": dataset.event_shape,
        "latent_dim": config.model.latent_dim,
        **{name: getattr(config, name) for name in PARTS},
    }
    check_size(recipe, lambda key: build_model(recipe, data=dataset, key=key))
    model = build_model(recipe, data=dataset, key=stream_key(config.seed, "model"))
    return Setup(
        model,
        dataset,
        _member("bound", config.bound),
        _member("gradient", config.gradient),
        config.training,
        stream_key(config.seed, "training"),
        config.settings(),
        {},
        reloadable=True,
    )


def setup_from_run(
    run: Run,
    *,
    changes: Mapping[str, int],
    dataset: Dataset | None = None,
    model: Model | None = None,
    bound: BoundChoice = None,
    gradient: GradientChoice = None,
) -> Setup:
    """The setup of a run that is to go on, with `changes` of its training options.

    Raises:
        RunError: something was put together in Python and is not given again, or the run's data
            have changed.
    """
    options = replace(training_options(run), **changes)
    given = {"model": model, "bound": bound, "gradient": gradient}
    by_hand = dict(run.record.get("by_hand", {}))
    for section, description in by_hand.items():
        if given.get(section) is None:
            raise RunError(
                f"the {section} of {run.path} was put together in Python ({description}), and no "
                "configuration describes it. Go on from Python: jensen.sessions.resume_run("
                f"jensen.load({str(run.path)!r}), {section}=...)."
            )
    return Setup(
        model or run.blank_model(),
        dataset or run.dataset,
        _member("bound", run.config["bound"] if bound is None else bound),
        _member("gradient", run.config["gradient"] if gradient is None else gradient),
        options,
        run.key,
        run.config | {"training": asdict(options)},
        by_hand,
        reloadable=run.record["data"]["reloadable"],
    )


def restored_state(run: Run, model: Model, options: TrainingOptions) -> TrainingState:
    """The training state in the run's checkpoint; `model` gives the structure.

    Raises:
        CheckpointError: none there, or a damaged one.
    """
    optimiser = make_optimiser(options.optimiser, options.learning_rate, options.adam_epsilon)
    return run.checkpoints.restore(initial_state(model, optimiser), epoch=run.checkpoint)


def training_options(run: Run) -> TrainingOptions:
    """The training options that a run records; those that its version did not have are the
    defaults.

    training_options(jensen.load("runs/digits")).epochs
    """
    return TrainingOptions(**{k: v for k, v in run.config["training"].items() if v is not None})


def _member(section: str, choice: Any) -> Any:
    return ROOMS[section].resolve(choice).build({})


def _absolute(source: str) -> str:
    """The absolute path of a file; a name that came out of a run stays one that is checked."""
    path = str(Path(source).expanduser().resolve())
    return RecordedName(path, check=source.check) if isinstance(source, RecordedName) else path


def _describe(
    model: Model,
    dataset: Dataset,
    strategies: Mapping[str, Resolved],
    options: TrainingOptions,
    key: Key,
) -> tuple[dict[str, Any], dict[str, str]]:
    """(the configuration of a training from Python, {section: what stands there} of all in it that
    no configuration can describe). Where nothing is known of a section it is left out: a default
    would be another model's."""
    # How unnamed data were split is not known here.
    data = {"source": dataset.name, **dataset.options}
    sections: dict[str, Any] = {"data": data}
    by_hand: dict[str, str] = {}
    seed = _seed_of(key)
    if seed is not None:
        sections["seed"] = seed
    if model.recipe is None:
        parts = {n: _class_name(getattr(model, n)) for n in ("prior", "encoder", "decoder")}
        sections["model"] = {"name": "by_hand"} | parts
        by_hand["model"] = ", ".join(parts.values())
    else:
        recipe = model.recipe.values
        sections["model"] = {"name": recipe["model"], "latent_dim": recipe["latent_dim"]}
        aside = ("event_shape", "latent_dim", "model", "data")
        sections |= {k: v for k, v in recipe.items() if k not in aside}
    for section, member in strategies.items():
        sections[section] = member.section
        if member.by_hand:
            by_hand[section] = member.by_hand
    sections["training"] = asdict(options)
    if by_hand:
        defaults = Config().settings()
        return sections | {k: defaults[k] for k in ("account", "record")}, by_hand
    settings = Config.read(sections).settings()
    if seed is None:
        del settings["seed"]
    if dataset.name not in dataset_names():
        settings["data"] = data
    return settings, {}


def _class_name(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _seed_of(key: Key) -> int | None:
    """The seed that `jax.random.key` made a key of; None for another key."""
    data = np.asarray(jr.key_data(key))
    seed = int(data.ravel()[-1])
    return seed if np.array_equal(np.asarray(jr.key_data(jr.key(seed))), data) else None
