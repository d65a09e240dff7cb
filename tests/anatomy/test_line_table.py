"""The table of lines: a new entry is everywhere at once, and older stored accounts still load."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.anatomy import Account, Generalisation, account, compare, line_table
from jensen.anatomy.line_table import LineSpec, entries, spec
from jensen.anatomy.lines import Change, check_closure

KEY = jax.random.key(3)
STORED = Path(__file__).parent / "stored"
# Half the reconstruction, as a line of its own below the entropy.
HALF = LineSpec(
    "half",
    "half of it",
    "+",
    formula="E_q log p(x|z) / 2",
    short="a half, short",
    meaning="A half, at length.",
    remedy="Double it.",
    method="by halves",
    values=lambda s: s.log_likelihood / 2,
)


@pytest.fixture
def world():
    model = linear_gaussian.make(latent=1)
    return model.model, model.data(20, seed=0).astype(np.float32)


def make(world, **options):
    model, x = world
    return account(model, x, key=KEY, num_samples=30, num_draws=2, fingerprint="one", **options)


def test_a_new_line_is_one_entry(world, monkeypatch):
    monkeypatch.setattr(line_table, "LINES", (*line_table.LINES, HALF))
    acc = make(world)
    line = acc.line("half")
    assert line.value == pytest.approx(acc.reconstruction.value / 2, abs=1e-12)
    assert list(acc.lines)[-1] == "half"
    # The text table.
    (row,) = [text for text in str(acc).splitlines() if "half of it" in text]
    assert row.startswith("    + half of it") and row.endswith("a half, short")
    assert f"{line.value:.3f}" in row and f"{line.data_error:.3f}" in row
    # JSON and arrays, and back.
    assert acc.to_json()["half"]["value"] == line.value
    loaded = Account.from_json(acc.to_json(), acc.arrays())
    assert loaded.to_json() == acc.to_json() and str(loaded) == str(acc)
    np.testing.assert_array_equal(loaded.line("half").per_datum, line.per_datum)
    # The Dataset.
    variable = acc.to_dataset()["half"]
    assert float(variable.mean()) == pytest.approx(line.value, abs=1e-12)
    assert variable.attrs["long_name"] == HALF.formula
    # Comparisons of two and of three.
    two = compare(acc, replace(acc, further_lines={"half": replace(line, value=line.value + 1)}))
    assert two.lines["half"].second == line.value + 1 and "+ half of it" in str(two)
    assert "+ half of it" in str(compare(acc, acc, acc, names=("a", "b", "c")))
    # The report's rows, and test minus train.
    from jensen.reports._rows import account_rows

    row = account_rows({"test": acc})[-1]
    assert (row.label, row.meaning, row.remedy) == ("+ half of it", HALF.meaning, HALF.remedy)
    both = Generalisation(acc, acc, {"half": Change(1.0, 3.0, 2.0, 0.1)}, acc.n)
    (row,) = [text for text in str(both).splitlines() if "half of it" in text]
    assert row.endswith("+2.000   0.100  *")


def test_a_drawn_part_takes_its_line_s_place_in_the_waterfall(world, monkeypatch):
    from jensen.reports._waterfall import describe, segments

    acc = make(world)
    names = [row.name for row in segments(acc)[1]]
    assert names == ["reconstruction", "index_information", "marginal_kl", "elbo"]
    part = replace(HALF, part_of="marginal_kl", drawn=True, sign="-")
    monkeypatch.setattr(line_table, "LINES", (*line_table.LINES, part))
    acc = make(world)
    assert [row.name for row in segments(acc)[1]][2] == "half"
    value = f"{-acc.line('half').value:.2f}".rstrip("0")
    assert f"minus the half of it \N{MINUS SIGN}{value}, is the same ELBO" in describe(acc)


def test_influential_data_carry_a_new_line_too(world, monkeypatch):
    monkeypatch.setattr(line_table, "LINES", (*line_table.LINES, HALF))
    acc = make(world)
    values = acc.line("half").per_datum.copy()
    values[7] = 1e4
    acc = replace(acc, further_lines={"half": replace(acc.line("half"), per_datum=values)})
    (influence,) = [i for i in acc.influential if i.line == "half"]
    assert influence.data == (7,)
    assert f"Datum 7 carries {influence.share:.0%} of how the half of it varies" in str(acc)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("elbo", "ELBO = reconstruction - average KL"),
        ("entropy", "ELBO = - expected energy + entropy"),
        ("kl_z1", "average KL = sum of the KLs of its levels"),
        ("index_information", "KL of z2 = I(n; z) + marginal KL"),
        ("total_correlation", "marginal KL = total correlation + dimension-wise KL"),
    ],
)
def test_every_identity_of_the_table_is_checked(name, identity):
    values = {
        "elbo": -5.0,
        "reconstruction": 1.0,
        "average_kl": 6.0,
        "kl_z1": 1.5,
        "kl_z2": 4.5,
        "index_information": 3.0,
        "marginal_kl": 1.5,
        "total_correlation": 1.1,
        "dimension_wise_kl": 0.4,
        "expected_energy": 7.0,
        "entropy": 2.0,
    }
    check_closure(values)
    with pytest.raises(ArithmeticError) as error:
        check_closure(values | {name: values[name] + 0.01})
    assert identity in str(error.value) or name == "elbo"
    assert "0.01" in str(error.value)
    # Without levels, I(n; z) and the marginal KL split the average KL itself.
    flat = {k: v for k, v in values.items() if not k.startswith("kl_z")}
    flat |= {"index_information": 4.5}
    check_closure(flat)
    with pytest.raises(ArithmeticError, match="average KL = I"):
        check_closure(flat | {"index_information": 4.4})


@pytest.mark.parametrize("name", ["vae", "hvae"])
def test_an_account_stored_before_the_table_is_read_as_it_was(name):
    values = json.loads((STORED / f"{name}.json").read_text())
    with np.load(STORED / f"{name}.npz") as file:
        arrays = dict(file)
    acc = Account.from_json(values, arrays)
    again = json.loads(json.dumps(acc.to_json()))
    for key, value in values.items():
        if key not in ("influential", "by_dimension"):
            assert again[key] == value, key
    # Influential data have the names of their rows as well, where these were stored.
    assert [{**i, "rows": None} for i in again["influential"]] == [
        {**i, "rows": None} for i in values["influential"]
    ]
    for line in acc.lines:
        np.testing.assert_array_equal(acc.arrays()[line], arrays[line])
        assert f"  {spec_of(acc, line).text_label:<28}" in str(acc)
    assert acc.arrays().keys() == arrays.keys()
    figures = compare(acc, acc).lines
    assert set(figures) == set(acc.lines) | set({} if acc.gaps is None else acc.gaps.lines)


def spec_of(acc, line):
    return {entry.name: entry for entry in acc.line_specs}[line]


def test_the_table_s_wording_follows_levels_and_subsets():
    by_name = {entry.name: entry for entry in entries(2)}
    assert by_name["index_information"].label == "I(n; z2)"
    assert by_name["marginal_kl"].short == "KL(q(z2) || p(z2)): a better prior"
    assert by_name["marginal_kl"].part_of == "kl_z2" and by_name["kl_z1"].part_of == "average_kl"
    assert by_name["total_correlation"].depth == spec("total_correlation").depth + 1
    assert spec("kl_z1").formula == "KL of level z1"
    with pytest.raises(KeyError):
        spec("kl_z")
    subset = line_table.with_gap_subset(spec("amortisation_gap"), 30)
    assert subset.short == "what a better encoder could win, on 30 data"
    assert subset.part_of == line_table.SUBSET_GAP
    assert len({entry.name for entry in entries(3)}) == len(entries(3))


def test_influential_data_are_named_by_row_and_index(world):
    model, x = world
    x = x.copy()
    x[4] += 50
    columns = {
        "row": np.arange(100, 120),
        "split": np.array(["test"] * 20),
        "id": np.array([f"s{i}" for i in range(20)]),
    }
    acc = account(model, x, key=KEY, num_samples=30, num_draws=2, row_columns=columns)
    assert "row 104 (test, id s4) carries" in " ".join(acc.verdicts)
    assert "without row 104 (test, id s4)" in " ".join(str(acc).split())
    names = {"index": 4, "row": 104, "split": "test", "id": "s4"}
    stored = json.loads(json.dumps(acc.to_json()))["influential"]
    assert stored and all(influence["rows"] == [names] for influence in stored)
    loaded = Account.from_json(acc.to_json(), acc.arrays())
    assert loaded.to_json() == acc.to_json() and str(loaded) == str(acc)
    with pytest.raises(ValueError, match=r"'row' must have one value for each of the 20 data"):
        account(model, x, key=KEY, num_samples=30, row_columns={"row": np.arange(3)})


def test_the_docs_have_the_table():
    import importlib.util

    path = Path(__file__).parents[2] / "docs" / "make_account.py"
    module_spec = importlib.util.spec_from_file_location("make_account", path)
    make_account = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(make_account)
    page = path.with_name("account.md").read_text()
    assert page == make_account.text(), "run python docs/make_account.py"
    assert all(f"| {entry.label} | " in page for entry in entries())
