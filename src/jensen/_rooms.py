"""A room is a folder of the package in which every member adds one thing: {name: class}.

A file `priors/vamp.py` with one final class that derives from the room's abstract class is the
prior called `vamp`; a folder `priors/vamp/` would hold that class in its `__init__.py`. Its
keyword-only arguments *with* a default are its options (they become
`--set prior.num_components=200` and the record in the run folder); those *without* a default are
context that the builder supplies by name (`latent_dim`, `event_shape`, `key`, `data` ...). A path
such as `./mine.py` names a class outside the tree in the same way.
"""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """The text ` (did you mean 'vamp'?)` when a known name is close to `name`, otherwise an empty text."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


class Room:
    """The members of one folder: `names()`, `find(name)`, `options(name)` and `build(name, options, context)`.

    Listing the names imports nothing, so that help texts stay fast; a class is imported when it is asked for.

        priors = Room("jensen.priors", "prior")
        priors.names()        # ('mixture', 'standard_normal', 'vamp')
    """

    def __init__(self, package: str, noun: str):
        self.package = package
        self.noun = noun
        self._folder = Path(__file__).parent / Path(*package.split(".")[1:])

    def names(self) -> tuple[str, ...]:
        """The names of the room's members, sorted; nothing is imported.

        A member is a file `NAME.py` or a folder `NAME/__init__.py`; names that start with an
        underscore are none.
        """
        files = (path.stem for path in self._folder.glob("*.py"))
        folders = (path.parent.name for path in self._folder.glob("*/__init__.py"))
        return tuple(sorted({name for name in (*files, *folders) if not name.startswith("_")}))

    def find(self, name: str) -> type:
        """The class called `name`, or the class in the file that `name` is a path of.

        Raises:
            ValueError: unknown name (the nearest known one is offered), unreadable file, or a file without exactly one class of this room.
        """
        if name.endswith(".py"):
            return self._only_class(module_from_file(name), name)
        if name not in self.names():
            raise ValueError(
                f"unknown {self.noun} {name!r}{nearest(name, self.names())}; known: {', '.join(self.names())}; or a path to a .py file."
            )
        return self._only_class(importlib.import_module(f"{self.package}.{name}"), name)

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options of the member called `name`: its keyword-only arguments that have a default."""
        parameters = inspect.signature(self.find(name)).parameters.values()
        return {
            p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
        }

    def build(self, name: str, options: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        """An instance: required arguments are taken from `context` by name, options from `options`.

        Raises:
            ValueError: an option that the class does not have, a value that is none of its choices, or a required argument that the context lacks.
        """
        cls = self.find(name)
        known = self.options(name)
        for option, value in options.items():
            if option not in known:
                listed = ", ".join(known) or "none"
                raise ValueError(
                    f"{self.noun} {name!r} has no option {option!r}{nearest(option, tuple(known))}; its options: {listed}."
                )
            choices = _choices(known[option].annotation) or (value,)
            if value not in choices:
                listed = ", ".join(map(str, choices))
                raise ValueError(
                    f"{self.noun} {name!r}: {option} must be one of {listed}; got {value!r}{nearest(str(value), tuple(map(str, choices)))}."
                )
        required = [
            p.name for p in inspect.signature(cls).parameters.values() if p.default is p.empty
        ]
        missing = [r for r in required if r not in context]
        if missing:
            raise ValueError(
                f"{self.noun} {name!r} asks for {', '.join(missing)}, which is not to be had here; available: {', '.join(context)}."
            )
        return cls(**{r: context[r] for r in required}, **options)

    def attribute_access(self) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
        """`__getattr__` and `__dir__` for the room's `__init__.py`, so that `jensen.bounds.ELBO` works with no list of classes to keep."""

        def getattribute(attribute: str) -> Any:
            if not attribute.startswith("_"):
                for name in self.names():
                    cls = self.find(name)
                    if cls.__name__ == attribute:
                        return cls
            raise AttributeError(f"module {self.package!r} has no attribute {attribute!r}")

        def directory() -> list[str]:
            return sorted(self.find(name).__name__ for name in self.names())

        return getattribute, directory

    def _only_class(self, module: Any, name: str) -> type:
        abstract = tuple(
            v
            for k, v in vars(importlib.import_module(self.package)).items()
            if k.startswith("Abstract") and inspect.isclass(v)
        )
        classes = [
            c
            for c in vars(module).values()
            if inspect.isclass(c)
            and c.__module__ == module.__name__
            and issubclass(c, abstract)
            and not c.__name__.startswith(("Abstract", "_"))
        ]
        if len(classes) != 1:
            found = ", ".join(c.__name__ for c in classes) or "none"
            raise ValueError(
                f"{name}: a {self.noun} file must hold exactly one public class derived from {abstract[0].__name__} of {self.package}; found: {found}."
            )
        return classes[0]


def _choices(annotation: Any) -> tuple[Any, ...]:
    """What a Literal, or a union of one with None, allows; empty when the annotation is anything else."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    literal = [choice for part in parts for choice in _choices(part)]
    return (*literal, None) if literal else ()


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, as hexadecimal text."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class RecordedName(str):
    """A name that was read from a run folder and not said by a person: the file that it may be a
    path of is imported only when `check`, given the file's bytes, does not raise.

    RecordedName("mine.py", check=lambda source: None)
    """

    check: Callable[[bytes | None], None]

    def __new__(cls, name: str, *, check: Callable[[bytes | None], None]) -> "RecordedName":
        """The name; `check` takes the bytes of the file, None where there is no such file."""
        self = super().__new__(cls, name)
        self.check = check
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (str(self),), {"check": self.check}  # copies are checked as well


def module_from_file(name: str) -> ModuleType:
    """The module in a .py file outside jensen: the one place where such a file is imported.

    A plain text is a name that a person gave, on the command line or in Python, and is trusted; a
    `RecordedName` is asked.

    Raises:
        ValueError: no such file, or one that cannot be run; and what `RecordedName.check` raises.

        module_from_file("mine.py")
    """
    path = Path(name)
    source = path.read_bytes() if path.is_file() else None
    if isinstance(name, RecordedName):
        name.check(source)
    if source is None:
        raise ValueError(
            f"no such file: {path}. A name ending in .py is read as a path to your own code."
        )
    module_name = f"jensen_user_{path.stem}_{hashlib.sha256(source).hexdigest()[:12]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path.resolve())
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        # The bytes that were checked, and neither the file again nor bytecode that lies beside it.
        exec(compile(source, str(path.resolve()), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module_name]
        raise ValueError(f"{path} could not be run: {type(error).__name__}: {error}") from error
    return module
