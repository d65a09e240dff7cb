"""Finished runs on digits that several files read; a test that changes one takes a copy."""

from pathlib import Path

import pytest

from command_line import QUICK, fitted


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """A run with the standard normal prior."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    fitted(folder, "digits", *QUICK)
    return folder


@pytest.fixture(scope="session")
def runs(plain) -> Path:
    """A folder with the runs `plain` and `vamp`."""
    vamp = ["--prior", "vamp", "--set", "prior.num_components=5"]
    fitted(plain.parent / "vamp", "digits", *QUICK, *vamp)
    return plain.parent
