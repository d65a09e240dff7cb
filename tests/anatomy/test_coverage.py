"""Every standard error of the account, against simulation: how often the interval of 1.96 of them holds the truth.

The long study is 500 repeats on a linear-Gaussian model; the short one that always runs compares the spread of 60 with what is said.
"""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

import linear_gaussian
from jensen.anatomy import account

WORLD = linear_gaussian.make(latent=2, stretch=1.2, shift=0.3)
pytestmark = pytest.mark.usefixtures("x64")


def truth(x: np.ndarray) -> dict[str, float]:
    """All lines of `WORLD` on these data, q(z) being over them: closed forms, and a grid of two dimensions for those of q(z)."""
    loc, scale = WORLD.q(x)
    grid = np.linspace(-7, 7, 401)
    step = grid[1] - grid[0]
    apart = (
        -0.5 * ((grid[:, None, None] - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    )  # [grid, N, 2]
    joint = logsumexp(apart[:, None, :, 0] + apart[None, :, :, 1], axis=2) - np.log(len(x))
    one = logsumexp(apart, axis=1) - np.log(len(x))
    normal = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
    q = np.exp(joint)
    correlation = float((q * (joint - one[:, None, 0] - one[None, :, 1])).sum() * step**2)
    dimension_wise = float((np.exp(one) * (one - normal[:, None])).sum() * step)
    entropy = float(np.mean(np.sum(0.5 * np.log(2 * np.pi * np.e * scale**2), axis=1)))
    average, elbo = float(WORLD.average_kl(x).mean()), float(WORLD.elbo(x).mean())
    return {
        "evidence": float(WORLD.log_evidence(x).mean()),
        "jensen_gap": float(WORLD.gap(x).mean()),
        "elbo": elbo,
        "reconstruction": float(WORLD.reconstruction(x).mean()),
        "average_kl": average,
        "index_information": average - correlation - dimension_wise,
        "marginal_kl": correlation + dimension_wise,
        "total_correlation": correlation,
        "dimension_wise_kl": dimension_wise,
        "expected_energy": entropy - elbo,
        "entropy": entropy,
    }


def accounts(x, repeats, draws):
    return [
        account(WORLD.model, x, key=jax.random.key(i), num_samples=400, num_draws=draws)
        for i in range(repeats)
    ]


@pytest.mark.parametrize("draws", [1, 4])
def test_the_standard_error_is_the_spread_of_repeats(draws):
    """With one draw per datum too, where it rests on second draws of some of the data."""
    x = WORLD.data(50, seed=0)
    found, exact = accounts(x, 60, draws), truth(x)
    for name, value in exact.items():
        values, said = (
            np.array([getattr(a.line(name), k) for a in found]) for k in ("value", "standard_error")
        )
        # The standard deviation of 60 repeats has a relative standard error of 1 / sqrt(2 * 59) = 9%.
        assert abs(values.std(ddof=1) / np.sqrt(np.mean(said**2)) - 1) < 4 * 0.092, name
        assert abs(values.mean() - value) < 4 * values.std(ddof=1) / np.sqrt(60), name


@pytest.mark.slow
@pytest.mark.parametrize("draws", [1, 4])
def test_95_percent_intervals_over_draws_cover(draws):
    x = WORLD.data(60, seed=1)
    found, exact = accounts(x, 500, draws), truth(x)
    for name, value in exact.items():
        covered = np.mean(
            [abs(a.line(name).value - value) < 1.96 * a.line(name).standard_error for a in found]
        )
        print(f"{draws} draws, {name}: {covered:.3f}")
        assert 0.92 <= covered <= 0.98, name


@pytest.mark.slow
def test_95_percent_intervals_over_data_cover():
    """Another data set every time. The truth is the mean of all repeats: I(n; z) of 200 data has no closed form in expectation."""
    found = [
        account(
            WORLD.model,
            WORLD.data(200, seed=100 + i),
            key=jax.random.key(i),
            num_samples=200,
            num_draws=2,
        )
        for i in range(500)
    ]
    for name in found[0].lines:
        values, errors = (
            np.array([getattr(a.line(name), k) for a in found]) for k in ("value", "data_error")
        )
        covered = np.mean(np.abs(values - values.mean()) < 1.96 * errors)
        print(f"{name}: {covered:.3f}, spread / said {values.std() / errors.mean():.3f}")
        assert 0.92 <= covered <= 0.98, name


@pytest.mark.slow
def test_95_percent_intervals_of_the_gaps_cover():
    """The two parts of the Jensen gap: the best diagonal normal is the projection without shift and stretch, so both are known."""
    best = linear_gaussian.make(latent=2)
    x = WORLD.data(20, seed=2)
    exact = {
        "approximation_gap": float(best.gap(x).mean()),
        "amortisation_gap": float(WORLD.gap(x).mean() - best.gap(x).mean()),
    }
    found = [
        account(WORLD.model, x, key=jax.random.key(i), num_samples=1000, num_draws=16, gaps=20)
        for i in range(500)
    ]
    for name, value in exact.items():
        covered = np.mean(
            [abs(a.line(name).value - value) < 1.96 * a.line(name).standard_error for a in found]
        )
        print(
            f"{name}: {covered:.3f}, bias {np.mean([a.line(name).value for a in found]) - value:+.5f}"
        )
        assert 0.92 <= covered <= 0.98, name
