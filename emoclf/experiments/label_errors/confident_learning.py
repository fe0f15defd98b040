"""Confident learning: which labels are wrong, by the answers of networks that have not seen them.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
Journal of Artificial Intelligence Research 70 (2021), sections 3.1 and 3.2. NumPy alone.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

PruningMethod = Literal["class", "noise_rate", "both"]
"""The paper's three ways to choose: prune by class, prune by noise rate, and what both choose."""


def find_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Find how sure of a class the answers are, on average, on the photos that bear its label.

    Args:
        labels: Given labels, int64 `(photos,)`.
        probabilities: Out-of-sample answers, float64 `(photos, classes)`, 0 to 1, rows sum to 1.

    Returns:
        float64 `(classes,)`: the mean self-confidence of every class, the paper's t.

    Raises:
        ValueError: If the shapes do not fit, or a class has no photo.

    Example:
        >>> find_thresholds(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
        array([0.7, 0.8])
    """
    _check(labels, probabilities)
    classes = range(probabilities.shape[1])
    return np.array([probabilities[labels == label, label].mean() for label in classes])


def count_confident_joint(
    labels: np.ndarray, probabilities: np.ndarray, *, thresholds: np.ndarray | None = None
) -> np.ndarray:
    """Count the photos of each given label that surely look like each class.

    A photo surely looks like a class when its probability reaches the threshold of that class; of
    several such classes the most probable counts; a photo without any is not counted.

    Args:
        labels: As for `find_thresholds`.
        probabilities: As for `find_thresholds`.
        thresholds: float64 `(classes,)`; default: `find_thresholds`.

    Returns:
        int64 `(classes, classes)`: rows are given labels, columns what the photos look like.
    """
    limits = find_thresholds(labels, probabilities) if thresholds is None else thresholds
    sure = probabilities >= limits
    looks = np.where(sure, probabilities, -1.0).argmax(axis=1)
    counted = sure.any(axis=1)
    joint = np.zeros((probabilities.shape[1],) * 2, dtype=np.int64)
    np.add.at(joint, (labels[counted], looks[counted]), 1)
    return joint


def estimate_joint(confident_joint: np.ndarray, class_counts: np.ndarray) -> np.ndarray:
    """Estimate how given and true labels go together, from the photos that are sure.

    Args:
        confident_joint: int64 `(classes, classes)`, from `count_confident_joint`.
        class_counts: int64 `(classes,)`: photos of each given label.

    Returns:
        float64 `(classes, classes)`, 0 to 1, summing to 1: the paper's Q. Every row has the share
        of its given label. A label without a sure photo is taken as right, for want of evidence.
    """
    counted = confident_joint + np.diag((confident_joint.sum(axis=1) == 0).astype(np.int64))
    shares = counted / counted.sum(axis=1, keepdims=True)
    joint = shares * np.asarray(class_counts)[:, np.newaxis]
    return joint / joint.sum()


def find_label_errors(
    labels: np.ndarray, probabilities: np.ndarray, *, method: PruningMethod = "both"
) -> np.ndarray:
    """Choose the photos whose label is probably wrong.

    The joint says how many labels of each class are wrong; the paper's methods say which.
    `"class"` takes that many photos of each class with the lowest probability of their own label.
    `"noise_rate"` takes for each pair of classes that many photos in which the other class leads
    the own one most. `"both"` takes what both choose. With two classes all three are the same.

    Args:
        labels: As for `find_thresholds`.
        probabilities: As for `find_thresholds`.
        method: How to choose.

    Returns:
        bool `(photos,)`.

    Raises:
        ValueError: If the shapes do not fit, a class has no photo, or the method is unknown.
    """
    if method not in get_args(PruningMethod):
        raise ValueError(f"method={method!r} should be one of {get_args(PruningMethod)}.")
    joint = estimate_joint(
        count_confident_joint(labels, probabilities),
        np.bincount(labels, minlength=probabilities.shape[1]),
    )
    wanted = np.rint(joint * len(labels)).astype(np.int64)
    by_class = _prune_by_class(labels, probabilities, joint)
    by_rate = _prune_by_noise_rate(labels, probabilities, wanted)
    return {"class": by_class, "noise_rate": by_rate, "both": by_class & by_rate}[method]


def _prune_by_class(labels: np.ndarray, probabilities: np.ndarray, joint: np.ndarray) -> np.ndarray:
    chosen = np.zeros(len(labels), dtype=bool)
    for label in range(len(joint)):
        members = np.flatnonzero(labels == label)
        count = int(np.rint((joint[label].sum() - joint[label, label]) * len(labels)))
        order = np.argsort(probabilities[members, label], kind="stable")
        chosen[members[order[:count]]] = True
    return chosen


def _prune_by_noise_rate(
    labels: np.ndarray, probabilities: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    chosen = np.zeros(len(labels), dtype=bool)
    for label, other in np.argwhere(~np.eye(len(wanted), dtype=bool)):
        members = np.flatnonzero(labels == label)
        lead = probabilities[members, other] - probabilities[members, label]
        chosen[members[np.argsort(-lead, kind="stable")[: wanted[label, other]]]] = True
    return chosen


def _check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    if probabilities.ndim != 2 or labels.shape != (len(probabilities),):
        raise ValueError(
            "Expected labels (photos,) and probabilities (photos, classes). Received: "
            f"{labels.shape} and {probabilities.shape}."
        )
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    if len(counts) != probabilities.shape[1] or not counts.all():
        raise ValueError(
            f"Expected photos of each of {probabilities.shape[1]} classes, received "
            f"{counts.tolist()} per label. Without photos of a class nothing can be said about it."
        )
