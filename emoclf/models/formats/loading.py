"""An exported file, run with Keras, TensorFlow, LiteRT or OpenCV."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from emoclf.images import ModelInfo
from emoclf.models.formats.writers import FORMATS, INPUT_NAME, OUTPUT_NAME, ExportFormat
from emoclf.models.model_file import MEMBER_NAME, load_model, read_info
from emoclf.runtime import MissingPartError, quiet_start, require_part
from emoclf.storage import find_sha256, open_regular, parse_json
from emoclf.untrusted import show_text

PARITY_FILE_NAME = "parity.json"
"""The comparison with the network, beside the exported file."""

_MAX_DESCRIPTION_BYTES = 2**20
_MAX_FILE_BYTES = 4 * 2**30

RunFile = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB `(photos, height, width, 3)` to float32 probabilities `(photos, classes)`."""


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported file that is loaded, and what is needed to use it.

    `Predictor(network, network.info)` predicts photos of any size and format.

    Attributes:
        format: The format of the file.
        info: Classes, size, resize mode and crop.
        run: Runs the file on one photo, or on several where the format takes them.
    """

    format: ExportFormat
    info: ModelInfo
    run: RunFile

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
                f"{photos.dtype} {photos.shape}. emoclf.images.prepare makes such photos."
            )
        if FORMATS[self.format].takes_any_batch:
            return np.asarray(self.run(photos), dtype=np.float32)
        rows = [self.run(photos[i : i + 1]) for i in range(len(photos))]
        empty = np.zeros((0, len(self.info.class_names)), dtype=np.float32)
        return np.concatenate([empty, *rows]).astype(np.float32)


def load_export(folder: str | Path) -> ExportedNetwork:
    """Load what `export_model` wrote in one format.

    Args:
        folder: The folder of one format, such as `logs/<run>/exports/litert`. Only load files
            you trust: a SavedModel may do what a program may.

    Returns:
        A network that predicts like the one it was exported from.

    Raises:
        FileNotFoundError: If there is no export in the folder, or its file is gone.
        ValueError: If the description is damaged, or a file is not the one that it describes.

    Example:
        >>> network = load_export("logs/first/exports/litert")  # doctest: +SKIP
        >>> print(Predictor(network, network.info).predict("photo.jpg"))  # doctest: +SKIP
        photo.jpg: Happy (Sad 4%, Happy 96%)
    """
    folder = Path(folder)
    description = folder / MEMBER_NAME
    what = "what an exported network says of itself"
    with open_regular(description, what=what, max_bytes=_MAX_DESCRIPTION_BYTES) as file:
        content = file.read()
    value: _Description = parse_json(content, name=description, what=what, kind=_Description)
    name = find_format(value["format"])
    if name is None:
        raise ValueError(
            f"{show_text(description)} names the format {value['format'][:80]!r}; expected one of "
            f"{', '.join(FORMATS)}. Export the network again."
        )
    path = folder / FORMATS[name].file_name
    if not path.exists():
        raise FileNotFoundError(f"{show_text(path)} does not exist. Export the network again.")
    info = read_info(content, path=description)
    changed = find_changed_file(folder, value.get("sha256", {}))
    if changed is not None or path.is_dir() != (name == "saved_model"):
        raise _make_damaged(name, path, f"{show_text(changed or path)} is not as it was written")
    return ExportedNetwork(name, info, _load_tried(name, path, info))


class _Description(TypedDict):
    """What is read of an export's description here; `read_info` reads the rest."""

    format: str
    sha256: NotRequired[dict[str, str]]


def find_format(name: str) -> ExportFormat | None:
    """Return the format of this name, or None."""
    return next((known for known in FORMATS if known == name), None)


def find_changed_file(folder: Path, sha256: Mapping[str, str]) -> Path | None:
    """Return a file of an export that is not as emoclf has written it; None when there is none.

    Args:
        folder: The folder of one format.
        sha256: File, relative to the folder, to the SHA-256 of its content.
    """
    for each in list_export_files(folder):
        name = each.relative_to(folder).as_posix()
        is_beside = name in (MEMBER_NAME, PARITY_FILE_NAME)
        if not is_beside and find_sha256(each) != sha256.get(name):
            return each
    return None


def list_export_files(path: Path) -> list[Path]:
    """Return a file, or all files of a folder."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _load_tried(name: ExportFormat, path: Path, info: ModelInfo) -> RunFile:
    """Load a file and try it on a black photo."""
    try:
        run = _LOADERS[name](path)
        received = np.shape(run(np.zeros((1, *info.image_size, 3), dtype=np.uint8)))
    except MissingPartError:
        raise
    except Exception as error:  # each library raises its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise _make_damaged(name, path, show_text(reason)) from error
    if received != (1, len(info.class_names)):
        raise _make_damaged(name, path, f"it predicts in the shape {received}")
    return run


def _make_damaged(name: ExportFormat, path: Path, reason: str) -> ValueError:
    return ValueError(
        f"The {FORMATS[name].title} file is damaged: emoclf cannot read {show_text(path)} "
        f"({reason}). Export it again."
    )


def _load_saved_model(path: Path) -> RunFile:
    require_part("tensorflow")
    import tensorflow as tf

    module = tf.saved_model.load(str(path))

    def run(photos: np.ndarray) -> np.ndarray:
        # By way of the module: a signature alone does not keep its variables alive.
        signature = module.signatures["serving_default"]
        return signature(**{INPUT_NAME: tf.constant(photos)})[OUTPUT_NAME].numpy()

    return run


def _load_litert(path: Path) -> RunFile:
    with quiet_start():
        interpreter = _make_interpreter(_read(path))
        interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(photo: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(taken["index"], photo)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return run


def _read(path: Path) -> bytes:
    with open_regular(path, what="an exported network", max_bytes=_MAX_FILE_BYTES) as file:
        return file.read()


def _make_interpreter(content: bytes) -> Any:
    """Make an interpreter of LiteRT's own package, else of the TensorFlow that is there."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_content=content)
    require_part("tensorflow")
    import tensorflow as tf

    with warnings.catch_warnings():
        # Announced for TensorFlow 2.20, and still there in 2.21.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        return tf.lite.Interpreter(model_content=content)


def _load_onnx(path: Path) -> RunFile:
    import cv2

    network = cv2.dnn.readNetFromONNX(np.frombuffer(_read(path), dtype=np.uint8))

    def run(photo: np.ndarray) -> np.ndarray:
        network.setInput(np.ascontiguousarray(photo))
        return network.forward().copy()

    return run


_LOADERS: dict[ExportFormat, Callable[[Path], RunFile]] = {
    "keras": lambda path: load_model(path, compiled=False)[0].predict_on_batch,
    "saved_model": _load_saved_model,
    "litert": _load_litert,
    "litert_int8": _load_litert,
    "onnx": _load_onnx,
}
