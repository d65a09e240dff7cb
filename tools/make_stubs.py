"""Writes the type stubs of the rooms (`priors/__init__.pyi` ...): python tools/make_stubs.py.

A room finds its members by their files, when they are asked for, which no type checker can follow.
The stub lists them, so that editors complete `jensen.priors.Vamp` and check its arguments. Run this
after adding a member; a test demands that stubs and rooms agree. With --check nothing is written,
and the exit code says whether all stubs are up to date.
"""

import ast
import importlib
import sys
from pathlib import Path

from jensen._rooms import Room

SOURCE = Path(__file__).parents[1] / "src"
NOTE = '"""Made by tools/make_stubs.py, for type checkers and editors alone."""\n'


def room_packages() -> list[Path]:
    """The `__init__.py` of every package that finds its public members by their files."""
    packages = sorted((SOURCE / "jensen").rglob("__init__.py"))
    return [
        path
        for path in packages
        if "attribute_access()" in path.read_text() and not path.parent.name.startswith("_")
    ]


def stub(init: Path) -> str:
    """The stub of one room: what its `__init__.py` imports, and its members' classes."""
    package = ".".join(init.parent.relative_to(SOURCE).parts)
    module = importlib.import_module(package)
    (room_name, room) = next(
        (name, value) for name, value in vars(module).items() if _is_own_room(value, package)
    )
    members = [room.find(name) for name in room.names()]
    body = ast.parse(init.read_text()).body
    functions = [
        node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    imports = {
        f"from {node.module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        # what functions' annotations need is imported without `as`, and stays private
        if alias.asname or functions
    }
    imports |= {f"from {c.__module__} import {c.__name__} as {c.__name__}" for c in members}
    imports |= {
        f"from {package}.{file} import {name} as {name}"
        for name, file in getattr(module, "LATER", {}).items()
    }
    imports.add("from jensen._rooms import Room")
    lines = sorted(imports)
    if not any(line.endswith(f" as {room_name}") for line in lines):
        lines += ["", f"{room_name}: Room"]
    for node in functions:
        node.body = [ast.Expr(ast.Constant(...))]
        lines += ["", ast.unparse(node)]
    return NOTE + "\n" + "\n".join(lines) + "\n"


def _is_own_room(value: object, package: str) -> bool:
    return isinstance(value, Room) and value.package == package


def main(arguments: list[str]) -> int:
    """Writes, or checks, all stubs; the exit code is 1 where one is out of date."""
    outdated = []
    for init in room_packages():
        path, text = init.with_suffix(".pyi"), stub(init)
        if path.exists() and path.read_text() == text:
            continue
        outdated.append(str(path.relative_to(SOURCE)))
        if "--check" not in arguments:
            path.write_text(text)
    for path in outdated:
        print(f"{path}: {'out of date' if '--check' in arguments else 'written'}")
    return int(bool(outdated) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
