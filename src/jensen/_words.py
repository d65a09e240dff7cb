"""Remedies in the words of those who read them: flags on the command line, arguments in Python.

Messages are written with flags (`--prior vamp`), which the command line prints as they are. At the
doors of Python they become arguments (`prior="vamp"`).
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from jensen._rooms import MODELS, ROOMS

P = ParamSpec("P")
T = TypeVar("T")

_speaks_flags: ContextVar[bool] = ContextVar("speaks_flags", default=False)
COMMAND = r"jensen [a-z]+ [^;,)]*"  # a command line: stays as it is
SETTING = r"--set (?P<section>\w+)\.(?P<key>\w+)=(?P<setting>'[^']*'|\[[^\]]*\]|[\w./-]*[\w\]])"
RESUME = r"--resume (?P<run>[^\s,;]*[^\s,;.])"
OUT = r"--out (?P<out>[^\s,;]*[^\s,;.])"
FLAG = r"--(?P<flag>[a-z][a-z-]*)(?: (?P<value>[\w.]*\w))?"
WORDS = re.compile("|".join(f"(?:{part})" for part in (COMMAND, SETTING, RESUME, OUT, FLAG)))


@contextlib.contextmanager
def flags_spoken() -> Iterator[None]:
    """Within it messages name flags: somebody uses the command line.

    with flags_spoken(): app(arguments)
    """
    token = _speaks_flags.set(True)
    try:
        yield
    finally:
        _speaks_flags.reset(token)


def in_python_words(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose refusals (ValueError, and errors of jensen's own) name arguments in the
    place of flags, unless it is the command line that called it."""

    @functools.wraps(function)
    def door(*args: P.args, **options: P.kwargs) -> T:
        try:
            return function(*args, **options)
        except Exception as error:
            ours = isinstance(error, ValueError) or type(error).__module__.startswith("jensen.")
            if ours and not _speaks_flags.get() and error.args and isinstance(error.args[0], str):
                error.args = (in_python(error.args[0]), *error.args[1:])
            raise

    return door


def in_python(text: str) -> str:
    """A message with the arguments that its flags stand for.

    in_python("Use --prior vamp, or --num-samples 8.")  # 'Use prior="vamp", or num_samples=8.'
    """
    return WORDS.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    if match["section"]:
        section, key, value = match["section"], match["key"], _literal(match["setting"])
        if key == "name":
            return f"{section}={value}"
        if section == "training":
            return f"{key}={value}"
        if section == "data":
            return f"load_dataset(..., {key}={value})"
        return f'{section}={{"name": ..., "{key}": {value}}}'
    if match["run"]:
        return f"jensen.sessions.resume_run(jensen.load({match['run']!r}))"
    if match["out"]:
        return f"out={match['out']!r}"
    if match["flag"] is None:  # a command line
        return match[0]
    flag, value = match["flag"].replace("-", "_"), match["value"]
    if value is None:
        return "overwrite=True" if flag == "overwrite" else flag
    # A word after a flag need not be its value: "a smaller --learning-rate or ...".
    if not (_is_number(value) or value in _names() or value.isupper()):
        return f"{flag} {value}"
    return f"{flag}={_literal(value)}"


def _literal(text: str) -> str:
    """A value of the command line as Python writes it."""
    text = text.strip("'")
    if text in ("true", "false"):
        return text.capitalize()
    if _is_number(text) or text.startswith("[") or text.isupper() or text == "...":
        return text
    return f'"{text}"'


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text) is not None


@functools.cache
def _names() -> frozenset[str]:
    members = (name for room in (*ROOMS.values(), MODELS) for name in room.names())
    return frozenset([*members, "linear", "cosine", "cyclical", "bound", "elbo"])
