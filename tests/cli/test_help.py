"""Help: an example of every command, its options in the docs, and no waiting."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import call

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


def test_help_of_every_command_has_an_example_and_a_place_in_the_docs(capsys):
    docs = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    for command in COMMANDS:
        code, out, _ = call(capsys, command, "--help")
        assert code == 0
        assert f"Example: jensen {command}" in out
        assert f"## jensen {command}" in docs
        for option in re.findall(r"(--[a-z][a-z-]+)", out):
            assert option in docs, f"{option} of {command} is not in docs/commands.md"


@pytest.mark.timeout(60)
def test_help_is_fast():
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from jensen.cli import main; main(['--help'])"],
            check=True,
            capture_output=True,
        )
        seconds.append(time.perf_counter() - began)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import typer"], check=True, capture_output=True)
    bare = time.perf_counter() - bare
    assert (
        min(seconds) < 0.3 + bare
    )  # 0.3 s on a quiet machine; what a busy one takes to start Python and typer is allowed for


def test_help_imports_no_jax():
    code = "import sys\nfrom jensen.cli import run\nrun(['fit', '--help'])\nassert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
