"""From an uploaded file to what the page shows; knows nothing of Gradio."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.images import UnreadableImageError, load_image, sharing_memory
from emoclf.images.faces import FaceDetectorUnavailableError
from emoclf.inference import UNCERTAIN, Prediction, Predictor, UncertaintyRule
from emoclf.inference.annotation import annotate_photo
from emoclf.inference.explanations import draw_explanation, explain

PACKAGED_NAME = "packaged face network"
"""What the network that comes with emoclf is called on the page."""

MAX_SHOWN_SIDE_PX = 1280
"""Larger photos are predicted in full and shown smaller."""

MAX_DECODED_BYTES = 270_000_000
"""What decoding may take: 38 megapixels of PNG, 16 of WebP; larger JPEGs are decoded at half their
size or less."""

_WORKING_SIDE_PX = 4096
"""Longest side that faces are looked for in: photos of 12 megapixels stay as they are."""

_FOLDERS = r"(?:~|[A-Za-z]:)?[\\/]"
_SHOWN_FACES = 20
_OFFERED_RUNS = 8


class NetworkUnavailableError(RuntimeError):
    """A network that the page offers cannot be loaded; the message says why."""


@dataclass(frozen=True, eq=False)
class PagePrediction:
    """What the page shows for one photo.

    Attributes:
        text: What was found, in Markdown; nothing in it comes from the file.
        picture: uint8 RGB `(height, width, 3)`, the annotated photo; None if it cannot be read.
        probabilities: Class to probability, of the largest face or of the whole photo.
        map_picture: uint8 RGB `(height, width, 3)`, the photo with the map of what speaks for the
            prediction; None when it was not asked for, or nothing was predicted.
    """

    text: str
    picture: np.ndarray | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    map_picture: np.ndarray | None = None


class Models:
    """The networks that the page offers, each loaded when it is first used.

    Args:
        loaders: Name on the page to a function that loads the predictor, the first by default.
    """

    def __init__(self, loaders: dict[str, Callable[[], Predictor]]) -> None:
        """Keep the loaders; nothing is loaded yet."""
        self._loaders = loaders
        self._loaded: dict[str, Predictor] = {}
        self._lock = threading.Lock()

    @classmethod
    def find(
        cls,
        logs: str | Path | None,
        load: Callable[[Path | None], Predictor],
        *,
        runs: Iterable[Path] = (),
    ) -> Models:
        """Offer the packaged network, the runs that are named, and the newest of a folder of runs.

        Args:
            logs: A folder of runs, of which the newest eight are offered; None for none.
            load: Loads a run or a `.keras` file, or the packaged network for None.
            runs: Runs and files that are offered before those in `logs`.

        Returns:
            The models.
        """
        loaders: dict[str, Callable[[], Predictor]] = {PACKAGED_NAME: functools.partial(load, None)}
        found = sorted(
            Path(logs).glob("*/model.keras") if logs else [],
            key=lambda file: (file.stat().st_mtime, file),
            reverse=True,
        )
        for path in [*runs, *(file.parent for file in found[:_OFFERED_RUNS])]:
            loaders.setdefault(str(path), functools.partial(load, path))
        return cls(loaders)

    @property
    def names(self) -> tuple[str, ...]:
        """The names to choose from."""
        return tuple(self._loaders)

    def get(self, name: str) -> Predictor:
        """Return a predictor, loaded at the first call.

        Raises:
            NetworkUnavailableError: If it cannot be loaded.
            ValueError: If no network has this name.
        """
        if name not in self._loaders:
            raise ValueError(f"There is no network {name!r} here.")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._loaders[name]()
            return self._loaded[name]


@sharing_memory()
def predict_photo(
    path: str | Path, predictor: Predictor, *, whole_photo: bool = False, show_map: bool = False
) -> PagePrediction:
    """Predict an uploaded photo.

    Args:
        path: Where the upload lies.
        predictor: What predicts.
        whole_photo: Whether the whole photo is predicted where there is no face.
        show_map: Whether the map of what speaks for the prediction is made, by occlusion.

    Returns:
        What to show; a photo that cannot be read, or no detector, is said in its text.
    """
    try:
        photo = _shrink(load_image(path, max_bytes=MAX_DECODED_BYTES), _WORKING_SIDE_PX)
    except UnreadableImageError as error:
        reason = _escape(hide_folders(error.reason))
        return PagePrediction(f"**This is no photo that can be read.** {reason}")
    try:
        ((prediction, _),) = predictor.predict_each([photo], whole_photo=whole_photo)
    except FaceDetectorUnavailableError as error:
        reason = _escape(hide_folders(str(error)))
        return PagePrediction(f"**Faces cannot be found here.** {reason}", photo)
    text, map_picture = _describe(prediction, predictor.rule), None
    if show_map and prediction.faces:
        explanation = explain(predictor, photo, whole_photo=whole_photo)
        map_picture = _shrink(draw_explanation(photo, explanation))
        of = "the whole photo" if prediction.faces[0].is_whole_photo else "face 1"
        said = _escape(str(explanation))
        text = f"{text}\n\n**What speaks for the prediction, {of}.** {said}"
    picture = _shrink(annotate_photo(photo, prediction))
    return PagePrediction(text, picture, prediction.probabilities, map_picture)


def hide_folders(text: str) -> str:
    """Leave of each absolute path its last part: a page tells nobody where things lie.

    Example:
        >>> hide_folders("'/home/me/my runs/first' is damaged, /home/me/second is not.")
        "'first' is damaged, second is not."
    """
    text = re.sub(rf"(['\"`])(?:{_FOLDERS})[^'\"`]*[\\/]", r"\1", text)
    return re.sub(rf"(?<![\w:/.\\])(?:{_FOLDERS})(?:[^\s'\"`/\\]+[\\/])*", "", text)


def _describe(prediction: Prediction, rule: UncertaintyRule | None) -> str:
    """Write the predictions as a table, and what to know about them."""
    faces = prediction.faces
    if not faces:
        return "\n\n".join(["**No face was found.**", *_escape_notes(prediction.note)])
    neither = [] if faces[0].neither is None else ["neither"]
    header = ["", "prediction", *prediction.probabilities, *neither]
    rows = [header, ["---"] * len(header)]
    for number, face in enumerate(faces[:_SHOWN_FACES], start=1):
        place = "whole photo" if face.is_whole_photo else f"face {number}"
        values = [*face.probabilities.values(), *([] if face.neither is None else [face.neither])]
        rows.append([place, f"**{face.answer}**", *(f"{value:.0%}" for value in values)])
    left = len(faces) - _SHOWN_FACES
    is_unsure = rule is not None and any(face.answer == UNCERTAIN for face in faces)
    return "\n\n".join(
        [
            "\n".join(f"| {' | '.join(cells)} |" for cells in rows),
            *([f"and {left} smaller faces"] if left > 0 else []),
            *_escape_notes(rule.describe() if rule and is_unsure else None, prediction.note),
        ]
    )


def _escape_notes(*notes: str | None) -> list[str]:
    return [_escape(note) for note in notes if note]


def _escape(text: str) -> str:
    """Show a text as it is: no link, no markup, on one line."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$&])", r"\\\1", " ".join(text.split()))


def _shrink(picture: np.ndarray, longest_side: int = MAX_SHOWN_SIDE_PX) -> np.ndarray:
    """Bring a large picture to what a page can show."""
    if max(picture.shape[:2]) <= longest_side:
        return picture
    image = Image.fromarray(picture)
    image.thumbnail((longest_side, longest_side), Image.Resampling.BOX, reducing_gap=None)
    return np.array(image)
