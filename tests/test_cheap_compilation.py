"""The tests' own speed-up: what this XLA does not survive is left out, and the header names it."""

import pytest

import cheap_compilation


def test_a_flag_that_ends_the_process_is_left_out_and_the_others_are_used(monkeypatch):
    monkeypatch.setattr(
        cheap_compilation, "FLAGS", ("--xla_backend_optimization_level=0", "--xla_is_no_flag=1")
    )
    assert cheap_compilation.usable() == (
        "--xla_backend_optimization_level=0",
        cheap_compilation.CONTEXTS,
    )


def test_a_program_with_a_wrong_value_counts_as_not_survived():
    assert cheap_compilation.survives((), cheap_compilation.NOTHING)
    assert not cheap_compilation.survives((), cheap_compilation.NOTHING.replace("== 2", "== 3"))


def test_flags_of_a_persons_own_are_left_as_they_are(monkeypatch):
    monkeypatch.delenv(cheap_compilation.USED, raising=False)
    monkeypatch.setenv("XLA_FLAGS", "")
    assert cheap_compilation.set_up() == ()
    assert "as users have it" in cheap_compilation.header()


@pytest.mark.parametrize("left_out", ["", "--xla_cpu_use_fusion_emitters=false"])
def test_the_header_names_what_was_left_out(monkeypatch, left_out):
    monkeypatch.setenv(cheap_compilation.USED, "--xla_backend_optimization_level=0")
    monkeypatch.setenv(cheap_compilation.LEFT_OUT, left_out)
    header = cheap_compilation.header()
    assert header.startswith("compilation: --xla_backend_optimization_level=0")
    assert ("left out" in header) == bool(left_out)
    assert left_out in header
