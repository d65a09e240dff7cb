"""The shapes and types that the package's annotations promise are checked while tests run, and only then."""

import os
import zlib

# Nearly all the time of these tests is compiling programs that run for milliseconds. Run with XLA_FLAGS= set to anything to test optimised code.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import jaxtyping
import numpy as np
import pytest

# It has to come before the first import of jensen.
jaxtyping.install_import_hook("jensen", "typechecker.typechecker")


@pytest.fixture
def x64():
    """The test runs in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _numbers_of_its_own(request, monkeypatch):
    """A module's generator starts anew in each test: no test's numbers depend on which tests ran before it, or in which process."""
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(zlib.crc32(request.node.nodeid.encode())))
