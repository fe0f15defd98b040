"""The commands `train` and `evaluate`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from emoclf.commands.answering import plain_warnings
from emoclf.commands.options import (
    Command,
    DetectorChoice,
    class_map_option,
    clear_errors,
    detector_options,
    is_watched,
    quote,
)
from emoclf.config import SPLIT_NAMES, BackboneName, NetworkName, Precision, Settings

if TYPE_CHECKING:
    from emoclf.datasets import WithoutFace
    from emoclf.pipeline import PhotoTest
    from emoclf.splits import SplitManifest
    from emoclf.training import Devices

_DEFAULTS = Settings()
_PACKAGED = "packaged"
_OPTION_NAMES = {"class_map": "map"}


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
    "subject": (click.Choice(["photo", "face"]), "Whole photos, or the largest face of each."),
    "network": (
        click.Choice(get_args(NetworkName)),
        "small and deep learn from your photos alone, face goes on from the packaged network, the "
        "others from one of keras.applications.",
    ),
    "weights": (str, "What those others know: imagenet (downloaded once), none, or a file."),
    "validation_share": (float, "Share of the photos that choose the best epoch."),
    "test_share": (float, "Share of the photos that are kept for the test."),
    "batch_size": (int, "Photos per training step."),
    "epochs": (int, "Passes over the training photos at most."),
    "learning_rate": (float, "Largest step size of the optimizer."),
    "patience": (int, "Epochs without a better validation loss before it stops."),
    "dropout": (float, "Share of the features switched off at random while training."),
    "averaging": (float, "Momentum of the average of the weights, such as 0.99; 0 for none."),
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


@click.command("train")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--split",
    "split_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Train on a split that `split` wrote, instead of on FOLDER.",
)
@click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("logs"),
    show_default=True,
    help="Holds a folder for every run.",
)
@click.option("--name", help="Name of the run.  [default: the time]")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run of this --name, if it was stopped; else begin it.",
)
@click.option(
    "--copies",
    type=click.Path(file_okay=False, path_type=Path),
    help="A second place, such as a mounted drive, that gets a copy of the run after every epoch.",
)
@class_map_option
@click.option(
    "--devices",
    type=click.Choice(["one", "all"]),
    default="one",
    show_default=True,
    help="all: every graphics card of this machine takes a share of every batch.",
)
@click.option(
    "--machines",
    metavar="HOST:PORT,...",
    help="Train on several machines: the same list and the same command on each of them.",
)
@click.option(
    "--machine", type=click.IntRange(0), default=0, help="Which of --machines this one is, from 0."
)
@settings_options
@click.option(
    "--without-face",
    type=click.Choice(["leave_out", "whole_photo"]),
    default="leave_out",
    show_default=True,
    help="What becomes of a photo without a face, with --subject face.",
)
@detector_options
@click.pass_context
def train_command(
    context: click.Context,
    folder: Path | None,
    split_file: Path | None,
    logs: Path,
    name: str | None,
    resume: bool,
    copies: Path | None,
    devices: Devices,
    machines: str | None,
    machine: int,
    class_map: dict[str, str],
    without_face: WithoutFace,
    choice: DetectorChoice,
    **values: Any,
) -> None:
    """Train a network on the photos in FOLDER, which holds one folder per class.

    Damaged files and copies are left out (`clean` says which), the rest is split, and a share is
    kept for the test (`evaluate`). The run folder keeps the settings, the split, the curves, the
    best epoch and the model.

    With --resume, a training that was stopped, by Ctrl-C or by a power cut, goes on when the same
    command is given again, and ends as if it had not been stopped.

    \b
    Examples:
      python -m emoclf train data
      python -m emoclf train data --name first --resume
      python -m emoclf train data --subject face --epochs 30 --name faces
      python -m emoclf train data --subject face --network face --image-size 48
      python -m emoclf train data --network mobilenetv3small
      python -m emoclf train --split split.json --image-size 128 --no-augment
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    _check_train_source(context, folder, split_file)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stopped = (
        "Stopped. If a run folder is named above, best.keras in it is the best epoch so far, and "
        "the same command with --resume and --name (the folder's name) goes on."
    )
    _check_train_options(context, values["network"])
    with plain_warnings(), clear_errors(stopped=stopped):
        settings = Settings(**values)
        manifest = _find_split(folder, split_file, class_map, settings)
        click.echo(manifest.describe())
        from emoclf.runtime import quiet_start

        with quiet_start():
            from emoclf.pipeline import train_classifier, train_on_cluster
            from emoclf.training import describe_history
        options: dict[str, Any] = {
            "logs": logs,
            "detector": choice() if settings.subject == "face" else None,
            "without_face": without_face,
            "say": click.echo,
            "progress": is_watched(),
        }
        if machines is not None:
            addresses = [each.strip() for each in machines.split(",")]
            options |= {"addresses": addresses, "index": machine, "name": name}
            train_on_cluster(manifest, settings, **options)
            click.echo(f"Next: python -m emoclf evaluate {quote(logs / str(name))}")
            return
        result = train_classifier(
            manifest,
            settings,
            name=name,
            resume=resume,
            copies=copies,
            devices=devices,
            verbose=1 if sys.stdout.isatty() else 2,
            **options,
        )
    click.echo(describe_history(result.history))
    click.echo(result.collapse or "Both classes are used.")
    click.echo(f"Next: python -m emoclf evaluate {quote(result.run_folder)}")


def _check_train_source(
    context: click.Context, folder: Path | None, split_file: Path | None
) -> None:
    """Refuse calls that do not say what to train on, or say it twice."""
    if (folder is None) == (split_file is None):
        raise click.UsageError(
            "Say what to train on: a FOLDER with one folder of photos per class, or --split FILE. "
            "Without photos, draw some: python -m emoclf draw-faces data"
        )
    for name in ("validation_share", "test_share", "class_map"):
        if split_file and _is_on_command_line(context, name):
            raise click.UsageError(
                f"--{_OPTION_NAMES.get(name, name.replace('_', '-'))} has no meaning with --split: "
                "the file decides."
            )


def _check_train_options(context: click.Context, network: NetworkName) -> None:
    """Refuse options that do not fit together, instead of leaving one out."""
    given = {name for name in ("resume", "machines", "name") if context.params[name]}
    options = ("copies", "devices", "machine", "weights")
    on_line = {name for name in options if _is_on_command_line(context, name)}
    if {"resume", "machines"} & given and "name" not in given:
        raise click.UsageError(
            "--resume and --machines need the name of the run: --name first --resume"
        )
    if "machines" in given and {"copies", "devices"} & on_line:
        raise click.UsageError("--copies and --devices are for one machine: leave out --machines.")
    if "machine" in on_line and "machines" not in given:
        raise click.UsageError("--machine needs the list of all: --machines a:2222,b:2222")
    if "weights" in on_line and network not in get_args(BackboneName):
        raise click.UsageError(
            f"--weights has no meaning with --network {network}: it is for "
            f"{', '.join(get_args(BackboneName))}."
        )


def _is_on_command_line(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _find_split(
    folder: Path | None, split_file: Path | None, class_map: dict[str, str], settings: Settings
) -> SplitManifest:
    from emoclf.cleaning import find_problems
    from emoclf.pipeline import split_report
    from emoclf.splits import load_manifest

    if split_file is not None:
        return load_manifest(split_file)
    report = find_problems(folder or ".", class_map=class_map, progress=is_watched())
    rejected = len(report.rejects)
    click.echo(f"{len(report.records):,} files, {rejected:,} left out (`clean` says why)")
    return split_report(report, settings)


@click.command("evaluate")
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--part",
    type=click.Choice(SPLIT_NAMES),
    default="test",
    show_default=True,
    help="Which photos of the run's split, without FOLDER.",
)
@class_map_option
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@detector_options
def evaluate_command(
    model: str,
    folder: Path | None,
    part: str,
    class_map: dict[str, str],
    as_json: bool,
    choice: DetectorChoice,
) -> None:
    """Test MODEL on photos with known classes: accuracy with its interval, and what it confuses.

    MODEL is a run folder, a .keras file of yours, or "packaged" for the face network that comes
    with emoclf. Without FOLDER, a run is tested on the photos that its split has kept for the test,
    and the numbers and every answer are written into the run folder. FOLDER is another folder with
    one folder of photos per class.

    \b
    Examples:
      python -m emoclf evaluate logs/first-run
      python -m emoclf evaluate packaged data
      python -m emoclf evaluate logs/first-run other_photos --json
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    if model != _PACKAGED and not Path(model).exists():
        raise click.UsageError(
            f"{model} does not exist: name a run folder, such as logs/first, or a .keras file."
        )
    if folder is None and not Path(model).is_dir():
        raise click.UsageError(
            f"{model} is no run folder: name the photos to test it on. "
            f"For example: python -m emoclf evaluate {quote(model)} data"
        )
    with clear_errors():
        test = _test(model, folder, part, class_map, choice)
        if folder is None:
            from emoclf.training import save_evaluation

            kept = save_evaluation(test.evaluation, model, split=part)
    if as_json:
        left_out = [{"file": name, "reason": reason} for name, reason in test.left_out]
        click.echo(json.dumps({**test.evaluation.to_dict(), "left_out": left_out}, indent=1))
        return
    click.echo(test.describe())
    if folder is None:
        click.echo(f"\nWritten to {kept} and, photo by photo, to the table beside it")


def _test(
    model: str,
    folder: Path | None,
    part: str,
    class_map: dict[str, str],
    choice: DetectorChoice,
) -> PhotoTest:
    from emoclf.commands.answering import load_predictor
    from emoclf.pipeline import evaluate_folder, evaluate_run
    from emoclf.splits import load_manifest

    is_packaged = model == _PACKAGED and folder is not None
    predictor = load_predictor(None if is_packaged else Path(model), choice)
    if folder is None:
        return evaluate_run(model, split=part, predictor=predictor, progress=is_watched())
    split_file = Path(model) / "split.json"
    if split_file.is_file() and Path(load_manifest(split_file).root).resolve() == folder.resolve():
        click.echo(
            "Note: the network has learned from photos in this folder, so the numbers are too "
            "good. Leave FOLDER out to test on the photos that were kept for it.",
            err=True,
        )
    return evaluate_folder(predictor, folder, class_map=class_map, progress=is_watched())
