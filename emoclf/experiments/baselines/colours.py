"""What is left of a photo when everything is taken away but its light and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from emoclf.images import load_image, sharing_memory, work_ahead

COLOUR_NAMES: tuple[str, ...] = (
    "brightness",
    "red",
    "green",
    "blue",
    "spread of red",
    "spread of green",
    "spread of blue",
)
"""What `measure_colours` measures, in the order of its columns."""

_SUFFICIENT_SIZE = (64, 64)
_STRIP_PIXELS = 1 << 17


def measure_colours(paths: Sequence[str | Path], *, progress: bool = False) -> np.ndarray:
    """Measure the light and the colours of whole photos, without the grey of any padding.

    Args:
        paths: The files.
        progress: Whether a progress bar is shown.

    Returns:
        float64 `(photos, 7)`, 0 to 255: the mean grey value, then means and standard deviations
        of red, green and blue, as `COLOUR_NAMES` says.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
    """
    jobs = work_ahead(_measure, paths)
    rows = list(tqdm(jobs, "measuring colours", len(paths), unit="photo", disable=not progress))
    return np.array(rows, dtype=np.float64).reshape(-1, len(COLOUR_NAMES))


def _measure(path: str | Path) -> list[float]:
    with sharing_memory():
        counts = _count_values(load_image(path, min_size=_SUFFICIENT_SIZE))
    values, pixels = np.arange(256), counts[0].sum()
    means = counts @ values / pixels
    variances = (counts * (values - means[:, np.newaxis]) ** 2).sum(axis=1) / pixels
    return [*means.tolist(), *np.sqrt(variances[1:]).tolist()]


def _count_values(pixels: np.ndarray) -> np.ndarray:
    """Return int64 (4, 256): how often each value occurs in grey, red, green and blue."""
    height, width = pixels.shape[:2]
    rows = max(_STRIP_PIXELS // width, 1)
    counts = np.zeros((4, 256), dtype=np.int64)
    for top in range(0, height, rows):
        strip = Image.fromarray(pixels[top : top + rows])
        counts += np.reshape([*strip.convert("L").histogram(), *strip.histogram()], (4, 256))
    return counts
