"""The card: what the packaged network is, which files belong to it, how well it does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from emoclf.display import Table
from emoclf.storage import open_regular, read_json
from emoclf.untrusted import show_text

FACE_MODEL_FOLDER = Path(__file__).parent / "face_model"
"""Where the packaged files lie."""

JOINT_MODEL_FOLDER = Path(__file__).parent / "joint_model"
"""Where the packaged network of scenes and its head lie."""

SCENE_FILE_NAME = "scene.onnx"
HEAD_FILE_NAME = "head.npz"
NETWORK_FILE_NAME = "network.onnx"
WEIGHTS_FILE_NAME = "weights.npz"
CARD_FILE_NAME = "card.json"

EMOTION_OF_CLASS = {"Sad": "sadness", "Happy": "happiness"}
"""What each class is called among the emotions."""
REMEDY = "Install emoclf again, so that its files are whole: pip install --force-reinstall."

_FIGURES = {
    "area_under_roc": "area under ROC",
    "accuracy": "accuracy, happy against sad",
    "recall_of_Sad": "of the sad faces, called Sad",
    "recall_of_Happy": "of the happy faces, called Happy",
    "accuracy_where_raters_agree": "accuracy where most raters saw happiness or sadness",
    "accuracy_where_raters_confirm_label": "accuracy where most raters saw what the label says",
    "accuracy_where_raters_do_not_agree": "accuracy on the other happy and sad faces",
    "accuracy_at_90_percent_coverage": "accuracy on the 90 % it is surest of",
    "accuracy_when_certain": "accuracy where it does not say uncertain",
    "certain_of_happy_or_sad": "of happy and sad faces, not called uncertain",
    "certain_of_other_emotions": "of faces with another emotion, not called uncertain",
    "above_0.9_of_happy_or_sad": "of happy and sad faces, probability above 0.9",
    "above_0.9_of_other_emotions": "of faces with another emotion, probability above 0.9",
    "calibration_error": "expected calibration error",
    "area_under_roc_of_neither": "area under ROC of `neither`, other emotions",
}
_HALVES = ("tuning", "confirmation")
_JOINT_FIGURES = {
    "accuracy": "accuracy, all photos",
    "accuracy_with_a_face": "where a face was found",
    "accuracy_without_a_face": "where none was found",
    "balanced_accuracy": "balanced accuracy",
    "area_under_roc": "area under ROC",
    "accuracy_at_90_percent_coverage": "accuracy on the 90 % it is surest of",
    "certain": "not called uncertain",
    "accuracy_when_certain": "accuracy on those",
    "calibration_error": "expected calibration error",
}
_OF_SOURCE = "accuracy_on_"

_MAX_CARD = 2**20
_MAX_FILE = 2**30
_MAX_SIDE, _MAX_FILTERS, _MAX_STAGES = 1024, 4096, 100


_Card = TypeVar("_Card")


class DamagedModelError(ValueError):
    """A packaged file is missing, cut off or not the one that its card describes."""


@dataclass(frozen=True)
class ModelCard:
    """What the packaged network is and how its predictions are meant.

    Attributes:
        emotions: What the network tells apart, in the order of its outputs.
        image_size: `(height, width)` in pixels of the face crops.
        temperature: Divisor of the logits that calibrates the probabilities (Guo et al., 2017),
            fitted on validation faces.
        mirror: Whether the prediction is the average of those for a face and its mirror image.
        uncertain_below: The prediction is "uncertain" when the larger of the two probabilities is
            smaller than this.
        neither_above: It is also "uncertain" when the emotions other than sadness and happiness
            together are more probable than this.
        filters: Features per stage, to build the Keras network.
        blocks: Residual blocks per stage, likewise.
        sha256: File name to the SHA-256 of its content.
        figures: What was measured, with n and interval.
    """

    emotions: tuple[str, ...]
    image_size: tuple[int, int]
    temperature: float
    mirror: bool
    uncertain_below: float
    neither_above: float
    filters: tuple[int, ...]
    blocks: tuple[int, ...]
    sha256: dict[str, str]
    figures: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path = FACE_MODEL_FOLDER) -> ModelCard:
        """Read the card.

        Args:
            folder: A folder with `card.json`.

        Returns:
            The card.

        Raises:
            DamagedModelError: If it is missing or does not say what it should.
        """
        return _load_card(cls, folder)

    def __post_init__(self) -> None:
        """Refuse what no network could be used with."""
        checks = {
            "emotions": set(EMOTION_OF_CLASS.values()) <= set(self.emotions),
            "image_size": all(1 <= side <= _MAX_SIDE for side in self.image_size),
            "temperature": 0 < self.temperature < float("inf"),
            "uncertain_below": 0 <= self.uncertain_below <= 1,
            "neither_above": 0 <= self.neither_above <= 1,
            "filters": all(1 <= count <= _MAX_FILTERS for count in self.filters),
            "blocks": len(self.blocks) <= _MAX_STAGES
            and all(1 <= count <= _MAX_STAGES for count in self.blocks),
        }
        for name, is_valid in checks.items():
            if not is_valid:
                raise ValueError(f"{name}={getattr(self, name)!r} is out of range")

    def tabulate_figures(self) -> Table:
        """Return what was measured on two halves of the validation faces."""
        rows = [
            (title, *(_write_figure(name, self.figures[half][name]) for half in _HALVES))
            for name, title in _FIGURES.items()
        ]
        halves = (f"{half} half" for half in _HALVES)
        return Table(("measured on FER2013's PublicTest", *halves), rows)


@dataclass(frozen=True)
class JointCard:
    """What answers for a photo as a whole: a network of scenes, and a head on it and the faces.

    Attributes:
        uncertain_below: The answer is "uncertain" when the larger of the two probabilities is
            smaller than this.
        sha256: File name to the SHA-256 of its content.
        figures: What was measured, with n and interval.
    """

    uncertain_below: float
    sha256: dict[str, str]
    figures: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path = JOINT_MODEL_FOLDER) -> JointCard:
        """Read the card in a folder; raise `DamagedModelError` if it cannot be used."""
        return _load_card(cls, folder)

    def __post_init__(self) -> None:
        """Refuse what no answer could be judged by."""
        if not 0 <= self.uncertain_below <= 1:
            raise ValueError(f"uncertain_below={self.uncertain_below!r} is out of range")

    def tabulate_figures(self) -> Table:
        """Return what was measured on photos of sources that the network had not seen."""
        own = [name for name in sorted(self.figures) if name.startswith(_OF_SOURCE)]
        titles = {**_JOINT_FIGURES, **{name: name.removeprefix(_OF_SOURCE) for name in own}}
        rows = [(title, _write_figure(name, self.figures[name])) for name, title in titles.items()]
        return Table(("measured on photos of unseen sources", "95 %"), rows)


def _load_card(kind: type[_Card], folder: str | Path) -> _Card:
    path = Path(folder) / CARD_FILE_NAME
    try:
        card: _Card = read_json(path, what="a packaged card", kind=kind, max_bytes=_MAX_CARD)
    except (OSError, ValueError) as error:
        raise DamagedModelError(
            f"{show_text(path)} is missing or damaged ({show_text(error)}). {REMEDY}"
        ) from error
    return card


def _write_figure(name: str, value: float | Mapping[str, Any]) -> str:
    """Write a number, with its 95 % interval and n where it has them."""
    if not isinstance(value, Mapping):
        return f"{value:.3f}"
    digits = 4 if name == "area_under_roc" else 3
    number, low, high = (f"{value[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{number} ({low} to {high}, n = {value['count']:,})"


def read_checked(
    card: ModelCard | JointCard, name: str, *, folder: str | Path = FACE_MODEL_FOLDER
) -> bytes:
    """Read a packaged file, if it is the one that the card describes.

    Args:
        card: The card.
        name: Name of the file.
        folder: Where it lies.

    Returns:
        Its content.

    Raises:
        DamagedModelError: If it is missing or another.
    """
    path = Path(folder) / name
    try:
        with open_regular(path, what="a packaged file", max_bytes=_MAX_FILE) as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DamagedModelError(f"{show_text(path)} cannot be read ({reason}). {REMEDY}") from error
    received = hashlib.sha256(content).hexdigest()
    if received != card.sha256.get(name):
        raise DamagedModelError(
            f"{show_text(path)} is not the file that {CARD_FILE_NAME} describes: expected SHA-256 "
            f"{card.sha256.get(name)}, received {show_text(received)}. {REMEDY}"
        )
    return content
