"""The public names: those that type checkers read are those that there are."""

import importlib
import subprocess
import sys
from pathlib import Path

import jensen

ROOT = Path(__file__).parents[1]


def test_every_public_name_can_be_had_and_is_what_its_stub_says():
    for name in jensen.__all__:
        assert getattr(jensen, name) is not None
    assert {"fit", "account", "vae", "priors", "load", "__version__"} <= set(jensen.__all__)
    assert jensen.account is importlib.import_module("jensen.anatomy").account
    assert (Path(jensen.__file__).parent / "py.typed").exists()


def test_the_stubs_of_the_rooms_are_up_to_date():
    check = [sys.executable, str(ROOT / "tools" / "make_stubs.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run: python tools/make_stubs.py\n{done.stdout}{done.stderr}"
