"""Train, validation and test photos: drawn once, duplicates together.

A split that is drawn again every epoch tests on photos it has trained on, and a split that
separates two duplicates of one photo does the same. So photos are split once, groups of duplicates
stay together, and both are verified every time `Photos` are made or loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from emoclf.config import PARTS, SEED, Settings
from emoclf.data.cleaning import CleaningReport, FileRecord
from emoclf.data.cleaning.report import make_photos
from emoclf.photos import Photos
from emoclf.untrusted import show_text

PUBLISHED_PARTS: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
"""FER2013's parts, as folders inside or around the class folders are called; later ones test."""

_PART_WORDS = {
    **{name.casefold(): name for name in PUBLISHED_PARTS},
    "train": "Training",
    **dict.fromkeys(("validation", "valid", "val", "dev"), "PublicTest"),
    **dict.fromkeys(("test", "testing"), "PrivateTest"),
}
"""What the parts are called elsewhere."""


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
    """Draw the parts of photos, as `split_photos` does, in these fractions, which sum to 1.

    Groups are numbered by their first path. Raises ValueError if a class has too few groups.
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
        contents=[row.sha256 for row in photos.rows],
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
    """Count the photos of every class in every group, numbered from 0: int64 (groups, classes)."""
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

    `members` counts the photos of every class in every group, int64 `(groups, classes)`; every
    class has some. The fractions are above 0 and sum to 1. Returns int64 `(groups,)`: parts from 0.
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


def split_as_published(report: CleaningReport, settings: Settings | None = None) -> Photos:
    """Split a data set as it was published, such as FER2013.

    `Training` (or `train`) is learned from, `PublicTest` (`validation`, `val`) validates,
    `PrivateTest` (`test`) is the test; these folders lie inside the class folders or around them.
    Without `PrivateTest`, `PublicTest` is the test, and a fraction of `Training` validates. A photo
    that has a duplicate in a later part is left out: FER2013 has such photos, and they would make
    the test easier. Of the same file twice in one part, one is used.

    Args:
        report: From `find_problems`, on a folder that `make_fer2013_folders` wrote.
        settings: The validation fraction, where none is published, and the seed.

    Returns:
        The split, verified.

    Raises:
        ValueError: If a photo is in none of these parts, or there is nothing to learn from or to
            test on.

    Example:
        >>> split_as_published(find_problems("fer2013"))  # doctest: +SKIP
    """
    settings = settings or Settings()
    usable = [  # the cleaning keeps one of equal files wherever it lies; here the last part decides
        record
        for record in report.records
        if all(p.severity != "reject" or p.kind == "exact_duplicate" for p in record.problems)
    ]
    parts = {record.path: _find_part(record.path) for record in usable}
    present = [name for name in PUBLISHED_PARTS if name in parts.values()]
    if len(present) < 2 or present[0] != "Training" or set(parts.values()) != set(present):
        raise ValueError(
            f"{show_text(report.root)}: expected every photo below a folder Training, PublicTest "
            "or PrivateTest (or train, validation, test), some of Training and some of a test. "
            "Received: "
            f"{', '.join(map(show_text, sorted(set(parts.values()))[:6])) or 'nothing'}. `fetch "
            "fer2013` writes such folders; split others without this option."
        )
    photos = make_photos(report, _leave_out_leakage(usable, parts))
    published = np.array([parts[path] for path in photos.paths])
    if len(present) == len(PUBLISHED_PARTS):
        chosen = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
        return photos.with_parts([chosen[part] for part in published], seed=settings.seed)
    half = settings.validation_fraction / 2  # both halves validate: the test is published
    fractions, learned = (1 - 2 * half, half, half), photos.take(published == "Training")
    drawn = draw_parts(learned, fractions, seed=settings.seed)
    part_of = {row.path: "train" if row.part == "train" else "validation" for row in drawn.rows}
    final = [part_of.get(path, "test") for path in photos.paths]
    return photos.with_parts(final, seed=settings.seed)


def _find_part(path: str) -> str:
    parents = PurePosixPath(path).parts[:-1]
    named = (_PART_WORDS.get(name.casefold()) for name in parents)
    return next(filter(None, named), "/".join(parents))


def _leave_out_leakage(records: list[FileRecord], parts: dict[str, str]) -> list[FileRecord]:
    """Keep of each group of duplicates those in its last part, and each content once."""
    ranks = {record.path: PUBLISHED_PARTS.index(parts[record.path]) for record in records}
    last: Counter[int] = Counter()
    for record in records:
        last[record.duplicate_group] = max(ranks[record.path], last[record.duplicate_group])
    kept: dict[str, FileRecord] = {}
    for record in records:
        if record.duplicate_group < 0 or ranks[record.path] == last[record.duplicate_group]:
            kept.setdefault(record.sha256, record)
    return list(kept.values())
