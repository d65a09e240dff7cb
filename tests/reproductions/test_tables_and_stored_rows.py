"""What all reproductions share: tables as text, numbers in cells, stored rows, differences."""

import json
import math

import numpy as np
import pytest

from jensen.reproductions._base import (
    Column,
    Results,
    number,
    paired_difference,
    plus_minus,
    read_stored_row,
    store_row,
)

RESULTS = Results(
    "Title",
    (Column("name", lambda row: row["name"]), Column("value", lambda row: number(row["value"]))),
    ({"name": "a|b", "value": 1.0}, {"name": "c", "value": math.nan}),
    ("A note.",),
)


def test_numbers_have_no_negative_zero_and_nothing_is_empty():
    assert number(-0.001) == "0.00" and number(-0.001, sign=True) == "+0.00"
    assert number(-82.4312) == "-82.43" and number(0.125, 1) == "0.1"
    assert number(None) == number(math.nan) == ""
    assert plus_minus(-82.43, 0.06) == "-82.43 +- 0.06"
    assert plus_minus(-82.43, None) == plus_minus(-82.43, math.nan) == "-82.43"
    assert plus_minus(math.nan, 0.06) == ""


def test_the_table_is_the_same_in_text_markdown_and_json(tmp_path):
    assert RESULTS.text().splitlines() == [
        *("Title", "", "name  value", "-----------", "a|b   1.00", "c", "", "A note.")
    ]
    RESULTS.write(tmp_path)
    assert (tmp_path / "results.md").read_text().splitlines() == [
        *("# Title", "", "| name | value |", "|---|---|", "| a\\|b | 1.00 |", "| c |  |", ""),
        "- A note.",
    ]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["rows"] == [{"name": "a|b", "value": 1.0}, {"name": "c", "value": None}]


def test_a_stored_row_is_read_only_for_the_settings_it_was_computed_with(tmp_path):
    path, settings = tmp_path / "fits" / "row.json", {"seed": 0, "num_samples": None}
    assert read_stored_row(path, settings) is None
    store_row(path, settings, {"elbo": -1.5, "pareto_k": math.inf})
    assert read_stored_row(path, settings) == {"elbo": -1.5, "pareto_k": None}
    assert read_stored_row(path, settings | {"seed": 1}) is None
    for damaged in (path.read_text()[:20], "[]", "{}"):
        path.write_text(damaged)
        assert read_stored_row(path, settings) is None


def test_a_paired_difference_has_the_error_of_the_differences():
    noise = np.random.default_rng(0).normal(size=50)
    difference = paired_difference(noise * 100 + np.tile([1.0, 3.0], 25), noise * 100)
    assert difference["value"] == pytest.approx(2.0)
    # Half the differences are 1, half are 3: their variance is 50/49.
    assert difference["standard_error"] == pytest.approx(math.sqrt(1 / 49))
