"""From an uploaded file to what the page shows; knows nothing of Gradio."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.images import UnreadableImageError, load_image, sharing_memory
from emoclf.images.faces import FaceDetectorUnavailableError
from emoclf.inference import (
    UNCERTAIN,
    FacePrediction,
    Prediction,
    Predictor,
    UncertaintyRule,
)
from emoclf.inference.annotation import annotate_photo
from emoclf.inference.explanations import Explanation, draw_explanation, explain

PACKAGED_NAME = "packaged face network"
"""What the network that comes with emoclf is called on the page."""

MAX_SHOWN_SIDE_PX = 1280
"""Larger photos are answered in full and shown smaller."""

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
class PageAnswer:
    """What the page shows for one photo.

    Attributes:
        picture: uint8 RGB `(height, width, 3)`, the photo with its answers; None when it could not
            be read.
        shares: Answer to probability, for the bars: of the largest face, or of the whole photo.
        text: What was found, in Markdown; nothing in it comes from the file.
        map_picture: uint8 RGB `(height, width, 3)`, the photo with the map of what speaks for the
            answer; None when it was not asked for, or there is no answer.
    """

    picture: np.ndarray | None
    shares: dict[str, float]
    text: str
    map_picture: np.ndarray | None = None


class Models:
    """The networks that the page offers, each loaded when it is first asked.

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
        *,
        load_packaged: Callable[[], Predictor],
        load_run: Callable[[Path], Predictor],
        runs: Iterable[Path] = (),
    ) -> Models:
        """Offer the packaged network, the runs that are named, and the newest of a folder of runs.

        Args:
            logs: A folder of runs, of which the newest eight are offered; None for none.
            load_packaged: Loads the packaged network.
            load_run: Loads a run or a `.keras` file.
            runs: Runs and files that are offered before those in `logs`.

        Returns:
            The models.
        """
        loaders: dict[str, Callable[[], Predictor]] = {PACKAGED_NAME: load_packaged}
        found = sorted(
            Path(logs).glob("*/model.keras") if logs else [],
            key=lambda file: (file.stat().st_mtime, file),
            reverse=True,
        )
        for path in [*runs, *(file.parent for file in found[:_OFFERED_RUNS])]:
            loaders.setdefault(str(path), functools.partial(load_run, path))
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
def answer_photo(
    path: str | Path,
    predictor: Predictor,
    *,
    whole_photo: bool = False,
    show_map: bool = False,
) -> PageAnswer:
    """Answer an uploaded photo.

    Args:
        path: Where the upload lies.
        predictor: Who answers.
        whole_photo: Whether the whole photo is answered where there is no face.
        show_map: Whether the map of what speaks for the answer is made, by occlusion.

    Returns:
        What to show; a photo that cannot be read, or no detector, is said in its text.
    """
    try:
        photo = _shrink(load_image(path, max_bytes=MAX_DECODED_BYTES), _WORKING_SIDE_PX)
    except UnreadableImageError as error:
        reason = _escape(hide_folders(error.reason))
        return PageAnswer(None, {}, f"**This is no photo that can be read.** {reason}")
    try:
        ((prediction, _),) = predictor.predict_each([photo], whole_photo=whole_photo)
    except FaceDetectorUnavailableError as error:
        return PageAnswer(
            photo, {}, f"**Faces cannot be found here.** {_escape(hide_folders(str(error)))}"
        )
    text, map_picture = _describe(prediction, predictor.rule), None
    if show_map and prediction.faces:
        explanation = explain(predictor, photo, whole_photo=whole_photo)
        map_picture = _shrink(draw_explanation(photo, explanation))
        text = f"{text}\n\n{_describe_map(explanation)}"
    picture = _shrink(annotate_photo(photo, prediction))
    return PageAnswer(picture, _find_shares(prediction), text, map_picture)


def hide_folders(text: str) -> str:
    """Leave of each absolute path its last part: a page tells nobody where things lie.

    Args:
        text: An error message.

    Returns:
        The same, without the folders in it.

    Example:
        >>> hide_folders("'/home/me/my runs/first' is damaged, /home/me/second is not.")
        "'first' is damaged, second is not."
    """
    text = re.sub(rf"(['\"`])(?:{_FOLDERS})[^'\"`]*[\\/]", r"\1", text)
    return re.sub(rf"(?<![\w:/.\\])(?:{_FOLDERS})(?:[^\s'\"`/\\]+[\\/])*", "", text)


def _find_shares(prediction: Prediction) -> dict[str, float]:
    """Return the bars: the classes, in their order."""
    return dict(prediction.faces[0].probabilities) if prediction.faces else {}


def _describe(prediction: Prediction, rule: UncertaintyRule | None) -> str:
    """Write the answers as a table, and what to know about them."""
    note = f"\n\n{_escape(prediction.note)}" if prediction.note else ""
    if not prediction.faces:
        return f"**No face was found.**{note}"
    names = list(prediction.probabilities)
    has_neither = prediction.faces[0].neither is not None
    header = ["", "answer", *names, *(["neither"] if has_neither else [])]
    rows = [_join(header), _join(["---"] * len(header))]
    for number, face in enumerate(prediction.faces[:_SHOWN_FACES], start=1):
        rows.append(_join(_find_cells(number, face)))
    if rule and any(face.answer == UNCERTAIN for face in prediction.faces):
        note = f"\n\n{_escape(rule.describe())}{note}"
    left = len(prediction.faces) - _SHOWN_FACES
    if left > 0:
        note = f"\n\nand {left} smaller faces{note}"
    return "\n".join(rows) + note


def _find_cells(number: int, face: FacePrediction) -> list[str]:
    place = "whole photo" if face.is_whole_photo else f"face {number}"
    shares = [*face.probabilities.values(), *([] if face.neither is None else [face.neither])]
    return [place, f"**{face.answer}**", *(f"{share:.0%}" for share in shares)]


def _describe_map(explanation: Explanation) -> str:
    """Say what the map shows, and whether it is to be believed."""
    of = "the whole photo" if explanation.prediction.faces[0].is_whole_photo else "face 1"
    return f"**What speaks for the answer, {of}.** {_escape(str(explanation))}"


def _join(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Show a text as it is: no link, no markup, on one line."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$&])", r"\\\1", " ".join(text.split()))


def _shrink(picture: np.ndarray, longest_side: int = MAX_SHOWN_SIDE_PX) -> np.ndarray:
    """Bring a large picture to what a page can show."""
    longest = max(picture.shape[:2])
    if longest <= longest_side:
        return picture
    height, width = (max(1, round(side * longest_side / longest)) for side in picture.shape[:2])
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
