"""What is done with a run that is trained: its rows, account, trials of a prior, report."""

import contextlib
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

import jensen
from jensen._notes import note
from jensen.anatomy import Account, Generalisation, account, generalisation
from jensen.checks import check_rows
from jensen.config import AccountConfig
from jensen.datasets import Dataset, Like, Rows, dataset_names, load_rows
from jensen.datasets._dataset import SPLITS
from jensen.model import Model
from jensen.progress import CountProgress
from jensen.runs import Run, RunError
from jensen.sessions.setup import stream_key
from jensen.trial import Trial, store_trial, stored_trials, try_prior

P = ParamSpec("P")
T = TypeVar("T")


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
        evaluated = account(
            model or run.model,
            rows.values,
            key=stream_key(seed, "account"),
            split=rows.name,
            num_samples=num_samples or settings.get("num_samples", AccountConfig().num_samples),
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
        run.store_account(evaluated)
    return evaluated


@_locked_while_storing
def account_of_both(
    run: Run,
    *,
    dataset: Dataset | None = None,
    seed: int | None = None,
    store: bool = True,
    **numbers: Any,
) -> Generalisation:
    """The accounts of a run on train and on test, and test minus train; stored as those of
    `account_of` are, which takes the `numbers`."""
    dataset = dataset or run.dataset
    train, test = (
        account_of(run, split, dataset=dataset, seed=seed, store=False, **numbers)
        for split in ("train", "test")
    )
    seed = int(run.config.get("seed", 0)) if seed is None else seed
    with CountProgress() as bar:
        rows = [split_data(dataset, split) for split in ("train", "test")]
        comparison = generalisation(
            run.model, train, test, *rows, key=stream_key(seed, "account"), on_progress=bar.advance
        )
    if store:
        run.store_account(comparison.train)
        run.store_account(comparison.test)
    return comparison


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
    """A new prior tried on a run's encoder (see `try_prior`; `training` are options of re-fitting),
    with the draws of the run's account; stored in the run folder unless `store` is false."""
    dataset = dataset or run.dataset
    split_data(dataset, split)
    settings = run.config.get("account", {})
    key = stream_key(int(run.config.get("seed", 0)) if seed is None else seed, "account")
    sizes = {
        "num_draws": num_draws or settings.get("num_draws"),
        "aggregated_over": aggregated_over or settings.get("aggregated_over"),
    }
    trial = try_prior(run.model, prior, dataset, key=key, split=split, **sizes, **training)
    if store:
        store_trial(run.path, trial)
    return trial


def _at_most(setting: int | None, rows: Rows) -> int | None:
    """A run's setting for rows that may be fewer."""
    return setting and min(setting, len(rows))


def split_data(dataset: Dataset, split: str) -> np.ndarray:
    """The values of a split, which must not be empty."""
    return _rows_of_split(dataset, split).values


def _rows_of_split(dataset: Dataset, split: str) -> Rows:
    rows = dataset.take(split)
    if len(rows) == 0:
        raise ValueError(f"the {split} split of {dataset.name} has no rows; take another --split.")
    return rows


def report_of(run: Run, *, dataset: Dataset | None = None, model: Model | None = None) -> Path:
    """Writes the run's report, with every account that is stored; makes the test account if there
    is none."""
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
