"""Which network predicts which photo: repeated, grouped, stratified folds of a small folder.

In every repeat each photo is in exactly one fold, duplicates of a photo are in the same one, and
every fold gets its fraction of every class. A fold is predicted by a network that has learned from
the others and was trained on neither the photo nor a duplicate of it (Stone, 1974; Kohavi, 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoclf.config import PARTS
from emoclf.data.splitting import assign_groups, count_members
from emoclf.photos import Photos


@dataclass(frozen=True, eq=False)
class Folds:
    """Which fold of which repeat tests which photo.

    Attributes:
        photos: The photos, in order.
        numbers: int64 `(repeats, photos)`: the fold that tests a photo, from 0.
        fold_count: How many folds each repeat has.
    """

    photos: Photos
    numbers: np.ndarray
    fold_count: int

    @property
    def repeats(self) -> int:
        """How many times each photo is tested."""
        return len(self.numbers)

    def find_tested(self, repeat: int, fold: int) -> np.ndarray:
        """Return the positions of the photos that a fold tests, int64, rising; both from 0."""
        return np.flatnonzero(self.numbers[repeat] == fold)

    def make_split(self, repeat: int, fold: int, *, validation_fraction: float) -> Photos:
        """Make the split of one fold: its photos are the test, the others learn and validate.

        Args:
            repeat: Counted from 0.
            fold: Counted from 0.
            validation_fraction: Fraction of the other photos that choose the best epoch, 0 to 1.

        Returns:
            The photos in their order, each in a part, verified.
        """
        is_test = self.numbers[repeat] == fold
        rest = self.photos.take(~is_test)
        groups = np.unique(rest.groups, return_inverse=True)[1]
        fractions = (1 - validation_fraction, validation_fraction)
        seed = (self.photos.seed, repeat, fold)
        chosen = assign_groups(count_members(rest, groups), fractions, seed=seed)
        parts = np.full(len(is_test), PARTS.index("test"))
        parts[~is_test] = chosen[groups]  # 0 trains, 1 validates
        return self.photos.with_parts([PARTS[part] for part in parts])


def make_folds(photos: Photos, *, fold_count: int = 5, repeats: int = 1) -> Folds:
    """Draw the folds: grouped, stratified, and drawn anew for every repeat.

    Args:
        photos: The photos; their seed is the seed of the folds. The parts they are in do not
            matter.
        fold_count: Folds per repeat, at least 2.
        repeats: How many times all photos are tested, at least 1.

    Returns:
        The folds.

    Raises:
        ValueError: If a number is out of range, or a class has too few different photos.

    Example:
        >>> photos = Photos.make([f"{number}.jpg" for number in range(8)], [0, 1] * 4)
        >>> np.bincount(make_folds(photos, fold_count=4).numbers[0]).tolist()
        [2, 2, 2, 2]
    """
    if fold_count < 2 or repeats < 1:
        raise ValueError(
            f"Expected fold_count of 2 or more and repeats of 1 or more. Received: "
            f"fold_count={fold_count}, repeats={repeats}."
        )
    groups = np.unique(photos.groups, return_inverse=True)[1]
    members = count_members(photos, groups)
    _check_enough(members, fold_count, photos.class_names)
    fractions = [1 / fold_count] * fold_count
    seeds = [(photos.seed, repeat) for repeat in range(repeats)]
    numbers = [assign_groups(members, fractions, seed=seed)[groups] for seed in seeds]
    return Folds(photos, np.array(numbers, dtype=np.int64), fold_count)


def _check_enough(members: np.ndarray, fold_count: int, class_names: Sequence[str]) -> None:
    """Refuse folds that would leave less than two photos of a class to learn and to validate."""
    counts = (members > 0).sum(axis=0).tolist()
    count, name = min(zip(counts, class_names, strict=True))
    if count < fold_count or count - -(-count // fold_count) < 2:
        hint = f"Make {count} folds, or add" if count >= 3 else "Add"
        raise ValueError(
            f"{fold_count} folds cannot be made: class {name} has {count} different photos "
            "(duplicates counted once), and needs one for every fold and two that are left to "
            f"learn and to validate. {hint} photos of {name}."
        )
