"""The split that FER2013 was published with, without the copies that cross it."""

from __future__ import annotations

from pathlib import PurePosixPath

from emoclf.config import Settings
from emoclf.data.cleaning import CleaningReport, FileRecord
from emoclf.data.splitting.splits import SplitFile, SplitManifest, make_splits, verify_manifest
from emoclf.untrusted import show_text

PUBLISHED_PARTS: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
"""FER2013's parts, as the folders inside the class folders are called; later ones test."""


def split_as_published(report: CleaningReport, settings: Settings | None = None) -> SplitManifest:
    """Split FER2013's class folders as it was published.

    `Training` is learned from, `PublicTest` validates, `PrivateTest` is the test. Without
    `PrivateTest`, `PublicTest` is the test, and a share of `Training` validates. A photo that has a
    copy in a later part is left out: FER2013 has such copies, and they would make the test easier.
    Of the same file twice in one part, one is used.

    Args:
        report: From `find_problems`, on a folder that `make_fer2013_folders` wrote.
        settings: The validation share, where none is published, and the seed.

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
    kept = _leave_out_crossing(usable, parts)
    if len(present) == len(PUBLISHED_PARTS):
        chosen = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
        splits = {record.path: chosen[parts[record.path]] for record in kept}
    else:
        training = [record for record in kept if parts[record.path] == "Training"]
        splits = _draw_validation(training, settings)
    files = tuple(
        SplitFile(record.path, record.label, group, splits.get(record.path, "test"))
        for record, group in zip(kept, _number_groups(kept), strict=True)
    )
    manifest = SplitManifest(str(report.root), report.class_names, settings.seed, files)
    verify_manifest(manifest)
    return manifest


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


def _leave_out_crossing(records: list[FileRecord], parts: dict[str, str]) -> list[FileRecord]:
    """Keep of each group of copies those in its last part, and each content once."""
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


def _draw_validation(training: list[FileRecord], settings: Settings) -> dict[str, str]:
    """Draw a share of the training photos for validation, copies together."""
    drawn = make_splits(
        [record.path for record in training],
        [record.label for record in training],
        groups=[record.duplicate_group for record in training],
        validation_fraction=settings.validation_fraction / 2,
        test_fraction=settings.validation_fraction / 2,
        seed=settings.seed,
    )
    return {file.path: "train" if file.split == "train" else "validation" for file in drawn.files}


def _number_groups(records: list[FileRecord]) -> list[int]:
    """Return the group of each photo; one without copies gets a number of its own."""
    first_free = 1 + max((record.duplicate_group for record in records), default=-1)
    return [
        first_free + index if record.duplicate_group < 0 else record.duplicate_group
        for index, record in enumerate(records)
    ]
