"""The formats a network can be exported to: their files, and the packages they need."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from emoclf.config import ExportFormat
from emoclf.untrusted import quote_argument

MAX_DIFFERENCE = 1e-4
"""A float export may change no probability by this much or more."""

MAX_ACCURACY_LOSS = 0.01
"""An int8 export may lose this share of the right answers: one point."""


@dataclass(frozen=True)
class FormatFacts:
    """What is to know about one format.

    Attributes:
        file_name: Name of the exported file, or of the folder of a SavedModel.
        packages: What emoclf needs for it beyond `requirements.txt`, as Python imports it.
        is_float: Whether its numbers are as fine as those of the network.
        takes_any_batch: Whether it takes several photos at a time; else one.
        use: Where it is used.
    """

    file_name: str
    packages: tuple[str, ...]
    is_float: bool
    takes_any_batch: bool
    use: str


FORMATS: dict[ExportFormat, FormatFacts] = {
    "keras": FormatFacts("model.keras", (), True, True, "Keras, without the training's state"),
    "saved_model": FormatFacts("model", (), True, True, "TensorFlow, TensorFlow Serving"),
    "litert": FormatFacts("model.tflite", (), True, False, "phones and small machines (LiteRT)"),
    "litert_int8": FormatFacts(
        "model.tflite", (), False, False, "the same, a quarter of the size, whole numbers inside"
    ),
    "onnx": FormatFacts(
        "model.onnx", ("onnx", "tf2onnx"), True, False, "OpenCV, ONNX Runtime, browsers"
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
                f"{name} needs {' and '.join(missing)}, which {verb} not installed: pip install "
                f"'emoclf[export]', or pip install {' '.join(map(quote_argument, missing))}"
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
