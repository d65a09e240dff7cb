"""Words about evidence that k-hat distrusts, wherever an account is told; annealing of few such data; modes that q misses."""

import dataclasses
import json
import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import linear_gaussian
import mirror_modes
from jensen.anatomy import Account, account, compare, evidence_line, generalisation
from jensen.distributions import diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model

KEY = jr.key(11)
pytestmark = pytest.mark.usefixtures("x64")
NARROW = linear_gaussian.make(latent=6, dimension=9, orthogonal=True, stretch=0.4)
WIDE = linear_gaussian.make(latent=6, dimension=9, orthogonal=True, stretch=1.2)
X = NARROW.data(60, seed=1)


def made(world, **options) -> Account:
    options = {"num_samples": 400, "num_draws": 4, "fingerprint": "same"} | options
    return account(world.model, X, key=KEY, **options)


@pytest.fixture(scope="module")
def low():
    import jax

    with jax.enable_x64(True):
        return made(NARROW, gaps=20)


@pytest.fixture(scope="module")
def right():
    import jax

    with jax.enable_x64(True):
        return made(WIDE)


def test_an_untrusted_gap_is_told_as_at_least_and_the_exact_gap_lies_above(low):
    missing = NARROW.log_evidence(X).mean() - low.evidence.value
    assert missing > 4 * low.evidence.standard_error
    assert low.jensen_gap.value < NARROW.gap(X).mean() - 0.5 * missing
    assert (low.evidence.bound, low.jensen_gap.bound, low.elbo.bound) == ("lower", "lower", "")
    assert math.isnan(low.evidence.error)
    text = str(low)
    value, gap = f">= {low.evidence.value:.3f}", f">= {low.jensen_gap.value:.3f}"
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    lines = {row.strip().split("  ")[0]: row for row in reversed(rows)}
    assert value in lines["log p(x)"] and gap in lines["- Jensen gap"]
    assert f"{low.evidence.standard_error:.3f}" not in lines["log p(x)"]
    assert f"{low.elbo.standard_error:.3f}" in lines["= ELBO"]
    (posterior,) = (line for line in text.splitlines() if "a better q(z|x), at least" in line)
    assert f"{low.jensen_gap.value:.3f}" in posterior
    assert any("a richer family, at least" in line for line in text.splitlines())
    assert any("a better encoder, at most" in line for line in text.splitlines())
    assert any("a better prior, at most" in line for line in text.splitlines())
    assert "have no +-" in text
    verdicts = " ".join(low.verdicts)
    assert "Untrusted evidence: k-hat is too high for" in verdicts
    assert f"the Jensen gap is at least {low.jensen_gap.value:.2f} nats" in verdicts
    assert "can win at most" not in verdicts.partition("Posterior")[2]


def test_a_trusted_gap_is_at_most_with_its_error(right):
    assert right.evidence.bound == ""
    assert abs(right.jensen_gap.value - WIDE.gap(X).mean()) < 5 * right.jensen_gap.standard_error
    text = str(right)
    assert "could be won here, at most, by" in text
    assert ">=" not in text and "at least" not in text
    assert not any(v.startswith(("Untrusted", "Missed")) for v in right.verdicts)
    values = right.to_json()
    assert values["evidence"]["bound"] is None
    assert values["evidence"]["standard_error"] == right.evidence.standard_error
    assert {c["bound"] for c in values["ceilings"]} == {"upper"}


def test_json_says_lower_and_gives_no_error(low):
    values = json.loads(json.dumps(low.to_json()))
    for line in (values["evidence"], values["jensen_gap"], values["gaps"]["approximation_gap"]):
        assert line["bound"] == "lower" and line["standard_error"] is None
    for line in (values["elbo"], values["gaps"]["amortisation_gap"]):
        assert line["bound"] is None and line["standard_error"] > 0
    bounds = {c["line"]: (c["bound"], c["standard_error"] is None) for c in values["ceilings"]}
    assert bounds["jensen_gap"] == bounds["approximation_gap"] == ("lower", True)
    assert bounds["marginal_kl"] == bounds["amortisation_gap"] == ("upper", False)
    again = Account.from_json(values, low.arrays())
    assert again.to_json() == low.to_json() and str(again) == str(low)
    assert again.evidence.standard_error == pytest.approx(low.evidence.standard_error, rel=1e-12)
    assert again.evidence_estimate.bound == "lower"
    dataset = low.to_dataset()
    assert dataset["evidence"].attrs["bound"] == "lower"
    assert np.isnan(dataset["evidence"].attrs["standard_error"])


def test_an_account_of_an_earlier_version_is_judged_when_it_is_read(low):
    values, arrays = low.to_json(), low.arrays()
    for line in (values["evidence"], values["jensen_gap"]):
        del line["bound"]
        line["standard_error"] = 0.1
    for name in ("trusted", "shortfall", "methods"):
        del arrays[name]
    assert Account.from_json(values, arrays).evidence.bound == "lower"


def test_bits_per_dimension_turn_the_bound_round(low):
    found = dataclasses.replace(low, dimensions=9)
    bits = found.bits_per_dimension
    assert bits["evidence"]["bound"] == "upper" and bits["evidence"]["standard_error"] is None
    assert bits["evidence"]["value"] == pytest.approx(-low.evidence.value / (9 * math.log(2)))
    assert bits["elbo"]["bound"] is None and bits["elbo"]["standard_error"] > 0
    assert f"<= {bits['evidence']['value']:.4f}" in str(found)


def test_compare_marks_bounds_and_what_their_difference_is(low, right):
    found = compare(right, low, names=("right", "low"))
    evidence = found.lines["evidence"]
    assert (evidence.first_bound, evidence.second_bound, evidence.bound) == ("", "lower", "lower")
    line = next(row for row in str(found).splitlines() if row.startswith("  log p(x)"))
    assert f">= {low.evidence.value:.3f}" in line and f">= {evidence.difference:+.3f}" in line
    assert compare(low, right).lines["evidence"].bound == "upper"
    both = compare(low, Account.from_json(low.to_json(), low.arrays())).lines["evidence"]
    assert both.bound == "unknown"
    assert found.to_json()["evidence"]["standard_error"] is None
    assert found.to_json()["elbo"]["bound"] is None
    three = compare(right, low, right, names=("a", "b", "c"))
    assert "No ranking: of b only lower bounds are known" in str(three)
    assert "No ranking" not in str(compare(right, right, right, names=("a", "b", "c")))


def test_differences_between_splits_of_which_one_is_untrusted(low, right):
    train = dataclasses.replace(right, split="train")
    found = generalisation(WIDE.model, train, low, X, X, key=KEY)
    assert found.lines["jensen_gap"].bound == "lower"
    assert found.lines["elbo"].bound == ""
    line = next(row for row in str(found).splitlines() if "Jensen gap" in row)
    assert line.count(">=") == 2
    assert found.to_json()["generalisation"]["evidence"]["bound"] == "lower"
    other = generalisation(WIDE.model, dataclasses.replace(low, split="train"), low, X, X, key=KEY)
    assert other.lines["evidence"].bound == "unknown" and not other.lines["evidence"].clear


class MostlyExact(AbstractEncoder):
    """The exact posterior, but for data whose last observation is high: there a quarter of its width."""

    exact: AbstractEncoder
    above: float

    def __call__(self, x):
        q = self.exact(x).base_dist
        return diagonal_normal(q.loc, q.scale * jnp.where(x[-1] > self.above, 0.25, 1.0))


def few_bad(rows=200, bad=3):
    world = linear_gaussian.make(latent=6, dimension=9, orthogonal=True)
    x = world.data(rows, seed=2)
    order = np.argsort(x[:, -1])
    above = float(x[order[-bad - 1], -1] + 1e-9)
    model = Model(world.model.prior, MostlyExact(world.model.encoder, above), world.model.decoder)
    return world, model, x, np.sort(order[-bad:])


def test_few_data_that_carry_the_distrust_are_annealed_where_that_is_cheap(monkeypatch):
    world, model, x, bad = few_bad()
    settings = {"key": KEY, "num_samples": 400, "num_draws": 1}
    before = account(model, x, **settings)
    np.testing.assert_array_equal(evidence_line.decisive_data(before.evidence_estimate), bad)
    assert before.evidence.bound == "lower"
    exact = world.log_evidence(x)
    assert (before.evidence.per_datum - exact)[bad].mean() < -0.3
    # Beside so cheap a model compiling is most of the work; without that there is enough to spend on few.
    monkeypatch.setattr(evidence_line, "COMPILATION", 0.0)
    monkeypatch.setattr(evidence_line, "SHARE", 3.0)
    assert evidence_line.affordable_annealing(model, x, 400) >= 3
    after = account(model, x, **settings)
    estimate = after.evidence_estimate
    np.testing.assert_array_equal(np.flatnonzero(estimate.methods == "annealed"), bad)
    assert np.abs((estimate.values - exact)[bad] / estimate.standard_errors[bad]).max() < 4
    assert after.evidence.bound == ""
    assert "3 of the data, whose k-hat was too high, were annealed" in " ".join(str(after).split())
    assert not any(v.startswith("Untrusted") for v in after.verdicts)
    again = Account.from_json(after.to_json(), after.arrays())
    assert str(again) == str(after) and again.evidence_estimate.bound == ""


def test_what_annealing_may_cost_is_a_share_of_importance_sampling():
    _, model, x, _ = few_bad()
    pair = evidence_line.pair_work(model, x[0])
    assert evidence_line.affordable_annealing(model, x, 400) == 0
    samples = 10**8
    affordable = evidence_line.affordable_annealing(model, x, samples)
    spent = affordable * 16 * 165 * 7 * 3 * pair + evidence_line.COMPILATION
    assert spent <= 0.4 * len(x) * samples * pair < spent + 2 * 16 * 165 * 21 * pair


def test_modes_that_q_misses_are_a_verdict_of_the_account():
    one, both = mirror_modes.make(), mirror_modes.make(covers_both=True)
    x = one.data(200, seed=0)
    found = account(one.model, x, key=KEY, num_samples=1000, num_draws=1)
    assert found.evidence.value == pytest.approx((one.log_evidence(x) - np.log(2)).mean(), abs=1e-6)
    compared = found.evidence_estimate.other_start
    assert abs(compared.difference - np.log(2)) < 4 * compared.standard_error
    verdict = next(v for v in found.verdicts if v.startswith("Missed modes"))
    assert f"{compared.difference:.2f} +- {compared.standard_error:.2f} nats higher" in verdict
    assert found.evidence.bound == "lower" and "Nothing stands out" not in str(found)
    assert not any(v.startswith("Untrusted") for v in found.verdicts)
    again = Account.from_json(found.to_json(), found.arrays())
    assert again.to_json() == found.to_json() and str(again) == str(found)
    fair = account(both.model, x, key=KEY, num_samples=1000, num_draws=1)
    assert not any(v.startswith("Missed modes") for v in fair.verdicts)
    assert fair.evidence.bound == ""
