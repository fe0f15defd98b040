"""How long the baselines will take: measured on a few photos and a few steps, before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.config import Settings
from emoclf.experiments.baselines.baseline import FACE_BASELINES, BaselineName
from emoclf.experiments.baselines.networks import choose_face_settings, choose_network_settings
from emoclf.experiments.timing import TIMED_STEPS, time_calls
from emoclf.images import load_image
from emoclf.images.faces import FaceDetector
from emoclf.photos import Photos

_SAMPLE = 6


def estimate_seconds(
    photos: Photos,
    settings: Settings,
    *,
    baselines: Sequence[BaselineName],
    detector: FaceDetector | None,
) -> float:
    """Estimate how long baselines will take: decoding, face search, and the training of networks.

    Six photos are decoded and searched, and three steps of each network are trained and timed. A
    training that early stopping ends is shorter; the regressions, which take seconds, are left out.

    Args:
        photos: Which photos.
        settings: What is to be trained.
        baselines: Those that are not done yet.
        detector: What will find faces.

    Returns:
        Seconds.
    """
    count = len(photos)
    some = photos.take(np.linspace(0, count - 1, min(_SAMPLE, count), dtype=int)).files
    needs_photos = set(baselines) - {"majority"}
    seconds = _time_each(load_image, some) * count if needs_photos else 0.0
    shows_faces = choose_network_settings(settings).crop == "face"
    searches = bool(set(baselines) & {*FACE_BASELINES}) + ("network" in baselines and shows_faces)
    if detector is not None and searches:
        finder = detector
        search = _time_each(lambda path: finder.find(load_image(path)), some)
        seconds += search * count * searches
    trained = len(photos.part("train"))
    for name, chosen in (
        ("network", choose_network_settings(settings)),
        ("fine_tuned", choose_face_settings(settings)),
    ):
        if name in baselines:
            steps = -(-trained // chosen.batch_size) * chosen.epochs
            building, step = _time_training(chosen, photos.class_names)
            seconds += building + step * steps
    return seconds


def _time_each(function: Callable[[Path], Any], files: Sequence[Path]) -> float:
    """Return the mean seconds per photo, the first one left out where there are more."""
    return time_calls(partial(function, path) for path in files)[1]


def _time_training(settings: Settings, class_names: Sequence[str]) -> tuple[float, float]:
    """Return the seconds until the first step on noise is done, and those of one step after it."""
    from emoclf.models.networks import build_network
    from emoclf.training import compile_model

    shape = (settings.batch_size, *settings.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(settings.batch_size) % len(class_names)
    begun = time.perf_counter()
    model = compile_model(build_network(settings, class_names))
    building = time.perf_counter() - begun
    step = partial(model.train_on_batch, images, labels)
    first, later = time_calls([step] * (1 + TIMED_STEPS))
    return building + first, later
