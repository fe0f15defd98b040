"""The numbers of one look at a split: accuracy, recall, precision, curves, the mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emoclf.config import CLASS_NAMES, PARTS
from emoclf.evaluation.classes import ClassScores, score_classes, share_right
from emoclf.evaluation.curves import Curves, measure_curves
from emoclf.evaluation.estimates import Estimate, average_estimates, number_groups
from emoclf.evaluation.figures import Figures, estimate_figures
from emoclf.evaluation.limits import find_limits
from emoclf.storage.tables import write_table

COLLAPSE_SHARE = 0.98
"""A model that gives this share of its answers to one class has collapsed."""


class BatchModel(Protocol):
    """Anything with Keras' `predict_on_batch`."""

    def predict_on_batch(self, x: Any) -> Any:
        """Return probabilities `(batch, classes)` for a batch of photos."""


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one look at a split, from one pass.

    Attributes:
        class_names: Names in label order.
        paths: One path per photo.
        labels: True labels, int64 `(photos,)`.
        probabilities: float64 `(photos, classes)`, each row sums to 1.
        accuracy: Share of right answers.
        balanced_accuracy: Mean recall of the classes, so that the frequent one does not decide.
        majority_class: The class that always guessing would choose.
        majority_accuracy: What always guessing that class would reach on the same photos.
        per_class: Precision, recall and F1 of every class.
        confusion: int64 `(classes, classes)`: rows are true labels, columns are answers.
        curves: ROC and precision-recall; None when the photos hold one class only.
        collapse: A sentence when nearly all answers are one class, else None.
        groups: int64 `(photos,)`, equal for copies of one photo; None when copies are not known.
        split: `"train"`, `"validation"` or `"test"`; None for photos of no split.
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    accuracy: Estimate
    balanced_accuracy: Estimate
    majority_class: str
    majority_accuracy: Estimate
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray
    curves: Curves | None
    collapse: str | None
    groups: np.ndarray | None = None
    split: str | None = None

    @cached_property
    def estimates(self) -> Figures:
        """Areas, F1 and calibration error with their intervals, measured when first asked for."""
        return estimate_figures(self.labels, self.probabilities, groups=self.groups)

    @property
    def predicted_labels(self) -> np.ndarray:
        """The label with the largest probability, int64 `(photos,)`."""
        return np.argmax(self.probabilities, axis=1)

    def mistakes(self) -> np.ndarray:
        """Return the positions of wrong answers, the most confident ones first, int64."""
        wrong = np.flatnonzero(self.predicted_labels != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def describe(self) -> str:
        """Return the numbers as a readable text."""
        lines = [
            f"accuracy           {self.accuracy}",
            f"balanced accuracy  {self.balanced_accuracy}",
            f"always {self.majority_class:12}{self.majority_accuracy}",
        ]
        figures = self.estimates
        if self.curves and figures.roc_auc and figures.average_precision:
            prevalence = self.curves.prevalence
            lines.append(f"ROC AUC            {figures.roc_auc}   (guessing: 0.500)")
            lines.append(
                f"average precision  {figures.average_precision}   (guessing: {prevalence:.3f})"
            )
        lines.append(f"F1 of {self.class_names[-1]:13}{figures.f1[-1]}")
        lines.append(f"calibration error  {figures.calibration_error}   (0 is honest)")
        lines += ["", f"{'class':8}{'precision':>11}{'recall':>9}{'F1':>8}{'photos':>9}"]
        for scores in self.per_class:
            lines.append(
                f"{scores.class_name:8}{scores.precision.value:11.3f}{scores.recall.value:9.3f}"
                f"{scores.f1:8.3f}{scores.recall.count:9d}"
            )
        lines += [self.collapse] if self.collapse else []
        return "\n".join([*lines, *self.find_limits()])

    def find_limits(self) -> list[str]:
        """Say in sentences what cannot be concluded from so few photos; empty when nothing."""
        return find_limits(
            self.labels,
            self.accuracy,
            self.majority_accuracy,
            class_names=self.class_names,
            majority_class=self.majority_class,
            groups=self.groups,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers except the per-file table as a dictionary that JSON can hold."""
        return {
            "class_names": list(self.class_names),
            "photos": len(self.labels),
            "accuracy": asdict(self.accuracy),
            "balanced_accuracy": asdict(self.balanced_accuracy),
            "majority_class": self.majority_class,
            "majority_accuracy": asdict(self.majority_accuracy),
            "per_class": [asdict(scores) for scores in self.per_class],
            "confusion": self.confusion.tolist(),
            "roc_auc": self.curves.roc_auc if self.curves else None,
            "average_precision": self.curves.average_precision if self.curves else None,
            "collapse": self.collapse,
            "intervals": self.estimates.to_dict(),
            "limits": self.find_limits(),
        }

    def save_table(self, path: str | Path) -> Path:
        """Write one row per photo as CSV: path, truth, answer, probabilities, right or wrong.

        No cell is a formula to a spreadsheet; `storage.tables.read_table` gives the paths back.

        Returns:
            The path of the file.
        """
        header = ["file", "true_class", "predicted_class", "correct"]
        header += [f"probability_{name}" for name in self.class_names]
        rows = zip(
            self.paths,
            [self.class_names[label] for label in self.labels],
            [self.class_names[answer] for answer in self.predicted_labels],
            (self.labels == self.predicted_labels).astype(int).tolist(),
            self.probabilities.tolist(),
            strict=True,
        )
        return write_table(path, header, ([*cells, *answers] for *cells, answers in rows))


def collect_predictions(
    model: BatchModel, dataset: Iterable[tuple[Any, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model over a data set once, keeping labels and probabilities side by side.

    Args:
        model: A Keras model, or anything with `predict_on_batch`.
        dataset: Batches of `(images, labels)`.

    Returns:
        Labels, int64 `(photos,)`, and probabilities, float64 `(photos, classes)`.
    """
    labels, probabilities = [], []
    for images, batch_labels in dataset:
        labels.append(np.asarray(batch_labels))
        probabilities.append(np.asarray(model.predict_on_batch(images), dtype=np.float64))
    return np.concatenate(labels).astype(np.int64), np.concatenate(probabilities)


def evaluate_predictions(
    labels: Sequence[int] | np.ndarray,
    probabilities: np.ndarray,
    *,
    paths: Sequence[str] | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    groups: Sequence[int] | np.ndarray | None = None,
    split: str | None = None,
) -> Evaluation:
    """Measure everything about one set of answers.

    Args:
        labels: True labels, integers `(photos,)`, indices into `class_names`.
        probabilities: `(photos, classes)`, each row from 0 to 1 and summing to 1.
        paths: One path per photo, in the same order; default: the photos' numbers.
        class_names: Names in label order.
        groups: One number per photo, equal for copies of one photo and -1 for a photo without any,
            so that the intervals do not count copies as further photos: `cache.groups("test")`.
            Default: no copies.
        split: Which part of the split these photos are, `"validation"` for what a threshold or a
            temperature may be chosen on. Default: none.

    Returns:
        The numbers, each with its interval, and the per-file table they come from.

    Raises:
        ValueError: If there is no photo, or shapes or ranges do not fit.
    """
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    names = [str(i) for i in range(len(labels))] if paths is None else [str(p) for p in paths]
    copies = None if groups is None else number_groups(groups)
    _check_predictions(labels, probabilities, names, class_names)
    _check_origin(len(labels), copies, split)
    answers = probabilities.argmax(axis=1)
    confusion = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    np.add.at(confusion, (labels, answers), 1)
    counts = confusion.sum(axis=1)
    per_class = score_classes(labels, answers, groups=copies, class_names=class_names)
    present = [scores.recall for scores in per_class if scores.recall.count]
    return Evaluation(
        class_names=tuple(class_names),
        paths=tuple(names),
        labels=labels,
        probabilities=probabilities,
        accuracy=share_right(labels == answers, copies),
        balanced_accuracy=average_estimates(present),
        majority_class=class_names[int(counts.argmax())],
        majority_accuracy=share_right(labels == counts.argmax(), copies),
        per_class=per_class,
        confusion=confusion,
        curves=measure_curves(labels, probabilities) if len(present) > 1 else None,
        collapse=describe_collapse(probabilities, class_names=class_names),
        groups=copies,
        split=split,
    )


def _check_predictions(
    labels: np.ndarray, probabilities: np.ndarray, paths: Sequence[str], class_names: Sequence[str]
) -> None:
    if not len(labels):
        raise ValueError("There is no photo to evaluate: labels is empty.")
    if probabilities.shape != (len(labels), len(class_names)) or len(paths) != len(labels):
        raise ValueError(
            f"Expected probabilities of shape {(len(labels), len(class_names))} and "
            f"{len(labels)} paths, received {probabilities.shape} and {len(paths)}."
        )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"labels should be 0 to {len(class_names) - 1}, an index into class_names."
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or probabilities.min() < 0:
        raise ValueError(
            "Each row of probabilities should be 0 or more and sum to 1 (softmax outputs, "
            "not logits)."
        )


def _check_origin(count: int, groups: np.ndarray | None, split: str | None) -> None:
    if groups is not None and groups.shape != (count,):
        raise ValueError(
            f"Expected one group per photo, {count} of them, received groups of shape "
            f"{groups.shape}. Photos without copies have a number of their own."
        )
    if split is not None and split not in PARTS:
        raise ValueError(f"split={split!r} should be one of {', '.join(PARTS)}, or None.")


def describe_collapse(
    probabilities: np.ndarray, *, class_names: Sequence[str] = CLASS_NAMES
) -> str | None:
    """Notice a model that gives the same answer to (nearly) every photo.

    Args:
        probabilities: `(photos, classes)`.
        class_names: Names in label order.

    Returns:
        A sentence that says so and what to try, or None when both classes are used.
    """
    if not len(probabilities):
        return None
    counts = np.bincount(np.argmax(probabilities, axis=1), minlength=len(class_names))
    if counts.max() < COLLAPSE_SHARE * len(probabilities):
        return None
    name = class_names[int(counts.argmax())]
    return (
        f"Careful: {counts.max()} of {len(probabilities)} answers are {name}. The model has "
        "collapsed to one class and has learned nothing you can use. Try class weights, a smaller "
        "learning rate, more epochs or more photos of the other class."
    )
