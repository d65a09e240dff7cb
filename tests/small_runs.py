"""What small runs in several files are made of."""

from pathlib import Path

import jax
import numpy as np

KEY = jax.random.key(0)
# A configuration whose run takes seconds, but for its data.
SETTINGS = {
    "model": {"latent_dim": 2},
    "likelihood": {"name": "normal"},
    "network": {"hidden": [8]},
    "training": {"epochs": 4, "patience": 0, "checkpoint_seconds": 0.0},
    "account": {"num_samples": 20, "num_draws": 2},
}
SMALL = {"name": "dense", "hidden": (16,)}


def binary(rows: int = 240, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        rng.random((rows, 3, 3))
        < np.repeat(rng.random((rows, 1, 1)) > 0.5, 9).reshape(rows, 3, 3) * 0.8 + 0.1
    ).astype(np.uint8)


def leaves(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]


def every_byte(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder: {path: content}, None for folders."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }
