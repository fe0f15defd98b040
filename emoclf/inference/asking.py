"""One call from a photo to its answers, for callers that keep no `Predictor`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from emoclf.images.faces import FaceDetector
from emoclf.inference.answers import Prediction
from emoclf.inference.predictor import Predictor
from emoclf.inference.views import Photo

_lock = threading.Lock()
_packaged: list[Predictor] = []


def predict(
    photos: Photo | Sequence[Photo],
    *,
    model: str | Path | Predictor | None = None,
    whole_photo: bool = False,
    detector: FaceDetector | None = None,
) -> Prediction | list[Prediction]:
    """Say of each face in a photo whether it looks sad or happy.

    The packaged network is loaded at the first call and kept, and so is the face detector. The
    answer for a face is "Sad", "Happy" or "uncertain"; `UncertaintyRule` says when it is the last.

    Args:
        photos: A path, the bytes of a file, a PIL image, or an array (uint8 RGB
            `(height, width, 3)`, 0 to 255); a list of these; or a folder.
        model: None for the packaged network; a run folder or a `.keras` file that emoclf saved,
            which is loaded at every call; or a `Predictor` that you keep.
        whole_photo: Whether a photo without a face is answered as a whole, and marked.
        detector: What finds faces; None for the best that is there. With a `Predictor` as `model`,
            give the detector to that instead.

    Returns:
        One `Prediction` for one photo, else a list in the given order; in a list or a folder a
        file that cannot be read gets one whose `problem` says why.

    Raises:
        UnreadableImageError: If a single photo cannot be read.
        FileNotFoundError: If a folder holds no file, or there is no model at `model`.
        ValueError: If the model file is damaged or was not saved by emoclf, or a `detector` is
            given beside a `Predictor`.
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.

    Example:
        >>> print(emoclf.predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4%, Happy 96%, neither 1%)
    """
    predictor = _choose_predictor(model, detector)
    return predictor.predict(photos, whole_photo=whole_photo)


def _choose_predictor(
    model: str | Path | Predictor | None, detector: FaceDetector | None
) -> Predictor:
    if isinstance(model, Predictor):
        if detector is not None:
            raise ValueError(
                "detector: expected None beside a Predictor, which has its own. Give it to "
                "Predictor.load(..., detector=...) or Predictor.packaged(detector=...)."
            )
        return model
    if model is not None:
        return Predictor.load(model, detector=detector)
    if detector is not None:
        return Predictor.packaged(detector=detector)
    with _lock:
        if not _packaged:
            _packaged.append(Predictor.packaged())
        return _packaged[0]
