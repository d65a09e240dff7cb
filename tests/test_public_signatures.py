"""Signatures that users see: keys by keyword, the model first, one signature of on_progress."""

import importlib
import inspect

import pytest

import jensen
from jensen._rooms import ROOMS
from jensen.progress import OnProgress, of_task, renamed, silent

MODULES = (
    "jensen.anatomy",
    "jensen.anatomy.level_information",
    "jensen.anatomy.units",
    "jensen.evidence",
    "jensen.generation",
    "jensen.gradients",
    "jensen.sessions",
    "jensen.variational",
    "jensen.weights",
)


def public_functions():
    functions = {name: getattr(jensen, name) for name in jensen.__all__}
    for name in MODULES:
        module = importlib.import_module(name)
        functions |= {f"{name}.{n}": v for n, v in vars(module).items() if not n.startswith("_")}
    return {
        name: function
        for name, function in functions.items()
        if inspect.isfunction(function) and function.__module__.startswith("jensen.")
    }


# Functions of one datum, traced within a compiled program.
HOT = {
    "jensen.weights.datum_log_weights",
    "jensen.weights.draw",
    "jensen.weights.draw_levels",
    "jensen.evidence.refine",
    "jensen.evidence.refinement",
}


def test_a_random_key_is_given_by_keyword_and_the_model_comes_first():
    functions = public_functions()
    assert {"fit", "surgery", "sandwich", "jensen.gradients.gradient_noise"} <= functions.keys()
    for name, function in functions.items():
        parameters = inspect.signature(function).parameters
        positional = [p.name for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert "key" not in positional or name in HOT, name
        assert "model" not in positional[1:] or positional[0] == "run", name
    for room in ROOMS.values():
        for member in room.names():
            key = inspect.signature(room.find(member)).parameters.get("key")
            assert key is None or key.kind is key.KEYWORD_ONLY, (room.package, member)


def test_progress_is_reported_in_one_way():
    for name, function in public_functions().items():
        parameter = inspect.signature(function).parameters.get("on_progress")
        if parameter is not None and function.__module__ != "jensen.progress":
            assert parameter.default is silent, name
            assert parameter.annotation == OnProgress, name


@pytest.mark.parametrize("make", [of_task, renamed])
def test_what_is_reported_can_be_named(make):
    calls = []
    report = make(lambda *call: calls.append(call), "evidence, S = 5")
    report(*(["evidence"] if make is renamed else []), 3, 10)
    assert calls == [("evidence, S = 5", 3, 10)]
    assert silent("evidence", 3, 10) is None
