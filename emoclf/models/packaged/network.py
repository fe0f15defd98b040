"""The packaged network: run by OpenCV, or as a Keras model to look into or to build on."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.images import Spares
from emoclf.models.packaged.card import (
    CARD_FILE_NAME,
    EMOTION_OF_CLASS,
    FACE_MODEL_FOLDER,
    NETWORK_FILE_NAME,
    REMEDY,
    WEIGHTS_FILE_NAME,
    DamagedModelError,
    ModelCard,
    read_checked,
)
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import keras

FEATURE_LAYER = "average_over_face"
"""Name of the layer before the last one, in Keras and, with more around it, in the ONNX file."""


def read_onnx(content: bytes) -> Any:
    """Return OpenCV's network for an ONNX file."""
    import cv2

    return cv2.dnn.readNetFromONNX(np.frombuffer(content, dtype=np.uint8))


class FaceProbabilities(NamedTuple):
    """What the packaged network makes of some faces.

    Attributes:
        classes: float32 `(faces, 2)`: Sad and Happy, rows sum to 1, calibrated.
        neither: float32 `(faces,)`: probability of all other emotions together, 0 to 1.
    """

    classes: np.ndarray
    neither: np.ndarray


class PackagedNetwork:
    """The packaged network, run by OpenCV: no TensorFlow. Several threads may share it.

    Args:
        folder: Where the packaged files are.
        content: The network's ONNX file, from elsewhere; default: the one in `folder`.

    Attributes:
        card: What the network is.
        content: Its ONNX file.

    Raises:
        DamagedModelError: If a file is missing, damaged or swapped.
    """

    is_thread_safe = True

    def __init__(
        self, folder: str | Path = FACE_MODEL_FOLDER, *, content: bytes | None = None
    ) -> None:
        """Check and load the files."""
        import cv2

        self.card = ModelCard.load(folder)
        place = "the network of faces"
        if content is None:
            place = show_text(Path(folder) / NETWORK_FILE_NAME)
            content = read_checked(self.card, NETWORK_FILE_NAME, folder=folder)
        self.content = content
        try:
            self._networks = Spares(partial(read_onnx, self.content))
            with self._networks.borrow() as network:
                network.setInput(np.zeros((1, *self.card.image_size, 3), dtype=np.uint8))
                received = network.forward().shape
        except cv2.error as error:
            raise DamagedModelError(
                f"OpenCV {cv2.__version__} cannot read {place} "
                f"({show_text(str(error).strip())}). Use OpenCV 4.10 or newer, or 5. {REMEDY}"
            ) from error
        if received != (1, len(self.card.emotions)):
            raise DamagedModelError(
                f"{place} predicts in the shape {received}; {CARD_FILE_NAME} says "
                f"(1, {len(self.card.emotions)}). {REMEDY}"
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
        return self._run(faces, mirror=mirror, output=None)

    def predict_features(self, faces: np.ndarray, *, mirror: bool | None = None) -> np.ndarray:
        """Run the network up to its last layer but one: its features of a face.

        The last layer weighs these features and nothing else, so a logistic regression on them
        takes its place for other classes or other faces (Donahue et al., 2014, call them deep
        convolutional activation features).

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.
            mirror: As for `predict_logits`.

        Returns:
            float32 `(faces, features)`, 0 or more: every feature's average over the face.

        Raises:
            ValueError: If the shape or dtype is another.
            DamagedModelError: If the network has no such layer.

        Example:
            >>> network = PackagedNetwork()
            >>> network.predict_features(np.zeros((2, 48, 48, 3), dtype=np.uint8)).shape
            (2, 136)
        """
        return self._run(faces, mirror=mirror, output=self._find_feature_layer())

    def _find_feature_layer(self) -> str:
        """Return the name by which this OpenCV knows the features; OpenCV 5 names tensors."""
        import cv2

        with self._networks.borrow() as network:
            own = [name for name in network.getLayerNames() if FEATURE_LAYER in name]
        if not own:
            raise DamagedModelError(
                f"{NETWORK_FILE_NAME} has no layer {FEATURE_LAYER!r}, so it gives no features. "
                f"{REMEDY}"
            )
        return own[-1] if int(cv2.__version__.split(".")[0]) < 5 else f"{own[-1]}:0"

    def _run(self, faces: np.ndarray, *, mirror: bool | None, output: str | None) -> np.ndarray:
        """Return float32 `(faces, values)` of one layer, averaged over the views of each face."""
        expected = (*self.card.image_size, 3)
        if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[1:] != expected:
            raise ValueError(
                f"faces should be uint8 (faces, {', '.join(map(str, expected))}). "
                f"Received: {faces.dtype} {faces.shape}. emoclf.crop_face makes such crops."
            )
        if not len(faces) and output is None:
            return np.zeros((0, len(self.card.emotions)), dtype=np.float32)
        mirror = self.card.mirror if mirror is None else mirror
        rows = []
        blank = np.zeros((1, *expected), dtype=np.uint8)  # no faces: how many values there are
        with self._networks.borrow() as network:
            for face in faces if len(faces) else blank:
                found = []
                for view in (face, face[:, ::-1]) if mirror else (face,):
                    network.setInput(np.ascontiguousarray(view[np.newaxis]))
                    # a copy: OpenCV may use the same memory again
                    found.append(network.forward(*([output] if output else []))[0].copy())
                rows.append(np.mean(found, axis=0, dtype=np.float32))
        return np.array(rows, dtype=np.float32)[: len(faces)]

    def predict_with_neither(self, faces: np.ndarray) -> FaceProbabilities:
        """Say how sad and how happy some faces look, or that they are neither.

        Args:
            faces: uint8 RGB `(faces, height, width, 3)`, 0 to 255, of the card's size.

        Returns:
            Calibrated probabilities.

        Raises:
            ValueError: If the shape or dtype is another.
        """
        return calibrate_logits(self.predict_logits(faces), self.card)

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Return the `classes` of `predict_with_neither`, so that this is a `Network`."""
        return self.predict_with_neither(x).classes


def calibrate_logits(logits: np.ndarray, card: ModelCard) -> FaceProbabilities:
    """Turn logits of the emotions into calibrated probabilities of the two classes.

    Args:
        logits: float32 `(faces, emotions)`.
        card: Order of the emotions, and temperature.

    Returns:
        Softmax over sadness and happiness, and the probability of everything else.
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


def load_face_network(
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    folder: str | Path = FACE_MODEL_FOLDER,
    dropout: float = 0.2,
    augment: bool = False,
) -> keras.Model:
    """Load the packaged network into Keras, to look into it or to build on it.

    Args:
        class_names: Names of the outputs. For Sad and Happy, or for the card's emotions, the last
            layer is the packaged one, so the model predicts at once; for other names it is new and
            has to be trained.
        folder: Where the packaged files are.
        dropout: Fraction of the averaged features switched off at random while training, 0 to 1.
        augment: Whether faces are flipped, moved, turned and re-lit at random while training.

    Returns:
        A model from uint8 RGB `(batch, 48, 48, 3)`, 0 to 255, to float32 probabilities
        `(batch, classes)`, for the face as it is, without its mirror image. Its convolutions do
        what batch normalisation did while it was trained, so it has none.

    Raises:
        DamagedModelError: If a file is missing, damaged or swapped.
    """
    import zipfile

    card = ModelCard.load(folder)
    content = read_checked(card, WEIGHTS_FILE_NAME, folder=folder)
    from emoclf.models import build_face_network

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            weights = {name: file[name].astype(np.float32) for name in file.files}
        network = build_face_network(
            card.image_size,
            class_names,
            filters=card.filters,
            blocks=card.blocks,
            normalise=False,
            dropout=dropout,
            augment=augment,
        )
        head = _choose_outputs(weights, card, class_names)
        for variable in network.weights:
            if variable.path in head:
                variable.assign(head[variable.path])
            elif not variable.path.startswith("logits/"):
                variable.assign(weights[variable.path])
    except (KeyError, IndexError, zipfile.BadZipFile) as error:
        raise _explain_misfit(folder, error) from error
    except ValueError as error:
        if card == ModelCard.load():
            raise  # the arguments are at fault
        raise _explain_misfit(folder, error) from error
    return network


def _explain_misfit(folder: str | Path, error: Exception) -> DamagedModelError:
    return DamagedModelError(
        f"{show_text(Path(folder) / WEIGHTS_FILE_NAME)} does not fit {CARD_FILE_NAME} "
        f"({show_text(error)}). {REMEDY}"
    )


def _choose_outputs(
    weights: dict[str, np.ndarray], card: ModelCard, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    emotions = [EMOTION_OF_CLASS.get(name, name) for name in class_names]
    if not set(emotions) <= set(card.emotions):
        return {}
    columns = [card.emotions.index(emotion) for emotion in emotions]
    kernel, bias = weights["logits/kernel"][:, columns], weights["logits/bias"][columns]
    if set(class_names) <= set(EMOTION_OF_CLASS):
        kernel, bias = kernel / card.temperature, bias / card.temperature
    return {"logits/kernel": kernel, "logits/bias": bias}
