"""The shapes and types that the package's annotations promise are checked while tests run, and only then."""

import jax
import jaxtyping
import pytest

# It has to come before the first import of jensen.
jaxtyping.install_import_hook("jensen", "typechecker.typechecker")


@pytest.fixture
def x64():
    """The test runs in double precision."""
    with jax.enable_x64(True):
        yield
