"""What several commands share: options for settings, the detector and where things lie.

The name, type, default and help of an option stand once: those of a setting in `Settings` and its
docstring, those of one command in its signature and docstring, all others here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, fields, make_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from cyclopts import UNSET, App, ArgumentCollection, Parameter, Token

from emoclf.apps.commands.terminal import UsageError, echo, is_watched, waiting
from emoclf.config import (
    WEIGHTS_SUFFIXES,
    BackboneName,
    DetectorKind,
    NetworkName,
    Settings,
    WithoutFace,
)
from emoclf.display import count_noun
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.images.faces import FaceDetector
    from emoclf.inference import Predictor
    from emoclf.photos import Photos
    from emoclf.run import Run

PACKAGED = "packaged"
"""What stands for the network that comes with emoclf, instead of a model of the user's own."""

DEFAULTS = Parameter(negative=(), allow_repeating=True)
"""How options are read: the last one counts, and only a `Switch` has an opposite."""


OPTION_GROUPS = {
    "Options": (
        *("--name", "--epochs", "--network", "--weights", "--crop", "--image-size", "--split"),
        "--resume",
    ),
    "Photos": (
        *("--map", "--photos", "--validation-fraction", "--test-fraction", "--resize-mode"),
        *("--augment", "--class-weights"),
    ),
    "Learning": (
        *("--learning-rate", "--batch-size", "--patience", "--dropout", "--ema-momentum"),
        *("--precision", "--seed"),
    ),
    "Faces": ("--without-face", "--detector", "--yunet-file", "--download"),
    "Places and machines": ("--logs", "--copies", "--devices", "--workers", "--worker"),
}
"""Headings of a long page, and what stands under each, the most used first; an option that is named
nowhere stands at the top of the first."""


def _expect_existing(_type: Any, path: Path | None) -> None:
    if path is not None and not path.exists():
        raise ValueError("There is no such file or folder.")


def _expect_file(_type: Any, path: Path | None) -> None:
    if path is not None and path.is_dir():
        raise ValueError("Expected a file, received a folder.")


def _expect_json(_type: Any, path: Path | None) -> None:
    if path is not None and path.suffix.lower() != ".json":
        raise ValueError("Expected a .json file, as the page saves it.")


def _expect_folder(_type: Any, path: Path | None) -> None:
    if path is not None and path.exists() and not path.is_dir():
        raise ValueError("Expected a folder, received a file. `stage` unpacks an archive.")


def _expect_name(_type: Any, name: str | None) -> None:
    if name is not None:
        from emoclf.run import check_run_name

        check_run_name(name)


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
PhotosFolder = Annotated[
    ExistingDirectory | None,
    Parameter(
        "--photos",
        metavar="FOLDER",
        help="Where the run's photos lie now, if they were moved after the training: they are "
        "known again by their names and content.",
    ),
]
AsJson = Annotated[bool, Parameter("--json", help="Print one JSON document and nothing else.")]
Model = Annotated[
    ExistingPath | None,
    Parameter(
        metavar="RUN_OR_FILE",
        help="A run folder, a .keras file or a head's file of yours, instead of the packaged "
        "networks.",
    ),
]
Head = Annotated[
    ExistingFile | None,
    Parameter(
        validator=_expect_json,
        metavar="FILE",
        help="A head that you taught in the browser and saved there: the same as --model FILE.",
    ),
]
FacesOnly = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Answer for faces alone, not for the photo as a whole: the packaged networks.",
    ),
]
Logs = Annotated[Directory, Parameter(help="Holds a folder for every run.")]
Name = Annotated[str, Parameter(allow_leading_hyphen=True)]
RunName = Annotated[
    Name | None,
    Parameter(
        "--name",
        validator=_expect_name,
        help="Name of the folder in --logs; if there is one, a number is added.  [default: the "
        "time]",
    ),
]
Resume = Annotated[
    bool, Parameter(help="Go on with what was stopped under this --name; else begin it.")
]
_given: ContextVar[dict[str, list[str]]] = ContextVar("given")
"""What was written out on the command line; nothing where a command is called as a function."""
_DETECTOR = ("--detector", "--yunet-file", "--download")


def remember_given(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Note what was written out, for `find_given` and `propose`; cyclopts calls it.

    An empty path would be the current folder, so it is refused.
    """
    given = [each for each in arguments if each.tokens]
    for each in given:
        is_path = Path in (each.hint, *get_args(each.hint))
        values = [token.value for token in each.tokens if token.implicit_value is UNSET]
        if (is_path or each.index is not None) and "" in values:
            raise UsageError(
                f"{each.name} is empty: expected a name or a path, received ''. If it comes from a "
                "variable of the shell, that one is empty."
            )
    last = {each.name: each.tokens[-1] for each in given}
    _given.set({name: [each for each in (t.keyword, t.value) if each] for name, t in last.items()})


def find_given(*options: str) -> list[str]:
    """Return those of some options that were written out, be it with their default."""
    return [each for each in options if each in _given.get({})]


def propose(command: str, *words: str | Path, again: Sequence[str] = ()) -> str:
    """Return the line with the command that comes next, to be pasted where it is printed.

    Args:
        command: Its name.
        words: Its arguments and options; paths below the current folder are written from there.
        again: Options that it takes as they were given to this command, beside the detector's.
    """
    from emoclf.apps.commands import make_app
    from emoclf.apps.commands.pages import list_arguments

    known = {each.name for each in list_arguments(make_app()[command])}
    given = _given.get({})
    repeated = [
        word for each in (*again, *_DETECTOR) if each in known for word in given.get(each, ())
    ]
    here = Path.cwd()
    typed = [
        each.relative_to(here)
        if isinstance(each, Path) and each.is_absolute() and each.is_relative_to(here)
        else each
        for each in words
    ]
    return " ".join(["Next: python -m emoclf", *map(quote_argument, (command, *typed, *repeated))])


def suggest_more_training(photos: Photos) -> str:
    """Say what to do with a network that is not shown to be better than guessing."""
    return (
        f"With {count_noun(len(photos), 'photo')} the network is not shown to be better than "
        "guessing. What it gets wrong says nothing of the photos or their labels: first train on "
        "more photos, for more epochs (--epochs, where it has any), or another network (--network)."
    )


@Parameter(name="*")
@dataclass
class DetectorChoice:
    """Makes the detector that the options name when a photo needs one, and remembers it.

    Attributes:
        detector: What finds faces: YuNet, the packaged detector, or the better one that is there.
        yunet_file: A YuNet model file, instead of the one in the cache.
        download: Whether the detector's file may be fetched where it is missing.
    """

    detector: DetectorKind = "auto"
    yunet_file: ExistingFile | None = None
    download: Switch = True

    def __post_init__(self) -> None:
        """Refuse a file for a detector that has none."""
        if self.detector == "packaged" and self.yunet_file:
            raise UsageError("--yunet-file names a YuNet model: leave out --detector packaged.")
        self.made = None  # type: FaceDetector | None

    def __call__(self) -> FaceDetector:
        """Make the detector."""
        from emoclf.images.faces import make_detector

        self.made = make_detector(self.detector, model_path=self.yunet_file, download=self.download)
        return self.made


def load_tensorflow() -> None:
    """Load TensorFlow now, and say that it takes some seconds."""
    with waiting("Loading TensorFlow"):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


def load_predictor(
    model: Path | None, choice: DetectorChoice, *, faces_only: bool = False
) -> Predictor:
    """Load the packaged networks, a run folder or file of the user's, or a head's file."""
    from emoclf.inference import Predictor

    if model is None:
        return Predictor.packaged(faces_only=faces_only, detector=choice)
    if faces_only:
        raise UsageError(
            "--faces-only is for the packaged networks: leave it out, or what names another."
        )
    with waiting(f"Loading {show_text(model)}"):
        return Predictor.load(model, detector=choice)


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure of `emoclf.plots` as PNG, whole or not at all, and return its path."""
    from emoclf.storage import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return path


def refuse_empty(folder: Path | None) -> None:
    """Refuse to test on a folder without folders in it, before a network is loaded for it."""
    if folder is not None and not (folder.is_dir() and any(map(Path.is_dir, folder.iterdir()))):
        raise UsageError(
            f"{show_text(folder)}: expected a folder that holds one folder of photos per class. "
            f"Received: {'none in it' if folder.is_dir() else 'no folder'}."
        )


def refuse_existing(path: Path | None, option: str) -> None:
    """Refuse to write over a file."""
    if path is not None and path.exists():
        raise UsageError(f"{show_text(path)} exists already: give another name to {option}.")


WithoutFaceOption = Annotated[
    WithoutFace, Parameter(help="What becomes of a photo without a face, with --crop face.")
]
SplitFile = Annotated[
    ExistingFile | None,
    Parameter("--split", help="The photos of a split that `split` wrote, instead of FOLDER's."),
]


def read_size(_type: Any, tokens: Sequence[Token]) -> tuple[int, int]:
    """Read `96` or `96x128`: height and width in pixels."""
    numbers = tokens[0].value.lower().split("x")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"{tokens[0].value!r} is no size: give 96, or height x width, such as 96x128."
        )
    return int(numbers[0]), int(numbers[-1])


_SPECIAL: tuple[NetworkName, ...] = ("joint", "face")
"""Networks that take photos of another size or kind than the others."""

OF_NETWORKS = (
    *("--network", "--weights", "--batch-size", "--epochs", "--learning-rate", "--patience"),
    *("--dropout", "--ema-momentum", "--augment", "--precision"),
)
"""Options that decide how a network is trained, and nothing else."""

_NOT_OF_JOINT = (
    *OF_NETWORKS[1:],
    *("--crop", "--image-size", "--resize-mode", "--without-face", "--devices", "--workers"),
)
"""Options that a head on faces and scene has no use for."""


def show_default(name: str, _default: Any) -> str:
    """Return a setting's default as it is typed, and those of networks that have another."""
    usual, *others = (
        "x".join(map(str, value)) if isinstance(value, tuple) else value
        for value in (getattr(Settings(network=each), name) for each in ("small", *_SPECIAL))
    )
    named = [
        f"{value} with {network}"
        for value, network in zip(others, _SPECIAL, strict=True)
        if value != usual
    ]
    if name == "network":
        return "joint, or small with an option that joint has no use for"
    return ", ".join([str(usual), *named])


def derive_options(*names: str) -> Any:
    """Return a class with a field for each of these settings, for a command to take.

    Types, defaults and texts are those of `Settings`; its values are checked in `read_settings`.
    """
    hints = get_type_hints(Settings)
    special = {
        tuple[int, int]: Parameter(converter=read_size, n_tokens=1, metavar="SIZE"),
        bool: Parameter(negative=None),
    }
    chosen = [
        (
            each.name,
            Annotated[
                hints[each.name],
                special.get(hints[each.name], Parameter()),
                Parameter(show_default=partial(show_default, each.name)),
            ],
            each,
        )
        for each in fields(Settings)
        if each.name in names
    ]
    made = make_dataclass(
        "SettingOptions",
        [(name, hint, field.default) for name, hint, field in chosen],
        frozen=True,
        namespace={"__doc__": Settings.__doc__, "__module__": __name__},
    )
    return Parameter(name="*")(made)


if TYPE_CHECKING:
    SettingOptions = Settings
    SplitOptions = Settings
else:
    SettingOptions = derive_options(*(each.name for each in fields(Settings)))
    SplitOptions = derive_options("validation_fraction", "test_fraction", "seed")
SETTINGS, SPLIT = SettingOptions(), SplitOptions()


def read_settings(
    options: SettingOptions | SplitOptions, *, going_on: Run | None = None
) -> Settings:
    """Return the settings that were given; ValueError if one is out of its range.

    Where no network is named, it is that of the run to go on with; else `joint`, unless an option
    is given that it has no use for.
    """
    if isinstance(options, SettingOptions) and not find_given("--network"):
        options = replace(options, network=_choose_network(options, going_on))
    network = vars(options).get("network", "")
    if find_given("--weights") and network not in get_args(BackboneName):
        raise UsageError(
            f"--weights has no meaning with --network {quote_argument(network)}: it is for "
            f"{', '.join(get_args(BackboneName))}."
        )
    settings = Settings(**vars(options))
    if settings.is_backbone and settings.weights not in ("imagenet", "none"):
        _check_weights(Path(settings.weights))
    return settings


def _choose_network(options: SettingOptions, going_on: Run | None) -> NetworkName:
    if going_on is not None:
        return going_on.settings.network
    if options.crop == "both":
        return "joint"
    return "small" if options.crop or find_given(*_NOT_OF_JOINT) else "joint"


def find_going_on(resume: bool, name: str | None, *places: Path | None) -> Run | None:
    """Return the run of a name that is to go on, from the first place that has it."""
    from emoclf.run import SETTINGS_FILE_NAME, Run

    folders = [place / name for place in places if place and name and resume]
    return next((Run(each) for each in folders if (each / SETTINGS_FILE_NAME).is_file()), None)


def note_network(settings: Settings, *, going_on: Run | None = None) -> None:
    """Say which network is taken, and why, where none was named."""
    if find_given("--network"):
        return
    reason = (
        "it was right most often where it was measured (0.92 of a scraped folder, small 0.73) "
        "and learns from a thousand photos in half a minute. --network small trains one of your "
        "own from scratch."
    )
    if going_on is not None:
        reason = f"{show_text(going_on.folder)} began with it."
    elif settings.network != "joint":
        reason = f"joint, the usual one, has no use for {find_given(*_NOT_OF_JOINT)[0]}."
    echo(f"Network: {settings.network}, because {reason}")


def _check_weights(file: Path) -> None:
    """Refuse what is no file of weights; which network it is of is seen when it is loaded."""
    is_there = file.is_file() and file.suffix in WEIGHTS_SUFFIXES
    if not is_there or not file.read_bytes()[:8].startswith((b"PK", b"\x89HDF", b"\x80")):
        raise UsageError(
            f"--weights {quote_argument(file)}: expected imagenet, none, or a file of weights that "
            f"ends in {', '.join(WEIGHTS_SUFFIXES[:-1])} or {WEIGHTS_SUFFIXES[-1]}. Received: "
            f"{'another file' if file.is_file() else 'no file'}."
        )


def refuse_unused(settings: Settings) -> None:
    """Refuse options that the network has no use for, instead of leaving them out."""
    unused = find_given(*_NOT_OF_JOINT) if settings.network == "joint" else []
    for each in unused:
        if each not in ("--crop", "--image-size"):  # which can only be those of joint here
            raise UsageError(
                f"{each} has no meaning with --network joint, which learns a last layer in one "
                "step, from every photo. Leave it out, or take another network."
            )
    given = find_given("--without-face", *_DETECTOR) if settings.crop == "none" else []
    if given:
        raise UsageError(f"{given[0]} has no meaning for whole photos: add --crop face.")


def check_name(
    logs: Path,
    name: str | None,
    *,
    resume: bool,
    settings: Settings,
    example: str,
    copies: Path | None = None,
) -> None:
    """Refuse to go on with what cannot go on, and say if a new run gets another name."""
    if resume and name is None:
        raise UsageError(
            f"--resume needs the name of the run: --name {quote_argument(example)} --resume"
        )
    if name is None:
        return
    from emoclf.run import SETTINGS_FILE_NAME, Run, list_free_folders
    from emoclf.storage import refuse_another

    run = Run(logs / name)
    if not resume:
        note_other_name(next(list_free_folders(logs, name, copies=copies)), logs, name)
    elif (run.folder / SETTINGS_FILE_NAME).is_file():
        refuse_another(run.settings.to_dict(), settings.to_dict(), run.folder)
    elif run.folder.is_dir() and any(run.folder.iterdir()):
        raise UsageError(f"{show_text(run.folder)} is no run: give another --name.")


def note_other_name(folder: Path, logs: Path, name: str | None) -> None:
    """Say that a run got another name than it was given, because that one is taken."""
    if name is not None and folder.name != name:
        echo(
            f"Note: {show_text(logs / name)} was there before and stays as it is. This run is "
            f"{show_text(folder)}. (To go on with the one before: --resume.)",
            err=True,
        )


def choose_photos(
    folder: Path | None,
    split: Path | None,
    settings: Settings,
    class_map: dict[str, str] | None,
) -> Photos:
    """Return the photos to train on; refuse to be told none, or twice."""
    if (folder is None) == (split is None):
        raise UsageError(
            "Say what to train on: a FOLDER with one folder of photos per class, or --split FILE. "
            "Without photos, draw some: python -m emoclf draw-faces data"
        )
    decided = find_given("--validation-fraction", "--test-fraction", "--map")
    if split and decided:
        raise UsageError(f"{decided[0]} has no meaning with --split: the file decides.")
    return find_photos(split or folder or Path(), settings, class_map)


def open_run(folder: Path, photos_folder: Path | None) -> Run:
    """Open a run whose photos may have been moved to a folder."""
    from emoclf.run import Run

    return replace(Run.open(folder), photos_folder=photos_folder)


def find_photos(
    source: Path, settings: Settings, class_map: dict[str, str] | None, *, quiet: bool = False
) -> Photos:
    """Load a split, or clean and split a folder."""
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_photos
    from emoclf.photos import Photos

    if source.is_file():
        return Photos.load(source)
    with waiting(f"Reading the photos in {show_text(source)}"):
        report = find_problems(source, class_map=class_map, progress=is_watched() and not quiet)
        photos = split_photos(report.kept, settings)
    if not quiet:
        rejected = len(report.rejects)
        files = count_noun(len(report.records), "file")
        echo(f"{files}, {rejected:,} left out (`clean` says why)")
        echo(photos)
    return photos
