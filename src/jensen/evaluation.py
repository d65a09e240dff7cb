"""What commands do with a run: start it from a configuration, account for it, report on it. The friendly layer over the strict core."""

import contextlib
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import equinox as eqx
import jax.random as jr

import jensen
from jensen._notes import note
from jensen._parameters import partition
from jensen._rooms import RecordedName
from jensen.anatomy import Account, Generalisation, account, generalisation
from jensen.checks import check_data, check_posterior, check_rows, check_size
from jensen.config import ROOMS, Config
from jensen.datasets import Dataset, Like, Rows, dataset_names, load_dataset, load_rows
from jensen.datasets._dataset import SPLITS
from jensen.fitting import Fit, fit_run, restored_state
from jensen.model import Model
from jensen.models import build_model
from jensen.progress import CountProgress, tell
from jensen.runs import Run, RunError, check_replaceable, create, outcome_record
from jensen.training import Outcome, TrainingOptions
from jensen.trial import Trial, store_trial, stored_trials, try_prior

if TYPE_CHECKING:
    from numpy import ndarray

P = ParamSpec("P")
T = TypeVar("T")
MODEL_PARTS = (
    "prior",
    "likelihood",
    "encoder",
    "decoder",
    "network",
    "encoder_network",
    "decoder_network",
)
# Independent streams for everything that is drawn with one seed.
STREAMS = {"model": 0, "training": 1, "account": 2, "evidence": 3, "sample": 4, "gradients": 5}


def stream_key(seed: int, stream: str):
    """The random key of one stream of a seed, e.g. 'account'."""
    return jr.fold_in(jr.key(seed), STREAMS[stream])


def start_run(
    config: Config,
    out: Path | None,
    *,
    overwrite: bool,
    progress: bool = True,
    hold: bool = False,
) -> tuple[Fit, Dataset]:
    """Builds everything that a configuration describes, checks it, and trains. Nothing is written
    before the checks have passed. With `hold` the run's lock is kept, for what the caller writes
    next.

    Raises:
        ValueError: anything wrong with the configuration, the data or the folder.
        RunError: the run folder cannot be written any more.
    """
    source = config.data.source
    named = source in dataset_names()
    short = source.replace("/", "-") if named else Path(source).stem
    unusual = [
        config.model.name if config.model.name != "vae" else "",
        Path(config.prior["name"]).stem if config.prior["name"] != "standard_normal" else "",
    ]
    path = out or Path("runs") / "-".join(part for part in [short, *unusual] if part)
    check_replaceable(path, overwrite=overwrite)
    if not named and Path(source).expanduser().exists():
        config.data.source = _absolute(source)
    options = config.data.model_dump(exclude={"source"})
    dataset = load_dataset(config.data.source, **options)
    parts: dict[str, Any] = {name: getattr(config, name) for name in MODEL_PARTS}
    recipe = {
        "model": config.model.name,
        "event_shape": dataset.event_shape,
        "latent_dim": config.model.latent_dim,
        **parts,
    }
    check_size(recipe, lambda key: build_model(recipe, data=dataset, key=key))
    model = build_model(recipe, data=dataset, key=stream_key(config.seed, "model"))
    check_data(model, dataset)
    check_posterior(model, dataset)
    bound, gradient = (
        ROOMS[s].build(_name(getattr(config, s)), _options(getattr(config, s)), {})
        for s in ("bound", "gradient")
    )
    gradient.check(bound, model, config.training.num_samples)
    key = stream_key(config.seed, "training")
    run = create(
        path,
        config.settings(),
        model,
        dataset,
        key,
        objective=gradient.objective,
        reloadable=True,
        overwrite=overwrite,
    )
    if progress:
        tell(() if named else dataset.notes)
        sizes = "/".join(str(len(getattr(dataset, s))) for s in ("train", "validation", "test"))
        shape = "x".join(map(str, dataset.event_shape))
        print(
            f"{dataset.name}: {sizes} train/validation/test data of {shape}; {_describe(config)}; run folder {path}",
            file=sys.stderr,
        )
    return fit_run(
        model,
        dataset,
        bound,
        gradient,
        config.training,
        key,
        run,
        progress=progress,
        hold=hold,
    ), dataset


def rows_to_evaluate(
    run: Run,
    split: str | None,
    data: str | None = None,
    *,
    data_dir: str | None = None,
    reading: dict[str, Any] | None = None,
) -> Rows:
    """The rows that a command evaluates: a split of the run's own data ('all' is one, 'test' the
    default), or every row of other data in their order.

    Args:
        run: the run.
        split: of the run's own data, or of other data that come in splits.
        data: a name or a file instead of the run's own data; None for these.
        data_dir: where the files of named data sets lie.
        reading: how `data` is to be read: options of `load_rows`. What the run's configuration says
            of its own file holds for files of the same kind.

    Raises:
        ValueError: a split of data that have none, rows that do not fit the model, and what
            `load_rows` refuses.
        RunError: the run's own data are gone or have changed.

        rows_to_evaluate(run, None, "new.csv").numbers
    """
    if data is None:
        if reading:
            option = next(iter(reading))
            raise ValueError(
                f"--set data.{option}: says how --data FILE is to be read; the run's own data are "
                "read as they were for its training. Leave it out."
            )
        rows = run.load_data(None, data_dir=data_dir).take(split or "test")
    else:
        rows = _other_rows(run, split, data, data_dir, reading or {})
    if len(rows) == 0:
        raise ValueError(f"the {split} split has no rows; take another --split.")
    check_rows(run.record.get("recipe"), rows.values, rows.name if data is None else data)
    return rows


def _other_rows(
    run: Run, split: str | None, data: str, data_dir: str | None, reading: dict[str, Any]
) -> Rows:
    own = run.config.get("data", {})
    named = data in dataset_names() or data.endswith(".py")
    options: dict[str, Any] = {"data_dir": data_dir} if named else {}
    source = own.get("source", "")
    if not named and source not in dataset_names():
        options |= {k: own[k] for k in ("seed", "binarise") if k in own}
        if Path(source).suffix.lower() == Path(data).suffix.lower():
            options |= {k: own[k] for k in ("columns", "header", "key") if k in own}
    like = Like(**run.record["data"].get("like", {}))
    if split is not None:
        with contextlib.suppress(ValueError):
            return own_data(run, data, data_dir=data_dir).take(split)
    rows = load_rows(data, like=like, **options | reading)
    if split is None:
        return rows
    if rows.splits is None:
        raise ValueError(
            f"--split {split} is of the run's own data; {data} is other data without splits, and "
            "all its rows are used, in their order. Leave --split out."
        )
    return load_rows(data, like=like, split=split, **options | reading)


def own_data(run: Run, data: str | None, *, data_dir: str | None = None) -> Dataset:
    """The run's own data in their splits; `data` names the file where they lie now.

    Raises:
        ValueError: `data` names other data.
        RunError: the run's own data are gone or have changed.

        own_data(run, None).train
    """
    if data is None:
        return run.load_data(None, data_dir=data_dir)
    recorded, dataset = run.record["data"]["fingerprints"], None
    with contextlib.suppress(ValueError):  # other data need not have enough rows for three splits
        dataset = run.load_data(data, data_dir=data_dir)
    if dataset is None or any(dataset.fingerprint(s) != recorded[s] for s in SPLITS):
        raise ValueError(
            f"{data} holds other data than {run.path} was trained on, which have no part in its "
            "splits. Leave --data out, or name the run's own file."
        )
    return dataset


def finished_fit(run: Run) -> Fit | None:
    """The training of a run that has nothing left to train but has no account or no report yet: a
    kill came between. None for all other runs.

    finished_fit(jensen.load("runs/digits"))  # None
    """
    epochs, done = run.config["training"]["epochs"], max(run.checkpoints.epochs(), default=0)
    reported = (run.path / "accounts" / "test.json").exists() and (
        run.path / "report.html"
    ).exists()
    has_ended = run.status in ("completed", "stopped_early") or done >= epochs
    if not has_ended or not done or (reported and run.status != "running"):
        return None
    options = TrainingOptions(**run.config["training"])
    if run.status == "running":  # killed after its last checkpoint
        warnings = tuple(filter(None, [options.unsettled(done)]))
        outcome = Outcome("completed", f"all {epochs} epochs done.", done, warnings)
        run.update(status=outcome.status, outcome=outcome_record(outcome))
    state = restored_state(run, run.blank_model(), options)
    last = eqx.combine(state.parameters, state.constants, partition(run.model).static)
    seconds = float(run.record.get("seconds", 0.0))
    return Fit(run.model, last, run.history, run.outcome, seconds, run)


def _locked_while_storing(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its run's lock held if it stores: what could not be stored is refused
    before anything is computed, and nobody replaces the run meanwhile."""

    @wraps(function)
    def locked(*args: P.args, **options: P.kwargs) -> T:
        run = args[0]
        assert isinstance(run, Run)
        with run.writing() if options.get("store", True) else nullcontext():
            return function(*args, **options)

    return locked


@_locked_while_storing
def account_of(
    run: Run,
    split: str,
    *,
    dataset: Dataset | None = None,
    rows: Rows | None = None,
    model: Model | None = None,
    seed: int | None = None,
    store: bool = True,
    num_samples: int | None = None,
    num_draws: int | None = None,
    aggregated_over: int | None = None,
    gaps: int | None = None,
    gap_family: str | None = None,
) -> Account:
    """The account of a run on a split of its data (or of another data set), or on `rows`; stored in
    the run folder unless `store` is false. What is None is the run's setting."""
    rows = rows or _rows_of_split(dataset or run.dataset, split)
    settings = run.config.get("account", {})
    seed = int(run.config.get("seed", 0)) if seed is None else seed
    with CountProgress() as bar:
        found = account(
            model or run.model,
            rows.values,
            key=stream_key(seed, "account"),
            split=rows.name,
            num_samples=num_samples or settings.get("num_samples", 1000),
            num_draws=num_draws or settings.get("num_draws"),
            aggregated_over=aggregated_over or _at_most(settings.get("aggregated_over"), rows),
            gaps=gaps or settings.get("gaps"),
            gap_family=gap_family or settings.get("gap_family") or "own",
            fingerprint=rows.fingerprint,
            row_columns=rows.columns(beside=("index",)),
            remarks=tuple(
                f"Training: {w}"
                for w in ([f"the objective was {run.objective}."] if run.objective else [])
                + list(run.outcome.warnings)
            ),
            on_progress=bar.advance,
        )
    if store:
        run.store_account(found)
    return found


@_locked_while_storing
def account_of_both(
    run: Run,
    *,
    dataset: Dataset | None = None,
    seed: int | None = None,
    store: bool = True,
    **numbers: Any,
) -> Generalisation:
    """The accounts of a run on train and on test, and test minus train; stored as those of `account_of` are, which takes the `numbers`."""
    dataset = dataset or run.dataset
    train, test = (
        account_of(run, split, dataset=dataset, seed=seed, store=False, **numbers)
        for split in ("train", "test")
    )
    seed = int(run.config.get("seed", 0)) if seed is None else seed
    with CountProgress() as bar:
        rows = [split_data(dataset, split) for split in ("train", "test")]
        found = generalisation(
            run.model, train, test, *rows, key=stream_key(seed, "account"), on_progress=bar.advance
        )
    if store:
        run.store_account(found.train)
        run.store_account(found.test)
    return found


@_locked_while_storing
def trial_of(
    run: Run,
    prior: dict[str, Any],
    split: str,
    *,
    dataset: Dataset | None = None,
    seed: int | None = None,
    store: bool = True,
    num_draws: int | None = None,
    aggregated_over: int | None = None,
    **training: Any,
) -> Trial:
    """A new prior tried on a run's encoder (see `try_prior`; `training` are options of re-fitting), with the draws of the run's account; stored in the run
    folder unless `store` is false."""
    dataset = dataset or run.dataset
    split_data(dataset, split)
    settings = run.config.get("account", {})
    key = stream_key(int(run.config.get("seed", 0)) if seed is None else seed, "account")
    sizes = {
        "num_draws": num_draws or settings.get("num_draws"),
        "aggregated_over": aggregated_over or settings.get("aggregated_over"),
    }
    found = try_prior(run.model, prior, dataset, key=key, split=split, **sizes, **training)
    if store:
        store_trial(run.path, found)
    return found


def _at_most(setting: int | None, rows: Rows) -> int | None:
    """A run's setting for rows that may be fewer."""
    return setting and min(setting, len(rows))


def split_data(dataset: Dataset, split: str) -> "ndarray":
    """The values of a split, which must not be empty."""
    return _rows_of_split(dataset, split).values


def _rows_of_split(dataset: Dataset, split: str) -> Rows:
    rows = dataset.take(split)
    if len(rows) == 0:
        raise ValueError(f"the {split} split of {dataset.name} has no rows; take another --split.")
    return rows


def report_of(run: Run, *, dataset: Dataset | None = None, model: Model | None = None) -> Path:
    """Writes the run's report, with every account that is stored; makes the test account if there is none."""
    from jensen.reports import ReportInputs, write_report

    dataset, model = dataset or run.dataset, model or run.model
    accounts = {
        s: a
        for s in ("test", "validation", "train")
        if (a := _readable_account(run, s)) is not None
    }
    if not accounts:
        accounts = {"test": account_of(run, "test", dataset=dataset, model=model)}
    inputs = ReportInputs(
        title=run.path.resolve().name,
        model=model,
        dataset=dataset,
        accounts=accounts,
        history=run.history,
        outcome=run.outcome.message,
        objective=run.objective,
        warnings=run.outcome.warnings,
        config=run.config,
        version=jensen.__version__,
        seed=int(run.config.get("seed", 0)),
        trials=stored_trials(run.path, next(iter(accounts))),
    )
    with run.writing():
        return write_report(inputs, run.place())


def _readable_account(run: Run, split: str) -> Account | None:
    """The stored account of a split; None, with a note, where it is damaged."""
    try:
        return run.stored_account(split)
    except RunError as error:
        note(f"{error}. The report is made without it.")
        return None


def _absolute(source: str) -> str:
    """The absolute path of a file; a name that came out of a run stays one that is checked."""
    path = str(Path(source).expanduser().resolve())
    return RecordedName(path, check=source.check) if isinstance(source, RecordedName) else path


def _describe(config: Config) -> str:
    parts = f"{config.prior['name']} prior, {config.likelihood['name']} likelihood, {config.bound['name']} bound"
    return f"{config.model.name}, {parts}, {_dimensions(config.model.latent_dim)} latent dimensions"


def _dimensions(sizes: int | list[int]) -> str:
    return str(sizes) if isinstance(sizes, int) else "+".join(map(str, sizes))


def _name(section: dict[str, Any]) -> str:
    return section["name"]


def _options(section: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in section.items() if k != "name"}
