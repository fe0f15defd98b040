"""The saved model: one `.keras` file that also knows its classes, its size and its preprocessing.

Keras stores layers and weights. What it does not store is which output means Happy and how a
photo of any shape became the input. That travels inside the same file as one extra member, so
that the file alone is enough, and plain `keras.models.load_model` still reads it.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoclf.config import (
    CHECKPOINT_FILE_NAME,
    FOLDS_FOLDER_NAME,
    MODEL_FILE_NAME,
    Crop,
    ResizeMode,
)
from emoclf.images import ModelInfo
from emoclf.models.safe_loading import load_keras_file, read_extra
from emoclf.storage import parse_json, replacing, tidy_temporaries
from emoclf.untrusted import check_class_names, show_text

if TYPE_CHECKING:
    import keras

MEMBER_NAME = "emoclf.json"
"""Name of the extra member inside the `.keras` file."""

FORMAT_VERSION = 1

_MAX_DESCRIPTION_BYTES = 64 * 2**10
_MAX_SIDE = 4096


def save_model(model: keras.Model, path: str | Path, *, info: ModelInfo) -> Path:
    """Save a model together with what is needed to use it, whole or not at all.

    Args:
        model: A Keras model from raw uint8 RGB `(batch, height, width, 3)` to probabilities
            `(batch, classes)`.
        path: Where the `.keras` file belongs.
        info: Its classes, size and resize mode.

    Returns:
        The path of the file. It computes in float32, also when the model was trained in half
        precision: the machine that loads it may have no GPU.

    Raises:
        ValueError: If `path` does not end in `.keras`, or `info` does not fit the model's shapes.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"path={str(path)!r} should end in '.keras'.")
    from emoclf.models import copy_network, uses_mixed_precision

    _check_shapes(model, info)
    if uses_mixed_precision(model):
        model = copy_network(model, as_float32=True)
    with replacing(path) as temporary:
        with tidy_temporaries():
            model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(MEMBER_NAME, write_info(info))
    return path


def write_info(info: ModelInfo) -> str:
    """Return what a model says of itself, as `read_info` reads it."""
    return json.dumps({"format_version": FORMAT_VERSION, **asdict(info)})


def _check_shapes(model: keras.Model, info: ModelInfo) -> None:
    expected = ((None, *info.image_size, 3), (None, len(info.class_names)))
    received = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    if received != expected:
        raise ValueError(
            f"The model maps {received[0]} to {received[1]}, but its description says "
            f"{expected[0]} to {expected[1]}. Give the ModelInfo that the model was built with."
        )


def load_info(path: str | Path) -> ModelInfo:
    """Read what a saved model says of itself, without loading Keras.

    Args:
        path: A `.keras` file that `save_model` wrote.

    Returns:
        Its classes, size and resize mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or was not saved by emoclf.
    """
    path = Path(path)
    if not path.exists():
        best = path.with_name(CHECKPOINT_FILE_NAME)
        if path.name == MODEL_FILE_NAME and best.is_file():
            raise FileNotFoundError(
                f"{show_text(path)} does not exist: the training in {show_text(path.parent)} has "
                f"not ended. Go on with it (train --resume), or take its best epoch so far: "
                f"{show_text(best)}"
            )
        others = "holds the folds of a cross-validation, which keep no model"
        is_of_folds = path.with_name(FOLDS_FOLDER_NAME).is_dir()
        raise FileNotFoundError(
            f"{show_text(path)} does not exist"
            + (f": {show_text(path.parent)} {others}" if is_of_folds else "")
            + f". Expected a model saved by a run, such as logs/<run>/{MODEL_FILE_NAME}."
        )
    if path.suffix.lower() == ".json":
        raise ValueError(
            f"{show_text(path)} is no .keras file. The file of a head, taught in the browser, only "
            "predicts: give it to predict, explain, evaluate, live or demo."
        )
    content = read_extra(path, MEMBER_NAME, max_bytes=_MAX_DESCRIPTION_BYTES)
    if content is None:
        raise _make_unknown(path, f"there is no {MEMBER_NAME} in it")
    return read_info(content, path=path)


def read_info(content: bytes, *, path: Path) -> ModelInfo:
    """Read what a model says of itself.

    Args:
        content: `emoclf.json`, from a `.keras` file or from beside an exported one.
        path: Where it was read, for the error message.

    Returns:
        Its classes, size and resize mode.

    Raises:
        ValueError: If something is missing or is not as it should be.
    """
    try:
        found = parse_json(content, name=MEMBER_NAME, what="a description", kind=_Description)
    except ValueError as error:
        raise _make_unknown(path, error) from error
    return ModelInfo(found.class_names, found.image_size, found.resize_mode, found.crop)


@dataclass(frozen=True)
class _Description:
    """A `ModelInfo` as it is written: nothing is assumed, except in files of the first versions."""

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    resize_mode: ResizeMode
    crop: Crop = "none"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Refuse what no network is trained with."""
        names = self.class_names
        check_class_names(names)
        if not names or len(set(names)) < len(names) or not all(names):
            raise ValueError("class_names should be different names")
        if not all(1 <= side <= _MAX_SIDE for side in self.image_size):
            raise ValueError(f"image_size should be from 1 to {_MAX_SIDE:,}")
        if self.format_version != FORMAT_VERSION:
            raise ValueError("format_version is of another emoclf; update it")


def _make_unknown(path: Path, reason: object) -> ValueError:
    return ValueError(
        f"{show_text(path)} does not say which classes and which preprocessing it was trained with "
        f"({show_text(str(reason)[:300])}): it was not saved by emoclf, or was changed. Save it "
        "with emoclf.models.model_file.save_model."
    )


def load_model(path: str | Path, *, compiled: bool = True) -> tuple[keras.Model, ModelInfo]:
    """Load a saved model and what is needed to use it.

    Args:
        path: A `.keras` file that `save_model` wrote. Only load files you trust.
        compiled: Whether the optimizer and its state are loaded too, to train on. Without them
            the model is a third as large when it is saved again.

    Returns:
        The model and its classes, size and resize mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, was not saved by emoclf, or is of a Keras version that
            this one cannot read.
    """
    info = load_info(path)
    with tidy_temporaries():  # Keras unpacks the file
        model = load_keras_file(path, compiled=compiled)
    _check_shapes(model, info)
    return model, info
