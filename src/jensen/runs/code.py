"""Code from outside jensen that a run folder names: which files, and whether they may be imported.

Every text of a run's configuration and recipe that could be the path of a .py file becomes a
`RecordedName`, in whatever section it stands; `jensen._rooms.module_from_file`, through which all
such files are imported, asks it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jensen._rooms import RecordedName, file_digest
from jensen.runs._errors import UntrustedCodeError


@dataclass(frozen=True)
class CodeCheck:
    """Lets a file of a run be imported if the caller trusts it and its bytes are the recorded ones.

    Attributes:
        run: the folder.
        section: where the name stands, for the message.
        name: the file.
        digest: its sha256 when the run was fitted; None where none was recorded.
        trusted: whether the caller said so.
    """

    run: Path
    section: str
    name: str
    digest: str | None
    trusted: bool

    def __call__(self, source: bytes | None) -> None:
        where = f"the {self.section} of {self.run} is code from outside jensen, {self.name}"
        if not self.trusted:
            raise UntrustedCodeError(
                f"{where}; loading a run executes nothing. If you trust that file, say "
                "--trust-code (in Python: jensen.load(..., trust_code=True))."
            )
        if self.digest is None:
            raise UntrustedCodeError(
                f"{where}, and the run holds no checksum of it: it cannot be told whether it is "
                "the file that the run was fitted with. Fit again."
            )
        if source is None or hashlib.sha256(source).hexdigest() != self.digest:
            raise UntrustedCodeError(
                f"{where}; that file is missing or is not the file that the run was fitted with "
                f"(sha256 {self.digest}). Restore it."
            )


def marked(
    settings: Mapping[str, Any], run: Path, digests: Mapping[str, str], *, trusted: bool
) -> dict[str, Any]:
    """A run's settings with each text that ends in .py as a `RecordedName`."""

    def mark(value: Any, section: str) -> Any:
        if isinstance(value, Mapping):
            return {k: mark(v, section or str(k)) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [mark(v, section) for v in value]
        if isinstance(value, str) and value.endswith(".py"):
            check = CodeCheck(run, section, str(value), digests.get(value), trusted)
            return RecordedName(value, check=check)
        return value

    return mark(settings, "")


def code_digests(*settings: Mapping[str, Any]) -> dict[str, str]:
    """{name: sha256} of all .py files that settings name.

    code_digests({"prior": {"name": "mine.py"}})
    """
    names = {name for part in settings for name in _texts(part) if name.endswith(".py")}
    return {name: file_digest(Path(name)) for name in sorted(names) if Path(name).is_file()}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
