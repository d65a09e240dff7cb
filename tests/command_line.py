"""The command line within this process, and options that make a run of seconds."""

import contextlib

import pytest

from jensen import cli

QUICK = [
    "--epochs",
    "3",
    "--hidden",
    "16",
    "--latent-dim",
    "3",
    "--set",
    "account.num_samples=50",
    "--set",
    "account.num_draws=3",
]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.run(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


@contextlib.contextmanager
def undrawn():
    """A report's page is made, with a dot for each figure.

    It saves two seconds where a test makes a run on its way to something else; tests/reports draws.
    """
    from jensen.reports import _report
    from jensen.reports._style import Drawing

    dot = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("line_art", "picture"):
            patch.setattr(
                _report,
                kind,
                lambda name, alt, draw: Drawing(name, alt, dot, dot, {f"{name}.svg": dot}),
            )
        yield


def fitted(folder, *arguments: str) -> str:
    """The path of a finished run of `jensen fit ARGUMENTS`, its report without figures."""
    with undrawn():
        assert cli.run(["fit", *arguments, "--out", str(folder)]) == 0
    return str(folder)
