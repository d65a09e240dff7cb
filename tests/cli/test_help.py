"""Help: an example of every command, its options in the docs, and no waiting."""

import re
import subprocess
import sys
from pathlib import Path

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


def test_help_waits_for_no_library_of_arrays():
    # Help takes .3 s because it imports none of these: that can be tested, seconds cannot.
    heavy = ("jax", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "numpyro")
    code = (
        "import sys\nfrom jensen.cli import run\n"
        f"for command in {COMMANDS!r}:\n    assert run([command, '--help']) == 0\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_jensen_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "jensen", "datasets", "no-such-data"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("jensen: ")
