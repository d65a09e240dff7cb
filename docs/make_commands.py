"""Writes docs/commands.md from the commands' own help: python docs/make_commands.py.

A test demands that the two agree.
"""

import contextlib
import io
import os
from pathlib import Path

COMMANDS = (
    "fit",
    "account",
    "evidence",
    "bounds",
    "gradients",
    "compare",
    "sample",
    "encode",
    "report",
    "reproduce",
    "datasets",
)
INTRODUCTION = """# Commands

Every command takes `--help`. Commands that print figures take `--json`: one object on stdout, and
nothing else there. Progress and messages go to stderr. `--debug` adds the traceback of an error.

Exit codes: 0 done; 1 a run failed (it diverged, or cannot be read, or the disk is full); 2 the
input is wrong; 130 interrupted (saved, and can be resumed).

All figures are nats per datum, higher is better, at beta = 1; those in bits per dimension (lower is
better) say so.
"""


def text() -> str:
    os.environ["COLUMNS"] = "120"
    from jensen.cli import run

    parts = [INTRODUCTION]
    for command in COMMANDS:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run([command, "--help"])
        parts.append(f"## jensen {command}\n\n```text\n{out.getvalue().strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(text())
