"""The packaged network run by OpenCV: face crops in, calibrated probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.packaged.card import (
    CARD_FILE_NAME,
    EMOTION_OF_CLASS,
    FACE_MODEL_FOLDER,
    NETWORK_FILE_NAME,
    REMEDY,
    DamagedModelError,
    ModelCard,
    read_checked,
)


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
            self._network.setInput(np.zeros((1, *self.card.image_size, 3), dtype=np.uint8))
            received = self._network.forward().shape
        except cv2.error as error:
            raise DamagedModelError(
                f"OpenCV {cv2.__version__} cannot read {Path(folder) / NETWORK_FILE_NAME} "
                f"({str(error).strip()}). Use OpenCV 4.10 or newer, or 5. {REMEDY}"
            ) from error
        if received != (1, len(self.card.emotions)):
            raise DamagedModelError(
                f"{Path(folder) / NETWORK_FILE_NAME} answers in the shape {received}; "
                f"{CARD_FILE_NAME} says (1, {len(self.card.emotions)}). {REMEDY}"
            )

    def predict_logits(self, faces: np.ndarray, *, mirror: bool | None = None) -> np.ndarray:
        """Run the network.

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.
            mirror: Whether to average with the mirror image, which takes twice as long; default:
                what the card says.

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
        mirror = self.card.mirror if mirror is None else mirror
        logits = np.zeros((len(faces), len(self.card.emotions)), dtype=np.float32)
        for number, face in enumerate(faces):
            views = (face, face[:, ::-1]) if mirror else (face,)
            for view in views:
                self._network.setInput(np.ascontiguousarray(view[np.newaxis]))
                logits[number] += self._network.forward()[0] / len(views)
        return logits

    def predict(self, faces: np.ndarray) -> FaceProbabilities:
        """Say how sad and how happy some faces look.

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.

        Returns:
            Calibrated probabilities.

        Raises:
            ValueError: If the shape or dtype is another.
        """
        return calibrate_logits(self.predict_logits(faces), self.card)


def calibrate_logits(logits: np.ndarray, card: ModelCard) -> FaceProbabilities:
    """Turn logits of the emotions into calibrated probabilities of the two classes.

    Args:
        logits: float32 `(faces, emotions)`.
        card: Order of the emotions, and temperature.

    Returns:
        Softmax over sadness and happiness, and the share of everything else.
    """
    columns = [card.emotions.index(EMOTION_OF_CLASS[name]) for name in CLASS_NAMES]
    return FaceProbabilities(
        classes=softmax(logits[:, columns] / card.temperature),
        neither=1 - softmax(logits)[:, columns].sum(axis=1),
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities.

    Args:
        logits: float `(rows, classes)`.

    Returns:
        The same shape, 0 to 1, rows sum to 1.
    """
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)
