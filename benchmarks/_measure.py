"""Measuring as ratios: all contestants interleaved in one process, the median of several rounds."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable


def interleaved(contestants: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each contestant over `rounds`, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, call in contestants.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def peak_memory(code: str) -> float:
    """Peak resident memory in MB of a fresh Python process that runs `code`."""
    script = (
        code
        + "\nprint('PEAK', next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split("PEAK")[1]) / 1024
