"""All benchmarks: python benchmarks/run.py [name ...]. Figures are ratios measured in one run; a number from one machine alone means little."""

import importlib
import os
import platform
import sys

import jax

NAMES = (
    "surgery",
    "account",
    "evidence",
    "annealing",
    "training",
    "in_training",
    "gradients",
    "hierarchy",
    "convolutions",
    "pages",
)

if __name__ == "__main__":
    print(
        f"Python {platform.python_version()}, JAX {jax.__version__}, {os.cpu_count()} cores, {jax.devices()[0].device_kind}"
    )
    for name in sys.argv[1:] or NAMES:
        print(f"\n{name}: {importlib.import_module(name).__doc__.splitlines()[0]}")
        for line in importlib.import_module(name).main():
            print(f"  {line}", flush=True)
