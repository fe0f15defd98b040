"""From an uploaded file to what the page shows; knows nothing of Gradio."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.config import JOINT_FILE_NAME, MODEL_FILE_NAME
from emoclf.display import Table
from emoclf.images import UnreadableImageError, load_image, sharing_memory
from emoclf.images.faces import FaceDetectorUnavailableError
from emoclf.inference import UNCERTAIN, FacePrediction, Prediction, Predictor, UncertaintyRule
from emoclf.inference.annotation import annotate_photo
from emoclf.inference.explanations import NothingToExplainError, draw_explanation, explain
from emoclf.inference.predictor import SCENE_ONLY_NOTE
from emoclf.run import Run
from emoclf.untrusted import show_text

PACKAGED_NAME = "Faces and scene (comes with emoclf)"
"""What the networks that come with emoclf are called on the page."""

FACES_ONLY_NAME = "Faces only (comes with emoclf)"
"""What the packaged network of faces is called on the page, by itself."""

MAX_SHOWN_SIDE_PX = 1280
"""Larger photos are predicted in full and shown smaller."""

MAX_DECODED_BYTES = 270_000_000
"""What decoding may take: 38 megapixels of PNG, 16 of WebP; larger JPEGs are decoded at half their
size or less."""

_EXPLAINED_SIDE_PX = 4096
"""Longest side of a photo with a map, which takes more memory: 12 megapixels stay as they are."""

_NO_FACE = "Take a photo in which the face is larger, sharper and seen from the front."
_NO_DETECTOR = (
    "The face detector is missing or does not work: `python -m emoclf doctor`, on the machine that "
    "runs this page, says why and what to do."
)

_PYTHON = re.compile(r"\w\.\w+\.\w|\w\(|\w=|\w_\w+:|[a-z](?:Error|Exception|Warning)\b")
"""What gives a sentence for programmers away: dotted names, calls, arguments, kinds of errors."""

_FOLDERS = r"(?:~|[A-Za-z]:)?[\\/]"
_OFFERED_RUNS = 8


class NetworkUnavailableError(RuntimeError):
    """A network that the page offers cannot be loaded; the message says why."""


@dataclass(frozen=True, eq=False)
class PagePrediction:
    """What the page shows for one photo.

    Attributes:
        headline: The answer in a few words.
        note: What to know about it, or what to do; may be empty.
        picture: uint8 RGB `(height, width, 3)`, the photo with every face in a frame, numbered as
            in `numbers` where there are several; None without a prediction.
        probabilities: Class to probability, of the photo as a whole or of its only face.
        numbers: The probabilities of every face, and sentences that say what they mean.
        map_text: What the map shows, and what hiding the marked places does.
        map_picture: uint8 RGB `(height, width, 3)`, the photo with the map of what speaks for the
            prediction; None when it was not asked for, or nothing was predicted.
    """

    headline: str
    note: str = ""
    picture: np.ndarray | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    numbers: tuple[Table | str, ...] = ()
    map_text: str = ""
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
        load: Callable[..., Predictor],
        *,
        runs: Iterable[Path] = (),
    ) -> Models:
        """Offer the packaged networks, the runs that are named, and the newest of a folder of runs.

        Args:
            logs: A folder of runs, of which the newest eight are offered; None for none.
            load: Loads a run or a `.keras` file, or the packaged networks for None, with
                `faces_only=True` those of faces.
            runs: Runs and files that are offered before those in `logs`.

        Returns:
            The models.
        """
        loaders: dict[str, Callable[[], Predictor]] = {
            PACKAGED_NAME: functools.partial(load, None),
            FACES_ONLY_NAME: functools.partial(load, None, faces_only=True),
        }
        found = sorted(
            Path(logs).glob("*/model.keras") if logs else [],
            key=lambda file: (file.stat().st_mtime, file),
            reverse=True,
        )
        offered = [*runs, *(file.parent for file in found[:_OFFERED_RUNS])]
        for path in dict.fromkeys(each.resolve() for each in offered):
            name = _name_network(path)
            for parent in path.parents:
                name += f", in {show_text(parent.name)}" if name in loaders else ""
            loaders[name] = functools.partial(load, path)
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


def _name_network(path: Path) -> str:
    """Say in words which network of the user's a path is."""
    folder = path.parent if path.name in (MODEL_FILE_NAME, JOINT_FILE_NAME) else path
    name = show_text(folder.name)
    try:
        settings = Run(folder).settings
    except (OSError, ValueError):  # a file alone, or a run that will say so when it is loaded
        return f"My network {name}"
    looked_at = {"face": "faces", "both": "faces and scene"}.get(settings.crop, "whole photos")
    return f"My run {name}: {settings.network} network, {looked_at}"


@sharing_memory()
def predict_photo(
    path: str | Path, predictor: Predictor, *, show_map: bool = False
) -> PagePrediction:
    """Predict an uploaded photo.

    Args:
        path: Where the upload lies.
        predictor: What predicts.
        show_map: Whether the map of what speaks for the prediction is made, by occlusion.

    Returns:
        What to show; a photo that cannot be read, or no detector, is said in its headline.
    """
    try:
        photo = load_image(path, max_bytes=MAX_DECODED_BYTES)
    except UnreadableImageError as error:
        return PagePrediction("This photo cannot be read", hide_folders(error.reason))
    try:
        ((prediction, _),) = predictor.predict_each([photo])
    except FaceDetectorUnavailableError:
        return PagePrediction("Faces cannot be looked for", _NO_DETECTOR)
    answers, headline = prediction.all, write_headline(prediction, predictor.rule)
    if not answers:
        return PagePrediction(headline, _NO_FACE)
    note = prediction.note or ""
    if note.startswith(SCENE_ONLY_NOTE):
        note = f"{SCENE_ONLY_NOTE} {_NO_DETECTOR}"
    elif prediction.photo and len(prediction.faces) > 1:
        note = f"{_count_answers(prediction.faces)}."
    found = PagePrediction(
        headline,
        note,
        _draw(photo, prediction),
        prediction.probabilities if prediction.photo or len(answers) == 1 else {},
        _list_numbers(prediction, predictor.describe_rules()),
    )
    if not show_map:
        return found
    photo = _shrink(photo, _EXPLAINED_SIDE_PX)
    try:
        explanation = explain(predictor, photo)
    except NothingToExplainError:
        return replace(found, map_text="The face is too small for a map in so large a photo.")
    picture = _shrink(draw_explanation(photo, explanation, numbered=True))
    of = " (face 1)" if len(answers) > 1 and not prediction.photo else ""
    said = f"What speaks for the prediction{of}: {explanation}"
    return replace(found, map_text=said, map_picture=picture)


def write_headline(prediction: Prediction, rule: UncertaintyRule | None) -> str:
    """Say the answer for one photo in a few words.

    Args:
        prediction: For a photo that could be read.
        rule: When a face is uncertain, to say why; None where the network has none.

    Returns:
        For example "Happy, 97% sure"; of a network of faces also "3 faces: 2 happy, 1 sad".
    """
    faces = prediction.faces
    if prediction.photo:
        return _say_face(prediction.photo, rule)
    if not faces:
        return "No face found"
    return _count_answers(faces) if len(faces) > 1 else _say_face(faces[0], rule)


def _count_answers(faces: Sequence[FacePrediction]) -> str:
    counts = Counter(face.answer for face in faces)
    said = (f"{count} {answer.lower()}" for answer, count in counts.most_common())
    return f"{len(faces)} faces: {', '.join(said)}"


def _say_face(face: FacePrediction, rule: UncertaintyRule | None) -> str:
    if face.answer == UNCERTAIN and rule and (face.neither or 0) > rule.neither_above:
        return f"Not sure: it looks neither {' nor '.join(face.probabilities).lower()}"
    if face.answer == UNCERTAIN:
        shares = [f"{name.lower()} {value:.0%}" for name, value in face.probabilities.items()]
        return f"Not sure: {', '.join(shares)}"
    probability = face.probabilities[face.answer]
    share = "more than 99%" if probability > 0.995 else f"{probability:.0%}"  # which is never all
    return f"{face.answer}, {share} sure"


def _list_numbers(prediction: Prediction, rules: str) -> tuple[Table | str, ...]:
    """Return a table of all answers, faces numbered as in the picture, and what it means."""
    answers = prediction.all
    classes = tuple(dict.fromkeys(name for each in answers for name in each.probabilities))
    asked = next((each.probabilities for each in answers if each.neither is not None), None)
    others = " nor ".join(asked or ()).lower()
    rows = []
    for number, face in enumerate(answers, start=0 if prediction.photo else 1):
        values = [*map(face.probabilities.get, classes), *([face.neither] if asked else [])]
        place = "whole photo" if face.is_whole_photo else str(number)
        shown = ("" if value is None else f"{value:.0%}" for value in values)
        rows.append((place, face.answer, *shown))
    table = Table(("face", "answer", *classes, *(["neither"] if asked else [])), rows)
    neither = (
        f'"neither": how probable it is that the face is neither {others}. '
        "The columns before it assume that it is one of them."
    )
    return (table, *([neither] if asked else []), *([rules] if rules else []))


def _draw(photo: np.ndarray, prediction: Prediction) -> np.ndarray:
    """Draw the frames, on a photo as large as the page shows it."""
    shown = _shrink(photo)
    scale = shown.shape[1] / photo.shape[1]
    answers = (
        replace(each, box=tuple(scale * value for value in each.box)) for each in prediction.all
    )
    return annotate_photo(shown, prediction.with_all(answers), numbered=True)


def hide_folders(text: str) -> str:
    """Leave of each absolute path its last part: a page tells nobody where things lie.

    Example:
        >>> hide_folders("'/home/me/my runs/first' is damaged, /home/me/second is not.")
        "'first' is damaged, second is not."
    """
    text = re.sub(rf"(['\"`])(?:{_FOLDERS})[^'\"`]*[\\/]", r"\1", text)
    return re.sub(rf"(?<![\w:/.>\\])(?:{_FOLDERS})(?:[^\s'\"`/\\]+[\\/])*", "", text)


def say_plainly(text: str) -> str:
    """Return a message of Python's for readers of a page: no folders, no names of Python's.

    Example:
        >>> say_plainly("/home/me/a.keras is not emoclf's. Save it with model.save(...).")
        "a.keras is not emoclf's."
    """
    sentences = re.split(r"(?<=[.!?])\s+", hide_folders(text))
    kept = [each for each in sentences if not _PYTHON.search(each)]
    return " ".join(kept) or "Its file is damaged, or is none of emoclf's. Train it again."


def _shrink(picture: np.ndarray, longest_side: int = MAX_SHOWN_SIDE_PX) -> np.ndarray:
    """Bring a large picture to what a page can show."""
    if max(picture.shape[:2]) <= longest_side:
        return picture
    image = Image.fromarray(picture)
    image.thumbnail((longest_side, longest_side), Image.Resampling.BOX, reducing_gap=None)
    return np.array(image)
