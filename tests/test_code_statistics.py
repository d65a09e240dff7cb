"""The statistics of the code, on a package so small that they are counted by hand."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "code_statistics.py"
specification = importlib.util.spec_from_file_location("code_statistics", TOOL)
code_statistics = importlib.util.module_from_spec(specification)
specification.loader.exec_module(code_statistics)

INIT = '''"""A package.

Its docstring is three code lines: the blank one between counts for nothing.
"""
'''
# 5 code lines, one of 101 columns and one of 141; 3 comments, one of them beside code.
WIDE = f"""# first
# second
found = 1

def scale(data, key, model=None):  # third
    found = {"1" * 89}
    known = {"2" * 129}
    return lambda said: found
"""
ONE = """from toy.room import two
from toy.room.three import draw

def fit(model, *, key, data):
    from toy.room import five
    return five

def label(key: str, /):
    return key

def _hidden(key, config):
    for kept in config:
        try:
            wanted = kept
        except ValueError as found:
            pass
"""
TWO = """from . import one
class Sampler:
    from .three import draw
    def __call__(self, x, key):
        return x
"""
THREE = """from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .two import Sampler
try:
    from ..room import four
except ImportError:
    import toy.room.four
def draw(): ...
"""
FOUR = "import toy.wide\n"
FIVE = "from toy.room import one, four\n" + "five = 5\n" * 60
TEST = "found = 1  # no module of the package\n"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    package = tmp_path_factory.mktemp("packages") / "toy"
    files = {
        "__init__.py": INIT,
        "wide.py": WIDE,
        "room/__init__.py": "",
        "room/one.py": ONE,
        "room/two.py": TWO,
        "room/three.py": THREE,
        "room/four.py": FOUR,
        "room/five.py": FIVE,
        "room/test_one.py": TEST,
        "tests/other.py": TEST,
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    return package


def test_the_figures_are_those_counted_by_hand(toy):
    code_lines = 3 + 5 + 13 + 5 + 8 + 1 + 61
    assert code_statistics.measure(toy) == {
        "package": "toy",
        "code_lines": code_lines,
        "code_lines_over_100": 2,
        "share_over_100": 2 / code_lines,
        "code_lines_over_140": 1,
        "share_over_140": 1 / code_lines,
        "comments_per_100_code_lines": 300 / code_lines,
        "files": 8,
        "median_lines_per_file": (5 + 8) / 2,  # 0, 1, 4, 5 | 8, 8, 16, 61
        "files_under_60_lines": 7,
        "largest_file": "room/five.py",
        "largest_file_lines": 61,
        # `found` of the module is no local; that of `scale` and that of `except` are.
        "vague_names": {"found": 2, "said": 1, "kept": 1, "known": 1, "wanted": 1},
        "import_circles": [["toy.room.one", "toy.room.two"]],
        # `fit` imports `five`, which imports `one`.
        "late_import_circles": [["toy.room.five", "toy.room.one", "toy.room.two"]],
        "functions": 6,
        "functions_with_positional_key": 3,
        "public_functions_with_positional_key": 2,
        "modules_that_take": {"data": 2, "config": 1, "model": 2},
    }


def test_an_import_within_a_function_closes_no_circle_and_one_within_a_class_does(toy):
    modules = {module.name: module for module in code_statistics.read_modules(toy)}
    names = set(modules)

    def imported(name):
        return code_statistics.imported_modules(modules[name], names)

    assert imported("toy.room.one") == {"toy.room.two", "toy.room.three"}
    assert imported("toy.room.two") == {"toy.room.one", "toy.room.three"}
    assert imported("toy.room.three") == {"toy.room.four"}
    assert imported("toy.room.five") == {"toy.room.one", "toy.room.four"}
    # From the room to the package: an import, but not one within a room.
    assert imported("toy.room.four") == {"toy.wide"}


def test_the_command_prints_a_column_for_each_package(toy):
    def output(*arguments):
        command = [sys.executable, str(TOOL), str(toy), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert json.loads(output("--json")) == [code_statistics.measure(toy)]
    rows = {line[:30].strip(): line[30:].split() for line in output(str(toy)).splitlines()}
    assert rows["code lines over 140 columns"] == ["1", "(1.0%)"] * 2
    assert rows["local name `found`"] == ["2", "2"]


def test_a_folder_without_modules_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no Python module; name the directory"):
        code_statistics.measure(tmp_path)
