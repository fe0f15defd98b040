"""Intervals for figures that are no simple shares: areas, F1, calibration error.

The bootstrap (Efron, 1979) draws photos again and again from those that there are, and sees how
the figure moves. Here it draws within each class, so that every draw holds both, and whole groups
of copies, so that copies stay together; one group fewer than there are, weighted up (Rao and Wu,
1988), because with few groups the plain draw moves too little.

The ends of the interval are not the quantiles of the draws: those held the truth in 39 to 92 of
100 simulated sets of 20 photos, where 95 are promised. The draws say how many independent photos
the figure is worth, and Wilson's interval for so many is what is given (Korn and Graubard, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from emoclf.config import SEED
from emoclf.evaluation.estimates import Estimate, count_independent, find_wilson_limits
from emoclf.evaluation.weighted import CALIBRATION_BINS, measure_calibration_error

DRAWS = 2000
_CELLS = 4_000_000

Measure = Callable[[np.ndarray], np.ndarray]
"""Takes weights, float64 `(draws, photos)`, and returns one figure per draw, `(draws,)`."""


def draw_figures(
    measure: Measure,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> np.ndarray:
    """Measure a figure on many drawn sets of photos.

    The same photos, draws and seed give the same draws: figures of two networks are paired.

    Args:
        measure: The figure.
        labels: True labels, int64 `(photos,)`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        draws: Number of drawn sets.
        seed: Seed of the draws.

    Returns:
        float64 `(draws,)` or, where `measure` returns several figures, `(draws, figures)`.
    """
    return np.concatenate(
        [measure(weights) for weights in draw_weights(labels, groups, draws=draws, seed=seed)]
    )


def draw_weights(
    labels: np.ndarray, groups: np.ndarray | None, *, draws: int, seed: int
) -> Iterator[np.ndarray]:
    """Draw groups of photos within their class, in portions that fit into memory.

    Args:
        labels: True labels, int64 `(photos,)`.
        groups: int64 `(photos,)`, equal for copies; None when there are none.
        draws: Number of drawn sets.
        seed: Seed of the draws.

    Yields:
        How often each photo was drawn, float64 `(portion of the draws, photos)`. Groups that hold
        several classes are drawn among themselves; a group that is alone of its kind always counts
        once.
    """
    generator = np.random.default_rng(seed)
    names = np.arange(len(labels)) if groups is None else groups
    kinds = _find_strata(labels, names)
    portion = max(1, _CELLS // len(labels))
    for start in range(0, draws, portion):
        count = min(portion, draws - start)
        weights = np.ones((count, len(labels)))
        for inside, members, size in kinds:
            if size > 1:
                drawn = generator.multinomial(size - 1, np.full(size, 1 / size), size=count)
                weights[:, inside] = drawn[:, members] * (size / (size - 1))
        yield weights


def _find_strata(
    labels: np.ndarray, groups: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Return of every kind of group its photos, the group of each, and the number of groups."""
    _, number = np.unique(groups, return_inverse=True)
    count = number.max() + 1
    lowest, highest = np.full(count, labels.max()), np.full(count, labels.min())
    np.minimum.at(lowest, number, labels)
    np.maximum.at(highest, number, labels)
    kinds = (lowest * (labels.max() + 1) + highest)[number]
    strata = []
    for kind in np.unique(kinds):
        inside = np.flatnonzero(kinds == kind)
        members = np.unique(number[inside], return_inverse=True)[1]
        strata.append((inside, members, int(members.max()) + 1))
    return strata


def count_different(labels: np.ndarray, groups: np.ndarray | None) -> dict[int, int]:
    """Count the different photos of every class: copies count once.

    Returns:
        Label to number of groups, for the labels that occur.
    """
    names = np.arange(len(labels)) if groups is None else groups
    return {int(label): len(np.unique(names[labels == label])) for label in np.unique(labels)}


def find_interval(
    value: float,
    drawn: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    leans_on: int | None = None,
) -> Estimate:
    """Turn draws of a share-like figure into its interval.

    Args:
        value: The figure on all photos, 0 to 1.
        drawn: float64 `(draws,)`, from `draw_figures`.
        labels: True labels, int64 `(photos,)`.
        groups: int64 `(photos,)`, equal for copies.
        leans_on: The label whose photos nearly alone decide the figure: Student's t for so many
            different photos then takes the place of the normal distribution.

    Returns:
        The figure with its interval. It is never worth fewer photos than those of the rarer class,
        so that a perfect figure of few photos gets no perfect interval, nor more than an average
        over the classes: all photos where the classes are even, fewer where the draws of a rare
        class happen to be all alike. With fewer than two different photos of a class, the interval
        is 0 to 1.
    """
    different = count_different(labels, groups)
    if min(different.values()) < 2:
        return Estimate(value, 0.0, 1.0, len(labels))
    names = np.arange(len(labels)) if groups is None else groups
    classes = [count_independent(names, labels == label) or 1.0 for label in different]
    least, most = min(classes), len(classes) ** 2 / sum(1 / each for each in classes)
    variance = float(np.var(drawn, ddof=1))
    worth = value * (1 - value) / variance if variance > 0 else least
    z = find_quantile(None if leans_on is None else different[leans_on] - 1)
    limits = find_wilson_limits(value, min(max(worth, least), most), z=z)
    return Estimate(value, *limits, len(labels))


def find_quantile(degrees: int | None) -> float:
    """Return the 97.5 % quantile of Student's t, or of the normal distribution for None."""
    from scipy.stats import norm, t

    return float(norm.ppf(0.975) if degrees is None else t.ppf(0.975, degrees))


def find_error_interval(
    value: float,
    drawn: np.ndarray,
    by_chance: float,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
) -> Estimate:
    """Turn draws of a calibration error, which chance alone makes larger, into its interval.

    Down, some of the error may be chance: the lower end is what is left of it without the most
    that chance gives to an honest network, or to the drawn photos if that is more. Up, drawing
    lifts the error as chance has lifted it, so the draws are mirrored at the value ("basic"
    bootstrap, Davison and Hinkley, 1997); the upper end is the value at least.

    Args:
        value: The error on all photos, 0 to 1.
        drawn: float64 `(draws,)`, from `draw_figures`.
        by_chance: What an honest network stays below in 97.5 % of draws.
        labels: True labels, int64 `(photos,)`.
        groups: int64 `(photos,)`, equal for copies.

    Returns:
        The figure with its interval, 0 to 1 with fewer than two different photos of a class.
    """
    if min(count_different(labels, groups).values()) < 2:
        return Estimate(value, 0.0, 1.0, len(labels))
    bottom, top = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
    low = max(0.0, value - max(by_chance, top - value))
    return Estimate(value, low, min(1.0, max(value, 2 * value - bottom)), len(labels))


def draw_honest_errors(
    confidence: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    bins: int = CALIBRATION_BINS,
    draws: int = DRAWS,
    seed: int = SEED,
) -> np.ndarray:
    """Draw the calibration errors that an honest network shows by chance (Broecker, Smith, 2007).

    Args:
        confidence: float `(photos,)`, probability of the answer: of an honest network, so many of
            the answers are right.
        groups: int64 `(photos,)`, equal for copies, which are right or wrong together.
        bins: Number of bins of equal width between 0 and 1.
        draws: Number of draws.
        seed: Seed of the draws.

    Returns:
        float64 `(draws,)`.
    """
    generator = np.random.default_rng(seed)
    names = np.arange(len(confidence)) if groups is None else groups
    number = np.unique(names, return_inverse=True)[1]
    ones, portion = np.ones((1, len(confidence))), max(1, _CELLS // len(confidence))
    errors = []
    for start in range(0, draws, portion):
        luck = generator.random((min(portion, draws - start), number.max() + 1))[:, number]
        errors.append(measure_calibration_error(confidence, luck < confidence, ones, bins=bins))
    return np.concatenate(errors)
