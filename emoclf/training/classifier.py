"""Photos to a trained network, on one device or on all GPUs of a machine, in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import keras

from emoclf.config import Devices, Settings
from emoclf.data.loading import PhotoCache, WithoutFace, cache_for, make_dataset
from emoclf.images.faces import FaceDetector
from emoclf.models import build_network, synchronise_normalisation
from emoclf.photos import Photos
from emoclf.runtime import Hardware, find_hardware, set_seeds
from emoclf.training.fitting import train_model
from emoclf.training.locking import check_run_is_free
from emoclf.training.run_folder import TrainingResult, start_run
from emoclf.untrusted import show_text


@contextmanager
def use_devices(devices: Devices = "one", *, names: Sequence[str] | None = None) -> Iterator[int]:
    """Build, compile and train on one device or on several, each with its part of every batch.

    Gradients are averaged over the devices (`tf.distribute.MirroredStrategy`). Let batch
    normalisation see all of the batch with `models.synchronise_normalisation`, and give a batch
    that is large enough to be shared.

    Args:
        devices: `"one"`, or `"all"` for every GPU.
        names: TensorFlow's names of the devices instead, such as `["CPU:0", "CPU:1"]`.

    Yields:
        How many devices take part.

    Raises:
        ValueError: If `devices` is unknown.
    """
    import tensorflow as tf

    if devices not in get_args(Devices):
        raise ValueError(f"devices={devices!r} should be one of {get_args(Devices)}.")
    if names is None and devices == "all":
        names = [each.name.split(":", 2)[2] for each in tf.config.list_logical_devices("GPU")]
    if not names or len(names) < 2:
        yield 1
        return
    strategy = tf.distribute.MirroredStrategy(
        list(names),
        # NCCL is for GPUs.
        cross_device_ops=None if "GPU" in names[0] else tf.distribute.HierarchicalCopyAllReduce(),
    )
    with strategy.scope():
        yield strategy.num_replicas_in_sync


def choose_precision(hardware: Hardware) -> str:
    """Choose the dtype policy that a network is best built under on this hardware.

    Nvidia's GPUs multiply half-precision numbers on cores of their own since compute capability
    7.0 (Volta; Colab's T4 has 7.5). Since 8.0 (Ampere) they know bfloat16, which has float32's
    range, so that small gradients do not vanish. Weights and the last layer stay float32
    (Micikevicius et al., 2018). Older GPUs and CPUs gain nothing, or lose.

    Args:
        hardware: From `find_hardware()`.

    Returns:
        `"mixed_bfloat16"` if every GPU has 8.0 or more, `"mixed_float16"` if every GPU has 7.0
        or more, else `"float32"`: without a GPU, too, or with one that does not tell.

    Example:
        >>> choose_precision(Hardware(2, ("Tesla T4",), 12.7, ((7, 5),)))
        'mixed_float16'
        >>> choose_precision(Hardware(2, (), 12.7))
        'float32'
    """
    known = hardware.compute_capabilities
    if not known or len(known) < len(hardware.gpu_names or ()) or min(known) < (7, 0):
        return "float32"
    return "mixed_bfloat16" if min(known) >= (8, 0) else "mixed_float16"


@contextmanager
def use_precision(policy: str) -> Iterator[str]:
    """Build networks under a dtype policy, and restore the one before afterwards.

    A network keeps the policy that it was built under. `save_model` writes it as float32.

    Args:
        policy: A Keras dtype policy, or `"auto"` for `choose_precision(find_hardware())`.

    Yields:
        The policy.
    """
    policy = choose_precision(find_hardware()) if policy == "auto" else policy
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


def train_in_keras(
    photos: Photos,
    settings: Settings,
    *,
    logs: str | Path,
    name: str | None,
    resume: bool,
    copies: str | Path | None,
    devices: Devices,
    detector: FaceDetector | None,
    without_face: WithoutFace,
    cache: PhotoCache | None,
    callbacks: Sequence[keras.callbacks.Callback],
    say: Callable[[str], None],
    verbose: int | str,
    progress: bool,
) -> TrainingResult:
    """Do what `train` says, for every network but the joint one."""
    if resume and name:
        check_run_is_free(Path(logs) / name)
    set_seeds(settings.seed)
    with use_devices(devices) as count:
        with use_precision(settings.precision):
            model = build_network(settings, photos.class_names)
        if cache is None:
            cache = cache_for(
                settings,
                photos,
                logs=logs,
                detector=detector,
                without_face=without_face,
                progress=progress,
            )
        _check_cache(cache, settings)
        say(str(cache))
        size = settings.batch_size
        batches = make_dataset(cache, "train", batch_size=size, shuffle=True, seed=settings.seed)
        run = start_run(
            settings,
            cache.photos,
            logs=logs,
            name=name,
            resume=resume,
            copies=copies,
            detector=cache.faces.detector if cache.faces else None,
        )
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


def _check_cache(cache: PhotoCache, settings: Settings) -> None:
    received = (tuple(cache.images.shape[1:3]), cache.crop)
    expected = (settings.image_size, settings.crop)
    if received != expected:
        raise ValueError(
            f"cache: expected photos of the settings' image_size and crop, {expected}, received "
            f"{received}. Make it with cache_photos and these settings, or leave it out."
        )
