"""The shapes and types that the package's annotations promise are checked while tests run, and only then."""

import importlib.util
import mmap
import os
import zlib
from pathlib import Path


def _cheap_compilation():
    """Flags for XLA: a flag that XLA does not know would end the process, so those that may go one day are looked for in its library first."""
    flags = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": 1}
    library = Path(importlib.util.find_spec("jaxlib").origin).with_name("libjax_common.so")
    if not library.exists():
        return "--xla_backend_optimization_level=0"
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return " ".join(f"--{flag}={value}" for flag, value in flags.items() if content.find(flag.encode()) >= 0)


# Nearly all the time of these tests is compiling programs that run for milliseconds. Run with XLA_FLAGS= set to anything to test optimised code.
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = _cheap_compilation()

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
