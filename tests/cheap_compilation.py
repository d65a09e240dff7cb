"""Nearly all the time of these tests is compiling programs that run for milliseconds: what makes that cheap without changing what is computed.

Together less than half of the processor time of a small program. Run with XLA_FLAGS= set to anything to test what users run.
"""

import functools
import importlib.util
import mmap
from pathlib import Path


def flags():
    """Flags for XLA: one that it does not know would end the process, so those that may go one day are looked for in its library first."""
    wanted = {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": "false",
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    library = Path(importlib.util.find_spec("jaxlib").origin).with_name("libjax_common.so")
    if not library.exists():
        return "--xla_backend_optimization_level=0"
    with (
        library.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return " ".join(
            f"--{flag}={value}"
            for flag, value in wanted.items()
            if content.find(flag.encode()) >= 0
        )


def share_contexts():
    """JAX loads all dialects of MLIR anew for each program that it lowers; here programs share them. What it returns lets go of those in use.

    A JAX that does this in another way is left as it is.
    """
    from jax._src.interpreters import mlir

    if not hasattr(mlir, "make_ir_context"):
        return lambda: None
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)
    return mlir.make_ir_context.cache_clear
