"""A figure with its interval: shares after Wilson, averages and differences of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure measured on `count` photos, with its 95 % interval.

    Attributes:
        value: The measured figure: a share from 0 to 1, or a difference of shares from -1 to 1.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: Photos it was measured on.
    """

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """Return for example `0.934 (95 % interval 0.912 to 0.951, n = 600)`."""
        return (
            f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f}, n = {self.count})"
        )


def wilson_interval(
    successes: int, count: int, *, confidence: float = 0.95, effective_count: float | None = None
) -> Estimate:
    """Estimate a share and its interval after Wilson (1927).

    Unlike the textbook interval it is right for few photos and for shares near 0 or 1.

    Args:
        successes: Number of right answers, 0 to `count`.
        count: Number of photos.
        confidence: Share of intervals that hold the true value, between 0 and 1.
        effective_count: How many independent photos these are worth, from
            `count_independent`, where some are copies of others; default: `count`.

    Returns:
        The share with its interval. For no photos the value is nan and the interval 0 to 1.

    Raises:
        ValueError: If `successes` is not between 0 and `count`.

    Example:
        >>> print(wilson_interval(17, 17))
        1.000 (95 % interval 0.816 to 1.000, n = 17)
    """
    if not 0 <= successes <= count:
        raise ValueError(f"successes={successes} should be between 0 and count={count}.")
    if count == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, worth = successes / count, count if effective_count is None else effective_count
    return Estimate(share, *find_wilson_limits(share, worth, z=z), count)


def find_wilson_limits(share: float, worth: float, *, z: float = 1.959964) -> tuple[float, float]:
    """Return the ends of Wilson's interval for a share of `worth` independent photos.

    Args:
        share: The measured share, 0 to 1.
        worth: Number of independent photos, above 0; it need not be whole (Korn and Graubard,
            1998).
        z: Quantile of the normal distribution; default: for 95 %.

    Returns:
        Lower and upper end, 0 to 1; the share lies between them.
    """
    centre = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    half = z * (share * (1 - share) / worth + z**2 / (4 * worth**2)) ** 0.5 / (1 + z**2 / worth)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def number_groups(groups: Sequence[int] | np.ndarray) -> np.ndarray:
    """Give every photo without copies a group of its own.

    Args:
        groups: Integers `(photos,)`, equal for copies; -1 for a photo without any, as in a
            cleaning report.

    Returns:
        int64 `(photos,)`, 0 or more, equal for copies alone.

    Example:
        >>> number_groups([4, -1, 4, -1]).tolist()
        [4, 5, 4, 6]
    """
    numbers = np.array(groups, dtype=np.int64)
    is_alone = numbers < 0
    numbers[is_alone] = numbers.max(initial=-1) + 1 + np.arange(is_alone.sum())
    return numbers


def count_independent(groups: np.ndarray | None, chosen: np.ndarray | None = None) -> float | None:
    """Count how many independent photos some photos with copies are worth.

    Copies are answered alike, so a group of copies is worth about one photo: Kish's (1965)
    effective sample size, the squared sum of the groups' sizes over the sum of their squares.

    Args:
        groups: int `(photos,)`, equal for copies; None when there are no copies.
        chosen: bool `(photos,)`, which of the photos count; default: all.

    Returns:
        At most the number of photos; None when `groups` is None or no photo is chosen.

    Example:
        >>> count_independent(np.array([1, 1, 2, 3]))
        2.6666666666666665
    """
    if groups is None:
        return None
    sizes = np.unique(groups if chosen is None else groups[chosen], return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else None


def average_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Average independent shares, with an interval from the intervals of the parts.

    The distances of the parts' limits are added as squares: "method of variance estimates
    recovery", Zou and Donner (2008), on Wilson limits as in Newcombe (1998).

    Args:
        estimates: At least one share.

    Returns:
        The mean share; `count` is the sum of the counts.
    """
    mean = sum(e.value for e in estimates) / len(estimates)
    below = sum((e.value - e.low) ** 2 for e in estimates) ** 0.5 / len(estimates)
    above = sum((e.high - e.value) ** 2 for e in estimates) ** 0.5 / len(estimates)
    return Estimate(mean, mean - below, mean + above, sum(e.count for e in estimates))


def subtract_estimates(second: Estimate, first: Estimate, *, correlation: float = 0.0) -> Estimate:
    """Subtract two figures of the same photos, with an interval from the intervals of both.

    The same method as in `average_estimates`, with the correlation that two figures of the same
    photos have (Newcombe, 1998, Statistics in Medicine 17, 2635-2650, method 10; Zou and Donner,
    2008).

    Args:
        second: The figure that is subtracted from.
        first: The figure that is subtracted.
        correlation: How far the two go up and down together from one set of photos to the next, -1
            to 1; 0 is careful.

    Returns:
        `second - first`, -1 to 1.
    """
    value = second.value - first.value

    def add(one: float, other: float) -> float:
        return float(max(0.0, one**2 - 2 * correlation * one * other + other**2) ** 0.5)

    below = add(second.value - second.low, first.high - first.value)
    above = add(second.high - second.value, first.value - first.low)
    return Estimate(value, value - below, value + above, first.count)
