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
from typing import TYPE_CHECKING, Any

from emoclf.config import CLASS_NAMES, IMAGE_SIZE, ResizeMode, Subject
from emoclf.storage import replacing, tidy_temporaries

if TYPE_CHECKING:
    import keras

MEMBER_NAME = "emoclf.json"
"""Name of the extra member inside the `.keras` file."""

MODEL_FILE_NAME = "model.keras"
"""Name of the finished model inside a run folder."""

CHECKPOINT_FILE_NAME = "best.keras"
"""Name of the best epoch so far inside a run folder."""

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """What a caller must know to feed a model and to read its answer.

    Attributes:
        class_names: Names in the order of the model's outputs.
        image_size: `(height, width)` in pixels of the input.
        resize_mode: How a photo of any shape becomes that size: `"pad"` or `"crop"`.
        subject: What was shown to the model: `"photo"`, or `"face"` for faces cut out by
            `emoclf.crop_face`.
    """

    class_names: tuple[str, ...] = CLASS_NAMES
    image_size: tuple[int, int] = IMAGE_SIZE
    resize_mode: ResizeMode = "pad"
    subject: Subject = "photo"


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
    from emoclf.models import computes_in_half_precision, copy_network

    _check_shapes(model, info)
    if computes_in_half_precision(model):
        model = copy_network(model, as_float32=True)
    with replacing(path) as temporary:
        with tidy_temporaries():
            model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(
                MEMBER_NAME, json.dumps({"format_version": FORMAT_VERSION, **asdict(info)})
            )
    return path


def _check_shapes(model: keras.Model, info: ModelInfo) -> None:
    expected = ((None, *info.image_size, 3), (None, len(info.class_names)))
    received = (tuple(model.input_shape), tuple(model.output_shape))
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
    if not path.is_file():
        best = path.with_name(CHECKPOINT_FILE_NAME)
        if path.name == MODEL_FILE_NAME and best.is_file():
            raise FileNotFoundError(
                f"{path} does not exist: the training in {path.parent} has not ended. Go on with "
                f"it (train --resume), or take its best epoch so far: {best}"
            )
        raise FileNotFoundError(
            f"{path} does not exist. Expected a model saved by a run, such as "
            f"logs/<run>/{MODEL_FILE_NAME}."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            value = json.loads(archive.read(MEMBER_NAME))
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path} is damaged or is no .keras file ({error}). Copy it again, or train again."
        ) from error
    except (KeyError, ValueError) as error:
        raise _make_unknown(path, error) from error
    return read_info(value, path=path)


def read_info(value: Any, *, path: Path) -> ModelInfo:
    """Read what a model says of itself from the value of its JSON.

    Args:
        value: What `emoclf.json` holds, inside a `.keras` file or beside an exported one.
        path: Where it was read, for the error message.

    Returns:
        Its classes, size and resize mode.

    Raises:
        ValueError: If something is missing.
    """
    try:
        return ModelInfo(
            class_names=tuple(value["class_names"]),
            image_size=tuple(value["image_size"]),
            resize_mode=value["resize_mode"],
            subject=value.get("subject", "photo"),
        )
    except (KeyError, TypeError) as error:
        raise _make_unknown(path, error) from error


def _make_unknown(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} does not say which classes and which preprocessing it was trained with "
        f"({error}): it was not saved by emoclf. Save it with emoclf.save_model."
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
    import keras

    info = load_info(path)
    try:
        with tidy_temporaries():  # Keras unpacks the file
            model = keras.models.load_model(path, compile=compiled, safe_mode=True)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is damaged ({error}). Copy it again, or train again.") from error
    except (TypeError, ValueError) as error:
        written, here = _read_keras_version(path), keras.__version__
        raise ValueError(
            f"{path} was written by Keras {written} and cannot be built by Keras {here}, which is "
            f"here: {str(error)[:300]} Install the other version: pip install keras=={written}"
        ) from error
    _check_shapes(model, info)
    return model, info


def _read_keras_version(path: Path | str) -> str:
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("metadata.json")).get("keras_version", "?"))
