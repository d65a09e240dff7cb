"""A few data that carry a line are named, and verdicts are told without them."""

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.anatomy import account
from jensen.anatomy.influence import influential_data
from jensen.anatomy.verdicts.thresholds import PRIOR_NATS, beyond_chance

KEY = jax.random.key(7)
WORLD = linear_gaussian.make(dimension=6, latent=3, orthogonal=True)


def names(found) -> list[str]:
    return [v.partition(":")[0] for v in found.verdicts]


def of(x, **options):
    return account(WORLD.model, x, key=KEY, num_samples=100, num_draws=2, **options)


def with_outliers(rows, places, size=400.0):
    """Rows of the world, some of which lie far out along its first latent direction."""
    x = WORLD.data(rows, seed=0)
    x[list(places)] += size * WORLD.w[:, 0]
    return x


@pytest.mark.usefixtures("x64")
def test_one_outlier_of_400_is_named_and_is_no_fault_of_the_prior():
    clean, spoilt = of(WORLD.data(400, seed=0)), of(with_outliers(400, [17]))
    assert names(clean) == ["Nothing stands out"] and clean.influential == ()
    assert spoilt.marginal_kl.value > 50  # the figures themselves stay
    assert names(spoilt) == ["Influential data", "Nothing stands out"]
    told, nothing = spoilt.verdicts
    assert "datum 17 carries" in told and "without datum 17; with it there would be: Prior" in told
    # The verdict's figure is the marginal KL over the 399 others.
    others = np.delete(spoilt.marginal_kl.per_datum, 17).mean()
    assert others == pytest.approx(clean.marginal_kl.value, abs=0.1)
    assert f"{others:.2f} nats (the marginal KL)" in nothing
    carried = {i.line: i for i in spoilt.influential}
    assert carried["elbo"].data == (17,)
    deviations = np.abs(spoilt.elbo.per_datum - np.median(spoilt.elbo.per_datum))
    assert carried["elbo"].share == pytest.approx(deviations[17] / deviations.sum())
    assert carried["elbo"].share > 0.2
    assert spoilt.to_json()["influential"][0]["data"] == [17]
    assert "Datum 17 carries" in str(spoilt)


@pytest.mark.usefixtures("x64")
def test_an_outlier_that_occurs_five_times_is_named_five_times():
    places = (3, 50, 51, 200, 399)
    found = of(with_outliers(400, places))
    assert names(found) == ["Influential data", "Nothing stands out"]
    elbo = next(i for i in found.influential if i.line == "elbo")
    assert sorted(elbo.data) == list(places)


@pytest.mark.usefixtures("x64")
def test_a_group_of_its_own_is_not_left_out():
    """A fifth of the data elsewhere: these are data, and the prior misses them."""
    found = of(with_outliers(400, range(0, 400, 5), size=6.0))
    assert "Influential data" not in names(found) and "Prior" in names(found)


@pytest.mark.usefixtures("x64")
def test_a_fault_that_all_data_share_is_told_beside_an_outlier():
    world = linear_gaussian.make(dimension=6, latent=3, orthogonal=True, shift=2.0)
    x = world.data(400, seed=0)
    x[17] += 60 * world.w[:, 0]
    found = account(world.model, x, key=KEY, num_samples=100, num_draws=2)
    assert names(found)[0] == "Influential data" and "Posterior" in names(found)
    assert "Prior" in names(found)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=400),
        np.random.default_rng(1).exponential(size=5000),
        np.r_[np.random.default_rng(2).normal(size=5), 50.0],  # too few to say
        np.r_[np.zeros(99), 0.5],  # moves the mean by .005 nats
        # A fiftieth in a long tail: it carries a quarter together, each of it no more than its like.
        np.r_[np.random.default_rng(3).uniform(-1, 1, size=392), np.linspace(7, 9, 8)],
        np.repeat(-np.inf, 20),
    ],
    ids=["normal", "exponential", "six", "slight", "tail", "infinite"],
)
def test_nobody_is_influential(values):
    with np.errstate(invalid="ignore"):
        assert len(influential_data(values)[0]) == 0


def test_the_tail_behind_an_outlier_is_not_named_with_it():
    """Values beyond 10 median absolute deviations that carry little once the outlier is gone."""
    values = np.r_[np.random.default_rng(0).normal(size=396), 9.0, 9.5, 10.0, -700.0]
    assert influential_data(values)[0].tolist() == [399]
    assert len(influential_data(values[:-1])[0]) == 0


def test_influence_does_not_depend_on_units():
    """A change of the data's units adds a constant to every log-density."""
    values = np.r_[np.random.default_rng(0).normal(size=399), -700.0]
    data, share = influential_data(values)
    moved, same = influential_data(values - 5000.0)
    assert data.tolist() == moved.tolist() == [399]
    assert share == pytest.approx(same)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("seed", range(4))
def test_five_data_give_no_verdict_of_the_prior(seed):
    found = of(WORLD.data(5, seed))
    assert not {"Prior", "Posterior"} & set(names(found))


@pytest.mark.usefixtures("x64")
def test_five_data_alike_in_size_give_no_verdict_of_the_prior():
    """Five codes on a circle: a large marginal KL with a small data error, all of it because q(z)
    is a mixture of five. Two hundred codes on the circle are another matter."""

    def on_circle(n, radius):
        angles = 2 * np.pi * np.arange(n) / n
        code = np.zeros((n, WORLD.w.shape[1]))
        code[:, 0], code[:, 1] = radius * np.cos(angles), radius * np.sin(angles)
        x = code @ WORLD.w.T + WORLD.b
        return account(WORLD.model, x, key=KEY, num_samples=100, num_draws=200)

    few = on_circle(5, 1.6)
    assert few.marginal_kl.value > PRIOR_NATS and beyond_chance(few.marginal_kl)
    assert "Prior" not in names(few) and "Undecided" in names(few)
    assert "Prior" in names(on_circle(200, 4.0))


@pytest.mark.usefixtures("x64")
def test_what_five_data_leave_open_is_told():
    found = of(WORLD.data(5, seed=0) + 3 * WORLD.w[:, 0])
    assert "Undecided" in names(found) and "Nothing stands out" not in names(found)
    undecided = found.verdicts[names(found).index("Undecided")]
    assert f"marginal KL of {found.marginal_kl.value:.2f}" in undecided
    assert f"data error {found.marginal_kl.data_error:.2f}" in undecided
    assert "6.6 data errors" in undecided  # Student's t with 4 degrees of freedom at .99865


@pytest.mark.usefixtures("x64")
def test_the_data_error_stands_in_the_table():
    found = of(WORLD.data(50, seed=1))
    (row,) = [line for line in str(found).splitlines() if line.startswith("  = ELBO")]
    figures = row.removeprefix("  = ELBO").split()[:3]
    expected = (found.elbo.value, found.elbo.standard_error, found.elbo.data_error)
    assert figures == [f"{value:.3f}" for value in expected]
    assert found.elbo.data_error == pytest.approx(
        found.elbo.per_datum.std(ddof=1) / np.sqrt(50), rel=1e-12
    )
    assert "data +-: that of a mean over the data (another split" in str(found)
