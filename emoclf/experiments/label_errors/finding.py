"""Which photos may lie in the wrong class folder, and why: a list for a person to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emoclf.data.cleaning import CleaningReport, FileRecord
from emoclf.evaluation import Evaluation
from emoclf.experiments.label_errors.confident_learning import (
    count_confident_joint,
    estimate_joint,
    find_label_errors,
    find_thresholds,
)
from emoclf.photos import Photos
from emoclf.untrusted import show_text

LABEL_ERROR_KINDS: tuple[str, ...] = ("copies_disagree", "confident_learning", "confident_mistake")
"""Why a photo is suspected, in the order in which suspects are listed."""


@dataclass(frozen=True)
class LabelError:
    """One photo whose label a person should look at.

    Attributes:
        path: Relative to the data set's folder, with forward slashes.
        class_name: The class of the folder it is in.
        suggested_class: The class it may belong to.
        kinds: Why it is suspected: some of `LABEL_ERROR_KINDS`.
        reason: The same in a sentence.
        sha256: Of the content when the folder was examined.
        probability: Of the suggested class, by networks that have not seen the photo, 0 to 1; None
            for a photo that was not answered.
    """

    path: str
    class_name: str
    suggested_class: str
    kinds: tuple[str, ...]
    reason: str
    sha256: str
    probability: float | None = None


@dataclass(frozen=True)
class LabelReview:
    """The suspects of a folder.

    Attributes:
        root: The data set's folder.
        class_names: Names in label order.
        suspects: The photos to look at: copies that disagree, then confident learning's, then other
            confident mistakes; within each the surest first.
        reviewed: How many photos were answered.
        noise_shares: Class name -> estimated share of its labels that are wrong, 0 to 1.
        test_photos_left_out: How many suspects are not listed because they, or copies of them, are
            test photos.
    """

    root: Path
    class_names: tuple[str, ...]
    suspects: tuple[LabelError, ...]
    reviewed: int
    noise_shares: dict[str, float]
    test_photos_left_out: int = 0

    def describe(self, *, examples: int = 3) -> str:
        """Return the suspects as text for reading.

        Args:
            examples: How many of each kind to name.

        Returns:
            Several lines of text.
        """
        shares = ", ".join(f"{name} {share:.1%}" for name, share in self.noise_shares.items())
        lines = [
            f"{self.reviewed:,} photos were answered by networks that have not seen them; "
            f"{len(self.suspects):,} are worth a look.",
            f"Labels estimated to be wrong (confident learning): {shares}. That counts the "
            "networks' own mistakes, too: where they are often wrong, so is the estimate.",
        ]
        for kind in LABEL_ERROR_KINDS:
            found = [suspect for suspect in self.suspects if suspect.kinds[0] == kind]
            lines += [f"{kind:<19} {len(found):>6,}"] if found else []
            lines += [f"    {show_text(each.path)}: {each.reason}" for each in found[:examples]]
        if self.test_photos_left_out:
            lines.append(
                f"{self.test_photos_left_out:,} more are test photos or copies of them, and are "
                "not listed: a repaired test could not be compared with the one before."
            )
        return "\n".join(lines)


def rank_label_errors(
    answers: Evaluation,
    report: CleaningReport,
    *,
    photos: Photos | None = None,
    include_test: bool = False,
    mistakes: int = 10,
) -> LabelReview:
    """Find the photos whose label a person should look at.

    Three signs: photos that are copies of each other and lie in different classes; photos that
    confident learning (Northcutt, Jiang and Chuang, 2021) chooses and that the networks answer with
    another class; and the most confident of the other wrong answers.

    Args:
        answers: Out-of-fold answers, such as `cross_validate(...).evaluation`: answers for photos
            that a network has learned from say nothing about their labels.
        report: From `find_problems`, on the same folder as it is now.
        photos: The split whose test is kept out of the review.
        include_test: Whether to review test photos all the same.
        mistakes: How many wrong answers to list beyond those of confident learning, the most
            confident ones.

    Returns:
        The suspects, sorted.

    Raises:
        ValueError: If a photo that was answered is not in the report, or lies in another class.

    Example:
        >>> review = rank_label_errors(result.evaluation, report)  # doctest: +SKIP
        >>> print(review.describe())  # doctest: +SKIP
    """
    records = {record.path: record for record in report.records}
    _check_known(answers, records)
    found = [*_find_disagreeing_copies(report), *_find_wrong_answers(answers, records, mistakes)]
    merged: dict[str, LabelError] = {}
    for suspect in found:
        merged[suspect.path] = _merge(merged.get(suspect.path), suspect)
    tested = frozenset() if include_test else _find_tested(report, photos)
    kept = [suspect for suspect in merged.values() if suspect.path not in tested]
    return LabelReview(
        root=Path(report.root),
        class_names=answers.class_names,
        suspects=tuple(sorted(kept, key=_rank)),
        reviewed=len(answers.labels),
        noise_shares=_estimate_noise(answers),
        test_photos_left_out=len(merged) - len(kept),
    )


def _rank(suspect: LabelError) -> tuple[int, float, str]:
    return LABEL_ERROR_KINDS.index(suspect.kinds[0]), -(suspect.probability or 0.0), suspect.path


def _merge(first: LabelError | None, second: LabelError) -> LabelError:
    """Join two signs about one photo."""
    if first is None:
        return second
    return replace(
        first,
        kinds=(*first.kinds, *second.kinds),
        reason=f"{first.reason} {second.reason}",
        probability=second.probability,
    )


def _check_known(answers: Evaluation, records: dict[str, FileRecord]) -> None:
    for path, label in zip(answers.paths, answers.labels.tolist(), strict=True):
        name = answers.class_names[label]
        if path not in records or records[path].class_name != name:
            where = f"in {records[path].class_name}" if path in records else "not there"
            raise ValueError(
                f"{show_text(path)} was answered as a photo of {name} and is {where} now. The "
                "folder has changed since: split it and cross-validate again."
            )


def _find_tested(report: CleaningReport, photos: Photos | None) -> frozenset[str]:
    """Return the test photos of a split, and all files that are copies of them."""
    if photos is None:
        return frozenset()
    tested = set(photos.part("test").paths)
    for group in report.duplicate_groups.values():
        paths = {record.path for record in group}
        if paths & tested:
            tested |= paths
    return frozenset(tested)


def _find_disagreeing_copies(report: CleaningReport) -> list[LabelError]:
    """Return the photos that have a copy in another class, exact or nearly so."""
    found = []
    for group in report.duplicate_groups.values():
        for record in group:
            reasons = [each.reason for each in record.problems if each.kind == "in_both_classes"]
            others = [each.class_name for each in group if each.label != record.label]
            if reasons and others:
                found.append(
                    LabelError(
                        record.path,
                        record.class_name,
                        others[0],
                        ("copies_disagree",),
                        f"{' '.join(reasons)} One of the two labels is wrong.",
                        record.sha256,
                    )
                )
    return found


def _find_wrong_answers(
    answers: Evaluation, records: dict[str, FileRecord], mistakes: int
) -> list[LabelError]:
    """Return the photos that are answered with another class: chosen, or among the surest."""
    chosen = find_label_errors(answers.labels, answers.probabilities)
    thresholds = find_thresholds(answers.labels, answers.probabilities)
    wrong = answers.mistakes()
    others = [index for index in wrong.tolist() if not chosen[index]][:mistakes]
    found = []
    for kind, indices in (
        ("confident_learning", [index for index in wrong.tolist() if chosen[index]]),
        ("confident_mistake", others),
    ):
        for index in indices:
            path, label = answers.paths[index], int(answers.labels[index])
            answer = int(answers.predicted_labels[index])
            own, probability = answers.class_names[label], answers.probabilities[index, answer]
            suggested = answers.class_names[answer]
            reason = (
                f"Networks that have not seen it say {suggested} with probability "
                f"{probability:.2f}; photos in {own} get {thresholds[label]:.2f} for {own} on "
                f"average, this one {answers.probabilities[index, label]:.2f}."
            )
            sha256 = records[path].sha256
            found.append(
                LabelError(path, own, suggested, (kind,), reason, sha256, float(probability))
            )
    return found


def _estimate_noise(answers: Evaluation) -> dict[str, float]:
    """Return for each class the estimated share of its labels that are wrong."""
    counts = np.bincount(answers.labels, minlength=len(answers.class_names))
    joint = estimate_joint(count_confident_joint(answers.labels, answers.probabilities), counts)
    wrong = 1 - np.diag(joint) / joint.sum(axis=1)
    return dict(zip(answers.class_names, wrong.tolist(), strict=True))
