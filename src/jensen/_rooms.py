"""A room is a folder of the package in which every member adds one thing: {name: class}.

A file `priors/vamp.py` with one final class that derives from the room's abstract class is the
prior called `vamp`; a folder `priors/vamp/` would hold that class in its `__init__.py`. Its
keyword-only arguments *with* a default are its options (they become
`--set prior.num_components=200` and the record in the run folder); those *without* a default are
context that the builder supplies by name (`latent_dim`, `event_shape`, `key`, `data` ...). A path
such as `./mine.py` names a class outside the tree in the same way.
"""

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

LATENT_DIM = 16  # latent dimensions of a model for which none are named


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """The text ` (did you mean 'vamp'?)` when a known name is close to `name`, otherwise an empty
    text."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


@dataclass(frozen=True)
class Resolved:
    """A member of a room with all of its options, checked and typed: what `Room.resolve` returns.

    Attributes:
        kind: what the room's members are, for messages.
        name: what a configuration calls the member; the full name of a class that is no member.
        cls: its class.
        options: every option with its value, of the type of its annotation.
        instance: the object itself where one was given; `build` returns it.
        by_hand: a description in words where no configuration can build the object again (an own
            class, an option that is a function); otherwise empty.
    """

    kind: str
    name: str
    cls: type
    options: dict[str, Any]
    instance: Any = None
    by_hand: str = ""

    @property
    def section(self) -> dict[str, Any]:
        """The section of a configuration that records the member: its name and options; sequences
        are lists, as in TOML and JSON."""
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in self.options.items()}
        return {"name": self.name} | options

    def build(self, context: Mapping[str, Any]) -> Any:
        """An instance; required arguments are taken from `context` by name.

        Raises:
            ValueError: `context` lacks a required argument, or the class refuses a value.

            priors.resolve("standard_normal").build({"latent_dim": 2})
        """
        if self.instance is not None:
            return self.instance
        parameters = inspect.signature(self.cls).parameters.values()
        required = [p.name for p in parameters if p.default is p.empty]
        missing = [name for name in required if name not in context]
        if missing:
            raise ValueError(
                f"{self.kind} {self.name!r} asks for {', '.join(missing)}, which is not to be had "
                f"here; available: {', '.join(context)}."
            )
        return self.cls(**{name: context[name] for name in required}, **self.options)


class Room:
    """The members of one folder: `names()`, `find(name)`, `options(name)`, `resolve(choice)` and
    `build(name, options, context)`.

    Listing the names imports nothing, so that help texts stay fast; a class is imported when it is
    asked for. `default` is the member that serves where none is named; it stands here alone, and
    signatures, configuration, command line and docs take it from here.

        priors = Room("jensen.priors", "prior", default="standard_normal")
        priors.names()        # ('mixture', 'standard_normal', 'vamp')
    """

    def __init__(self, package: str, kind: str, *, default: str = ""):
        self.package = package
        self.kind = kind
        self.default = default
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
            ValueError: unknown name (the nearest known one is offered), unreadable file, or a file
                without exactly one class of this room.
        """
        if name.endswith(".py"):
            return self._only_class(module_from_file(name), name)
        if name not in self.names():
            raise ValueError(
                f"unknown {self.kind} {name!r}{nearest(name, self.names())}; known: "
                f"{', '.join(self.names())}; or a path to a .py file."
            )
        return self._only_class(importlib.import_module(f"{self.package}.{name}"), name)

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options of the member called `name`: its keyword-only arguments with a default."""
        return _options_of(self.find(name))

    def resolve(
        self,
        choice: Any,
        *,
        where: str = "",
        base: Mapping[str, Any] | None = None,
    ) -> Resolved:
        """The member that is chosen, with all of its options checked against their annotations.

        Every way to choose a member ends here: Python, configuration, command line, reproductions.

        Args:
            choice: a name, a path to a .py file, a mapping {"name": ..., option: value}, a class,
                or an instance.
            where: what precedes an option in messages where that is not the member's name:
                'prior.' of a configuration.
            base: the section that a mapping without a name adds to, {"name": ..., option: value}.

        Raises:
            ValueError: unknown name or option (the nearest one is offered), or a value of another
                type.

            priors.resolve({"name": "vamp", "num_components": 200}).options["num_components"]  # 200
        """
        if isinstance(choice, str | Mapping):
            given = {"name": choice} if isinstance(choice, str) else dict(choice)
            if "name" not in given and base is not None:
                given = {**base, **given}
            if "name" not in given:
                raise ValueError(
                    f"a {self.kind} given as a mapping needs a 'name'; got {given}. Known: "
                    f"{', '.join(self.names())}."
                )
            name = given.pop("name")
            if not isinstance(name, str):
                raise ValueError(f"{where or self.kind + ' '}name must be a text; got {name!r}.")
            return self._resolve_name(name, given, where)
        if inspect.isclass(choice) and issubclass(choice, self._abstract_classes()):
            name = self._name_of(choice)
            if name is None:
                raise ValueError(
                    f"{choice.__name__} is no {self.kind} of jensen, and a class alone could not "
                    f"be built again. Give an instance, or name its file: {self.kind}='./mine.py'."
                )
            return self._resolve_name(name, {}, where)
        if isinstance(choice, self._abstract_classes()):
            return self._resolve_instance(choice)
        raise ValueError(
            f"{self.kind} must be a name, a path to a .py file, a mapping with a 'name', a class "
            f"or an instance of {self._abstract_classes()[0].__name__}; got {choice!r}. Names: "
            f"{', '.join(self.names())}."
        )

    def build(self, name: str, options: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        """An instance: required arguments are taken from `context` by name, options from `options`.

        Raises:
            ValueError: what `resolve` and `Resolved.build` refuse.
        """
        return self.resolve({**options, "name": name}).build(context)

    def source_default(self, name: str, option: str) -> Any:
        """The default of a member's option, read in its file: help texts import nothing.

        ROOMS["network"].source_default("dense", "hidden")  # (300, 300)
        """
        return source_defaults(self._folder / f"{name}.py")[option]

    def _resolve_name(self, name: str, given: dict[str, Any], where: str) -> Resolved:
        cls = self.find(name)
        options = _options_of(cls)
        for option in given:
            if option not in options:
                listed = ", ".join(options) or "none"
                close = nearest(option, tuple(options))
                raise ValueError(
                    f"{where}{option} does not exist for the {self.kind} {name!r}{close}; it has: "
                    f"{listed}."
                    if where
                    else f"{self.kind} {name!r} has no option {option!r}{close}; its options: "
                    f"{listed}."
                )
        typed = {}
        for option, parameter in options.items():
            label = f"{where}{option}" if where else f"{self.kind} {name!r}: {option}"
            value = given.get(option, parameter.default)
            value = _typed(value, parameter.annotation, label)
            # Sequences are lists, as in TOML and JSON, where the class does not ask for a tuple.
            is_list = isinstance(value, tuple) and not _asks_for_tuple(parameter.annotation)
            typed[option] = list(value) if is_list else value
        return Resolved(self.kind, name, cls, typed)

    def _resolve_instance(self, instance: Any) -> Resolved:
        cls = type(instance)
        name = self._name_of(cls)
        if name is None:
            names = [f.name for f in fields(cls)] if is_dataclass(cls) else []
            values = {name: _as_toml(getattr(instance, name, None)) for name in names}
            full_name = _full_name(instance)
            return Resolved(self.kind, full_name, cls, values, instance, full_name)
        options = _options_of(cls)
        values = {name: getattr(instance, name) for name in options if hasattr(instance, name)}
        in_words = {k: _as_toml(v) for k, v in values.items() if _as_toml(v) is not v}
        # An option that the object does not keep is not known: its default may be wrong.
        unknown = {option: "unknown" for option in options if option not in values}
        words = ", ".join(f"{k} = {v}" for k, v in {**in_words, **unknown}.items())
        by_hand = f"{name} with {words}" if words else ""
        return Resolved(self.kind, name, cls, values | in_words, instance, by_hand)

    def _name_of(self, cls: type) -> str | None:
        """The name of a class that is a member of the room, otherwise None."""
        name = cls.__module__.removeprefix(f"{self.package}.")
        return name if name in self.names() and self.find(name) is cls else None

    def attribute_access(self) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
        """`__getattr__` and `__dir__` for the room's `__init__.py`, so that `jensen.bounds.ELBO`
        works with no list of classes to keep."""

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

    def _abstract_classes(self) -> tuple[type, ...]:
        return tuple(
            v
            for k, v in vars(importlib.import_module(self.package)).items()
            if k.startswith("Abstract") and inspect.isclass(v)
        )

    def _only_class(self, module: Any, name: str) -> type:
        abstract = self._abstract_classes()
        classes = [
            c
            for c in vars(module).values()
            if inspect.isclass(c)
            and c.__module__ == module.__name__
            and issubclass(c, abstract)
            and not c.__name__.startswith(("Abstract", "_"))
        ]
        if len(classes) != 1:
            names = ", ".join(c.__name__ for c in classes) or "none"
            raise ValueError(
                f"{name}: a {self.kind} file must hold exactly one public class derived from "
                f"{abstract[0].__name__} of {self.package}; found: {names}."
            )
        return classes[0]


_NETWORKS = Room("jensen.networks", "network", default="dense")
# The sections of a configuration that name a member of a room.
ROOMS = {
    "prior": Room("jensen.priors", "prior", default="standard_normal"),
    "likelihood": Room("jensen.likelihoods", "likelihood", default="bernoulli"),
    "encoder": Room("jensen.encoders", "encoder", default="diagonal_normal"),
    "decoder": Room("jensen.decoders", "decoder", default="feedforward"),
    "network": _NETWORKS,
    "encoder_network": _NETWORKS,
    "decoder_network": _NETWORKS,
    "bound": Room("jensen.bounds", "bound", default="elbo"),
    "gradient": Room("jensen.gradients", "gradient estimator", default="pathwise"),
}
MODELS = Room("jensen.models", "model", default="vae")  # functions, found by `jensen.models`


def _options_of(cls: type) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(cls, eval_str=True).parameters.values()
    except (NameError, TypeError, SyntaxError):  # annotations that only a type checker can read
        parameters = inspect.signature(cls).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


def _asks_for_tuple(annotation: Any) -> bool:
    return any(get_origin(part) is tuple for part in (annotation, *get_args(annotation)))


def _typed(value: Any, annotation: Any, label: str) -> Any:
    """The value as its annotation has it (2.0 of an int is 2); ValueError where it is of another
    type."""
    choices, is_complete = _choices(annotation)
    if is_complete or (choices and isinstance(value, str)):
        if value not in choices:
            listed = ", ".join(map(str, choices))
            close = nearest(str(value), tuple(map(str, choices)))
            raise ValueError(f"{label} must be one of {listed}; got {value!r}{close}.")
        return value
    adapter = _adapter(annotation)
    if adapter is None:
        return value
    from pydantic import ValidationError

    try:
        typed = adapter.validate_python(value)
        # A text stays the very object: a `RecordedName` is one that is checked.
        return value if isinstance(value, str) and typed == value else typed
    except ValidationError as error:
        # NumPy's and JAX's numbers and arrays, as the numbers and lists that they hold.
        to_list = getattr(value, "tolist", None)
        if to_list is not None:
            return _typed(to_list(), annotation, label)
        reason = error.errors()[0]["msg"].replace("Input should be", "must be")
        separator = "" if reason.startswith("must be") else ":"
        raise ValueError(f"{label}{separator} {reason}; got {value!r}.") from None


@functools.lru_cache(maxsize=512)
def _adapter(annotation: Any) -> Any:
    """What checks a value against an annotation; None where nothing can (a type of arrays)."""
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return None
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(annotation)
    except PydanticUserError:
        return None


def _choices(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """(the values of a Literal or of those in a union, whether there is nothing else in it but
    None); no values where a text may be any."""
    if get_origin(annotation) is Literal:
        return get_args(annotation), True
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    literals = [part for part in parts if get_origin(part) is Literal]
    if not literals or str in parts:
        return (), False
    choices = tuple(value for part in literals for value in get_args(part))
    is_complete = all(part in (*literals, type(None)) for part in parts)
    return (*choices, None) if type(None) in parts else choices, is_complete


def _as_toml(value: Any) -> Any:
    """A value as TOML has it; functions by their names, everything else in words."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple) and all(_as_toml(v) is v for v in value):
        return value
    return _full_name(value) if callable(value) else repr(value)


def _full_name(thing: Any) -> str:
    """The full name of a function, or of an object's class."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def source_defaults(file: Path) -> dict[str, Any]:
    """{name: default} of all that has a literal default in a .py file: fields of its classes and
    arguments of its functions. The file is parsed and not imported, for help texts.

    source_defaults(Path("training/options.py"))["epochs"]  # 300
    """
    out: dict[str, Any] = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.ClassDef):
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
            pairs = [(n.target.id, n.value) for n in fields if isinstance(n.target, ast.Name)]
        elif isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.kwonlyargs]
            pairs = list(zip(names, node.args.kw_defaults, strict=True))
        for name, value in pairs:
            if value is not None and name not in out:
                try:
                    out[name] = ast.literal_eval(value)
                except ValueError:  # a name or a call
                    continue
    return out


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
