"""Occlusion: hide one place after the other, and see where the answer suffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from emoclf.images import PADDING_GREY

Ask = Callable[[np.ndarray], np.ndarray]
"""Anything that maps uint8 RGB `(photos, height, width, 3)` to probabilities
`(photos, classes)`, such as `Predictor.predict_probabilities`."""

STEPS_PER_PATCH = 2
"""Neighbouring patches overlap by all but this part of their side."""

_SURE = 1e-6
"""Probabilities this near to 0 and 1 are taken for it: float32 knows no finer ones near 1."""


def make_occlusion_maps(
    ask: Ask,
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    patches_per_side: int = 5,
    batch_size: int = 64,
) -> np.ndarray:
    """Find what in photos speaks for a class by hiding it (Zeiler and Fergus, 2014).

    A grey patch moves over the photo by half of its side; where the log-odds of the class,
    `log(p / (1 - p))`, fall, there is something that speaks for it. Every place gets the mean of
    all patches that hid it; what speaks against the class is left out. Works with any network,
    asked once for every patch: 121 times per photo with 5 patches per side.

    Args:
        ask: The network.
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255, of the network's size.
        labels: For each photo the label of the class to explain.
        patches_per_side: How many patches lie side by side, at least 1: more show finer things
            and take longer, and a patch that hides too little changes nothing.
        batch_size: How many hidden photos the network is asked about at a time.

    Returns:
        float32 `(photos, height, width)`, 0 or more: by how much the log-odds fall on average
        when this place is hidden.

    Raises:
        ValueError: If labels and images do not fit, or there is no patch.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels: expected one for each of {len(images)} photos, received {labels.tolist()}."
        )
    if patches_per_side < 1:
        raise ValueError(f"patches_per_side: expected at least 1, received {patches_per_side}.")
    maps = [
        _map_photo(ask, image, label, patches_per_side, batch_size)
        for image, label in zip(images, labels, strict=True)
    ]
    return np.array(maps, dtype=np.float32).reshape(images.shape[:3])


def find_log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities into log-odds.

    Args:
        probabilities: Any shape, 0 to 1.

    Returns:
        float64 of the same shape, between the log-odds of one in a million and of all but that.
    """
    sure = np.clip(np.asarray(probabilities, dtype=np.float64), _SURE, 1 - _SURE)
    return np.log(sure / (1 - sure))


def _map_photo(
    ask: Ask, image: np.ndarray, label: int, patches_per_side: int, batch_size: int
) -> np.ndarray:
    """Return float32 `(height, width)`."""
    windows = [_find_windows(side, patches_per_side) for side in image.shape[:2]]
    places = [(rows, columns) for rows in windows[0] for columns in windows[1]]
    scores: list[float] = []
    for start in range(0, len(places) + 1, batch_size):
        # The first is the photo as it is.
        batch = [(slice(0), slice(0)), *places][start : start + batch_size]
        hidden = np.repeat(image[np.newaxis], len(batch), axis=0)
        for copy, (rows, columns) in zip(hidden, batch, strict=True):
            copy[rows, columns] = PADDING_GREY
        scores += find_log_odds(np.asarray(ask(hidden))[:, label]).tolist()
    falls = scores[0] - np.array(scores[1:]).reshape([len(each) for each in windows])
    return _average(falls, image.shape[:2]).clip(0)


def _find_windows(side: int, patches: int) -> list[slice]:
    """Return the overlapping patches along one side; those at the ends hide a half."""
    edges = np.linspace(0, side, patches * STEPS_PER_PATCH + 1).round().astype(int)
    first = range(1 - STEPS_PER_PATCH, len(edges) - 1)
    last = len(edges) - 1
    return [slice(edges[max(0, n)], edges[min(n + STEPS_PER_PATCH, last)]) for n in first]


def _average(falls: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Give each cell the mean of the patches over it, and enlarge the cells to the photo."""
    cells = np.mean(
        np.lib.stride_tricks.sliding_window_view(falls, (STEPS_PER_PATCH, STEPS_PER_PATCH)),
        axis=(2, 3),
    )
    picture = Image.fromarray(cells.astype(np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
