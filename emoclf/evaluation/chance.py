"""What chance alone does: right and wrong answers in random order, p-values, many tests at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

DRAWS = 4_999
"""Random orders of the right and wrong answers: p-values come in steps of 1 / 5,000."""

_CHUNK = 500


def draw_right_counts(
    inside: np.ndarray, is_right: np.ndarray, groups: np.ndarray | None, seed: int
) -> np.ndarray:
    """Count the right answers in sets of photos, as they are and in random orders.

    Copies of a photo are right or wrong together, so groups change places with groups as large.

    Args:
        inside: bool `(sets, photos)`: which photos a set holds.
        is_right: bool `(photos,)`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        seed: Seed of the orders.

    Returns:
        float64 `(sets, 1 + DRAWS)`: as they are, then as drawn.
    """
    generator = np.random.default_rng(seed)
    blocks = _find_blocks(len(is_right), groups)
    members, right = inside.astype(np.float32), is_right.astype(np.float32)
    columns = [members @ right[:, None]]
    for start in range(0, DRAWS, _CHUNK):
        drawn = np.empty((min(_CHUNK, DRAWS - start), len(right)), dtype=np.float32)
        for block in blocks:
            order = generator.permuted(np.tile(np.arange(len(block)), (len(drawn), 1)), axis=1)
            drawn[:, block.ravel()] = right[block][order].reshape(len(drawn), -1)
        columns.append(members @ drawn.T)
    return np.concatenate(columns, axis=1).astype(np.float64)


def _find_blocks(count: int, groups: np.ndarray | None) -> list[np.ndarray]:
    """Return positions of photos, int64 `(groups, size)`, for every size that groups have."""
    if groups is None:
        return [np.arange(count)[:, None]]
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    sizes = sorted({len(part) for part in parts})
    return [np.array([part for part in parts if len(part) == size]) for size in sizes]


def find_p_value(statistics: np.ndarray) -> float:
    """Find how often a drawn statistic is at least as large as the observed one.

    Args:
        statistics: float64 `(1 + draws,)`: as observed, which counts as drawn, too; then as drawn.

    Returns:
        The p-value, above 0.
    """
    return float(np.mean(statistics >= statistics[0] - 1e-9))


def correct_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values for their number after Holm (1979).

    Args:
        p_values: Name to p-value.

    Returns:
        Name to corrected p-value, at most 1.
    """
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = largest
    return corrected
