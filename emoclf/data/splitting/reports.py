"""From a cleaning report to a split."""

from __future__ import annotations

from emoclf.config import Settings
from emoclf.data.cleaning import CleaningReport
from emoclf.data.splitting.splits import SplitManifest, make_splits


def split_report(report: CleaningReport, settings: Settings | None = None) -> SplitManifest:
    """Split the kept photos of a cleaning report, copies of a photo on one side.

    Args:
        report: From `find_problems`.
        settings: Shares and seed.

    Returns:
        The split.

    Raises:
        ValueError: If a class has too few different photos.
    """
    settings = settings or Settings()
    return make_splits(
        [record.path for record in report.kept],
        [record.label for record in report.kept],
        groups=[record.duplicate_group for record in report.kept],
        validation_fraction=settings.validation_fraction,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        root=report.root,
        class_names=report.class_names,
    )
