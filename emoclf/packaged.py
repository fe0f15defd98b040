"""The face network that comes with emoclf: checked, loaded without TensorFlow, ready to build on.

Three files lie in `emoclf/face_model/`: `network.onnx`, which OpenCV runs in about a millisecond
per face, `weights.npz`, the same weights for Keras, and `card.json`, which names both files'
SHA-256 and says what the network was taught, how it answers and how well it does.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.storage import read_json

if TYPE_CHECKING:
    import keras

FACE_MODEL_FOLDER = Path(__file__).parent / "face_model"
"""Where the packaged files lie."""

NETWORK_FILE_NAME = "network.onnx"
WEIGHTS_FILE_NAME = "weights.npz"
CARD_FILE_NAME = "card.json"

_EMOTION_OF_CLASS = {"Sad": "sadness", "Happy": "happiness"}
_REMEDY = "Install emoclf again, so that its files are whole: pip install --force-reinstall."


class DamagedModelError(ValueError):
    """A packaged file is missing, cut off or not the one that its card describes."""


@dataclass(frozen=True)
class ModelCard:
    """What the packaged network is and how its answers are meant.

    Attributes:
        emotions: What the network tells apart, in the order of its outputs.
        image_size: `(height, width)` in pixels of the face crops.
        temperature: Divisor of the logits that makes the probabilities honest (Guo et al., 2017),
            fitted on validation faces.
        uncertain_below: The answer is "uncertain" when the larger of the two probabilities is
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
        path = Path(folder) / CARD_FILE_NAME
        try:
            value = read_json(path, what="the card of the packaged face network")
            return cls(
                emotions=tuple(value["emotions"]),
                image_size=tuple(value["image_size"]),
                temperature=float(value["temperature"]),
                uncertain_below=float(value["uncertain_below"]),
                neither_above=float(value["neither_above"]),
                filters=tuple(value["filters"]),
                blocks=tuple(value["blocks"]),
                sha256=dict(value["sha256"]),
                figures=dict(value["figures"]),
            )
        except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
            raise DamagedModelError(f"{path} is missing or damaged ({error}). {_REMEDY}") from error


@dataclass(frozen=True)
class FaceProbabilities:
    """What the packaged network makes of some faces.

    Attributes:
        classes: float32 `(faces, 2)`: Sad and Happy, rows sum to 1, calibrated.
        neither: float32 `(faces,)`: probability of all other emotions together, 0 to 1.
    """

    classes: np.ndarray
    neither: np.ndarray


class PackagedNetwork:
    """The packaged network, run by OpenCV: no TensorFlow.

    Not for several threads at once: give each its own.

    Args:
        folder: Where the packaged files are.

    Raises:
        DamagedModelError: If a file is missing, damaged or swapped.
    """

    def __init__(self, folder: str | Path = FACE_MODEL_FOLDER) -> None:
        """Check and load the files."""
        import cv2

        self.card = ModelCard.load(folder)
        content = read_checked(self.card, NETWORK_FILE_NAME, folder=folder)
        try:
            self._network = cv2.dnn.readNetFromONNX(np.frombuffer(content, dtype=np.uint8))
        except cv2.error as error:
            raise DamagedModelError(
                f"OpenCV {cv2.__version__} cannot read {Path(folder) / NETWORK_FILE_NAME} "
                f"({str(error).strip()}). Use OpenCV 4.10 or newer, or 5. {_REMEDY}"
            ) from error

    def predict_logits(self, faces: np.ndarray, *, flip: bool = True) -> np.ndarray:
        """Run the network.

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.
            flip: Whether to average with the mirror image, which is a little more often right.

        Returns:
            float32 `(faces, emotions)`: the logits, before any temperature.

        Raises:
            ValueError: If the shape or dtype is another.
        """
        expected = (*self.card.image_size, 3)
        if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[1:] != expected:
            raise ValueError(
                f"faces should be uint8 (faces, {', '.join(map(str, expected))}). "
                f"Received: {faces.dtype} {faces.shape}. emoclf.crop_face makes such crops."
            )
        logits = np.zeros((len(faces), len(self.card.emotions)), dtype=np.float32)
        for number, face in enumerate(faces):
            views = (face, face[:, ::-1]) if flip else (face,)
            for view in views:
                self._network.setInput(np.ascontiguousarray(view[np.newaxis]))
                logits[number] += self._network.forward()[0] / len(views)
        return logits

    def predict(self, faces: np.ndarray, *, flip: bool = True) -> FaceProbabilities:
        """Say how sad and how happy some faces look.

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.
            flip: Whether to average with the mirror image.

        Returns:
            Calibrated probabilities.

        Raises:
            ValueError: If the shape or dtype is another.
        """
        logits = self.predict_logits(faces, flip=flip)
        return calibrate_logits(logits, self.card.emotions, temperature=self.card.temperature)


def calibrate_logits(
    logits: np.ndarray, emotions: Sequence[str], *, temperature: float
) -> FaceProbabilities:
    """Turn logits of the emotions into calibrated probabilities of the two classes.

    Args:
        logits: float32 `(faces, emotions)`.
        emotions: What the columns are.
        temperature: Divisor of the logits.

    Returns:
        Softmax over sadness and happiness, and the share of everything else.
    """
    columns = [list(emotions).index(_EMOTION_OF_CLASS[name]) for name in CLASS_NAMES]
    return FaceProbabilities(
        classes=softmax(logits[:, columns] / temperature),
        neither=1 - softmax(logits)[:, columns].sum(axis=1),
    )


def load_face_network(
    class_names: Sequence[str] = CLASS_NAMES, *, folder: str | Path = FACE_MODEL_FOLDER
) -> keras.Model:
    """Load the packaged network into Keras, to look into it or to build on it.

    Args:
        class_names: Names of the outputs. For Sad and Happy, or for the card's emotions, the last
            layer is the packaged one, so the model answers at once; for other names it is new and
            has to be trained.
        folder: Where the packaged files are.

    Returns:
        A model from uint8 RGB `(batch, 48, 48, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`, without the mirror image that `PackagedNetwork` averages with.

    Raises:
        DamagedModelError: If a file is missing, damaged or swapped.
    """
    from emoclf.models import build_face_network

    card = ModelCard.load(folder)
    content = read_checked(card, WEIGHTS_FILE_NAME, folder=folder)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        weights = {name: file[name].astype(np.float32) for name in file.files}
    network = build_face_network(
        card.image_size, class_names, filters=card.filters, blocks=card.blocks
    )
    head = _choose_outputs(weights, card, class_names)
    for variable in network.weights:
        if variable.path in head:
            variable.assign(head[variable.path])
        elif not variable.path.startswith("logits/"):
            variable.assign(weights[variable.path])
    return network


def _choose_outputs(
    weights: dict[str, np.ndarray], card: ModelCard, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    emotions = [_EMOTION_OF_CLASS.get(name, name) for name in class_names]
    if not set(emotions) <= set(card.emotions):
        return {}
    columns = [card.emotions.index(emotion) for emotion in emotions]
    divisor = card.temperature if set(class_names) <= set(_EMOTION_OF_CLASS) else 1.0
    return {
        path: weights[path][..., columns] / divisor for path in ("logits/kernel", "logits/bias")
    }


def read_checked(card: ModelCard, name: str, *, folder: str | Path = FACE_MODEL_FOLDER) -> bytes:
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
    if not path.is_file():
        raise DamagedModelError(f"{path} is missing. {_REMEDY}")
    content = path.read_bytes()
    received = hashlib.sha256(content).hexdigest()
    if received != card.sha256.get(name):
        raise DamagedModelError(
            f"{path} is not the file that {CARD_FILE_NAME} describes: expected SHA-256 "
            f"{card.sha256.get(name)}, received {received}. {_REMEDY}"
        )
    return content


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities.

    Args:
        logits: float `(rows, classes)`.

    Returns:
        The same shape, 0 to 1, rows sum to 1.
    """
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)
