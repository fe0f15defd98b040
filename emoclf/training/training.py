"""Photos to a trained network, whichever the settings ask for; Keras is loaded where it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclf.config import Devices, Settings
from emoclf.data.loading import PhotoCache, WithoutFace
from emoclf.images.faces import FaceDetector
from emoclf.photos import Photos
from emoclf.runtime import require_part
from emoclf.training.joint import train_joint
from emoclf.training.run_folder import TrainingResult

if TYPE_CHECKING:
    import keras


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
    """Train the network of the settings and keep everything of it in a run folder.

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
        cache: The photos, decoded already as the settings say; default: they are
            decoded here.
        callbacks: Your own, for W&B, MLflow or Trackio, for example: see `train_model`.
        say: Called with a line of progress now and then, such as `print`.
        verbose: As in Keras' `fit`.
        progress: Whether decoding shows a progress bar.

    Returns:
        The run, the history, the best epoch and whether the model collapsed.

    Raises:
        UnreadableImageError: If a photo cannot be read; the message names it.
        FaceDetectorUnavailableError: If faces are asked for and there is no detector.
        ResumeRefusedError: If the run to go on with is another training.
        RunInUseError: If another process writes that run.
        PretrainedWeightsError: If the network's weights cannot be downloaded or read.
        ValueError: If the settings do not fit together.
    """
    settings = settings or Settings()
    common: dict[str, Any] = {
        "logs": logs,
        "name": name,
        "resume": resume,
        "copies": copies,
        "detector": detector,
        "say": say,
        "progress": progress,
    }
    if settings.network == "joint":
        _refuse_for_joint(callbacks=callbacks, devices=devices != "one", cache=cache is not None)
        return train_joint(photos, settings, **common)
    require_part("keras")
    from emoclf.training.classifier import train_in_keras

    return train_in_keras(
        photos,
        settings,
        devices=devices,
        without_face=without_face,
        cache=cache,
        callbacks=callbacks,
        verbose=verbose,
        **common,
    )


def _refuse_for_joint(**given: object) -> None:
    """Refuse what has no meaning where features are kept and a last layer is found in a second."""
    for name, value in given.items():
        if value:
            raise ValueError(
                f"{name} has no meaning for network='joint', whose training is one step. Leave it "
                "out, or take another network."
            )
