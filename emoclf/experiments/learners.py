"""What several experiments learn with, and how long it will take.

A network that is trained on the photos of a cache and predicts its test, and a logistic regression
on features of photos. Nothing here loads TensorFlow before a network is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from emoclf.config import Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.evaluation import Evaluation, evaluate_model
from emoclf.images.faces import FaceDetector
from emoclf.models.joint import Head, JointNetwork
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.training.joint import find_features, train_joint

if TYPE_CHECKING:
    from emoclf.training import TrainingResult

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


def train_and_test_joint(
    photos: Photos, settings: Settings, *, folder: Path, **options: Any
) -> tuple[TrainingResult, Evaluation]:
    """Do the same with a head on faces and scene, which needs no cache: see `train_joint`."""
    result = train_joint(
        photos, settings, logs=folder.parent, name=folder.name, resume=True, **options
    )
    faces = {name: options[name] for name in ("detector", "kept", "progress")}
    return result, predict_test_joint(photos, result.run, **faces)


def predict_test_joint(
    photos: Photos, run: Run, *, detector: FaceDetector | None, kept: Path, progress: bool = False
) -> Evaluation:
    """Let the head of a run predict the test photos; features are kept as `train_joint` does."""
    network, test = JointNetwork.load(run.model_file), photos.part("test")
    features = find_features(test, network, detector=detector, folder=kept, progress=progress)
    return Evaluation(test, cast(Head, network.head).predict(features))


def predict_test(cache: PhotoCache, run: Run) -> Evaluation:
    """Let the network of a run predict the test photos of a cache."""
    from emoclf.models.model_file import load_model

    model, _ = load_model(run.model_file, compiled=False)
    dataset = make_dataset(cache, "test", batch_size=32)
    return evaluate_model(model, dataset, cache.photos.part("test"))


def check_networks(class_names: Sequence[str], *settings: Settings) -> None:
    """Build the networks of some settings, so that what cannot be built leaves no run behind.

    A head on faces and scene is not among them: nothing of it has to be built.

    Raises:
        PretrainedWeightsError: If weights cannot be downloaded or read.
    """
    for each in settings:
        if each.network != "joint":
            from emoclf.models import build_network

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
