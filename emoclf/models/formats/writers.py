"""The formats a network can be exported to, and a Keras network written as each of them.

Every file takes what the network takes, raw uint8 RGB `(batch, height, width, 3)`, 0 to 255, and
returns float32 probabilities `(batch, classes)`. What is written is the network as it predicts:
layers that act only while training (augmentation, dropout) are traced switched off, so nothing of
them is in the file.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from emoclf.config import ExportFormat
from emoclf.images import ModelInfo
from emoclf.models.model_file import save_model
from emoclf.runtime import quiet_start, write_install_command
from emoclf.storage import naming_full_disk, temporary_folder

if TYPE_CHECKING:
    import keras

INPUT_NAME = "photo"
"""What the input of a SavedModel and of an ONNX file is called."""

OUTPUT_NAME = "probabilities"
"""What the output of a SavedModel is called."""


MAX_DIFFERENCE = 1e-4
"""A float export may change no probability by this much or more."""

MAX_ACCURACY_LOSS = 0.01
"""An int8 export may lose this much of the accuracy: one point."""

_BETWEEN = ("CONCATENATION", "DIV", "EXP", "LOG", "MAXIMUM", "MUL", "REDUCE_MAX", "SUB", "SUM")
"""What LiteRT calls the operations between the networks of faces and scene and the last layer."""


class FormatFacts(NamedTuple):
    """What is to know about one format.

    Attributes:
        title: Its usual name.
        file_name: Name of the exported file, or of the folder of a SavedModel.
        packages: What emoclf needs for it beyond the extra `lesson`, as Python imports it.
        is_float: Whether its numbers are as fine as those of the network.
        takes_any_batch: Whether it takes several photos at a time; else one.
        use: Where it is used.
    """

    title: str
    file_name: str
    packages: tuple[str, ...]
    is_float: bool
    takes_any_batch: bool
    use: str


FORMATS: dict[ExportFormat, FormatFacts] = {
    "keras": FormatFacts(
        "Keras", "model.keras", (), True, True, "Keras, without the training's state"
    ),
    "saved_model": FormatFacts(
        "SavedModel", "model", (), True, True, "TensorFlow, TensorFlow Serving"
    ),
    "litert": FormatFacts(
        "LiteRT", "model.tflite", (), True, False, "phones and small machines (LiteRT)"
    ),
    "litert_int8": FormatFacts(
        *("LiteRT", "model.tflite", (), False, False),
        "the same, a quarter of the size, whole numbers inside",
    ),
    "onnx": FormatFacts(
        "ONNX", "model.onnx", ("onnx", "tf2onnx"), True, False, "OpenCV, ONNX Runtime, browsers"
    ),
}
"""Every format, in the order in which they are written."""


class FormatUnavailableError(RuntimeError):
    """A format needs a package that is not installed here."""


def find_unavailable() -> dict[ExportFormat, str]:
    """Say which formats cannot be written here, and what to install.

    Returns:
        Format to one sentence with the pip command; empty where everything is installed.
        Nothing is imported.
    """
    reasons: dict[ExportFormat, str] = {}
    for name, facts in FORMATS.items():
        missing = [each for each in facts.packages if importlib.util.find_spec(each) is None]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            reasons[name] = (
                f"{name} needs {' and '.join(missing)}, which {verb} not installed: "
                f"{write_install_command('export')}"
            )
    return reasons


def choose_formats(formats: Sequence[ExportFormat] | None) -> tuple[ExportFormat, ...]:
    """Check the formats that are asked for, or take all that can be written here.

    Args:
        formats: Names of formats, each once; None for all that can be written.

    Returns:
        The formats, in the order of `FORMATS`.

    Raises:
        ValueError: If there is no such format, or none is named.
        FormatUnavailableError: If one that is asked for needs a package that is missing.
    """
    unavailable = find_unavailable()
    if formats is None:
        return tuple(name for name in FORMATS if name not in unavailable)
    unknown = set(formats) - set(FORMATS)
    if isinstance(formats, str) or unknown or not formats:
        raise ValueError(
            f"formats={formats!r} should be a list of some of {', '.join(FORMATS)}; None takes "
            "all that can be written here."
        )
    for name in formats:
        if name in unavailable:
            raise FormatUnavailableError(unavailable[name])
    return tuple(name for name in FORMATS if name in formats)


def write_export(
    model: keras.Model,
    path: str | Path,
    format: ExportFormat,
    *,
    info: ModelInfo,
    calibration: np.ndarray,
) -> Path:
    """Write a network in one format.

    Args:
        model: A Keras model from uint8 RGB to probabilities.
        path: Where the file belongs; for a SavedModel a folder that does not exist.
        format: One of `FORMATS`.
        info: Classes, size, resize mode and crop of the model.
        calibration: uint8 RGB `(photos, height, width, 3)`, 0 to 255: shows the int8 format how
            large the numbers inside the network become. Other formats ignore it.

    Returns:
        The path.

    Raises:
        ValueError: If `info` does not fit the model, or there is no photo to calibrate with.
    """
    path = Path(path)
    writers: dict[ExportFormat, Callable[[], object]] = {
        "keras": lambda: save_model(model, path, info=info),
        "saved_model": lambda: _write_saved_model(model, path),
        "litert": lambda: write_litert(model, path),
        "litert_int8": lambda: write_litert(
            model, path, calibration=calibration, floats=_BETWEEN if info.crop == "both" else ()
        ),
        "onnx": lambda: write_onnx(model, path),
    }
    writers[format]()
    return path


def _write_saved_model(model: keras.Model, path: str | Path, *, batch: int | None = None) -> Path:
    """Write a SavedModel with one signature, `serving_default`; `batch` is None for any number."""
    import tensorflow as tf

    module = tf.Module()
    module.predict = _make_function(model, batch=batch, as_dictionary=True)
    module.weights = [variable.value for variable in model.variables]  # what is not named is lost
    with quiet_start(), _quiet_python():
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.predict})
    return Path(path)


def write_litert(
    model: keras.Model,
    path: str | Path,
    *,
    calibration: np.ndarray | None = None,
    floats: Sequence[str] = (),
) -> Path:
    """Write a LiteRT (TensorFlow Lite) file for one photo at a time.

    With photos to calibrate with, weights and maps become whole numbers of 8 bits (Jacob et al.,
    2018); input and output stay uint8 photos and float32 probabilities.

    Args:
        model: A Keras model from uint8 RGB to probabilities, on TensorFlow.
        path: Where the `.tflite` file belongs.
        calibration: uint8 RGB `(photos, height, width, 3)`, 0 to 255; None keeps float32.
        floats: Operations, as LiteRT calls them, that keep float32 in any case.

    Returns:
        The path.

    Raises:
        ValueError: If `calibration` holds no photo.
    """
    import tensorflow as tf

    if calibration is not None and not len(calibration):
        raise ValueError(
            "calibration holds no photo: int8 needs some, better a hundred, to see how large the "
            "numbers inside the network become. Give photos like those of the training."
        )
    # From the Keras model itself, the converter of TensorFlow 2.21 loses the weights of some
    # networks without a word and returns nan; by way of a SavedModel it does not.
    with temporary_folder() as folder, naming_full_disk(folder):
        _write_saved_model(model, folder, batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [photo[np.newaxis]] for photo in calibration
            )
        with quiet_start(), _quiet_python():
            content = _convert_in_part(converter, floats) if floats else converter.convert()
    Path(path).write_bytes(content)
    return Path(path)


def _convert_in_part(converter: Any, floats: Sequence[str]) -> bytes:
    """Convert to whole numbers, all but some operations."""
    import tensorflow as tf

    found = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=converter.representative_dataset,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(floats)),
    )
    return bytes(found.get_nondebug_quantized_model())


def write_onnx(model: keras.Model, path: str | Path, *, input_name: str = INPUT_NAME) -> Path:
    """Write an ONNX file for one photo at a time, which OpenCV can read.

    Args:
        model: A Keras model with one output, on TensorFlow.
        path: Where the `.onnx` file belongs.
        input_name: What the input is called in the file.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: If onnx or tf2onnx is not installed (the extra `export`).
    """
    import onnx
    import tf2onnx

    function = _make_function(model, batch=1, name=input_name)
    with quiet_start(), _quiet_python("tf2onnx"):
        graph, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature)
    # Constants of some layers (Normalization) come out as inputs that nobody could give.
    strangers = [each for each in graph.graph.input if each.name != input_name]
    for each in strangers:
        graph.graph.input.remove(each)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    return Path(path)


def shrink_onnx(path: str | Path, *, fewest_weights: int = 2000) -> Path:
    """Keep the weights of an ONNX file as int8, a quarter of the size; it computes in float32.

    Every output channel has a scale of its own, its largest weight by 127. OpenCV 4 and 5 multiply
    when they load the file, so it is as quick as before (Jacob et al., 2018, for the method).

    Args:
        path: The file; changed in place.
        fewest_weights: Smaller arrays stay as they are.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: If onnx is not installed (the extra `export`).
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph, restored = model.graph, []
    for each in [one for one in graph.initializer if np.prod(one.dims) > fewest_weights]:
        weights, name = numpy_helper.to_array(each), each.name
        rest = tuple(range(1, weights.ndim))
        scales = np.maximum(np.abs(weights).max(axis=rest), np.finfo(np.float32).tiny) / 127
        whole = np.round(weights / scales.reshape(-1, *[1] * len(rest))).astype(np.int8)
        parts = {"int8": whole, "scale": scales, "zero": np.zeros(len(scales), np.int8)}
        graph.initializer.remove(each)
        graph.initializer.extend(
            numpy_helper.from_array(value, f"{name}_{part}") for part, value in parts.items()
        )
        inputs = [f"{name}_{part}" for part in parts]
        restored.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return Path(path)


def _make_function(
    model: keras.Model, *, batch: int | None, name: str = INPUT_NAME, as_dictionary: bool = False
) -> Any:
    """Return the network as it predicts, as a TensorFlow function of a fixed signature."""
    import tensorflow as tf

    def predict(photo: tf.Tensor) -> tf.Tensor | dict[str, tf.Tensor]:
        found = model(photo, training=False)
        return {OUTPUT_NAME: found} if as_dictionary else found

    shape = (batch, *model.input_shape[1:])
    signature = [tf.TensorSpec(shape, tf.uint8, name=name)]
    return tf.function(predict, input_signature=signature, autograph=False)


@contextmanager
def _quiet_python(*names: str) -> Iterator[None]:
    """Keep off the screen what converters say about things that are as they should be."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl", *names)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # The types of input and output are those of the network, so no statistics are needed.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        # Announced for TensorFlow 2.20, and still there in 2.21.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
