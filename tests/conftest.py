"""The shapes and types that the package's annotations promise are checked while tests run, and only then."""

import zlib

import cheap_compilation

CHEAPER = cheap_compilation.set_up()

import jax
import jaxtyping
import numpy as np
import pytest

# It has to come before the first import of jensen.
jaxtyping.install_import_hook("jensen", "typechecker.typechecker")
RELEASE = cheap_compilation.CONTEXTS in CHEAPER and cheap_compilation.share_contexts()


def pytest_report_header():
    """Says how the tests compile: another version of JAX may not know all that makes it cheap."""
    return cheap_compilation.header()


@pytest.fixture(autouse=True, scope="module")
def _contexts_of_its_own():
    """What JAX keeps of the programs it lowered is let go with the module that they were for."""
    yield
    if RELEASE:
        RELEASE()


@pytest.fixture
def x64():
    """The test runs in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _numbers_of_its_own(request, monkeypatch):
    """A module's generator starts anew in each test: no test's numbers depend on which tests ran before it, or in which process."""
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(
            request.module, "RNG", np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
        )


@pytest.fixture
def without_drawing():
    """See `undrawn`."""
    from command_line import undrawn  # it imports jensen, so after the hook

    with undrawn():
        yield
