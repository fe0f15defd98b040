"""What several experiments learn with, and how long it will take.

A network that is trained on the photos of a cache and predicts its test, and a logistic regression
on features of photos. Nothing here loads TensorFlow before a network is needed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emoclf.config import Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.evaluation import Evaluation, evaluate_model
from emoclf.run import Run

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from emoclf.training import TrainingResult

INVERSE_STRENGTHS: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What scikit-learn's C may be: the inverse of the regularisation strength."""

MAX_STEPS = 500
"""How many steps a regression may take."""

TIMED_STEPS = 3
"""How many steps of a training are timed after its first."""


def train_and_test(
    cache: PhotoCache,
    settings: Settings,
    *,
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
    verbose: int | str = 0,
) -> tuple[TrainingResult, Evaluation]:
    """Train a network, or go on with its training, and let it predict the test photos.

    Args:
        cache: The decoded photos, in their parts, as the settings say.
        settings: What to train.
        folder: Its run folder.
        say: Called with a line of progress.
        verbose: As in Keras' `fit`.

    Returns:
        The training, and what the best epoch predicts.

    Raises:
        ResumeRefusedError: If the folder holds another training.
    """
    from emoclf.training import train

    result = train(
        cache.photos,
        settings,
        logs=folder.parent,
        name=folder.name,
        resume=True,
        cache=cache,
        say=say,
        verbose=verbose,
    )
    return result, predict_test(cache, result.run)


def predict_test(cache: PhotoCache, run: Run) -> Evaluation:
    """Let the network of a run predict the test photos of a cache."""
    from emoclf.models.model_file import load_model

    model, _ = load_model(run.model_file, compiled=False)
    dataset = make_dataset(cache, "test", batch_size=32)
    return evaluate_model(model, dataset, cache.photos.part("test"))


def check_networks(class_names: Sequence[str], *settings: Settings) -> None:
    """Build the networks of some settings, so that what cannot be built leaves no run behind.

    Raises:
        PretrainedWeightsError: If weights cannot be downloaded or read.
    """
    from emoclf.models import build_network

    for each in settings:
        build_network(each, class_names)


def time_training(
    settings: Settings, class_names: Sequence[str], *, photos: int, validation_photos: int
) -> tuple[float, float]:
    """Take a few steps of every stage of a training, on noise.

    Args:
        settings: What will be trained.
        class_names: Names in label order.
        photos: How many training photos an epoch has.
        validation_photos: How many photos are validated after it.

    Returns:
        Seconds to build the network and take the first step of each kind, and mean seconds of an
        epoch.
    """
    from emoclf.models import build_network
    from emoclf.training import plan_stages, use_precision
    from emoclf.training.fitting import begin_stage

    size = settings.batch_size
    shape = (size, *settings.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batch = (images, np.arange(size) % len(class_names))
    steps, validation_steps = (-(-count // size) for count in (photos, validation_photos))
    begun = time.perf_counter()
    with use_precision(settings.precision):
        model = build_network(settings, class_names)
    start, total = time.perf_counter() - begun, 0.0
    for stage in plan_stages(settings):
        begin_stage(model, stage, settings=settings, steps_per_epoch=steps)
        for method, count in (
            (model.train_on_batch, steps),
            (model.test_on_batch, validation_steps),
        ):
            first, later = time_calls([partial(method, *batch)] * (1 + TIMED_STEPS))
            start += first
            total += stage.epochs * count * later
    return start, total / settings.epochs


def time_calls(tasks: Iterable[Callable[[], Any]]) -> tuple[float, float]:
    """Call tasks one after the other.

    Args:
        tasks: At least one; the first is often slower, because things are made when first needed.

    Returns:
        The seconds of the first, and the mean seconds of the others; of the first if it is alone.
    """
    moments = [time.perf_counter()]
    for task in tasks:
        task()
        moments.append(time.perf_counter())
    first, *others = np.diff(moments).tolist()
    return first, float(np.mean(others or first))


def describe_seconds(seconds: float) -> str:
    """Return a duration for reading.

    Example:
        >>> describe_seconds(0.2), describe_seconds(42)
        ('about a second', 'about 42 seconds')
        >>> describe_seconds(700), describe_seconds(9000)
        ('about 12 minutes', 'about 2.5 hours')
    """
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"about {round(seconds)} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"


class RegressionFit(NamedTuple):
    """What a logistic regression predicts.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        inverse_strength: The C that was chosen.
        weights: float64 `(features,)`: weight of each standardised feature for the last class; a
            feature with a weight above 0 speaks for it.
        note: What was chosen, and what was left out, in words.
    """

    probabilities: np.ndarray
    inverse_strength: float
    weights: np.ndarray
    note: str


def fit_regression(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    test: np.ndarray,
    class_count: int = 2,
    class_weights: bool = True,
    inverse_strengths: Sequence[float] = INVERSE_STRENGTHS,
    max_steps: int = MAX_STEPS,
) -> RegressionFit:
    """Fit a logistic regression to training photos and predict the test photos.

    Features are standardised by the training photos. Each C of `inverse_strengths` is fitted, and
    the one with the lowest cross-entropy on the validation photos predicts; the test photos decide
    nothing.

    Args:
        train: Features, float `(photos, features)`, and labels, int64 `(photos,)`.
        validation: Likewise; not needed where `inverse_strengths` holds one.
        test: Features of the test photos.
        class_count: How many classes there are.
        class_weights: Whether the rarer class counts for more, in fitting and in choosing.
        inverse_strengths: What C may be.
        max_steps: How many steps a fit may take.

    Returns:
        The predictions, and what was chosen.

    Raises:
        ValueError: If a class has no training photo, no fit converged, or nothing can choose.

    Example:
        >>> features, labels = np.array([[0.0], [1.0]] * 5), np.array([0, 1] * 5)
        >>> fit = fit_regression((features, labels), (features, labels), test=features[:2])
        >>> fit.probabilities.argmax(axis=1).tolist()
        [0, 1]
    """
    from sklearn.preprocessing import StandardScaler

    missing = sorted(set(range(class_count)) - set(np.unique(train[1]).tolist()))
    if missing:
        raise ValueError(
            f"train: expected photos of {class_count} classes, received none of label "
            f"{missing[0]}. Add photos of that class, or split with smaller fractions for test and "
            "validation."
        )
    if validation is None and len(inverse_strengths) != 1:
        raise ValueError(
            "inverse_strengths: expected one C where no validation photos choose. Received: "
            f"{inverse_strengths}."
        )
    scaler = StandardScaler().fit(train[0])
    scaled = (scaler.transform(train[0]), train[1])
    fitted = [
        model
        for inverse in inverse_strengths
        for model in _fit(inverse, scaled, class_weights=class_weights, max_steps=max_steps)
    ]
    if not fitted:
        raise ValueError(f"No regression converged in {max_steps} steps: give it fewer features.")
    best, note = fitted[0], f"C = {fitted[0].C:g}"
    if validation is not None:
        held_out = (scaler.transform(validation[0]), validation[1])
        best = min(fitted, key=lambda model: _measure_loss(model, held_out, class_weights))
        note = f"C = {best.C:g}, chosen from {len(inverse_strengths)} by validation"
    left = len(inverse_strengths) - len(fitted)
    return RegressionFit(
        best.predict_proba(scaler.transform(test)).astype(np.float64),
        float(best.C),
        np.asarray(best.coef_[-1], dtype=np.float64),
        f"{note}; {left} left out, not done in {max_steps} steps" if left else note,
    )


def _fit(
    inverse: float, train: tuple[np.ndarray, np.ndarray], *, class_weights: bool, max_steps: int
) -> list[LogisticRegression]:
    """Return the fitted model; nothing if the fit did not converge."""
    from scipy.optimize import OptimizeWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weighting = "balanced" if class_weights else None
    model = LogisticRegression(C=inverse, class_weight=weighting, max_iter=max_steps)
    with warnings.catch_warnings():
        # scikit-learn 1.6 hands an option to SciPy that newer ones no longer know
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return [model.fit(*train)]
        except ConvergenceWarning:
            return []


def _measure_loss(
    model: LogisticRegression, photos: tuple[np.ndarray, np.ndarray], class_weights: bool
) -> float:
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_sample_weight

    features, labels = photos
    weights = compute_sample_weight("balanced", labels) if class_weights else None
    predicted = model.predict_proba(features)
    return float(log_loss(labels, predicted, labels=model.classes_, sample_weight=weights))
