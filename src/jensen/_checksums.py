"""Checksums that text files carry in themselves, so that a file and its checksum are written in
one step: a kill between the two cannot make a good file look damaged.

A JSON object holds the sha256 of its other entries under the key 'sha256'; a TOML file holds that
of all that follows in a comment on its first line. Formatting may change, values may not.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

KEY = "sha256"
FIRST_LINE = "# sha256 of what follows: "


class DamageError(ValueError):
    """A file that is no JSON or TOML, or whose values contradict its checksum."""


class Checked(NamedTuple):
    """What a file holds, and whether a checksum vouches for it (files of older versions have
    none)."""

    values: Any
    verified: bool


def to_checked_json(values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """A JSON object with its checksum as the last entry.

    to_checked_json({"epoch": 1})
    """
    plain = json.loads(json.dumps(dict(values)))
    return json.dumps({**plain, KEY: _json_digest(plain)}, indent=indent)


def from_checked_json(text: str) -> Checked:
    """The object in a text that `to_checked_json` wrote, without its checksum.

    Raises:
        DamageError: not a JSON object, or not the one that was written.

        from_checked_json(to_checked_json({"epoch": 1})).values  # {"epoch": 1}
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise DamageError("it is nested too deeply to be read") from None
    except ValueError as error:
        raise DamageError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DamageError(f"a JSON object was expected; got {type(values).__name__}")
    digest = values.pop(KEY, None)
    if digest is not None and digest != _json_digest(values):
        raise DamageError("a value was changed: its checksum differs")
    return Checked(values, digest is not None)


def to_checked_toml(text: str) -> str:
    """A TOML text with its checksum on a first line of its own.

    to_checked_toml("seed = 0")
    """
    return f"{FIRST_LINE}{_digest(text)}\n{text}"


def from_checked_toml(text: str) -> Checked:
    """The text that `to_checked_toml` was given; a text without such a line is returned as it is.

    Raises:
        DamageError: the text is not the one that was written.

        from_checked_toml(to_checked_toml("seed = 0")).values  # "seed = 0"
    """
    line, _, rest = text.partition("\n")
    if not line.startswith(FIRST_LINE):
        return Checked(text, verified=False)
    if line.removeprefix(FIRST_LINE).strip() != _digest(rest):
        raise DamageError("a value was changed: its checksum differs")
    return Checked(rest, verified=True)


def _json_digest(values: dict[str, Any]) -> str:
    return _digest(json.dumps(values, sort_keys=True, separators=(",", ":")))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
