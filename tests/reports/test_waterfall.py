import itertools
import math

import numpy as np
import pytest
from _worlds import account_of

from jensen.anatomy import Account, Gaps, Line
from jensen.reports._rows import account_rows
from jensen.reports._style import NARROW, WIDE, styled
from jensen.reports._waterfall import (
    describe,
    draw_waterfall,
    drawable,
    segments,
    value_text,
    window,
)


@pytest.fixture(params=[0, 1])
def account(request):
    return account_of(60, seed=request.param)


def test_the_levels_are_the_account_s_values(account):
    first, second = segments(account)
    assert [row.name for row in first] == ["evidence", "jensen_gap", "elbo"]
    assert [row.name for row in second] == [
        "reconstruction",
        "index_information",
        "marginal_kl",
        "elbo",
    ]
    for row in (*first, *second):
        assert row.value == account.line(row.name).value
        assert row.standard_error == account.line(row.name).standard_error
        if row.kind == "level":
            assert row.start == row.end == account.line(row.name).value


def test_the_steps_close(account):
    for rows in segments(account):
        for before, after in itertools.pairwise(rows):
            assert after.start == pytest.approx(before.end, abs=1e-9)
        for row in rows:
            if row.kind == "step":
                assert row.start - row.end == pytest.approx(row.value, abs=1e-9)


def test_the_window_holds_every_row_but_not_0(account):
    rows = [row for rows in segments(account) for row in rows]
    low, high = window(rows, room=0.25)
    assert all(low < end < high for row in rows for end in (row.start, row.end))
    assert high < 0


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_the_bars_drawn_have_the_lengths_of_the_steps(account, layout):
    with styled():
        axes, strip = draw_waterfall(account, layout).axes
    expected = [
        account.line(name).value for name in ("jensen_gap", "index_information", "marginal_kl")
    ]
    assert np.allclose([-bar.get_width() for bar in axes.patches], expected)
    low, high = strip.get_xlim()
    assert low < 0 < high


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_each_row_is_labelled_with_its_value_and_error(account, layout):
    with styled():
        axes = draw_waterfall(account, layout).axes[0]
    said = {text.get_text() for text in axes.texts}
    for name in ("evidence", "elbo", "reconstruction"):
        line = account.line(name)
        assert (
            f"{line.value:.3f} ± {line.standard_error:.3f}".replace("-", "\N{MINUS SIGN}") in said
        )
    assert f"\N{MINUS SIGN}{account.jensen_gap.value:.3f} ± 0.040" in said


def test_a_negative_estimate_of_a_divergence_is_drawn_as_it_is():
    account = account_of(5)
    flipped = Account(
        **{**vars(account), "jensen_gap": Line(-0.2, 0.3, 0.1, np.zeros(5), np.zeros(5))}
    )
    step = segments(flipped)[0][1]
    assert step.end == step.start + 0.2
    assert value_text(step).startswith("+0.200")


def split(account, *, rows=None):
    """The account with its Jensen gap split 1 : 3, on all the data or the first few."""
    index = np.arange(rows or account.n)

    def part(share):
        gap = account.jensen_gap
        return Line(
            share * gap.value,
            gap.standard_error,
            gap.data_error,
            share * gap.per_datum[index],
            gap.per_datum_error[index],
        )

    gaps = Gaps("diagonal", True, index, account.n, part(1.0), part(0.25), part(0.75), part(1.0), 0)
    return Account(**{**vars(account), "gaps": gaps})


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_the_jensen_gap_falls_in_two_steps_where_all_data_have_them(account, layout):
    found = split(account)
    gap = account.jensen_gap.value
    first, second = segments(found)
    assert [row.name for row in first] == [
        "evidence",
        "approximation_gap",
        "amortisation_gap",
        "elbo",
    ]
    assert [row.name for row in second] == [
        "reconstruction",
        "index_information",
        "marginal_kl",
        "elbo",
    ]
    assert first[2].end == pytest.approx(account.elbo.value, abs=1e-9)
    with styled():
        axes = draw_waterfall(found, layout).axes[0]
    assert np.allclose([-bar.get_width() for bar in axes.patches][:2], [gap / 4, 3 * gap / 4])
    assert "\N{MINUS SIGN} amortisation" in {text.get_text() for text in axes.texts}
    assert (
        f"(the approximation gap {round(gap / 4, 2):.5g} and the amortisation gap "
        f"{round(3 * gap / 4, 2):.5g})" in describe(found)
    )


def test_a_subset_leaves_the_waterfall_as_it_is(account):
    assert segments(split(account, rows=7)) == segments(account)
    assert describe(split(account, rows=7)) == describe(account)


def test_the_rows_of_the_table_hold_the_parts_and_say_where(account):
    main = split(account, rows=7)
    rows = {
        row.name: row
        for row in account_rows({"test": main, "other": split(account), "without": account})
    }
    row = rows["amortisation_gap"]
    assert row.value == pytest.approx(0.75 * account.jensen_gap.value)
    assert row.beside[0].difference == pytest.approx(0, abs=1e-12)
    assert row.beside[1] is None
    assert "Best of the diagonal family, on a random 7 of the 60 data" in row.meaning
    assert list(rows)[:5] == [
        "evidence",
        "jensen_gap",
        "subset_jensen_gap",  # of the 7 data, to which the two parts sum
        "approximation_gap",
        "amortisation_gap",
    ]
    whole = rows["subset_jensen_gap"]
    assert whole.label == "Jensen gap of 7 data" and rows["approximation_gap"].depth == 3
    assert whole.value == main.gaps.jensen_gap.value
    assert whole.beside[0].value == split(account).gaps.jensen_gap.value
    assert "amortisation_gap" not in {
        row.name for row in account_rows({"test": account, "other": main})
    }


def test_no_waterfall_of_an_infinite_evidence():
    account = account_of(5)
    assert drawable(account)
    assert not drawable(
        Account(
            **{**vars(account), "evidence": Line(-math.inf, 0.0, 0.0, np.zeros(5), np.zeros(5))}
        )
    )


def test_the_description_names_every_value(account):
    said = describe(account).replace("\N{MINUS SIGN}", "-")
    for name in (
        "evidence",
        "jensen_gap",
        "elbo",
        "reconstruction",
        "index_information",
        "marginal_kl",
    ):
        assert f" {round(account.line(name).value, 2):.5g}" in said
