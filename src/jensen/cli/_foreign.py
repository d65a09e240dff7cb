"""`--model MODULE:FUNCTION --data FILE`: anybody's model from the command line, without a run."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jensen.anatomy import Account
    from jensen.datasets import Rows
    from jensen.model import Model

HELP = (
    "Instead of RUN: a function of a module here (or of a .py file) that returns a model, e.g. one "
    "of jensen.foreign. Its code is executed. Needs --data FILE."
)
WANTED = (
    "Say for example --model mymodel:make --data x.npy, where mymodel.py has a function make() that "
    "returns a jensen.Model (see jensen.foreign)."
)


def account_of_foreign(
    run: str | None,
    model: str | None,
    data: str | None,
    split: str | None,
    seed: int | None,
    numbers: dict[str, Any],
    of_runs: list[str],
    reading: dict[str, Any],
) -> "tuple[Account, Rows]":
    """The account of a model that a function makes, on all rows of a file or on those of one of its
    splits, and these rows.

    Raises:
        ValueError: RUN and --model together or neither, no --data, options that only a run has,
            and what `load_model` and `load_rows` refuse.
    """
    if model is None:
        raise ValueError(
            "give a RUN folder, as `jensen fit` writes it, or else --model MODULE:FUNCTION --data "
            "FILE."
        )
    if run is not None:
        raise ValueError(
            f"RUN ({run}) and --model ({model}) exclude each other: a run has its own model. Leave "
            "one out."
        )
    if of_runs:
        raise ValueError(
            f"{', '.join(of_runs)}: of a run, and --model {model} is none. Leave it out."
        )
    if split == "both":
        raise ValueError(
            "--split both is of a run's train and test; account for each file by itself, or in "
            f"Python: jensen.generalisation ({model} has no splits)."
        )
    if data is None:
        raise ValueError(f"--model {model} needs --data FILE: the rows to account for.")
    from jensen.datasets import load_rows
    from jensen.progress import tell

    rows = load_rows(data, split=split, **reading)
    tell(rows.notes)
    made = load_model(model)
    from jensen.anatomy import account
    from jensen.progress import CountProgress
    from jensen.sessions import stream_key

    given = {k: v for k, v in numbers.items() if v is not None}
    with CountProgress() as bar:
        found = account(
            made,
            rows.values,
            key=stream_key(seed or 0, "account"),
            split=rows.name,
            row_columns=rows.columns(beside=("index",)),
            on_progress=bar.advance,
            **given,
        )
    return found, rows


def load_model(name: str) -> "Model":
    """What MODULE:FUNCTION() returns; modules are looked for in the working directory first.

    Raises:
        ValueError: no such module or function (the nearest names are given), code that raises, or
            something that is no `Model`.
    """
    from jensen.model import Model

    module_name, colon, function_name = name.rpartition(":")
    if not (colon and module_name and function_name):
        raise ValueError(f"--model wants MODULE:FUNCTION; got {name!r}. {WANTED}")
    here = str(Path.cwd())
    sys.path.insert(0, here)  # while the function runs too: it may import
    try:
        module = _module(module_name)
        function = _function(module, module_name, function_name)
        try:
            made = function()
        except Exception as error:
            raise ValueError(f"{name}() raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    if not isinstance(made, Model):
        raise ValueError(
            f"{name}() returned {type(made).__name__}, and a jensen.Model is wanted. {WANTED}"
        )
    return made


def _module(name: str) -> Any:
    from jensen._rooms import module_from_file, nearest

    if name.endswith(".py"):
        return module_from_file(name)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(
                f"module {name!r} could not be imported: {error}. Install what it needs."
            ) from error
        here = tuple(sorted(p.stem for p in Path.cwd().glob("*.py")))
        listed = f"; modules here: {', '.join(here)}" if here else ""
        raise ValueError(
            f"no module {name!r} in {Path.cwd()} or among the "
            f"installed{nearest(name, here)}{listed}. {WANTED}"
        ) from None
    except Exception as error:
        raise ValueError(
            f"module {name!r} could not be imported: {type(error).__name__}: {error}"
        ) from error


def _function(module: Any, module_name: str, name: str) -> Any:
    from jensen._rooms import nearest

    own = tuple(
        k
        for k, v in vars(module).items()
        if callable(v)
        and not k.startswith("_")
        and getattr(v, "__module__", None) == module.__name__
    )
    function = getattr(module, name, None)
    if function is None:
        listed = f"; its functions: {', '.join(own)}" if own else ""
        raise ValueError(
            f"module {module_name!r} has no function {name!r}{nearest(name, own)}{listed}."
        )
    if not callable(function):
        raise ValueError(
            f"{module_name}:{name} is {type(function).__name__}, and a function that returns a "
            "jensen.Model is wanted."
        )
    return function
