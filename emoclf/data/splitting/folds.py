"""Who is tested by whom: repeated, grouped, stratified folds of a small folder.

In every repeat each photo is in exactly one fold, copies of a photo are in the same one, and every
fold gets its share of every class. A fold is answered by a network that has learned from the others
and has seen neither the photo nor a copy of it (Stone, 1974; Kohavi, 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emoclf.data.splitting.splits import SplitFile, SplitManifest, assign_groups, verify_manifest


@dataclass(frozen=True, eq=False)
class Folds:
    """Which fold of which repeat tests which photo.

    Attributes:
        manifest: The photos, in order.
        numbers: int64 `(repeats, photos)`: the fold that tests a photo, from 0.
        fold_count: How many folds each repeat has.
    """

    manifest: SplitManifest
    numbers: np.ndarray
    fold_count: int

    @property
    def repeats(self) -> int:
        """How many times each photo is tested."""
        return len(self.numbers)

    def find_tested(self, repeat: int, fold: int) -> np.ndarray:
        """Return the positions of the photos that a fold tests, int64, rising; both from 0."""
        return np.flatnonzero(self.numbers[repeat] == fold)

    def make_manifest(self, repeat: int, fold: int, *, validation_fraction: float) -> SplitManifest:
        """Make the split of one fold: its photos are the test, the others learn and validate.

        Args:
            repeat: Counted from 0.
            fold: Counted from 0.
            validation_fraction: Share of the other photos that choose the best epoch, 0 to 1.

        Returns:
            The split, verified, with the photos in the order of `manifest`.
        """
        is_test = self.numbers[repeat] == fold
        files = self.manifest.files
        rest = [file for file, tested in zip(files, is_test, strict=True) if not tested]
        groups = sorted({file.group for file in rest})
        shares = (1 - validation_fraction, validation_fraction)
        members = _count_members(rest, groups, len(self.manifest.class_names))
        parts = assign_groups(members, shares, seed=(self.manifest.seed, repeat, fold))
        part_of = {
            group: ("train", "validation")[part] for group, part in zip(groups, parts, strict=True)
        }
        made = tuple(replace(file, split=part_of.get(file.group, "test")) for file in files)
        manifest = replace(self.manifest, files=made)
        verify_manifest(manifest)
        return manifest


def make_folds(manifest: SplitManifest, *, fold_count: int = 5, repeats: int = 1) -> Folds:
    """Draw the folds: grouped, stratified, and drawn anew for every repeat.

    Args:
        manifest: The photos with their labels and groups of copies; its seed is the seed of the
            draw. What it says about train, validation and test is not looked at.
        fold_count: Folds per repeat, at least 2.
        repeats: How many times all photos are tested, at least 1.

    Returns:
        The folds.

    Raises:
        ValueError: If a number is out of range, or a class has too few different photos.

    Example:
        >>> files = [SplitFile(f"{number}.jpg", number % 2, number, "train") for number in range(8)]
        >>> folds = make_folds(SplitManifest(".", ("Sad", "Happy"), 0, tuple(files)), fold_count=4)
        >>> np.bincount(folds.numbers[0]).tolist()
        [2, 2, 2, 2]
    """
    if fold_count < 2 or repeats < 1:
        raise ValueError(
            f"Expected fold_count of 2 or more and repeats of 1 or more. Received: "
            f"fold_count={fold_count}, repeats={repeats}."
        )
    groups = sorted({file.group for file in manifest.files})
    members = _count_members(manifest.files, groups, len(manifest.class_names))
    _check_enough(members, fold_count, manifest.class_names)
    position = {group: index for index, group in enumerate(groups)}
    of_photo = [position[file.group] for file in manifest.files]
    shares = [1 / fold_count] * fold_count
    numbers = [
        assign_groups(members, shares, seed=(manifest.seed, repeat))[of_photo]
        for repeat in range(repeats)
    ]
    return Folds(manifest, np.array(numbers, dtype=np.int64), fold_count)


def _count_members(
    files: Sequence[SplitFile], groups: Sequence[int], class_count: int
) -> np.ndarray:
    """Count the photos of every class in every group, int64 `(groups, classes)`."""
    position = {group: index for index, group in enumerate(groups)}
    members = np.zeros((len(groups), class_count), dtype=np.int64)
    for file in files:
        members[position[file.group], file.label] += 1
    return members


def _check_enough(members: np.ndarray, fold_count: int, class_names: Sequence[str]) -> None:
    """Refuse folds that would leave less than two photos of a class to learn and to validate."""
    for name, count in zip(class_names, (members > 0).sum(axis=0).tolist(), strict=True):
        if count < fold_count or count - -(-count // fold_count) < 2:
            best = min(count, fold_count)
            hint = (
                f"Pass fold_count={best}, or add photos of {name}."
                if best >= 3
                else f"Add photos of {name}."
            )
            raise ValueError(
                f"fold_count={fold_count}: class {name} has {count} different photos (copies "
                "counted once), too few for one in every fold and two that are left to learn and "
                f"to validate. {hint}"
            )
