"""Every level of a model of two: what it tells, what its prior could win, and verdicts that name it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jensen.anatomy import Account, account
from jensen.anatomy.level_information import joint_information
from jensen.decoders import AbstractDecoder
from jensen.distributions import Joint, diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import AbstractPrior

KEY = jr.key(4)
S1, S = 1.0, 0.3  # of p(z1), and of p(x|z1) = N(z1, S^2)
GAIN, WIDTH = S1**2 / (S1**2 + S**2), S1 * S / np.hypot(S1, S)  # of the exact q(z1|x)
pytestmark = pytest.mark.usefixtures("x64")


class Line(eqx.Module):
    """above -> N(constant + slope * above, scale^2), of one dimension."""

    constant: jax.Array
    slope: float
    scale: float

    def __call__(self, above):
        loc = self.constant + self.slope * above
        return diagonal_normal(loc, jnp.full(1, self.scale))


class Encoder(AbstractEncoder):
    """q(z2|x) = N(top[0] x, top[1]^2), q(z1|x, z2) = N(low[0] x + low[1] z2, low[2]^2)."""

    top: tuple[float, float]
    low: tuple[float, float, float]

    def __call__(self, x):
        below = Line(self.low[0] * x, self.low[1], self.low[2])
        return Joint(diagonal_normal(self.top[0] * x, jnp.full(1, self.top[1])), (below,))


class Prior(AbstractPrior):
    """p(z2) = N(0, 1), p(z1|z2) = N(low[0] + low[1] z2, low[2]^2)."""

    low: tuple[float, float, float]

    def __call__(self, encoder):
        below = Line(jnp.full(1, self.low[0]), self.low[1], self.low[2])
        return Joint(diagonal_normal(jnp.zeros(1), jnp.ones(1)), (below,))


class Decoder(AbstractDecoder):
    """p(x|z1, z2) = N(z1, S^2)."""

    def __call__(self, z):
        return diagonal_normal(z[0], jnp.full(1, S))


def exact(low=(0.0, 0.0, S1)) -> Model:
    """z2 that nothing depends on, with the exact posterior of p(z1) = N(0, S1^2) as encoder."""
    return Model(Prior(low), Encoder((0.0, 1.0), (GAIN, 0.0, WIDTH)), Decoder())


def rows(n, mean, seed=0):
    return mean + np.hypot(S1, S) * np.random.default_rng(seed).normal(size=(n, 1))


def names(found) -> list[str]:
    return [v.partition(":")[0] for v in found.verdicts]


def log_normal(z, loc, scale):
    return -0.5 * np.square((z - loc) / scale) - np.log(scale) - 0.5 * np.log(2 * np.pi)


def aggregate_kl(x) -> float:
    """KL((1/N) sum_n q(z1|x_n) || N(0, S1^2)), by quadrature."""
    grid = np.linspace(-12, 18, 20_001)
    log_q = np.logaddexp.reduce(log_normal(grid, GAIN * x, WIDTH), axis=0) - np.log(len(x))
    return float(np.sum(np.exp(log_q) * (log_q - log_normal(grid, 0.0, S1))) * (grid[1] - grid[0]))


def test_what_a_better_conditional_could_win_is_told_where_the_top_is_collapsed():
    """Data far from where the model has them: p(z2) has nothing to win, p(z1|z2) more than 5 nats."""
    x = rows(400, mean=3.5)
    found = account(exact(), x, key=KEY, num_samples=50, num_draws=4)
    assert found.jensen_gap.value == pytest.approx(0, abs=1e-9)  # the posterior is exact
    split, expected = found.joint_information.levels["z1"], aggregate_kl(x)
    assert expected > 5
    assert abs(split.aggregate_kl.value - expected) < 4 * split.aggregate_kl.standard_error
    assert split.aggregate_kl.standard_error < 0.2
    average = np.mean(
        0.5 * (np.square(GAIN * x) + WIDTH**2 - 1) - np.log(WIDTH)
    )  # KL of z1, in closed form
    information = average - expected
    assert abs(split.information.value - information) < 4 * split.information.standard_error
    assert names(found) == ["Collapsed", "Prior of z1"]
    collapsed, prior = found.verdicts
    assert collapsed.startswith("Collapsed: z2, the top level: I(n; z2) is 0.00 nats")
    assert f"z1 carries {split.information.value:.2f} nats beyond it (on 400 data)" in collapsed
    won = f"{split.aggregate_kl.value:.2f} +- {split.aggregate_kl.standard_error:.2f}"
    assert f"p(z1|z2) is {won} nats from" in prior
    assert "with this encoder and decoder, a better p(z1|z2) can win at most that" in prior
    ceilings = {ceiling.line: ceiling for ceiling in found.ceilings}
    assert ceilings["marginal_kl"].what == "a better prior of z2"
    assert ceilings["marginal_kl"].value == pytest.approx(0, abs=1e-9)
    assert ceilings["aggregate_kl_z1"].what == "a better p(z1|z2), on 400 data"
    assert ceilings["aggregate_kl_z1"].value == split.aggregate_kl.value
    again = Account.from_json(found.to_json(), found.arrays())
    assert again.joint_information == found.joint_information and str(again) == str(found)


def test_a_conditional_that_fits_has_no_verdict():
    found = account(exact(), rows(400, mean=0.0), key=KEY, num_samples=50, num_draws=4)
    assert names(found) == ["Collapsed"]  # z2 is unused all the same
    split = found.joint_information.levels["z1"]
    expected = aggregate_kl(rows(400, mean=0.0))
    assert abs(split.aggregate_kl.value - expected) < 4 * split.aggregate_kl.standard_error


def test_a_collapsed_lower_level_is_named():
    """q(z1|x, z2) = p(z1|z2) whatever x: z2 tells all that is told."""
    model = Model(Prior((0.0, 0.5, 1.0)), Encoder((0.8, 0.6), (0.0, 0.5, 1.0)), Decoder())
    found = account(model, rows(300, mean=0.0), key=KEY, num_samples=50, num_draws=4)
    collapsed = [v for v in found.verdicts if v.startswith("Collapsed")]
    assert len(collapsed) == 1 and collapsed[0].startswith("Collapsed: z1: I(n; z1) given")
    split = found.joint_information.levels["z1"]
    assert split.kl.value == pytest.approx(0, abs=1e-9)
    assert split.information.value == pytest.approx(0, abs=1e-9)


def test_a_level_below_a_saturated_top_is_used_if_its_kl_is_not_0():
    """z2 tells all data apart, so z1 can tell nothing more, but it is not p(z1|z2) either."""
    model = Model(Prior((0.0, 0.0, 1.0)), Encoder((50.0, 1e-3), (GAIN, 0.0, WIDTH)), Decoder())
    found = account(model, rows(100, mean=0.0), key=KEY, num_samples=50, num_draws=4)
    split = found.joint_information.levels["z1"]
    assert split.information.value == pytest.approx(0, abs=1e-3) and split.kl.value > 0.3
    assert "Saturated" in names(found) and "Collapsed" not in names(found)
    assert "Prior of z1" not in names(found)  # out of reach of one that does not know the data
    remedy = {c.line: c.remedy for c in found.ceilings}["aggregate_kl_z1"]
    assert "out of reach" in remedy


def test_the_split_of_each_level_by_brute_force():
    """Levels that depend on each other and on the datum, in NumPy, over all pairs."""
    top, low, prior = (0.8, 0.6), (0.5, -0.7, 0.4), (1.0, 0.2, 0.8)
    model = Model(Prior(prior), Encoder(top, low), Decoder())
    x = rows(500, mean=0.3)
    found = joint_information(model, x, key=KEY)
    rng, draws = np.random.default_rng(0), 8
    z2 = top[0] * x + top[1] * rng.normal(size=(500, draws))
    z1 = low[0] * x + low[1] * z2 + low[2] * rng.normal(size=(500, draws))
    at = x[:, 0][:, None, None]  # the component: [component, datum, draw]
    q2 = log_normal(z2, top[0] * at, top[1])
    q1 = log_normal(z1, low[0] * at + low[1] * z2, low[2])
    own1 = log_normal(z1, low[0] * x + low[1] * z2, low[2])
    own2 = log_normal(z2, top[0] * x, top[1])
    log_q2 = np.logaddexp.reduce(q2, axis=0) - np.log(500)
    log_q12 = np.logaddexp.reduce(q1 + q2, axis=0) - np.log(500)
    p1, p2 = log_normal(z1, prior[0] + prior[1] * z2, prior[2]), log_normal(z2, 0.0, 1.0)
    conditional = log_q12 - log_q2  # log q(z1|z2)
    expected = {
        "z1": {
            "kl": own1 - p1,
            "information": own1 - conditional,
            "aggregate_kl": conditional - p1,
        },
        "z2": {"kl": own2 - p2, "information": own2 - log_q2, "aggregate_kl": log_q2 - p2},
    }
    for level, parts in expected.items():
        for part, values in parts.items():
            mean = getattr(found.levels[level], part)
            # Both on the same 500 data: the spread over the data is in neither difference.
            error = np.sqrt(np.mean(values.var(axis=1, ddof=1)) / 500 * (1 + 1 / draws))
            assert abs(mean.value - values.mean()) < 4 * error, (level, part)
    for split in found.levels.values():
        parts = split.information.value + split.aggregate_kl.value
        assert split.kl.value == pytest.approx(parts, abs=1e-12)
    total = sum(split.information.value for split in found.levels.values())
    assert found.value == pytest.approx(total, abs=1e-12)
    assert found.above(1) == found.levels["z2"].information.value and found.above(2) == 0
