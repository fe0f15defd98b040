"""Which photos may lie in the wrong class folder, and why: a list for a person to look at.

Confident learning after Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", Journal of Artificial Intelligence Research 70 (2021), sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from emoclf.data.cleaning import CleaningReport, FileRecord
from emoclf.display import Displayed, Table
from emoclf.evaluation import Evaluation
from emoclf.photos import Photos
from emoclf.untrusted import match_names, show_text

LABEL_ERROR_KINDS: tuple[str, ...] = (
    "duplicates_disagree",
    "confident_learning",
    "confident_mistake",
)
"""Why a label may be wrong, in the order in which photos are listed."""

NOT_ABOVE_CHANCE = (
    "and are not shown to be better than guessing: what they call an error says nothing about the "
    "labels. Train longer, with more photos or another network, before you look for label errors."
)

FilterBy = Literal["prune_by_class", "prune_by_noise_rate", "both"]
"""The paper's two ways to choose, and what both choose; cleanlab's names."""


@dataclass(frozen=True)
class LabelError:
    """One photo whose label a person should look at.

    Attributes:
        path: Relative to the data set's folder, with forward slashes.
        class_name: The class of the folder it is in.
        suggested_class: The class it may belong to.
        kinds: Why it is listed: some of `LABEL_ERROR_KINDS`.
        reason: The same in a sentence.
        sha256: Of the content when the folder was examined.
        probability: Of the suggested class, by networks not trained on the photo, 0 to 1; None
            for a photo that was not predicted.
    """

    path: str
    class_name: str
    suggested_class: str
    kinds: tuple[str, ...]
    reason: str
    sha256: str
    probability: float | None = None


@dataclass(frozen=True)
class LabelReview(Displayed):
    """The likely label errors of a folder.

    Attributes:
        root: The data set's folder.
        class_names: Names in label order.
        label_errors: The photos to look at: duplicates that disagree, then confident learning's,
            then other confident mistakes; within each the most probable first.
        reviewed: How many photos were predicted.
        noise_rates: Class name -> estimated fraction of its labels that are wrong, 0 to 1.
        test_photos_left_out: How many are not listed because they, or duplicates of them, are test
            photos.
        is_above_chance: Whether the predictions are shown to be better than guessing. If not, they
            say nothing about labels.
    """

    root: Path
    class_names: tuple[str, ...]
    label_errors: tuple[LabelError, ...]
    reviewed: int
    noise_rates: dict[str, float]
    test_photos_left_out: int = 0
    is_above_chance: bool = True

    @property
    def has_disagreeing(self) -> bool:
        """Whether duplicates lie in different classes, which no network needs to be asked about."""
        return any("duplicates_disagree" in each.kinds for each in self.label_errors)

    def blocks(self) -> Iterable[str | Table]:
        """Return how many there are of each kind, with the first three of each."""
        rates = ", ".join(f"{name} {rate:.1%}" for name, rate in self.noise_rates.items())
        start = f"{self.reviewed:,} photos were predicted by networks not trained on them"
        if self.is_above_chance:
            yield f"{start}; {len(self.label_errors):,} are worth a look."
            yield (
                f"Labels estimated to be wrong (confident learning): {rates}. That counts the "
                "networks' own mistakes, too: where they are often wrong, so is the estimate."
            )
        else:
            yield f"{start}, {NOT_ABOVE_CHANCE}"
        for kind in LABEL_ERROR_KINDS:
            found = [each for each in self.label_errors if each.kinds[0] == kind]
            if found:
                yield f"{kind}: {len(found):,}"
                yield from (f"    {show_text(each.path)}: {each.reason}" for each in found[:3])
        if self.test_photos_left_out:
            yield (
                f"{self.test_photos_left_out:,} more are test photos or duplicates of them, and "
                "are not listed: a corrected test could not be compared with the one before."
            )


def rank_label_errors(
    evaluation: Evaluation,
    report: CleaningReport,
    *,
    photos: Photos | None = None,
    include_test: bool = False,
    mistakes: int = 10,
) -> LabelReview:
    """Find the photos whose label a person should look at, the most likely errors first.

    Three signs: photos that are duplicates of each other and lie in different classes; photos that
    confident learning chooses and whose predicted class is another; and the most confident of the
    other wrong predictions.

    Args:
        evaluation: Out-of-fold predictions, such as `cross_validate(...).evaluation`: those of a
            network that was trained on the photos say nothing about their labels.
        report: From `find_problems`, on the same folder as it is now.
        photos: The photos in parts, whose test is kept out of the review.
        include_test: Whether to review test photos all the same.
        mistakes: How many wrong predictions to list beyond those of confident learning, the most
            confident ones.

    Returns:
        The photos to look at.

    Raises:
        ValueError: If a photo that was predicted is not in the report, or lies in another class.

    Example:
        >>> print(rank_label_errors(folds.evaluation, report))  # doctest: +SKIP
    """
    records = {record.path: record for record in report.records}
    evaluation = replace(evaluation, photos=_match_paths(evaluation.photos, records))
    _check_known(evaluation.photos, records)
    found: dict[str, LabelError] = {}
    for each in (*_find_disagreeing(report), *_find_mistakes(evaluation, records, mistakes)):
        first = found.get(each.path)
        if first is not None:
            kinds, reason = (*first.kinds, *each.kinds), f"{first.reason} {each.reason}"
            each = replace(first, kinds=kinds, reason=reason, probability=each.probability)
        found[each.path] = each
    tested = set() if include_test else _find_tested(report, photos)
    kept = [each for each in found.values() if each.path not in tested]
    rank = LABEL_ERROR_KINDS.index
    kept.sort(key=lambda each: (rank(each.kinds[0]), -(each.probability or 0.0), each.path))
    return LabelReview(
        root=Path(report.root),
        class_names=evaluation.photos.class_names,
        label_errors=tuple(kept),
        reviewed=len(evaluation.photos),
        noise_rates=_estimate_noise(evaluation),
        test_photos_left_out=len(found) - len(kept),
        is_above_chance=evaluation.is_above_chance,
    )


def _match_paths(photos: Photos, records: Collection[str]) -> Photos:
    """Return photos with their paths as the report writes them, accents included."""
    own = match_names(photos.paths, records)
    return replace(photos, rows=tuple(replace(r, path=own[r.path]) for r in photos.rows))


def _check_known(photos: Photos, records: dict[str, FileRecord]) -> None:
    for row in photos.rows:
        name = photos.class_names[row.label]
        if row.path not in records or records[row.path].class_name != name:
            where = f"in {records[row.path].class_name}" if row.path in records else "not there"
            raise ValueError(
                f"{show_text(row.path)} was predicted as a photo of {name} and is {where} now. The "
                "folder has changed since: split it and cross-validate again."
            )


def _find_tested(report: CleaningReport, photos: Photos | None) -> set[str]:
    """Return the test photos, and all files that are duplicates of them."""
    known = [record.path for record in report.records]
    tested = set(_match_paths(photos.part("test"), known).paths) if photos else set()
    for group in report.duplicate_groups.values():
        paths = {record.path for record in group}
        if paths & tested:
            tested |= paths
    return tested


def _find_disagreeing(report: CleaningReport) -> Iterable[LabelError]:
    """Yield the photos that have a duplicate in another class, exact or nearly so."""
    for group in report.duplicate_groups.values():
        for record in group:
            reasons = [each.reason for each in record.problems if each.kind == "in_both_classes"]
            others = [each.class_name for each in group if each.label != record.label]
            if reasons and others:
                reason = f"{' '.join(reasons)} One of the two labels is wrong."
                yield LabelError(
                    path=record.path,
                    class_name=record.class_name,
                    suggested_class=others[0],
                    kinds=("duplicates_disagree",),
                    reason=reason,
                    sha256=record.sha256,
                )


def _find_mistakes(
    evaluation: Evaluation, records: dict[str, FileRecord], mistakes: int
) -> Iterable[LabelError]:
    """Yield the photos with another predicted class: chosen ones, and the most confident others."""
    labels, probabilities = evaluation.labels, evaluation.probabilities
    names, paths = evaluation.photos.class_names, evaluation.photos.paths
    chosen = find_label_errors(labels, probabilities)
    thresholds = find_confident_thresholds(labels, probabilities)
    wrong = evaluation.mistakes()
    kinds = {
        "confident_learning": wrong[chosen[wrong]],
        "confident_mistake": wrong[~chosen[wrong]][:mistakes],
    }
    for kind, positions in kinds.items():
        for position in positions.tolist():
            label, predicted = labels[position], evaluation.predicted_labels[position]
            own, suggested = names[label], names[predicted]
            probability = float(probabilities[position, predicted])
            reason = (
                f"Networks not trained on it predict {suggested} with probability "
                f"{probability:.2f}; photos in {own} get {thresholds[label]:.2f} for {own} on "
                f"average, this one {probabilities[position, label]:.2f}."
            )
            path = paths[position]
            yield LabelError(
                path, own, suggested, (kind,), reason, records[path].sha256, probability
            )


def _estimate_noise(evaluation: Evaluation) -> dict[str, float]:
    """Return for each class the estimated fraction of its labels that are wrong."""
    labels, names = evaluation.labels, evaluation.photos.class_names
    joint = estimate_joint(
        compute_confident_joint(labels, evaluation.probabilities),
        np.bincount(labels, minlength=len(names)),
    )
    wrong = 1 - np.diag(joint) / joint.sum(axis=1)
    return dict(zip(names, wrong.tolist(), strict=True))


def find_confident_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Find the mean probability of each class on the photos that bear its label.

    Args:
        labels: Given labels, int64 `(photos,)`.
        probabilities: Out-of-sample, float64 `(photos, classes)`, 0 to 1, rows sum to 1.

    Returns:
        float64 `(classes,)`: the mean self-confidence of every class, the paper's t.

    Raises:
        ValueError: If the shapes do not fit, or a class has no photo.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
        >>> find_confident_thresholds(np.array([0, 0, 1]), probabilities)
        array([0.7, 0.8])
    """
    if probabilities.ndim != 2 or labels.shape != (len(probabilities),):
        raise ValueError(
            "Expected labels (photos,) and probabilities (photos, classes). Received: "
            f"{labels.shape} and {probabilities.shape}."
        )
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    if len(counts) != classes or not counts.all():
        raise ValueError(
            f"Expected photos of each of {classes} classes, received {counts.tolist()} per label. "
            "Without photos of a class nothing can be said about it."
        )
    return np.array([probabilities[labels == label, label].mean() for label in range(classes)])


def compute_confident_joint(
    labels: np.ndarray, probabilities: np.ndarray, *, thresholds: np.ndarray | None = None
) -> np.ndarray:
    """Count the photos of each given label that confidently belong to each class.

    A photo confidently belongs to a class when its probability reaches the threshold of that class;
    of several such classes the most probable counts; a photo without any is not counted.

    Args:
        labels: As for `find_confident_thresholds`.
        probabilities: As for `find_confident_thresholds`.
        thresholds: float64 `(classes,)`; default: `find_confident_thresholds`.

    Returns:
        int64 `(classes, classes)`: rows are given labels, columns confident classes.
    """
    if thresholds is None:
        thresholds = find_confident_thresholds(labels, probabilities)
    is_confident = probabilities >= thresholds
    classes = np.where(is_confident, probabilities, -1.0).argmax(axis=1)
    is_counted = is_confident.any(axis=1)
    joint = np.zeros((probabilities.shape[1],) * 2, dtype=np.int64)
    np.add.at(joint, (labels[is_counted], classes[is_counted]), 1)
    return joint


def estimate_joint(confident_joint: np.ndarray, class_counts: np.ndarray) -> np.ndarray:
    """Estimate the joint distribution of given and true labels.

    Args:
        confident_joint: int64 `(classes, classes)`, from `compute_confident_joint`.
        class_counts: int64 `(classes,)`: photos of each given label.

    Returns:
        float64 `(classes, classes)`, 0 to 1, summing to 1: the paper's Q. Every row sums to the
        fraction of its given label. A label without a confident photo is taken as right, for want
        of evidence.
    """
    counted = confident_joint + np.diag((confident_joint.sum(axis=1) == 0).astype(np.int64))
    joint = counted / counted.sum(axis=1, keepdims=True) * np.asarray(class_counts)[:, np.newaxis]
    return joint / joint.sum()


def find_label_errors(
    labels: np.ndarray, probabilities: np.ndarray, *, filter_by: FilterBy = "both"
) -> np.ndarray:
    """Choose the photos whose label is probably wrong.

    The joint says how many labels of each class are wrong; the paper's methods say which.
    `"prune_by_class"` takes that many photos of each class with the lowest probability of their own
    label. `"prune_by_noise_rate"` takes for each pair of classes that many photos in which the
    other class leads the own one most. `"both"` takes what both choose. With two classes all three
    are the same.

    Args:
        labels: As for `find_confident_thresholds`.
        probabilities: As for `find_confident_thresholds`.
        filter_by: How to choose.

    Returns:
        bool `(photos,)`.

    Raises:
        ValueError: If the shapes do not fit, a class has no photo, or `filter_by` is unknown.
    """
    if filter_by not in get_args(FilterBy):
        raise ValueError(f"filter_by={filter_by!r} should be one of {get_args(FilterBy)}.")
    joint = estimate_joint(compute_confident_joint(labels, probabilities), np.bincount(labels))
    by_class, by_rate = np.zeros((2, len(labels)), dtype=bool)
    for label, row in enumerate(joint):
        members = np.flatnonzero(labels == label)
        own = probabilities[members, label]
        count = int(np.rint((row.sum() - row[label]) * len(labels)))
        by_class[members[np.argsort(own, kind="stable")[:count]]] = True
        for other in set(range(len(joint))) - {label}:
            order = np.argsort(own - probabilities[members, other], kind="stable")
            by_rate[members[order[: int(np.rint(row[other] * len(labels)))]]] = True
    chosen = {"prune_by_class": by_class, "prune_by_noise_rate": by_rate}
    return chosen.get(filter_by, by_class & by_rate)
