"""What several commands share: options for the detector and for where things lie.

The name, type, default and help of an option stand once: those of a setting in `Settings` and its
docstring, those of one command in its signature and docstring, all others here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token

from emoclf.apps.commands.errors import UsageError
from emoclf.config import DetectorKind
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.images.faces import FaceDetector
    from emoclf.inference import Predictor

PACKAGED = "packaged"
"""What stands for the network that comes with emoclf, instead of a model of the user's own."""

DEFAULTS = Parameter(negative=(), allow_repeating=True)
"""How options are read: the last one counts, and only a `Switch` has an opposite."""


def _expect_existing(_type: Any, path: Path | None) -> None:
    if path is not None and not path.exists():
        raise ValueError("There is no such file or folder.")


def _expect_file(_type: Any, path: Path | None) -> None:
    if path is not None and path.is_dir():
        raise ValueError("Expected a file, received a folder.")


def _expect_folder(_type: Any, path: Path | None) -> None:
    if path is not None and path.exists() and not path.is_dir():
        raise ValueError("Expected a folder, received a file.")


def read_class_map(_type: Any, tokens: Sequence[Token]) -> dict[str, str]:
    """Read `joy=Happy,gloom=Sad`: folder -> class name."""
    from emoclf.data.folders import parse_class_map

    return parse_class_map(tokens[0].value)


ExistingPath = Annotated[Path, Parameter(validator=_expect_existing)]
File = Annotated[Path, Parameter(validator=_expect_file)]
Directory = Annotated[Path, Parameter(validator=_expect_folder)]
ExistingFile = Annotated[Path, Parameter(validator=(_expect_existing, _expect_file))]
ExistingDirectory = Annotated[Path, Parameter(validator=(_expect_existing, _expect_folder))]
Switch = Annotated[bool, Parameter(negative=None)]
"""A flag that is on, and has an opposite: `--no-...`."""

FilesOrFolders = Annotated[
    list[Path], Parameter("FILE_OR_FOLDER", help="Photos, and folders with photos.")
]
PhotoFolder = Annotated[Directory, Parameter(help="Holds one folder of photos per class.")]
Votes = Annotated[
    ExistingFile | None,
    Parameter(help="fer2013new.csv of FER+, beside fer2013.csv. Without it: FER2013's labels."),
]
ClassMap = Annotated[
    dict[str, str] | None,
    Parameter(
        "--map",
        converter=read_class_map,
        n_tokens=1,
        accepts_keys=False,
        metavar="FOLDER=CLASS,...",
        help="The classes of folders whose names do not say them: joy=Happy,gloom=Sad. An empty "
        "class leaves a folder out.",
    ),
]
AsJson = Annotated[bool, Parameter("--json", help="Print one JSON document and nothing else.")]
Model = Annotated[
    ExistingPath | None,
    Parameter(
        metavar="RUN_OR_FILE",
        help="A run folder or a .keras file of yours, instead of the packaged face network.",
    ),
]
Logs = Annotated[Directory, Parameter(help="Holds a folder for every run.")]
Name = Annotated[str, Parameter(allow_leading_hyphen=True)]
RunName = Annotated[
    Name | None, Parameter("--name", help="Name of the folder in --logs.  [default: the time]")
]
Resume = Annotated[
    bool, Parameter(help="Go on with what was stopped under this --name; else begin it.")
]
_given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())


def remember_given(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Note which options were written out, for `find_given`; cyclopts calls it."""
    _given.set(frozenset(each.name for each in arguments if each.tokens))


def find_given(*options: str) -> list[str]:
    """Return those of some options that were written out, be it with their default."""
    return [each for each in options if each in _given.get()]


@Parameter(name="*")
@dataclass
class DetectorChoice:
    """Makes the detector that the options name when a photo needs one, and remembers it.

    Attributes:
        detector: What finds faces: YuNet, OpenCV 4's Haar cascade, or the better one that is there.
        yunet_file: A YuNet model file, instead of the one in the cache.
        download: Whether the detector's file may be fetched where it is missing.
    """

    detector: DetectorKind = "auto"
    yunet_file: ExistingFile | None = None
    download: Switch = True

    def __post_init__(self) -> None:
        """Refuse a file for a detector that has none."""
        if self.detector == "haar" and self.yunet_file:
            raise UsageError("--yunet-file names a YuNet model: leave out --detector haar.")
        self.made = None  # type: FaceDetector | None

    def __call__(self) -> FaceDetector:
        """Make the detector."""
        from emoclf.images.faces import make_detector

        self.made = make_detector(self.detector, model_path=self.yunet_file, download=self.download)
        return self.made


def quiet_tensorflow() -> None:
    """Keep off the screen what TensorFlow says while it is loaded, now."""
    from emoclf.runtime import quiet_start

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_start():
        import tensorflow  # noqa: F401


def load_predictor(model: Path | None, choice: DetectorChoice) -> Predictor:
    """Load the packaged network or a model of the user's own.

    Args:
        model: A run folder or a `.keras` file; None for the packaged network.
        choice: What finds faces.

    Returns:
        The predictor; only a model of the user's own loads TensorFlow.
    """
    from emoclf.inference import Predictor

    if model is None:
        return Predictor.packaged(detector=choice)
    from emoclf.runtime import quiet_start

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_start():
        return Predictor.load(model, detector=choice)


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure of `emoclf.plots` as PNG, whole or not at all, and return its path."""
    from emoclf.storage import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return path


def refuse_existing(path: Path | None, option: str) -> None:
    """Refuse to write over a file."""
    if path is not None and path.exists():
        raise UsageError(f"{show_text(path)} exists already: give another name to {option}.")
