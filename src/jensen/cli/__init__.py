"""The command line: parse, call, print. Exit codes: 0 done, 1 a run failed, 2 the input is wrong, 130 interrupted."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """The `jensen` command."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code; a traceback is shown with --debug alone.

    run(["datasets", "--json"])  # 0
    """
    from jensen.cli.app import app

    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        result = app(arguments, prog_name="jensen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if debug:
            raise
        return _explain(error)


def _explain(error: Exception) -> int:
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error: typer formats it
        error.show()  # type: ignore[attr-defined]
        return int(error.exit_code)  # type: ignore[attr-defined]
    kind = {c.__name__ for c in type(error).__mro__}
    if "RunError" in kind or "CheckpointError" in kind or isinstance(error, ArithmeticError):
        text, code = str(error), 1
    elif isinstance(error, ValueError):
        text, code = str(error), 2
    elif isinstance(error, OSError):
        text, code = _disk(error), 1
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
