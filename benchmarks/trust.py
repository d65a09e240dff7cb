"""Studies of what evidence estimates are worth: against closed forms, and on a trained run.

python benchmarks/trust.py bracket             AIS and its reverse against exact log p(x), 2, 16 and 64 latent dimensions, 1000 data each
python benchmarks/trust.py variance            plain Monte Carlo, importance sampling with q, with the refined q, with the exact posterior
python benchmarks/trust.py table RUN [ROWS]    ELBO, IWAE, importance sampling and AIS by number of temperatures, on test data of a run
"""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import linear_gaussian
from jensen.bounds import ELBO
from jensen.evidence import _bidirectional, bidirectional, estimate_evidence, evaluate_bounds
from jensen.evidence.annealed import Annealed
from jensen.evidence.importance import Importance
from jensen.evidence.monte_carlo import MonteCarlo

KEY = jr.key(0)


def bracket() -> None:
    """Of 1000 simulated data: for which the forward bound is at most, and the reverse one at least, log p(x), to 3 of their standard errors."""
    print(
        "latent  T     lower - exact        upper - exact        lower holds  upper holds  both  gap"
    )
    for latent, temperatures in ((2, 100), (16, 200), (64, 400)):
        world = linear_gaussian.make(dimension=latent + 4, latent=latent, stretch=0.9, shift=0.05)
        began = time.perf_counter()
        found = bidirectional(
            world.model,
            Annealed(num_samples=32, num_temperatures=temperatures),
            key=KEY,
            num_data=1000,
        )
        x = np.asarray(
            _bidirectional._simulated(
                world.model, world.model.prior(world.model.encoder), jr.split(KEY, 4)[0], 1000
            )[0],
            np.float64,
        )
        exact = world.log_evidence(x)
        low, high = found.lower - exact, found.upper - exact
        holds = low <= 3 * found.lower_errors, high >= -3 * found.upper_errors
        shares = [np.mean(h) for h in (*holds, holds[0] & holds[1])]
        print(
            f"{latent:>6}  {temperatures:<4}  {low.mean():+.4f} (sd {low.std():.3f})  {high.mean():+.4f} (sd {high.std():.3f})  "
            f"{shares[0]:11.1%}  {shares[1]:11.1%}  {shares[2]:.1%}  {found.gap:.4f} +- {found.standard_error:.4f}  "
            f"Jensen gap {world.gap(x).mean():.2f}  {time.perf_counter() - began:.0f} s"
        )


def variance() -> None:
    """The standard deviation of log w over posterior draws, and that of an estimate from 1000 samples, per datum."""
    x64 = jax.enable_x64(True)
    x64.__enter__()
    for latent in (2, 16, 64):
        off = linear_gaussian.make(dimension=latent + 4, latent=latent, stretch=0.9, shift=0.05)
        exact = linear_gaussian.make(dimension=latent + 4, latent=latent, orthogonal=True)
        rows = [
            ("plain Monte Carlo", off, MonteCarlo(num_samples=1000)),
            ("importance, q", off, Importance(num_samples=1000)),
        ]
        rows += [
            (
                f"importance, refined q ({f})",
                off,
                Importance(num_samples=1000, proposal="refined", family=f),
            )
            for f in ("diagonal", "full")
        ]
        rows += [("importance, exact posterior", exact, Importance(num_samples=1000))]
        for name, world, estimator in rows:
            x = jnp.asarray(world.data(100, seed=1))
            found = estimate_evidence(world.model, np.asarray(x), estimator, key=KEY)
            off_by = found.values - world.log_evidence(np.asarray(x))
            relative = 1000 / found.effective_samples - 1
            print(
                f"{latent:>3}  {name:<36}  variance of w / p(x): {np.median(relative):.3g} (median)  error of log p(x): mean {off_by.mean():+.3g}, "
                f"root mean square {np.sqrt(np.mean(off_by**2)):.3g}  k-hat too high {found.untrusted:.0%}"
            )


def table(path: str, rows: int) -> None:
    """Every line on the same test data."""
    from jensen.runs import load

    run = load(path)
    data = run.dataset.test[:rows]
    print(f"{path}: {len(data)} test data")

    def show(
        name: str, value: float, error: float, untrusted: float, began: float, more: str = ""
    ) -> None:
        print(
            f"{name:<28}  {value:9.3f} +- {error:.3f}  untrusted {untrusted:6.1%}  {time.perf_counter() - began:7.0f} s  {more}",
            flush=True,
        )

    began = time.perf_counter()
    bound = evaluate_bounds(run.model, data, {"elbo": ELBO()}, key=KEY, num_samples=50)["elbo"]
    show("elbo", bound.value, bound.standard_error, float("nan"), began)
    for samples in (50, 5000, 100_000):
        began = time.perf_counter()
        found = estimate_evidence(run.model, data, Importance(num_samples=samples), key=KEY)
        show(
            f"importance, S = {samples}",
            found.value,
            found.standard_error,
            found.untrusted,
            began,
            f"ess {np.median(found.effective_samples):.1f} (median)",
        )
    for temperatures in (50, 200, 1000):
        began = time.perf_counter()
        found = estimate_evidence(run.model, data, Annealed(num_temperatures=temperatures), key=KEY)
        more = f"acceptance {found.curves['acceptance'].mean():.2f}, ess {np.median(found.effective_samples):.1f} of 16"
        show(
            f"annealed, T = {temperatures}",
            found.value,
            found.standard_error,
            found.untrusted,
            began,
            more,
        )


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "table":
        table(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
    elif what in ("bracket", "variance"):
        {"bracket": bracket, "variance": variance}[what]()
    else:
        print(__doc__)
