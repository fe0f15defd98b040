"""The baselines that are networks: trained, gone on with, or taken from a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from emoclf.config import FACE_SIZE, IMAGE_SIZE, Settings
from emoclf.data.loading import PhotoCache, make_dataset
from emoclf.evaluation import collect_predictions
from emoclf.experiments.baselines.baseline import Answers
from emoclf.models.model_file import load_model
from emoclf.run import Run
from emoclf.training.classifier import train


def choose_network_settings(settings: Settings) -> Settings:
    """Return the settings of the baseline `network`; beside a face network, the small one.

    Args:
        settings: The settings of the baselines.

    Returns:
        Settings of a network that has not learned from faces before.
    """
    if settings.network != "face":
        return settings
    return replace(settings, network="small", crop="none", image_size=IMAGE_SIZE)


def choose_face_settings(settings: Settings) -> Settings:
    """Return the settings of the baseline `fine_tuned`.

    Args:
        settings: The settings of the baselines.

    Returns:
        The same for the packaged face network, which looks at faces.
    """
    return replace(settings, network="face", crop="face", image_size=FACE_SIZE)


def train_network_baseline(
    cache: PhotoCache,
    settings: Settings,
    *,
    folder: Path,
    name: str,
    say: Callable[[str], None] = lambda _: None,
    verbose: int | str = 0,
) -> Answers:
    """Train a network on a cache, or go on with its training, and let it answer the test photos.

    Args:
        cache: The decoded photos, as the settings say.
        settings: What to train and how; validation chooses the epoch.
        folder: The baselines's folder.
        name: Name of the run inside of it.
        say: Called with a line of progress.
        verbose: As in Keras' `fit`.

    Returns:
        Its answers.

    Raises:
        ResumeRefusedError: If the run inside the folder is another training.
    """
    is_new = not (folder / name).exists()
    start = time.perf_counter()
    result = train(
        cache.photos,
        settings,
        logs=folder,
        name=name,
        resume=True,
        cache=cache,
        say=say,
        verbose=verbose,
    )
    seconds = time.perf_counter() - start if is_new else None
    note = f"epoch {result.best_epoch} of {len(result.history['loss'])}, by validation"
    if not is_new:
        note += "; went on with an earlier training"
    return Answers(answer_test(cache, result.run), seconds, note)


def answer_test(cache: PhotoCache, run: Run) -> np.ndarray:
    """Ask the network of a run about the test photos of a cache.

    Args:
        cache: The decoded photos, as the run's settings say.
        run: The run.

    Returns:
        float64 `(test photos, classes)`, in the order of the cache.
    """
    model, _ = load_model(run.model_file, compiled=False)
    _, probabilities = collect_predictions(model, make_dataset(cache, "test", batch_size=32))
    return probabilities
