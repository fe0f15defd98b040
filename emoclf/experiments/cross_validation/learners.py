"""What is trained in a fold: a network, or a regression on the packaged features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoclf.config import FACE_SIZE, Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.evaluation import collect_predictions
from emoclf.experiments.regression import fit_regression
from emoclf.models.model_file import load_model
from emoclf.models.packaged import PackagedNetwork
from emoclf.training.classifier import train

REGULARISATION = 0.1
"""scikit-learn's `C` of the regression; not tuned on anything."""

_BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """What came of one fold.

    Attributes:
        probabilities: float64 `(photos of the fold, classes)`, in the order of the cache.
        best_epoch: The epoch that was kept, from 1; 0 where there are no epochs.
        collapse: A sentence when the network gave one answer to all validation photos, else None.
    """

    probabilities: np.ndarray
    best_epoch: int = 0
    collapse: str | None = None


def answer_with_network(cache: PhotoCache, settings: Settings, *, folder: Path) -> FoldAnswers:
    """Train a network on a fold's training photos, and let it answer the fold's test photos.

    Args:
        cache: The photos; its photos is the split of the fold.
        settings: What to train.
        folder: Where the training keeps its state, so that a stopped one goes on.

    Returns:
        The answers of the best epoch.
    """
    result = train(
        cache.photos,
        settings,
        logs=folder.parent,
        name=folder.name,
        resume=True,
        cache=cache,
    )
    model, _ = load_model(result.run.model_file, compiled=False)
    test = make_dataset(cache, "test", batch_size=_BATCH_SIZE)
    _, probabilities = collect_predictions(model, test)
    return FoldAnswers(probabilities, result.best_epoch, result.collapse)


def find_face_features(cache: PhotoCache) -> np.ndarray:
    """Let the packaged face network look at faces, and return what its last layer is told.

    Args:
        cache: Faces of 48 x 48 pixels.

    Returns:
        float32 `(faces, features)`.

    Raises:
        ValueError: If the cache holds other pictures.
    """
    if cache.crop != "face" or tuple(cache.images.shape[1:3]) != FACE_SIZE:
        raise ValueError(
            f"learner='face_features' looks at faces of {FACE_SIZE[0]} x {FACE_SIZE[1]} pixels. "
            f"Received: crop={cache.crop!r}, size {cache.images.shape[1:3]}. Set crop='face' and "
            f"image_size={FACE_SIZE}."
        )
    return PackagedNetwork().predict_features(cache.images[:])


def answer_with_features(
    features: np.ndarray, cache: PhotoCache, settings: Settings
) -> FoldAnswers:
    """Fit a logistic regression on a fold's other photos, and let it answer the fold.

    Args:
        features: float32 `(photos, features)`, in the order of the cache.
        cache: The photos; its photos is the split of the fold. Nothing is chosen on validation
            photos here, so they are learned from, too.
        settings: Whether the rarer class counts for more.

    Returns:
        The answers.
    """
    labels = cache.photos.labels
    test = cache.photos.find_part("test")
    others = np.setdiff1d(np.arange(len(labels)), test)
    fit = fit_regression(
        (features[others], labels[others]),
        test=features[test],
        class_count=len(cache.photos.class_names),
        class_weights=settings.class_weights,
        strengths=(REGULARISATION,),
        max_steps=2000,
    )
    return FoldAnswers(fit.probabilities)
