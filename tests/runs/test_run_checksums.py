"""Every file of a run is held against its checksum: damage is named, what is intact is used."""

import json
import re
import shutil

import numpy as np
import pytest

import jensen
from command_line import call
from jensen._checksums import (
    DamageError,
    from_checked_json,
    from_checked_toml,
    to_checked_json,
    to_checked_toml,
)
from jensen._files import npz_bytes, read_npz
from jensen._notes import Note
from jensen.runs import RunError, read_history
from jensen.sessions import report_of, resume_run
from small_runs import leaves

VALUES = {"a": [1.5, -2e-300, None, True], "b": {"c": "é", "nan": float("inf")}, "1": 3}


def change_a_digit(text: str, after: str) -> str:
    """The text with the first digit behind `after` changed to another."""
    start = text.index(after) + len(after)
    place = start + re.search(r"[1-8]", text[start:]).start()
    return text[:place] + str(int(text[place]) + 1) + text[place + 1 :]


def test_json_comes_back_and_any_changed_value_is_noticed():
    text = to_checked_json(VALUES, indent=1)
    assert from_checked_json(text) == (VALUES, True)
    # Another layout is no other content.
    assert from_checked_json(json.dumps(json.loads(text), sort_keys=True)) == (VALUES, True)
    assert from_checked_json(json.dumps(VALUES)) == (VALUES, False)
    for old, new in [("1.5", "1.6"), ("true", "false"), ('"c"', '"d"'), ("\n 3", "\n 4")]:
        if old in text:
            with pytest.raises(DamageError, match="a value was changed"):
                from_checked_json(text.replace(old, new))
    for broken in ("", "[1]", text[:-5], "[" * 100_000):
        with pytest.raises(DamageError):
            from_checked_json(broken)


def test_toml_comes_back_and_any_changed_byte_is_noticed():
    text = to_checked_toml("seed = 0\n[prior]\nname = 'vamp'\n")
    assert from_checked_toml(text) == ("seed = 0\n[prior]\nname = 'vamp'\n", True)
    assert from_checked_toml("seed = 0\n") == ("seed = 0\n", False)
    for damaged in (text.replace("0\n", "1\n", 1), text[:-1], text + "\n"):
        with pytest.raises(DamageError):
            from_checked_toml(damaged)


def test_a_flipped_bit_in_an_npz_is_noticed_wherever_values_are(tmp_path):
    arrays = {"x": np.arange(40.0), "y": np.ones((3, 3), np.float32)}
    raw = npz_bytes(arrays)
    path = tmp_path / "a.npz"
    silent = 0
    for place in range(0, len(raw), 7):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
        try:
            read = read_npz(path)
        except Note:
            continue
        silent += 1  # an entry of the archive that no value depends on, such as a date
        assert read is not None
        for name, array in arrays.items():
            if name in read:
                np.testing.assert_array_equal(read[name], array)
    assert silent < len(raw) / 14
    path.write_bytes(raw[:50])
    with pytest.warns(Note, match=r"a.npz is damaged \(.*\); what it held is made again"):
        damaged = read_npz(path)
    assert damaged is None
    assert read_npz(tmp_path / "none.npz") is None


@pytest.mark.parametrize(
    ("name", "after", "message"),
    [
        ("run.json", '"rows"', r"run.json cannot be read \(a value was changed.*is damaged"),
        ("config.toml", "epochs", r"config.toml cannot be read \(a value was changed.*first line"),
    ],
)
def test_a_changed_digit_in_record_or_configuration_is_refused(run, name, after, message):
    (run / name).write_text(change_a_digit((run / name).read_text(), after))
    with pytest.raises(RunError, match=message):
        jensen.load(run)


def test_a_changed_digit_in_an_account_does_not_reach_compare(run, capsys):
    path = run / "accounts" / "test.json"
    text = path.read_text()
    path.write_text(change_a_digit(text, '"elbo"'))
    code, _, err = call(capsys, "compare", str(run), str(run))
    assert code == 1
    assert "test.json cannot be read (a value was changed" in err
    assert f"make it again with: jensen account {run} --split test" in err
    path.write_text(text)
    assert jensen.load(run).account.n == 20
    arrays = dict(np.load(path.with_suffix(".npz")))
    arrays["elbo"] = arrays["elbo"] + 1.0  # a good archive, and not the one that was stored
    path.with_suffix(".npz").write_bytes(npz_bytes(arrays))
    with pytest.raises(RunError, match=r"test.npz was altered or truncated"):
        _ = jensen.load(run).account


def test_an_edited_configuration_is_used_with_a_note(run):
    text = (run / "config.toml").read_text().partition("\n")[2]
    (run / "config.toml").write_text(text.replace("num_samples = 20", "num_samples = 30"))
    with pytest.warns(
        Note, match=r"no checksum in config.toml .*or it was edited\); used as it is"
    ):
        loaded = jensen.load(run)
    assert loaded.config["account"]["num_samples"] == 30


def test_a_run_without_any_checksum_still_loads_with_one_note(run):
    old = run.parent / "old"
    shutil.copytree(run, old)
    for name in ("run.json", "accounts/test.json"):
        values = json.loads((old / name).read_text())
        for entry in ("sha256", "arrays_sha256", "by_hand"):
            values.pop(entry, None)
        (old / name).write_text(json.dumps(values))
    (old / "config.toml").write_text((old / "config.toml").read_text().partition("\n")[2])
    lines = [json.loads(line) for line in (old / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["sha256"]
    (old / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    now = jensen.load(run)
    with pytest.warns(Note, match="no checksum in run.json and config.toml"):
        loaded = jensen.load(old)
    # After that not a word more: warnings are errors here.
    assert loaded.history == now.history
    assert loaded.account.elbo.value == now.account.elbo.value
    assert all(
        np.array_equal(a, b) for a, b in zip(leaves(loaded.model), leaves(now.model), strict=True)
    )


def test_a_damaged_line_is_named_and_the_others_kept(run):
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    whole = [json.loads(line)["epoch"] for line in lines]
    assert whole == [1, 2, 3, 4]
    for damaged in (change_a_digit(lines[1], '"bound"'), "\x00" * 40 + "\n", "{}\n", "nonsense\n"):
        path.write_text("".join([lines[0], damaged, *lines[2:]]))
        records, damage = read_history(run)
        assert [r["epoch"] for r in records] == [1, 3, 4]
        assert re.search(r"metrics.jsonl: line 2 is damaged \(.*\); it is left out", damage[0])
        assert damage[1].endswith("has no record of epoch 2.")
    # What a kill cuts short is no damage; what was deleted is.
    path.write_text("".join(lines) + lines[0][:20])
    assert read_history(run).damage == ()
    path.write_text("".join(lines[2:]))
    assert read_history(run).damage == (f"{path} has no record of epoch 1 to 2.",)
    path.write_text("".join([lines[0], lines[2], lines[1], lines[3]]))
    assert "its epoch is 2, after 3" in read_history(run).damage[0]
    path.unlink()
    assert "is missing" in read_history(run).damage[0]


def test_a_resume_keeps_the_intact_history_and_says_what_is_not(run, capsys):
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], change_a_digit(lines[1], '"bound"'), *lines[2:]]))
    with pytest.warns(Note, match=r"line 2 is damaged"):
        fitted, _ = resume_run(jensen.load(run), epochs=5, progress=False)
    assert [r["epoch"] for r in fitted.history] == [1, 3, 4, 5]
    after = path.read_text().splitlines(keepends=True)
    assert [after[0], *after[1:3]] == [lines[0], *lines[2:]]
    with pytest.warns(Note, match=r"has no record of epoch 2"):
        assert [r["epoch"] for r in jensen.load(run).history] == [1, 3, 4, 5]


def test_a_report_is_made_without_a_damaged_account(run, without_drawing):
    account = run / "accounts" / "test.json"
    other = json.loads(account.read_text())
    del other["sha256"]
    fingerprints = jensen.load(run).record["data"]["fingerprints"]
    other |= {"split": "validation", "fingerprint": fingerprints["validation"]}
    (run / "accounts" / "validation.json").write_text(to_checked_json(other))
    shutil.copy(account.with_suffix(".npz"), run / "accounts" / "validation.npz")
    account.write_text(change_a_digit(account.read_text(), '"elbo"'))
    with pytest.warns(Note, match=r"test.json cannot be read .* The report is made without it"):
        page = report_of(jensen.load(run))
    assert "validation" in page.read_text()
