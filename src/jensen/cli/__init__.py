"""The command line: parse, call, print. Exit codes: 0 done, 1 a run failed, 2 the input is wrong, 130 interrupted."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """The `jensen` command."""
    _open_closed_streams()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _point_nowhere(sys.stdout)
    except OSError as error:
        _point_nowhere(sys.stdout)
        code = _explain(error)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code; a traceback is shown with --debug alone.

    run(["datasets", "--json"])  # 0
    """
    from jensen._words import flags_spoken
    from jensen.cli.app import app
    from jensen.cli.options import release_held

    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        with _notes_on_stderr(), flags_spoken():
            result = app(arguments, prog_name="jensen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _point_nowhere(sys.stdout)
        return 0
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    finally:
        release_held()


def _explain(error: Exception) -> int:
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error: typer formats it
        error.show()  # type: ignore[attr-defined]
        return int(error.exit_code)  # type: ignore[attr-defined]
    kind = {c.__name__ for c in type(error).__mro__}
    if isinstance(error, UnicodeError):
        text, code = f"{_encoding(error)}", 2
    elif isinstance(error, ValueError) and "JaxRuntimeError" not in kind:
        text, code = str(error), 2
    elif "RunError" in kind or "CheckpointError" in kind or isinstance(error, ArithmeticError):
        text, code = str(error), 1
    elif isinstance(error, OSError):
        text, code = _disk(error), 1
    elif isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        text, code = _memory(error), 1
    else:
        first = str(error).splitlines()[0] if str(error) else ""
        text, code = (
            f"unexpected {type(error).__name__}: {first} Run the command again with --debug for the traceback, and please report it.",
            1,
        )
    print(f"jensen: {text}", file=sys.stderr)
    return code


def _disk(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left{f' for {error.filename}' if error.filename else ''}. What was written before is intact; free some space and go on with --resume."
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _memory(error: Exception) -> str:
    """How much was asked for, as far as NumPy or XLA say it, and what makes it less."""
    import re

    size = re.search(
        r"allocate [\d.]+ \w+ for an array with shape \([^)]*\)|allocating \d+ bytes"
        r"|[\d.]+ ?[KMGT]i?B",
        str(error),
    )
    asked = f" ({size[0]})" if size else ""
    return (
        f"there is not enough memory{asked}. Less is needed with a smaller --batch-size, --hidden, "
        "--latent-dim or --num-samples in a training, with --chunk or fewer rows elsewhere."
    )


def _encoding(error: UnicodeError) -> str:
    part = ascii(error.object) if isinstance(error, UnicodeEncodeError) else str(error)
    return (
        f"a text cannot be written or read in the encoding {getattr(error, 'encoding', '?')}: "
        f"{part}. Use names that are valid UTF-8, and set LANG=C.UTF-8."
    )


@contextlib.contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Within it, a `Note` is a line on stderr; other warnings are shown as Python does."""
    from jensen._notes import Note

    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, Note):
                print(f"note: {message}", file=sys.stderr)
            else:
                shown(message, category, *where, **options)

        warnings.showwarning = show
        warnings.simplefilter("always", Note)
        yield


def _open_closed_streams() -> None:
    """Opens streams that were closed before the start (`jensen ... 2>&-`) to nowhere: otherwise
    the next file that is opened takes their number, and what is said goes into it. What a stream
    cannot encode is escaped."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _point_nowhere(stream: Any) -> None:
    """Lets a stream that nobody reads take what is still in its buffer, without a traceback."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
