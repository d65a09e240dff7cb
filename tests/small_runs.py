"""What small runs in several files are made of."""

import jax
import numpy as np

KEY = jax.random.key(0)
SMALL = {"name": "dense", "hidden": (16,)}


def binary(rows: int = 240, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        rng.random((rows, 3, 3))
        < np.repeat(rng.random((rows, 1, 1)) > 0.5, 9).reshape(rows, 3, 3) * 0.8 + 0.1
    ).astype(np.uint8)


def leaves(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]
