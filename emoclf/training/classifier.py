"""A split to a trained network, on one machine or several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emoclf.config import Settings
from emoclf.data.loading import PhotoCache, WithoutFace, cache_photos, make_dataset
from emoclf.images.faces import FaceDetector
from emoclf.models.networks import build_network
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.runtime import find_hardware, set_seeds
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras

    from emoclf.training import Devices, MultiWorkerResult, TrainingResult


def train(
    photos: Photos,
    settings: Settings | None = None,
    *,
    logs: str | Path = "logs",
    name: str | None = None,
    resume: bool = False,
    copies: str | Path | None = None,
    devices: Devices = "one",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    cache: PhotoCache | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = lambda _: None,
    verbose: int | str = 0,
    progress: bool = False,
) -> TrainingResult:
    """Train the network of the settings on a split and keep everything of it in a run folder.

    A pretrained network is trained in stages: see `train_model`.

    Args:
        photos: Which photos; those of the test are not looked at.
        settings: What to train and how.
        logs: The folder that holds all runs.
        name: Name of the run; default: the time.
        resume: Go on with the run of this name, where there is one: stopped at any moment and
            started again, the end is the same.
        copies: A folder, on Google Drive for example, that gets a copy of the run after every
            epoch, and from which a run is brought back to go on.
        devices: `"all"` lets all GPUs of this machine share every batch.
        detector: What finds faces, for `settings.crop="face"`; default: `make_detector()`.
        without_face: What becomes of a photo without a face: see `cache_photos`.
        cache: The photos of the split, decoded already as the settings say; default: they are
            decoded here.
        callbacks: Your own, for W&B, MLflow or Trackio, for example: see `train_model`.
        say: Called with a line of progress now and then, such as `print`.
        verbose: As in Keras' `fit`.
        progress: Whether decoding shows a progress bar.

    Returns:
        The run folder, the history, the best epoch and whether the model collapsed.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
        FaceDetectorUnavailableError: If faces are asked for and there is no detector.
        ResumeRefusedError: If the run to go on with is another training.
        RunInUseError: If another process writes that run.
        PretrainedWeightsError: If the network's weights cannot be downloaded or read.
        ValueError: If the settings do not fit together.
    """
    from emoclf.models import synchronise_normalisation
    from emoclf.training import (
        check_run_is_free,
        choose_precision,
        start_run,
        train_model,
        use_devices,
        use_precision,
    )

    settings = settings or Settings()
    if resume and name:
        check_run_is_free(Path(logs) / name)
    set_seeds(settings.seed)
    if cache is None:
        cache = _cache(photos, settings, detector, without_face, Path(logs) / "cache", progress)
    _check_cache(cache, settings)
    say(str(cache))
    size = settings.batch_size
    batches = make_dataset(cache, "train", batch_size=size, shuffle=True, seed=settings.seed)
    policy = choose_precision(find_hardware()) if settings.precision == "auto" else "float32"
    with use_devices(devices) as count:
        with use_precision(policy):
            model = build_network(settings, photos.class_names)
        run = start_run(settings, cache.photos, logs=logs, name=name, resume=resume, copies=copies)
        say(f"run folder: {show_text(run.folder)}")
        if count > 1:
            say(f"{count} GPUs share every batch.")
            synchronise_normalisation(model)
        return train_model(
            model,
            batches,
            validation=make_dataset(cache, "validation", batch_size=size),
            run=run,
            copies=copies,
            callbacks=callbacks,
            say=say,
            verbose=verbose,
        )


def train_on_cluster(
    photos: Photos,
    settings: Settings | None = None,
    *,
    addresses: Sequence[str],
    index: int,
    name: str,
    logs: str | Path = "logs",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> MultiWorkerResult:
    """Train the network of the settings on several machines, which all call this.

    Every machine has the photos at the same place, and sees the folder of runs, which is on a
    shared disk. Called again after a machine was lost, all go on after the last whole epoch. Call
    it before anything else uses TensorFlow.

    Args:
        photos: Which photos.
        settings: What to train and how; a network that knows something already is for one machine.
        addresses: `host:port` of every machine, in the same order everywhere.
        index: Which of them this machine is, from 0; the first writes the files.
        name: Name of the run.
        logs: The folder that holds all runs.
        detector: As for `train`.
        without_face: As for `train`.
        say: Called with a line of progress now and then.
        progress: Whether decoding shows a progress bar.

    Returns:
        The history, the same on every machine.

    Raises:
        WorkerLostError: If another machine stops.
        ResumeRefusedError: If the run of this name is another training.
        RunInUseError: If another training writes that run.
        ValueError: If the settings do not fit.
    """
    from emoclf.training import start_run
    from emoclf.training.multi_worker import describe_cluster, join_workers, train_on_workers

    settings = settings or Settings()
    if settings.is_pretrained:
        raise ValueError(
            f"network={settings.network!r} is trained in stages, on one machine. Several machines "
            "train network='small' or 'deep', or a backbone with weights='none'."
        )
    if settings.ema_momentum:
        raise ValueError(
            f"ema_momentum={settings.ema_momentum} is for one worker. Set ema_momentum=0 "
            "for several."
        )
    os.environ["TF_CONFIG"] = describe_cluster(addresses, index)
    say(f"Machine {index} of {len(addresses)} waits for the others: {', '.join(addresses)}")
    strategy = join_workers()
    cache = _cache(photos, settings, detector, without_face, Path(logs) / "cache", progress)
    say(str(cache))
    run = Run(Path(logs) / name)
    if index == 0:
        start_run(settings, cache.photos, logs=logs, name=name, resume=True)
    say(f"run folder: {show_text(run.folder)}")

    def build() -> keras.Model:
        set_seeds(settings.seed)
        return build_network(settings, photos.class_names)

    return train_on_workers(
        build, cache, settings=settings, run_folder=run.folder, strategy=strategy, say=say
    )


def _check_cache(cache: PhotoCache, settings: Settings) -> None:
    received = (tuple(cache.images.shape[1:3]), cache.crop)
    expected = (settings.image_size, settings.crop)
    if received != expected:
        raise ValueError(
            f"cache: expected photos of the settings' image_size and crop, {expected}, received "
            f"{received}. Make it with cache_photos and these settings, or leave it out."
        )


def _cache(
    photos: Photos,
    settings: Settings,
    detector: FaceDetector | None,
    without_face: WithoutFace,
    folder: Path,
    progress: bool,
) -> PhotoCache:
    return cache_photos(
        photos,
        image_size=settings.image_size,
        resize_mode=settings.resize_mode,
        crop=settings.crop,
        detector=detector,
        without_face=without_face,
        cache_folder=folder,
        progress=progress,
    )
