"""Images side by side as one array of pixels, and as PNG bytes.

Binary data are drawn as ink: 1 dark, 0 white. All other images are drawn as they are, the smallest
value black. A pixel of the data becomes a square.
"""

import io
import math

import numpy as np

CHANNELS = (1, 3, 4)
FRAME = 205


def is_image(event_shape: tuple[int, ...]) -> bool:
    """Returns whether one datum is drawn as an image.

    It is when its shape is (H, W), or (H, W, C) with 1, 3 or 4 channels, and H and W are at least
    2.
    """
    fits = len(event_shape) == 2 or (len(event_shape) == 3 and event_shape[2] in CHANNELS)
    return fits and min(event_shape[:2]) >= 2


def value_range_of(images: np.ndarray) -> tuple[float, float]:
    """Returns the values drawn darkest and brightest.

    They are (0, 1) when all values lie within, else the smallest and the largest value; with far
    outliers, as counts have, the .5% and 99.5% quantiles.
    """
    finite = images[np.isfinite(images)]
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    inner = [float(q) for q in np.quantile(finite[:: 1 + finite.size // 1_000_000], (0.005, 0.995))]
    # Drawn over the whole range, one bright pixel would leave all others black.
    return (inner[0], inner[1]) if high - low > 3 * (inner[1] - inner[0]) > 0 else (low, high)


def to_colours(
    images: np.ndarray, value_range: tuple[float, float], *, ink: bool = False
) -> np.ndarray:
    """Images [N, H, W] or [N, H, W, C] as uint8 [N, H, W, 3]."""
    images = np.asarray(images, np.float64)
    low, high = value_range
    shown = np.clip(
        (np.nan_to_num(images, nan=low) - low) / (high - low if high > low else 1.0), 0, 1
    )
    shown = shown[..., None] if shown.ndim == 3 else shown
    if shown.shape[-1] == 4:  # over white
        shown = shown[..., :3] * shown[..., 3:] + 1 - shown[..., 3:]
    if shown.shape[-1] == 1:
        shown = np.repeat(1 - shown if ink else shown, 3, axis=-1)
    return np.round(255 * shown).astype(np.uint8)


def tile(
    colours: np.ndarray, columns: int, *, scale: int = 1, gap: int = 2, line: int = 1
) -> np.ndarray:
    """Returns images side by side as one array of pixels.

    Args:
        colours: [N, H, W, 3].
        columns: images in a row.
        scale: the side of the square that each pixel becomes.
        gap: pixels between images.
        line: pixels of the frame around each image.
    """
    n, height, width = colours.shape[:3]
    rows = -(-n // columns)
    big = colours.repeat(scale, axis=1).repeat(scale, axis=2)
    frame = np.array([line, line])
    size = frame * 2 + (height * scale, width * scale)
    step = size + gap
    out = np.full((*(step * (rows, columns) - gap), 3), 255, np.uint8)
    for i, image in enumerate(big):
        top, left = step * (i // columns, i % columns)
        out[top : top + size[0], left : left + size[1]] = FRAME
        out[top + line : top + size[0] - line, left + line : left + size[1] - line] = image
    return out


def scale_for(shape: tuple[int, ...], *, pixels: int) -> int:
    """How many pixels a pixel of the data becomes, so that an image is about `pixels` wide."""
    return max(1, round(pixels / max(shape[:2])))


def thumbnail(colours: np.ndarray, *, pixels: int = 168) -> bytes:
    """Returns one image [1, H, W, 3], framed, as PNG bytes.

    Large images are shrunk to `pixels`; the page draws small ones larger.
    """
    from PIL import Image

    height, width = colours.shape[1:3]
    share = min(1.0, pixels / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = np.asarray(Image.fromarray(colours[0]).resize(size, Image.Resampling.BOX))[None]
    return png(tile(small, 1, scale=scale_for(small.shape[1:], pixels=96)))


def png(pixels: np.ndarray) -> bytes:
    """An array [H, W, 3] of uint8 as PNG bytes."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", optimize=True)
    return out.getvalue()


def image_grid(
    images: np.ndarray, *, columns: int | None, value_range: tuple[float, float] | None
) -> bytes:
    """See `jensen.reports.draw_image_grid`."""
    images = np.asarray(images)
    if images.ndim not in (3, 4) or not is_image(images.shape[1:]):
        raise ValueError(
            "an image grid wants [N, H, W] or [N, H, W, C] with C = 1, 3 or 4; "
            f"got shape {images.shape}."
        )
    if len(images) == 0:
        raise ValueError("an image grid wants at least one image; got none.")
    columns = (
        min(len(images), math.ceil(math.sqrt(2 * len(images)))) if columns is None else columns
    )
    if columns < 1:
        raise ValueError(f"columns must be at least 1; got {columns}.")
    colours = to_colours(images, value_range_of(images) if value_range is None else value_range)
    return png(tile(colours, columns, scale=scale_for(images.shape[1:], pixels=56), gap=4))
