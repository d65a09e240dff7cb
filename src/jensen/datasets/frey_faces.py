"""Frey faces: 1,965 consecutive frames of one face in a video.

Source: B. J. Frey's video, published by S. T. Roweis. Papers (Kingma & Welling 2014; Tomczak &
Welling 2018) split the frames at random into 1565/200/200, each with its own permutation; ours is
that of seed SEED. A random split of a video leaks: nearly every test frame has neighbours in train.
With split="contiguous" the first 1,565 frames are train, the next 200 validation, the last 200
test.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from jensen.datasets._dataset import SPLITS, Dataset
from jensen.datasets._grey import Binarise, grey_dataset, seeded_draws
from jensen.datasets._rows import origins
from jensen.datasets._source import AbstractSource, PinnedFile

SEED = 1965
_FRAMES = 1965
_BOUNDS = (1565, 1765)


class FreyFaces(AbstractSource):
    """1,965 video frames of 28 x 20 pixels, upright, grey as (v + .5) / 256 for the discretised
    logistic.

    `binarise`: 'none' (grey), 'dynamic' (levels=255) or 'threshold' (1 where v > 127.5). `split`:
    'random', as in the papers, or 'contiguous'.

        load_dataset("frey_faces", split="contiguous").test  # float32 in (0, 1), (200, 28, 20)
    """

    description = "consecutive video frames of a face, grey"
    sizes = (1565, 200, 200)
    event_shape = (28, 20)
    values = "grey"
    licence = "no licence stated by the authors"
    files = (
        PinnedFile(
            "freyfaces_u8.npy",
            "13a0cd943fe56c8a2f4c05bc670b097ae2fda4f9d3a0d5215277712ac02f12e6",
            size=1_100_528,
            folders=("freyfaces", "."),
        ),
    )
    remedy = (
        "Make it from frey_rawface.mat of S. Roweis (https://cs.nyu.edu/~roweis/data.html), "
        "whose array ff is [560, 1965]: "
        "np.save('freyfaces_u8.npy', "
        "np.ascontiguousarray(scipy.io.loadmat('frey_rawface.mat')['ff'].T.astype(np.uint8)))."
    )

    def __init__(
        self, *, binarise: Binarise = "none", split: Literal["random", "contiguous"] = "random"
    ):
        self.binarise = binarise
        self.split = split

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from the uint8 array [1965, 560] of the frames in their order."""
        frames = read_frames(files[self.files[0].name])
        if self.split == "random":
            order = np.random.RandomState(SEED).permutation(_FRAMES)
            split_note = (
                f"frames permuted with seed {SEED}, then split 1565/200/200; they are "
                "consecutive video frames, so that a random split leaks"
            )
        else:
            order = np.arange(_FRAMES)
            split_note = (
                "contiguous split: the first 1565 frames are train, the next 200 validation, "
                "the last 200 test; not comparable with the papers' random split"
            )
        grey = dict(zip(SPLITS, np.split(frames[order], _BOUNDS)))
        return grey_dataset(
            "frey_faces",
            grey,
            255,
            self.binarise,
            lambda: seeded_draws(grey, 255, SEED),
            drawn=f"with seeds {SEED} and {SEED + 1}",
            rows=origins(order, _BOUNDS),
            notes=(split_note, f"licence: {self.licence}"),
        )


def read_frames(path: Path) -> np.ndarray:
    """Reads the uint8 frames [1965, 28, 20], in the video's order.

    Raises:
        ValueError: no .npy file, one of Python objects, or another dtype or shape.

        read_frames(Path("freyfaces_u8.npy"))
    """
    try:
        with path.open("rb") as file:
            frames = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} could not be read as .npy ({error}); it is truncated or another file: "
            "remove it and make it again."
        ) from error
    if (
        not isinstance(frames, np.ndarray)
        or frames.dtype != np.uint8
        or frames.shape != (_FRAMES, 560)
    ):
        arrays = (
            f"{frames.dtype} of shape {frames.shape}"
            if isinstance(frames, np.ndarray)
            else "an archive"
        )
        raise ValueError(
            f"{path} holds {arrays}, but should hold uint8 of shape ({_FRAMES}, 560), a frame of "
            "28 x 20 in each row; this is another file."
        )
    return frames.reshape(-1, 28, 20)
