"""Three and more accounts, paired with the first: differences and errors from given numbers, ties, rankings, and what cannot be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest

import jensen
from jensen.anatomy import Account, Line
from jensen.evidence import Evidence

N = 200
LINES = (
    "jensen_gap",
    "elbo",
    "reconstruction",
    "average_kl",
    "index_information",
    "marginal_kl",
    "expected_energy",
    "entropy",
)


def account(seed, shift=0.0, *, n=N, levels=(), **changes):
    """Its lines are the same numbers for every seed, but for a shift and a small noise of the seed's own."""
    common, noise = np.random.default_rng(0), np.random.default_rng(seed)

    def line():
        values = common.normal(-80, 5, N)[:n] + shift + 0.1 * noise.normal(size=n)
        return Line(
            float(values.mean()),
            0.01,
            float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
            values,
            np.full(n, 0.1),
        )

    evidence = line()
    estimate = Evidence(
        evidence.per_datum, np.full(n, 0.1), np.full(n, 50.0), np.zeros(n), 100, "Importance"
    )
    made = Account(
        split="test",
        n=n,
        evidence=evidence,
        **{name: line() for name in LINES},
        active_units=2,
        latent_dim=3,
        evidence_estimate=estimate,
        num_draws=2,
        fingerprint="f",
        levels={name: line() for name in levels},
    )
    return replace(made, **changes)


def difference(a, b, name):
    d = b.line(name).per_datum - a.line(name).per_datum
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))


def test_every_difference_is_paired_with_the_first():
    accounts = [account(1), account(2, 0.3), account(3, 1e-4), account(4, -0.5)]
    found = jensen.compare(*accounts, names=("a", "b", "c", "d"))
    assert [row.name for row in found.rows] == ["evidence", *LINES]
    for name in found.lines:
        for entry, other in zip(found.lines[name], accounts, strict=True):
            assert (entry.difference, entry.standard_error) == pytest.approx(
                difference(accounts[0], other, name), abs=1e-12
            )
            assert entry.value == other.line(name).value
    assert found.comparisons == 3 * 9
    # Bonferroni: P(|z| > t) = 0.05 / 27
    from scipy.stats import norm

    assert 2 * norm.sf(found.bonferroni) == pytest.approx(0.05 / 27)
    # Of two accounts each line is as it is among more.
    two = jensen.compare(accounts[0], accounts[3], names=("a", "d"))
    for name, d in two.lines.items():
        assert (d.difference, d.standard_error) == (
            found.lines[name][3].difference,
            found.lines[name][3].standard_error,
        )


def test_rankings_are_paired_with_the_best_and_name_the_ties():
    accounts = [account(1), account(2, 0.3), account(7, 0.299), account(4, -0.5)]
    places = jensen.compare(*accounts, names=("a", "b", "c", "d")).ranking("elbo")
    best, second, third, last = places
    assert {best.name, second.name} == {"b", "c"}
    assert (third.name, last.name) == ("a", "d")
    assert best.tied and best.behind == 0
    assert second.tied
    assert not third.tied and not last.tied
    b, a = (accounts["abcd".index(p.name)] for p in (best, third))
    assert (third.behind, third.standard_error) == pytest.approx(
        difference(a, b, "elbo"), abs=1e-12
    )
    text = str(jensen.compare(*accounts, names=("a", "b", "c", "d")))
    assert f"Not distinguishable from the best: {second.name}." in text
    clear = jensen.compare(account(1), account(2, 1.0), account(3, 2.0))
    assert str(clear).count("ahead of all others by more than two standard errors") == 2
    # One datum has no standard error: nothing is told apart.
    single = jensen.compare(*(account(s, s, n=1) for s in (1, 2, 3)))
    assert [p.tied for p in single.ranking()] == [True] * 3


def test_marks_and_the_footer_say_how_many_would_cross_by_chance():
    # Of 0.14 / sqrt(200) = 0.01 each: 2.5 standard errors, between 2 and Bonferroni's 3.
    text = str(jensen.compare(account(1), account(1, 0.0), account(2, 1.0)))
    assert "+0.000 +- 0.000  " in text
    assert (
        text.count(" **\n") == 9 or text.count("**") == 9 + 1
    )  # all lines of the third, and the footer
    assert "of 18 comparisons, about 0.8 would be by chance" in text
    assert "Bonferroni's threshold for 18 comparisons at 5%: 2.99 standard errors" in text
    noise = np.array([e.difference / e.standard_error for s in range(40) for e in _alone(s)])
    assert 0.01 < np.mean(np.abs(noise) > 2) < 0.10  # nothing differs: about 4.6% cross


def _alone(seed):
    found = jensen.compare(
        account(100 + 3 * seed), account(101 + 3 * seed), account(102 + 3 * seed)
    )
    return [e for entries in found.lines.values() for e in entries[1:]]


def test_what_is_not_common_is_left_out_and_named():
    flat, deep = account(1), account(2, levels=("kl_z1", "kl_z2"))
    subset = account(3, aggregated_over=50)
    found = jensen.compare(flat, deep, account(4))
    assert not {"kl_z1", "kl_z2"} & found.lines.keys()
    assert found.left_out == {"not in every account": ("kl_z1", "kl_z2")}
    assert "Left out: KL of z1, KL of z2 (not in every account)." in str(found)
    found = jensen.compare(deep, subset, flat)
    assert not {"index_information", "marginal_kl", "kl_z1"} & found.lines.keys()
    assert found.left_out["q(z) is over different numbers of data (50, 200)"] == (
        "index_information",
        "marginal_kl",
    )
    both = jensen.compare(
        deep, account(5, levels=("kl_z1", "kl_z2")), account(6, levels=("kl_z1", "kl_z2"))
    )
    assert {"kl_z1", "kl_z2"} <= both.lines.keys()
    assert both.left_out == {}


def test_an_array_and_json_hold_the_same():
    found = jensen.compare(account(1), account(2, 0.3), account(3), names=("a", "b", "c"))
    data = found.to_dataset()
    assert data.sizes == {"run": 3, "line": 9}
    record = json.loads(json.dumps(found.to_json()))
    for run in "abc":
        for line in found.lines:
            for name in ("value", "difference", "standard_error"):
                assert float(data[name].sel(run=run, line=line)) == record["lines"][line][run][name]
    assert data.attrs["difference_to"] == "a"
    assert [p["name"] for p in record["ranking"]["elbo"]] == [p.name for p in found.ranking("elbo")]
    two = jensen.compare(account(1), account(2, 0.3)).to_dataset()
    assert float(two["difference"].sel(run="second", line="elbo")) == float(
        data["difference"].sel(run="b", line="elbo")
    )


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="at least two accounts; got 1"):
        jensen.compare(account(1))
    with pytest.raises(
        ValueError, match="comparison of 3 accounts wants as many names; got 2: a, b"
    ):
        jensen.compare(account(1), account(2), account(3), names=("a", "b"))
    with pytest.raises(ValueError, match="must differ; got a, b, a"):
        jensen.compare(account(1), account(2), account(3), names=("a", "b", "a"))
    with pytest.raises(
        ValueError, match=r"run 1 and run 3 were not evaluated on the same data points"
    ):
        jensen.compare(account(1), account(2), account(3, fingerprint="other"))


def test_many_runs_are_printed_in_blocks_that_repeat_the_first():
    names = tuple(f"a-run-of-some-length-{i}" for i in range(7))
    text = str(jensen.compare(*(account(i, 0.1 * i) for i in range(7)), names=names))
    assert max(map(len, text.partition("\n\n  By")[0].splitlines())) <= 120
    heads = [line.split()[1:] for line in text.splitlines() if line.startswith("  line")]
    assert all(head[0] == names[0] for head in heads)
    assert [name for head in heads for name in head[1:]] == list(names[1:])
