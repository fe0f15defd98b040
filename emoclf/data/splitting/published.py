"""The split that FER2013 was published with, without the duplicates that cross it."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from emoclf.config import Settings
from emoclf.data.cleaning import CleaningReport, FileRecord
from emoclf.data.cleaning.report import make_photos
from emoclf.data.splitting.splits import draw_parts
from emoclf.photos import Photos
from emoclf.untrusted import show_text

PUBLISHED_PARTS: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
"""FER2013's parts, as the folders inside the class folders are called; later ones test."""


def split_as_published(report: CleaningReport, settings: Settings | None = None) -> Photos:
    """Split FER2013's class folders as it was published.

    `Training` is learned from, `PublicTest` validates, `PrivateTest` is the test. Without
    `PrivateTest`, `PublicTest` is the test, and a fraction of `Training` validates. A photo that
    has a duplicate in a later part is left out: FER2013 has such photos, and they would make the
    test easier. Of the same file twice in one part, one is used.

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
    usable = _list_usable(report)
    parts = {record.path: _find_part(record.path) for record in usable}
    present = [name for name in PUBLISHED_PARTS if name in parts.values()]
    if len(present) < 2 or present[0] != "Training" or set(parts.values()) != set(present):
        raise ValueError(
            f"{show_text(report.root)}: expected every photo below a folder Training, PublicTest "
            "or PrivateTest of its class folder, and some of Training and of a test. Received: "
            f"{', '.join(map(show_text, sorted(set(parts.values()))[:6])) or 'nothing'}. `fetch "
            "fer2013` writes such folders; split others without this option."
        )
    photos = make_photos(report, _leave_out_leakage(usable, parts))
    published = np.array([parts[path] for path in photos.paths])
    if len(present) == len(PUBLISHED_PARTS):
        chosen = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
        return photos.with_parts([chosen[part] for part in published], seed=settings.seed)
    half = settings.validation_fraction / 2  # both halves validate: the test is published
    drawn = draw_parts(
        photos.take(published == "Training"), (1 - 2 * half, half, half), seed=settings.seed
    )
    part_of = {row.path: "train" if row.part == "train" else "validation" for row in drawn.rows}
    return photos.with_parts(
        [part_of.get(path, "test") for path in photos.paths], seed=settings.seed
    )


def _find_part(path: str) -> str:
    parents = PurePosixPath(path).parts[:-1]
    return next((name for name in parents if name in PUBLISHED_PARTS), "/".join(parents))


def _list_usable(report: CleaningReport) -> list[FileRecord]:
    """Return the kept photos, and those that are only rejected for being the same as another.

    The cleaning keeps one of several equal files wherever it lies; here the last part decides.
    """
    return [
        record
        for record in report.records
        if all(p.severity != "reject" or p.kind == "exact_duplicate" for p in record.problems)
    ]


def _leave_out_leakage(records: list[FileRecord], parts: dict[str, str]) -> list[FileRecord]:
    """Keep of each group of duplicates those in its last part, and each content once."""
    last: dict[int, int] = {}
    for record in records:
        part = PUBLISHED_PARTS.index(parts[record.path])
        group = record.duplicate_group
        last[group] = max(part, last.get(group, part))
    kept: dict[str, FileRecord] = {}
    for record in records:
        part = PUBLISHED_PARTS.index(parts[record.path])
        if record.duplicate_group < 0 or part == last[record.duplicate_group]:
            kept.setdefault(record.sha256, record)
    return list(kept.values())
