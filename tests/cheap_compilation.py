"""Makes the tests' compilations cheap. Nearly all the time of the tests is compiling programs
that run for milliseconds; what is done here halves it and changes nothing that is computed.

    XLA flags          no optimisation, XLA's older emitters of fused loops, no parallel code
                       generation
    shared contexts    JAX loads all dialects of MLIR anew for each program that it lowers; the
                       programs of one test module share them

JAX's persistent compilation cache is not among these. Shared by the processes of one run it was hit
by one program of thirteen, loading a small program takes as long as compiling it at no optimisation,
and writing the others costs 20 ms each: a quarter more CPU time (1,136 programs of tests/laws and
tests/models, 95 s for 75 s).

Flags and contexts reach into JAX and XLA, and another version may not know them: XLA ends the process at a flag
that it does not know or no longer supports. So a child process tries them first, on programs of
the kinds that the tests compile, and what it does not survive is left out and named in pytest's
header. Where XLA_FLAGS is set, even to nothing, none of this is used: the tests then run what
users run.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
CONTEXTS = "shared contexts"
# Set by the first process for those that it starts (pytest-xdist's workers), so that only one
# tries: what is used, and what was left out.
USED, LEFT_OUT = "JENSEN_TESTS_CHEAPER", "JENSEN_TESTS_NOT_CHEAPER"

NOTHING = """
import jax
assert float(jax.jit(lambda x: x + 1)(1.0)) == 2
print("compiles")
"""
PROGRAMS = """
import jax, jax.numpy as jnp, jax.random as jr
import numpy as np

def of_rows(rows, x, np):
    total = 0.0
    for row in rows if np is not jnp else ():
        total += one(row, x, np)
    return total if np is not jnp else jax.lax.scan(
        lambda c, row: (c + one(row, x, np), row.sum()), 0.0, rows)[0]

def one(row, x, np):
    y = np.exp(row @ x - (row @ x).max())
    y = np.log(y / y.sum())
    return np.where(y.sum() > 0, 1.0, (np.sort(y) * np.arange(5.0) + y).sum())

rows, x = np.sin(np.arange(12.0)).reshape(4, 3), np.cos(np.arange(15.0)).reshape(3, 5)
value, gradient = jax.jit(jax.value_and_grad(lambda x: of_rows(rows, x, jnp)))(x)
step = np.zeros_like(x)
step[1, 2] = 1e-4
slope = (of_rows(rows, x + step, np) - of_rows(rows, x - step, np)) / 2e-4
np.testing.assert_allclose(value, of_rows(rows, x, np), rtol=1e-4)
np.testing.assert_allclose(gradient[1, 2], slope, rtol=1e-3)
draws = jax.jit(lambda key: jr.normal(key, (10_000,)))(jr.key(0))
assert abs(float(draws.mean())) < 0.05 and abs(float(draws.std()) - 1) < 0.05
images, kernel = np.ones((2, 6, 6, 1)), np.ones((3, 3, 1, 2))
convolved = jax.jit(lambda a, k: jax.lax.conv_general_dilated(
    a, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")).sum())(images, kernel)
np.testing.assert_allclose(convolved, 2 * 2 * 16**2)
with jax.enable_x64(True):
    factor = jax.jit(jnp.linalg.cholesky)(np.array([[4.0, 2.0], [2.0, 5.0]]))
np.testing.assert_allclose(factor, [[2, 0], [1, 2]], rtol=1e-12)
print("compiles")
"""


def survives(choice: tuple[str, ...], programs: str = PROGRAMS) -> bool:
    """Whether a process with these flags, and with shared contexts where they are among them,
    compiles the programs and computes the right values."""
    lines = [f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"]
    if CONTEXTS in choice:
        lines.append("import cheap_compilation; assert cheap_compilation.share_contexts()")
    child = subprocess.run(
        [sys.executable, "-c", "\n".join(lines) + programs],
        env=os.environ | {"XLA_FLAGS": flags_among(choice)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return child.returncode == 0 and child.stdout.strip().endswith("compiles")


def usable() -> tuple[str, ...]:
    """FLAGS and CONTEXTS, less those that a child process does not survive."""
    everything = (*FLAGS, CONTEXTS)
    if survives(everything):
        return everything
    # Most that fail do so at once, as flags that XLA does not know; the others by what they do.
    known = tuple(one for one in everything if survives((one,), NOTHING))
    without_one = (tuple(other for other in known if other != one) for one in known)
    return next((choice for choice in (known, *without_one) if survives(choice)), ())


def flags_among(choice: tuple[str, ...]) -> str:
    """The flags of a choice as XLA_FLAGS has them."""
    return " ".join(one for one in choice if one != CONTEXTS)


def set_up() -> tuple[str, ...]:
    """Sets XLA_FLAGS and says what is used; called before JAX is imported for the first time.

    A process whose XLA_FLAGS are set by somebody else is left as it is.
    """
    if USED in os.environ:
        return tuple(filter(None, os.environ[USED].split("\n")))
    if "XLA_FLAGS" in os.environ:
        return ()
    choice = usable()
    os.environ["XLA_FLAGS"] = flags_among(choice)
    os.environ[USED] = "\n".join(choice)
    os.environ[LEFT_OUT] = "\n".join(one for one in (*FLAGS, CONTEXTS) if one not in choice)
    return choice


def header() -> str:
    """What pytest's header says of it."""
    if USED not in os.environ:
        return "compilation: as users have it (XLA_FLAGS is set)"
    left_out = os.environ[LEFT_OUT].split("\n")
    text = f"compilation: {os.environ[USED]}".replace("\n", " ")
    return text + (f"; left out, since this JAX fails with: {', '.join(left_out)}" * any(left_out))


def share_contexts():
    """Lets programs share MLIR's contexts. Returns what lets go of those in use, or None where
    this JAX makes its contexts in another way and is left as it is."""
    try:
        from jax._src.interpreters import mlir
    except ImportError:
        return None
    if not hasattr(mlir, "make_ir_context"):
        return None
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)
    return mlir.make_ir_context.cache_clear
