"""Train, validation and test photos: drawn once, duplicates together.

A split that is drawn again every epoch tests on photos it has trained on, and a split that
separates two duplicates of one photo does the same. So photos are split once, groups of duplicates
stay together, and both are verified every time `Photos` are made or loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoclf.config import PARTS, SEED, Settings
from emoclf.photos import Photos


def split_photos(photos: Photos, settings: Settings | None = None) -> Photos:
    """Draw train, validation and test photos: stratified, seeded, duplicates kept together.

    Groups are visited in random order, large ones first, and each goes to the part that is
    furthest behind its fraction of that group's classes. The result depends on the seed and on the
    photos, not on the order in which they are given.

    Args:
        photos: What to split, such as `report.kept`; the parts they are in do not matter.
        settings: `validation_fraction`, `test_fraction` and the seed.

    Returns:
        The same photos, each in a part, verified.

    Raises:
        ValueError: If a class has fewer than three groups, so that no split could hold it.

    Example:
        >>> photos = Photos.make([f"{number}.jpg" for number in range(40)], [0, 1] * 20)
        >>> [len(split_photos(photos).part(part)) for part in ("train", "validation", "test")]
        [28, 6, 6]
    """
    settings = settings or Settings()
    fractions = (settings.validation_fraction, settings.test_fraction)
    return draw_parts(photos, (1 - sum(fractions), *fractions), seed=settings.seed)


def draw_parts(photos: Photos, fractions: Sequence[float], *, seed: int = SEED) -> Photos:
    """Draw the parts of photos, as `split_photos` does.

    Args:
        photos: What to split.
        fractions: Of the photos for training, validation and test, each above 0, summing to 1.
        seed: Seed of the draw.

    Returns:
        The same photos, each in a part, verified; groups are numbered by their first path.

    Raises:
        ValueError: If a class has too few groups.
    """
    groups = _number_groups(photos)
    members = count_members(photos, groups)
    _check_enough(members, photos.class_names)
    chosen = assign_groups(members, fractions, seed=seed)
    return Photos.make(
        photos.paths,
        photos.labels,
        groups=groups,
        parts=[PARTS[part] for part in chosen[groups]],
        root=photos.root,
        class_names=photos.class_names,
        seed=seed,
    )


def _number_groups(photos: Photos) -> np.ndarray:
    """Number groups from 0 by their first path in sorted order, int64 `(photos,)`."""
    numbers: dict[int, int] = {}
    for index in sorted(range(len(photos)), key=photos.paths.__getitem__):
        numbers.setdefault(photos.rows[index].group, len(numbers))
    return np.array([numbers[row.group] for row in photos.rows], dtype=np.int64)


def count_members(photos: Photos, groups: np.ndarray) -> np.ndarray:
    """Count the photos of every class in every group.

    Args:
        photos: The photos.
        groups: Their groups, numbered from 0, int64 `(photos,)`.

    Returns:
        int64 `(groups, classes)`.
    """
    members = np.zeros((groups.max(initial=-1) + 1, len(photos.class_names)), dtype=np.int64)
    np.add.at(members, (groups, photos.labels), 1)
    return members


def _check_enough(members: np.ndarray, class_names: Sequence[str]) -> None:
    for name, count in zip(class_names, (members > 0).sum(axis=0), strict=True):
        if count < len(PARTS):
            raise ValueError(
                f"Class {name} has {count} different photos (duplicates counted once). At least "
                f"{len(PARTS)} are needed to train, validate and test: add photos of {name}."
            )


def assign_groups(
    members: np.ndarray, fractions: Sequence[float], *, seed: int | Sequence[int] = SEED
) -> np.ndarray:
    """Give whole groups to parts, so that every part gets its fraction of every class.

    Args:
        members: Photos of every class in every group, int64 `(groups, classes)`; every class has
            some.
        fractions: Of the photos that each part is to get, above 0, summing to 1.
        seed: Seed of the draw.

    Returns:
        The part of every group, int64 `(groups,)`, counted from 0.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(members))
    order = shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]
    wanted = np.outer(fractions, members.sum(axis=0)).astype(float)
    filled = np.zeros_like(wanted)
    chosen = np.zeros(len(members), dtype=np.int64)
    for group in order:
        lacking = np.where(members[group] > 0, (wanted - filled) / wanted, 0.0)
        part = int(np.argmax(lacking @ members[group]))
        filled[part] += members[group]
        chosen[group] = part
    return chosen
