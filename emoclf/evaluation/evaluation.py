"""An evaluation: photos and the probabilities predicted for them; every number comes from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.display import Displayed, Table
from emoclf.evaluation.bootstrap import count_different
from emoclf.evaluation.estimates import (
    ESTIMATE_HEADERS,
    TOO_FEW,
    ClassScores,
    Curves,
    Estimate,
    average_estimates,
    describe_collapse,
    estimate_fraction,
    measure_curves,
    score_classes,
)
from emoclf.evaluation.figures import Figures, estimate_figures
from emoclf.images import Network
from emoclf.photos import Photos
from emoclf.storage.tables import write_table
from emoclf.untrusted import show_text

FEW_PHOTOS = 30
"""With fewer different photos of a class than this, its recall is known to about 18 points."""

WIDE_INTERVAL = 0.1
"""An accuracy whose interval is wider than this hides most differences between networks."""


@dataclass(frozen=True, eq=False)
class Evaluation(Displayed):
    """Photos and the probabilities that a network predicted for them.

    Every number comes from the two, with its interval; duplicates count once in it.

    Attributes:
        photos: At least one, with true labels.
        probabilities: float64 `(photos, classes)`, each row 0 to 1 and summing to 1.

    Raises:
        ValueError: If there is no photo, or the probabilities are none, or not those of the photos.

    Example:
        >>> photos = Photos.make(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 1])
        >>> evaluation = Evaluation(photos, np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
        >>> print(evaluation.accuracy)
        0.667 (95 % interval 0.208 to 0.939, n = 3)
    """

    photos: Photos
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        found = np.asarray(self.probabilities, dtype=np.float64)
        object.__setattr__(self, "probabilities", found)
        expected = (len(self.photos), len(self.photos.class_names))
        if not expected[0]:
            raise ValueError("There is no photo to evaluate: photos is empty.")
        if found.shape != expected:
            raise ValueError(
                f"Expected probabilities of shape {expected}, one row per photo and one column per "
                f"class, received {found.shape}. Give the probabilities of these photos."
            )
        if not np.allclose(found.sum(axis=1), 1, atol=1e-3) or found.min() < 0:
            raise ValueError(
                "Each row of probabilities should be 0 or more and sum to 1 (softmax outputs, "
                "not logits)."
            )

    def take(self, chosen: np.ndarray | Sequence[int] | Sequence[bool]) -> Evaluation:
        """Return the evaluation of some of the photos.

        Args:
            chosen: Their positions, or a bool per photo; at least one.

        Returns:
            Their numbers, in the order of `chosen`.
        """
        rows = np.arange(len(self.photos))[list(chosen)]
        return Evaluation(self.photos.take(rows), self.probabilities[rows])

    @property
    def labels(self) -> np.ndarray:
        """The true labels, int64 `(photos,)`."""
        return self.photos.labels

    @cached_property
    def predicted_labels(self) -> np.ndarray:
        """The label with the largest probability, int64 `(photos,)`."""
        return np.argmax(self.probabilities, axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The largest probability, float64 `(photos,)`."""
        return np.asarray(self.probabilities.max(axis=1))

    @cached_property
    def is_right(self) -> np.ndarray:
        """Whether the predicted label is the true one, bool `(photos,)`."""
        return np.asarray(self.predicted_labels == self.labels)

    @cached_property
    def accuracy(self) -> Estimate:
        """Fraction of right predictions."""
        return estimate_fraction(self.is_right, self.photos.groups)

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """Precision, recall and F1 of every class, in label order."""
        return score_classes(self.photos, self.predicted_labels)

    @cached_property
    def balanced_accuracy(self) -> Estimate:
        """Mean recall of the classes, so that the frequent one does not decide."""
        return average_estimates([s.recall for s in self.per_class if s.recall.count])

    @property
    def majority_class(self) -> str:
        """The more frequent class."""
        return self.photos.class_names[self._majority_label]

    @cached_property
    def majority_accuracy(self) -> Estimate:
        """What always predicting the more frequent class reaches on the same photos."""
        return estimate_fraction(self.labels == self._majority_label, self.photos.groups)

    @property
    def _majority_label(self) -> int:
        return int(np.bincount(self.labels).argmax())

    @cached_property
    def confusion(self) -> np.ndarray:
        """int64 `(classes, classes)`: rows are true labels, columns are predictions."""
        counts = np.zeros((len(self.photos.class_names),) * 2, dtype=np.int64)
        np.add.at(counts, (self.labels, self.predicted_labels), 1)
        return counts

    @cached_property
    def curves(self) -> Curves | None:
        """ROC and precision-recall; None when the photos hold one class only."""
        has_classes = len(np.unique(self.labels)) > 1
        return measure_curves(self.labels, self.probabilities) if has_classes else None

    @cached_property
    def estimates(self) -> Figures:
        """Areas, F1 and calibration error with their intervals, from the bootstrap."""
        return estimate_figures(self.photos, self.probabilities)

    @property
    def collapse(self) -> str | None:
        """A sentence when nearly all predictions are one class and should not be, else None."""
        names = self.photos.class_names
        return describe_collapse(self.probabilities, class_names=names, labels=self.labels)

    @property
    def is_above_chance(self) -> bool:
        """Whether the balanced accuracy is shown to be above that of guessing."""
        present = len(np.unique(self.labels))
        return present > 1 and self.balanced_accuracy.low > 1 / present

    def mistakes(self) -> np.ndarray:
        """Return the positions of wrong predictions, the most confident ones first, int64."""
        wrong = np.flatnonzero(~self.is_right)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def find_limits(self) -> list[str]:
        """Say in sentences what cannot be concluded from so few photos; empty when nothing."""
        different, notes = count_different(self.photos), []
        for label, name in enumerate(self.photos.class_names):
            count = different.get(label, 0)
            if count == 0:
                notes.append(f"No photo of {name}: how well {name} is recognised is not known.")
            elif count == 1:
                notes.append(f"One different photo of {name} only: no interval means anything.")
            elif count < FEW_PHOTOS:
                notes.append(
                    f"Only {count} different photos of {name}: each is worth {100 / count:.0f} "
                    f"points of what is found of {name}."
                )
        width = self.accuracy.high - self.accuracy.low
        if width > WIDE_INTERVAL:
            notes.append(
                f"The accuracy is known to within {100 * width:.0f} points: networks that lie "
                "closer together than that cannot be told apart by it."
            )
        if len(different) > 1 and self.accuracy.low <= self.majority_accuracy.value:
            notes.append(
                "These photos do not show that the accuracy is above that of always "
                f"{self.majority_class} (n = {len(self.photos):,})."
            )
        return notes

    def blocks(self) -> Iterable[str | Table]:
        """Return the figures, the classes, and what cannot be concluded."""
        found = self.estimates
        rows: list[tuple[object, ...]] = [
            ("accuracy", *self.accuracy.to_cells(is_fraction=True)),
            ("balanced accuracy", *self.balanced_accuracy.to_cells()),
            (
                f"always {self.majority_class}",
                *self.majority_accuracy.to_cells(is_fraction=True),
            ),
        ]
        if self.curves and found.roc_auc and found.average_precision:
            rows.append(("ROC AUC", *found.roc_auc.to_cells(), 0.5))
            precision = found.average_precision.to_cells()
            rows.append(("average precision", *precision, self.curves.prevalence))
        rows.append((f"F1 of {self.photos.class_names[-1]}", *found.f1[-1].to_cells()))
        rows.append(("calibration error (0 is best)", *found.calibration_error.to_cells()))
        headers = ("", *ESTIMATE_HEADERS, "guessing")
        yield Table(headers, [(*row, None)[: len(headers)] for row in rows])
        yield ""
        yield Table(
            ("class", "precision", "recall", "F1", "photos"),
            [
                (
                    s.class_name,
                    s.precision.fraction,
                    s.recall.fraction,
                    s.f1 if s.recall.count >= TOO_FEW else None,
                    s.recall.count,
                )
                for s in self.per_class
            ],
        )
        yield from [self.collapse] if self.collapse else []
        yield from self.find_limits()

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers except the table of photos as a dictionary that JSON can hold."""
        return {
            "class_names": list(self.photos.class_names),
            "photos": len(self.photos),
            "accuracy": asdict(self.accuracy),
            "balanced_accuracy": asdict(self.balanced_accuracy),
            "majority_class": self.majority_class,
            "majority_accuracy": asdict(self.majority_accuracy),
            "per_class": [asdict(scores) for scores in self.per_class],
            "confusion": self.confusion.tolist(),
            "roc_auc": self.curves.roc_auc if self.curves else None,
            "average_precision": self.curves.average_precision if self.curves else None,
            "collapse": self.collapse,
            "intervals": asdict(self.estimates),
            "limits": self.find_limits(),
        }

    def save_table(self, path: str | Path) -> Path:
        """Write one row per photo as CSV: path, truth, prediction, probabilities, right or wrong.

        No cell is a formula to a spreadsheet; `storage.tables.read_table` gives the paths back.

        Returns:
            The path of the file.
        """
        names = self.photos.class_names
        header = ["file", "true_class", "predicted_class", "correct"]
        header += [f"probability_{name}" for name in names]
        rows = zip(
            self.photos.paths,
            [names[label] for label in self.labels],
            [names[label] for label in self.predicted_labels],
            self.is_right.astype(int).tolist(),
            self.probabilities.tolist(),
            strict=True,
        )
        return write_table(path, header, ([*cells, *values] for *cells, values in rows))


def evaluate_model(
    model: Network, dataset: Iterable[tuple[Any, Any]], photos: Photos
) -> Evaluation:
    """Run a network over a data set once, and evaluate what it predicts.

    Args:
        model: A Keras model, or anything with `predict_on_batch`.
        dataset: Batches of `(images, labels)`, in the order of `photos`.
        photos: The photos of the data set.

    Returns:
        The evaluation.

    Raises:
        ValueError: If the data set is not in the order of the photos, or `model` predicts no
            probabilities.

    Example:
        >>> test = emoclf.make_dataset(cache, "test")  # doctest: +SKIP
        >>> print(evaluate_model(model, test, cache.photos.part("test")))  # doctest: +SKIP
    """
    labels, probabilities = collect_predictions(model, dataset)
    if not np.array_equal(labels, photos.labels):
        raise ValueError(
            f"Expected a data set with the {len(photos)} photos in their order. Received: "
            f"{len(labels)} labels, which are not theirs one by one. Make the data set without "
            'shuffle, of the same part: make_dataset(cache, "test") for cache.photos.part("test").'
        )
    return Evaluation(photos, probabilities)


def collect_predictions(
    model: Network, dataset: Iterable[tuple[Any, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Run a network over a data set once, keeping labels and probabilities side by side.

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


def read_evaluation(rows: list[list[float]], photos: Photos, *, name: str | Path) -> Evaluation:
    """Evaluate probabilities that were kept in a file.

    Args:
        rows: The probabilities, as JSON holds them.
        photos: The photos that they should be of.
        name: The file, for the error message.

    Returns:
        The evaluation.

    Raises:
        ValueError: If they are those of other photos, or no probabilities.
    """
    try:
        return Evaluation(photos, np.array(rows, dtype=np.float64))
    except ValueError as error:
        raise ValueError(
            f"{show_text(name)} does not hold the predictions of its photos: {show_text(error)} "
            "Move it away: the same call then makes it again."
        ) from error
