"""An option for every setting, and which photos a training command takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import Parameter, Token

from emoclf.apps.commands.errors import UsageError
from emoclf.apps.commands.options import ExistingFile, find_given
from emoclf.apps.commands.terminal import echo, is_watched
from emoclf.config import Settings, WithoutFace

if TYPE_CHECKING:
    from emoclf.photos import Photos

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


def show_size(size: tuple[int, int]) -> str:
    """Return a size as it is typed."""
    return "x".join(map(str, size))


def derive_options(*names: str) -> Any:
    """Return a class with a field for each of these settings, for a command to take.

    Types, defaults and texts are those of `Settings`; its values are checked in `read_settings`.
    """
    hints = get_type_hints(Settings)
    special = {
        tuple[int, int]: Parameter(
            converter=read_size, n_tokens=1, metavar="SIZE", show_default=show_size
        ),
        bool: Parameter(negative=None),
    }
    chosen = [
        (each.name, Annotated[hints[each.name], special.get(hints[each.name], Parameter())], each)
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


def read_settings(options: SettingOptions | SplitOptions) -> Settings:
    """Return the settings that were given.

    Raises:
        ValueError: If a value is out of its range.
    """
    return Settings(**vars(options))


def check_source(folder: Path | None, split: Path | None) -> None:
    """Refuse calls that do not say what to train on, or say it twice."""
    if (folder is None) == (split is None):
        raise UsageError(
            "Say what to train on: a FOLDER with one folder of photos per class, or --split FILE. "
            "Without photos, draw some: python -m emoclf draw-faces data"
        )
    decided = find_given("--validation-fraction", "--test-fraction", "--map")
    if split and decided:
        raise UsageError(f"{decided[0]} has no meaning with --split: the file decides.")


def find_photos(
    source: Path, settings: Settings, class_map: dict[str, str] | None, *, quiet: bool = False
) -> Photos:
    """Load a split, or clean and split a folder."""
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_photos
    from emoclf.photos import Photos

    if source.is_file():
        return Photos.load(source)
    report = find_problems(source, class_map=class_map, progress=is_watched() and not quiet)
    photos = split_photos(report.kept, settings)
    if not quiet:
        rejected = len(report.rejects)
        echo(f"{len(report.records):,} files, {rejected:,} left out (`clean` says why)")
        echo(photos)
    return photos
