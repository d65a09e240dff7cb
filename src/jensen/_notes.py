"""Notes: what a person should know of something that went on all the same, such as a damaged line
that was left out. Python shows them as warnings, the command line as `note: ...` on stderr."""

import warnings


class Note(UserWarning):
    """Something that was assumed, left out or mended."""


def note(text: str) -> None:
    """Tells a person something, once for each text and place.

    note("runs/a/metrics.jsonl: line 3 is damaged and was left out.")
    """
    warnings.warn(text, Note, stacklevel=3)
