"""Options that several commands share: one for every setting, and where the photos come from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click

from emoclf.apps.commands.options import Command, is_watched
from emoclf.apps.commands.terminal import echo
from emoclf.config import NetworkName, Precision, Settings
from emoclf.photos import Photos

_DEFAULTS = Settings()
_OPTION_NAMES = {"class_map": "map"}


logs_option = click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("logs"),
    show_default=True,
    help="Holds a folder for every run.",
)
"""Where a command puts its run."""

without_face_option = click.option(
    "--without-face",
    type=click.Choice(["leave_out", "whole_photo"]),
    default="leave_out",
    show_default=True,
    help="What becomes of a photo without a face, with --crop face.",
)
"""What a command does where it is to look at faces and finds none."""


class ImageSize(click.ParamType):
    """`96` or `96x128`: height and width in pixels."""

    name = "pixels"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int]:
        """Read the two numbers."""
        if isinstance(value, tuple):
            return value
        numbers = str(value).lower().split("x")
        if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
            self.fail(f"{value!r} is no size: give 96, or height x width: 96x128.", param, context)
        return int(numbers[0]), int(numbers[-1])


_SETTINGS_HELP: dict[str, tuple[Any, str]] = {
    "image_size": (ImageSize(), "What the network sees: 96, or 96x128 (height x width)."),
    "resize_mode": (click.Choice(["pad", "crop"]), "The whole photo, or its centre."),
    "crop": (click.Choice(["none", "face"]), "Whole photos, or the largest face of each."),
    "network": (
        click.Choice(get_args(NetworkName)),
        "small and deep learn from your photos alone, face goes on from the packaged network, the "
        "others from one of keras.applications.",
    ),
    "weights": (str, "What those others know: imagenet (downloaded once), none, or a file."),
    "validation_fraction": (float, "Share of the photos that choose the best epoch."),
    "test_fraction": (float, "Share of the photos that are kept for the test."),
    "batch_size": (int, "Photos per training step."),
    "epochs": (int, "Passes over the training photos at most."),
    "learning_rate": (float, "Largest step size of the optimizer."),
    "patience": (int, "Epochs without a better validation loss before it stops."),
    "dropout": (float, "Share of the features switched off at random while training."),
    "ema_momentum": (float, "Momentum of the average of the weights, such as 0.99; 0 for none."),
    "augment": (bool, "Whether photos are flipped, moved, turned and re-lit at random."),
    "class_weights": (bool, "Whether the rarer class counts for more."),
    "precision": (
        click.Choice(get_args(Precision)),
        "auto: half precision while training on a GPU that gains from it.",
    ),
    "seed": (int, "Seed of everything random."),
}
"""Every field of `Settings` with its type on the command line and its help text."""


def settings_options(command: Command) -> Command:
    """Give a command one option for every field of `Settings`."""
    for field in reversed(fields(Settings)):
        kind, text = _SETTINGS_HELP[field.name]
        name = field.name.replace("_", "-")
        default = getattr(_DEFAULTS, field.name)
        if kind is bool:
            option = click.option(
                f"--{name}/--no-{name}", default=default, show_default=True, help=text
            )
        else:
            shown = "x".join(map(str, default)) if isinstance(default, tuple) else True
            option = click.option(
                f"--{name}", type=kind, default=default, show_default=shown, help=text
            )
        command = option(command)
    return command


def check_train_source(
    context: click.Context, folder: Path | None, split_file: Path | None
) -> None:
    """Refuse calls that do not say what to train on, or say it twice."""
    if (folder is None) == (split_file is None):
        raise click.UsageError(
            "Say what to train on: a FOLDER with one folder of photos per class, or --split FILE. "
            "Without photos, draw some: python -m emoclf draw-faces data"
        )
    for name in ("validation_fraction", "test_fraction", "class_map"):
        if split_file and is_on_command_line(context, name):
            raise click.UsageError(
                f"--{_OPTION_NAMES.get(name, name.replace('_', '-'))} has no meaning with --split: "
                "the file decides."
            )


def is_on_command_line(context: click.Context, name: str) -> bool:
    """Return whether an option was written out, and is not the default."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def find_split(
    folder: Path | None, split_file: Path | None, class_map: dict[str, str], settings: Settings
) -> Photos:
    """Load the split that a command was given, or clean and split its folder."""
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_photos

    if split_file is not None:
        return Photos.load(split_file)
    report = find_problems(folder or ".", class_map=class_map, progress=is_watched())
    rejected = len(report.rejects)
    echo(f"{len(report.records):,} files, {rejected:,} left out (`clean` says why)")
    return split_photos(report.kept, settings)
