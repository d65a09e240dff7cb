"""Finished runs on digits that several files read; a test that changes one takes a copy."""

from pathlib import Path

import pytest

from command_line import QUICK
from jensen import cli


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """A run with the standard normal prior."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    assert cli.run(["fit", "digits", "--out", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture(scope="session")
def runs(plain) -> Path:
    """A folder with the runs `plain` and `vamp`."""
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--out",
                str(plain.parent / "vamp"),
                *QUICK,
                "--prior",
                "vamp",
                "--set",
                "prior.num_components=5",
            ]
        )
        == 0
    )
    return plain.parent
