"""Answers that were kept in a file, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emoclf.untrusted import show_text

_NEXT = "Move it away: the same call then makes it again."


def read_probabilities(
    rows: list[list[float]], shape: tuple[int, int], *, name: str | Path
) -> np.ndarray:
    """Make the probabilities of kept answers an array, if they are what was kept.

    Args:
        rows: As JSON holds them.
        shape: `(photos, classes)` that they should have.
        name: The file, for the error message.

    Returns:
        float64 `(photos, classes)`, each row from 0 to 1 and summing to 1.

    Raises:
        ValueError: If there are others, or they are no probabilities.
    """
    received = (len(rows), {len(row) for row in rows})
    if received != (shape[0], {shape[1]} if shape[0] else set()):
        raise ValueError(
            f"{show_text(name)} should hold the answers for {shape[0]} photos and {shape[1]} "
            f"classes. Received: {received[0]} rows of {sorted(received[1])[:5]}. {_NEXT}"
        )
    probabilities = np.array(rows, dtype=np.float64).reshape(shape)
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or (probabilities < 0).any():
        raise ValueError(
            f"{show_text(name)} should hold rows of probabilities that sum to 1. {_NEXT}"
        )
    return probabilities
