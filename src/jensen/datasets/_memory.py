"""Refuses what does not fit into memory by its size, before anything is allocated."""

import os


def physical_memory() -> int | None:
    """The bytes of memory of this machine; None if the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


def refuse_beyond_memory(size: int, what: str) -> None:
    """Checks that `size` bytes fit into the machine's memory.

    Raises:
        ValueError: they do not; the message starts with `what`.

    refuse_beyond_memory(10**15, "x.npy holds an array of shape (10, 10)")
    """
    memory = physical_memory()
    if memory is not None and size > memory:
        raise ValueError(
            f"{what}, which takes {in_units(size)}, and this machine has {in_units(memory)} of "
            "memory; take fewer rows or columns, or a smaller dtype."
        )


def in_units(size: int) -> str:
    """Formats a number of bytes.

    in_units(3_200_000_000)  # "3.2 GB"
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}" if size < 1e15 else f"{size / 1e12:.0f} TB"
    return f"{size} bytes"
