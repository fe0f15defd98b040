"""An exported file answers again: with Keras, TensorFlow, LiteRT or OpenCV."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoclf.artefacts import MEMBER_NAME, ModelInfo, load_model, read_info
from emoclf.exporting.formats import FORMATS, ExportFormat
from emoclf.exporting.writers import INPUT_NAME, OUTPUT_NAME
from emoclf.runtime import quiet_start
from emoclf.storage import read_json
from emoclf.untrusted import show_text

Answer = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB `(photos, height, width, 3)` to float32 probabilities `(photos, classes)`."""


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported file that is loaded, and what is needed to use it.

    `Predictor(network, network.info)` answers for photos of any size and format.

    Attributes:
        format: The format of the file.
        info: Classes, size, resize mode and subject.
        answer: Runs the file on one photo, or on several where the format takes them.
    """

    format: ExportFormat
    info: ModelInfo
    answer: Answer

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Run the file, as Keras' method of this name runs a network.

        Args:
            x: uint8 RGB `(photos, height, width, 3)`, 0 to 255, of the size in `info`.

        Returns:
            float32 `(photos, classes)`, each row from 0 to 1.

        Raises:
            ValueError: If the dtype or the shape is another.
        """
        photos, expected = np.asarray(x), (*self.info.image_size, 3)
        if photos.dtype != np.uint8 or photos.ndim != 4 or photos.shape[1:] != expected:
            raise ValueError(
                f"x should be uint8 (photos, {', '.join(map(str, expected))}). Received: "
                f"{photos.dtype} {photos.shape}. emoclf.load_resized makes such photos."
            )
        if FORMATS[self.format].takes_any_batch:
            return np.asarray(self.answer(photos), dtype=np.float32)
        rows = [self.answer(photos[i : i + 1]) for i in range(len(photos))]
        empty = np.zeros((0, len(self.info.class_names)), dtype=np.float32)
        return np.concatenate([empty, *rows]).astype(np.float32)


def load_export(folder: str | Path) -> ExportedNetwork:
    """Load what `export_model` wrote in one format.

    Args:
        folder: The folder of one format, such as `logs/<run>/exports/litert`.

    Returns:
        A network that answers like the one it was exported from.

    Raises:
        FileNotFoundError: If there is no export in the folder, or its file is gone.
        ValueError: If the description or the file is damaged.

    Example:
        >>> network = load_export("logs/first/exports/litert")  # doctest: +SKIP
        >>> print(Predictor(network, network.info).predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4%, Happy 96%)
    """
    folder = Path(folder)
    value = read_json(folder / MEMBER_NAME, what="what an exported network says of itself")
    name = value.get("format") if isinstance(value, dict) else None
    if name not in FORMATS:
        raise ValueError(
            f"{show_text(folder / MEMBER_NAME)} names the format {name!r}; expected one of "
            f"{', '.join(FORMATS)}. Export the network again."
        )
    path = folder / FORMATS[name].file_name
    if not path.exists():
        raise FileNotFoundError(f"{show_text(path)} does not exist. Export the network again.")
    info = read_info(value, path=folder / MEMBER_NAME)
    return ExportedNetwork(name, info, _LOADERS[name](path))


def _load_keras(path: Path) -> Answer:
    return load_model(path, compiled=False)[0].predict_on_batch


def _load_saved_model(path: Path) -> Answer:
    import tensorflow as tf

    module = tf.saved_model.load(str(path))

    def answer(photos: np.ndarray) -> np.ndarray:
        # By way of the module: a signature alone does not keep its variables alive.
        signature = module.signatures["serving_default"]
        return signature(**{INPUT_NAME: tf.constant(photos)})[OUTPUT_NAME].numpy()

    return answer


def _load_litert(path: Path) -> Answer:
    with quiet_start():
        interpreter = _make_interpreter(path.read_bytes())
        interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(photo: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(taken["index"], photo)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return answer


def _make_interpreter(content: bytes) -> Any:
    """Make an interpreter of LiteRT's own package, else of the TensorFlow that is there."""
    try:
        if importlib.util.find_spec("ai_edge_litert") is not None:
            from ai_edge_litert.interpreter import Interpreter

            return Interpreter(model_content=content)
        import tensorflow as tf

        with warnings.catch_warnings():
            # Announced for TensorFlow 2.20, and still there in 2.21.
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            return tf.lite.Interpreter(model_content=content)
    except ValueError as error:
        raise ValueError(
            f"The LiteRT file is damaged ({show_text(error)}). Export it again."
        ) from error


def _load_onnx(path: Path) -> Answer:
    import cv2

    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), dtype=np.uint8))
    except cv2.error as error:
        raise ValueError(
            f"OpenCV {cv2.__version__} cannot read {show_text(path)} "
            f"({show_text(str(error).strip())}). Export it again, or read it with ONNX Runtime."
        ) from error

    def answer(photo: np.ndarray) -> np.ndarray:
        network.setInput(np.ascontiguousarray(photo))
        return network.forward().copy()

    return answer


_LOADERS: dict[ExportFormat, Callable[[Path], Answer]] = {
    "keras": _load_keras,
    "saved_model": _load_saved_model,
    "litert": _load_litert,
    "litert_int8": _load_litert,
    "onnx": _load_onnx,
}
