"""Measures how a package is written: `python tools/code_statistics.py [PACKAGE_DIR ...]`.

Without arguments the package is `src/jensen` of this repository; with several directories there is
a column for each, so that packages can be compared. `--json` prints the same figures as JSON. Test
modules (`tests/`, `test_*.py`, `conftest.py`) and stubs are left out. Nothing is imported.

- A code line is a physical line that is neither blank nor a comment alone; docstrings count.
- A comment is one comment token, so a block of three lines is three comments.
- A room is a folder directly within the package; the package's own modules are one room too. An
  import circle is a set of modules of one room that import each other, however indirectly, by
  imports that run when the module is imported: not within functions, not for type checking alone.
  `late_import_circles` takes imports within functions for imports too.
- The vague names are counted where a function binds them, as a variable or as an argument.
- `key` is positional where a call may leave its name out; a `key` annotated as `str` is no random
  key.
"""

import argparse
import ast
import io
import json
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VAGUE_NAMES = ("found", "said", "kept", "known", "wanted")
PARAMETERS = ("data", "config", "model")
SHORT_FILE = 60
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One source file: its dotted name, its text and its syntax tree."""

    name: str
    is_package: bool
    path: Path
    text: str
    tree: ast.Module


def read_modules(package: Path) -> list[Module]:
    """All modules of the package that are no tests, in the order of their paths."""
    modules = []
    for path in sorted(package.rglob("*.py")):
        folders = path.relative_to(package).parent.parts
        is_test = path.name.startswith("test_") or path.name == "conftest.py"
        if is_test or {"tests", "test", "__pycache__"} & set(folders):
            continue
        is_package = path.name == "__init__.py"
        parts = (package.name, *folders) if is_package else (package.name, *folders, path.stem)
        text = path.read_text(encoding="utf-8")
        modules.append(Module(".".join(parts), is_package, path, text, ast.parse(text)))
    return modules


def code_lines_and_comments(text: str) -> tuple[list[int], int]:
    """The widths of the code lines, and how many comments there are."""
    lines = text.split("\n")  # as tokenize counts them: a form feed ends no line
    code_rows: set[int] = set()
    num_comments = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            num_comments += 1
        if token.type not in LAYOUT:
            # A string or docstring token spans several lines.
            code_rows.update(range(token.start[0], token.end[0] + 1))
    rows = (lines[row - 1].rstrip() for row in code_rows)
    return [len(line) for line in rows if line], num_comments


def functions(tree: ast.Module) -> Iterator[Function]:
    """All functions and methods, those within functions too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function | ast.Lambda) -> list[ast.arg]:
    """All arguments of a function, `*args` and `**kwargs` too."""
    arguments = function.args
    stars = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def vague_names(tree: ast.Module) -> list[str]:
    """Every binding of a vague name within a function, once for each time that it is bound."""
    inside: dict[int, ast.AST] = {}
    for function in ast.walk(tree):
        if isinstance(function, Function | ast.Lambda):
            # Functions within functions are walked twice; their nodes count once.
            inside |= {id(node): node for node in ast.walk(function)}
    bound = []
    for node in inside.values():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.append(node.id)
        elif isinstance(node, ast.arg):
            bound.append(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.append(node.name)
    return [name for name in bound if name in VAGUE_NAMES]


def has_positional_key(function: Function) -> bool:
    """Whether a random key may be passed without its name."""
    positional = [*function.args.posonlyargs, *function.args.args]
    return any(
        argument.arg == "key"
        and not (argument.annotation and ast.unparse(argument.annotation) == "str")
        for argument in positional
    )


def is_public(function: Function) -> bool:
    """Whether its name is public, or that of a method that Python calls (`__init__`)."""
    return not function.name.startswith("_") or function.name.endswith("__")


def _imports_that_run(
    statements: list[ast.stmt], *, late: bool
) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that run when the module is imported; with `late` in functions too."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from _imports_that_run(statement.orelse, late=late)
        elif late or not isinstance(statement, Function):
            # A class body, `if`, `try` or `with`: each of its blocks runs, or may run.
            for block in ("body", "orelse", "finalbody"):
                yield from _imports_that_run(getattr(statement, block, []), late=late)
            for handler in getattr(statement, "handlers", []):
                yield from _imports_that_run(handler.body, late=late)


def imported_modules(module: Module, names: set[str], *, late: bool = False) -> set[str]:
    """Which of the modules `names` this one imports when it is imported, or with `late` ever."""
    targets = set()
    for statement in _imports_that_run(module.tree.body, late=late):
        if isinstance(statement, ast.Import):
            targets |= {alias.name for alias in statement.names}
            continue
        base = statement.module or ""
        if statement.level:
            # `from . import a` in package.room.b means package.room, in package.room/__init__ too.
            parts = module.name.split(".")
            up = statement.level - module.is_package
            base = ".".join([*parts[: len(parts) - up], *([base] if base else [])])
        for alias in statement.names:
            submodule = f"{base}.{alias.name}"
            targets.add(submodule if submodule in names else base)
    return (targets & names) - {module.name}


def room_of(module: Module) -> str:
    """The folder directly within the package that holds the module; "" for the package itself."""
    parts = module.name.split(".")
    return parts[1] if len(parts) > 2 or (module.is_package and len(parts) > 1) else ""


def import_circles(modules: list[Module], *, late: bool = False) -> list[list[str]]:
    """The sets of modules of one room that import each other, largest first."""
    names = {module.name for module in modules}
    room = {module.name: room_of(module) for module in modules}
    edges = {
        module.name: {
            target
            for target in imported_modules(module, names, late=late)
            if room[target] == room[module.name]
        }
        for module in modules
    }

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        stack = list(edges[start])
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack.extend(edges[name])
        return seen

    reach = {name: reached(name) for name in edges}
    circles = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in edges
        if name in reach[name]
    }
    return sorted(map(list, circles), key=lambda circle: (-len(circle), circle))


def measure(package: Path) -> dict:
    """All figures of one package, as JSON holds them.

    Raises ValueError where the directory holds no Python module.
    """
    modules = read_modules(package)
    if not modules:
        raise ValueError(f"{package} holds no Python module; name the directory of a package.")
    widths, num_comments = [], 0
    for module in modules:
        module_widths, module_comments = code_lines_and_comments(module.text)
        widths += module_widths
        num_comments += module_comments
    lines = {module: len(module.text.splitlines()) for module in modules}
    largest = max(modules, key=lambda module: lines[module])
    all_functions = [function for module in modules for function in functions(module.tree)]
    with_key = [function for function in all_functions if has_positional_key(function)]
    vague = [name for module in modules for name in vague_names(module.tree)]
    taken = {
        module: {
            parameter.arg
            for function in functions(module.tree)
            for parameter in parameters(function)
        }
        for module in modules
    }
    over_100, over_140 = (sum(width > limit for width in widths) for limit in (100, 140))
    return {
        "package": package.name,
        "code_lines": len(widths),
        "code_lines_over_100": over_100,
        "share_over_100": over_100 / max(len(widths), 1),
        "code_lines_over_140": over_140,
        "share_over_140": over_140 / max(len(widths), 1),
        "comments_per_100_code_lines": 100 * num_comments / max(len(widths), 1),
        "files": len(modules),
        "median_lines_per_file": statistics.median(lines.values()),
        "files_under_60_lines": sum(count < SHORT_FILE for count in lines.values()),
        "largest_file": largest.path.relative_to(package).as_posix(),
        "largest_file_lines": lines[largest],
        "vague_names": {name: vague.count(name) for name in VAGUE_NAMES},
        "import_circles": import_circles(modules),
        "late_import_circles": import_circles(modules, late=True),
        "functions": len(all_functions),
        "functions_with_positional_key": len(with_key),
        "public_functions_with_positional_key": sum(map(is_public, with_key)),
        "modules_that_take": {
            name: sum(name in names for names in taken.values()) for name in PARAMETERS
        },
    }


def table(measurements: list[dict]) -> str:
    """The figures as plain text: a row for each, a column for each package."""

    def lines_and_share(limit: int):
        return lambda m: f"{m[f'code_lines_over_{limit}']} ({m[f'share_over_{limit}']:.1%})"

    rows = {
        "code lines": lambda m: m["code_lines"],
        "code lines over 100 columns": lines_and_share(100),
        "code lines over 140 columns": lines_and_share(140),
        "comments per 100 code lines": lambda m: f"{m['comments_per_100_code_lines']:.1f}",
        "files": lambda m: m["files"],
        "median lines per file": lambda m: f"{m['median_lines_per_file']:g}",
        "files under 60 lines": lambda m: m["files_under_60_lines"],
        "largest file, lines": lambda m: m["largest_file_lines"],
        **{f"local name `{n}`": lambda m, n=n: m["vague_names"][n] for n in VAGUE_NAMES},
        "import circles within a room": lambda m: len(m["import_circles"]),
        "modules in these circles": lambda m: sum(map(len, m["import_circles"])),
        "with imports in functions": lambda m: len(m["late_import_circles"]),
        "modules in those": lambda m: sum(map(len, m["late_import_circles"])),
        "functions": lambda m: m["functions"],
        "functions, positional `key`": lambda m: m["functions_with_positional_key"],
        "public ones among these": lambda m: m["public_functions_with_positional_key"],
        **{
            f"modules that take `{n}`": lambda m, n=n: m["modules_that_take"][n] for n in PARAMETERS
        },
    }
    cells = [["", *(m["package"] for m in measurements)]]
    cells += [[label, *(str(value(m)) for m in measurements)] for label, value in rows.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in cells
    ]
    largest = [f"largest file of {m['package']}: {m['largest_file']}" for m in measurements]
    circles = [
        f"circle in {m['package']}: {', '.join(circle)}"
        for m in measurements
        for circle in m["late_import_circles"]
    ]
    return "\n".join(lines + largest + circles)


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    default = Path(__file__).parents[1] / "src" / "jensen"
    parser.add_argument("packages", nargs="*", type=Path, default=[default], metavar="PACKAGE_DIR")
    parser.add_argument("--json", action="store_true", help="print JSON in the place of a table")
    arguments = parser.parse_args()
    try:
        measurements = [measure(package.resolve()) for package in arguments.packages]
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(measurements, indent=2) if arguments.json else table(measurements))


if __name__ == "__main__":
    main()
