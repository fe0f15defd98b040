"""The command `train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from emoclf.apps.commands.options import (
    DetectorChoice,
    class_map_option,
    clear_errors,
    detector_options,
    is_watched,
)
from emoclf.apps.commands.settings import (
    check_train_source,
    find_split,
    is_on_command_line,
    logs_option,
    settings_options,
    without_face_option,
)
from emoclf.apps.commands.terminal import echo, plain_warnings
from emoclf.config import BackboneName, NetworkName, Settings
from emoclf.untrusted import quote_argument

if TYPE_CHECKING:
    from emoclf.data.loading import WithoutFace
    from emoclf.training import Devices


@click.command("train")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--split",
    "split_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Train on a split that `split` wrote, instead of on FOLDER.",
)
@logs_option
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
    help="all: every GPU of this machine takes a share of every batch.",
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
@without_face_option
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
      python -m emoclf train data --crop face --epochs 30 --name faces
      python -m emoclf train data --crop face --network face --image-size 48
      python -m emoclf train data --network mobilenetv3small
      python -m emoclf train --split split.json --image-size 128 --no-augment
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    check_train_source(context, folder, split_file)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stopped = (
        "Stopped. If a run folder is named above, best.keras in it is the best epoch so far, and "
        "the same command with --resume and --name (the folder's name) goes on."
    )
    _check_train_options(context, values["network"])
    with plain_warnings(), clear_errors(stopped=stopped):
        settings = Settings(**values)
        photos = find_split(folder, split_file, class_map, settings)
        echo(str(photos))
        from emoclf.runtime import quiet_start

        with quiet_start():
            from emoclf.training import train, train_on_cluster
        options: dict[str, Any] = {
            "logs": logs,
            "detector": choice() if settings.crop == "face" else None,
            "without_face": without_face,
            "say": echo,
            "progress": is_watched(),
        }
        if machines is not None:
            addresses = [each.strip() for each in machines.split(",")]
            options |= {"addresses": addresses, "index": machine, "name": name}
            train_on_cluster(photos, settings, **options)
            echo(f"Next: python -m emoclf evaluate {quote_argument(logs / str(name))}")
            return
        result = train(
            photos,
            settings,
            name=name,
            resume=resume,
            copies=copies,
            devices=devices,
            verbose=1 if sys.stdout.isatty() else 2,
            **options,
        )
    echo(str(result))
    echo(f"Next: python -m emoclf evaluate {quote_argument(result.run.folder)}")


def _check_train_options(context: click.Context, network: NetworkName) -> None:
    """Refuse options that do not fit together, instead of leaving one out."""
    given = {name for name in ("resume", "machines", "name") if context.params[name]}
    options = ("copies", "devices", "machine", "weights")
    on_line = {name for name in options if is_on_command_line(context, name)}
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
            f"--weights has no meaning with --network {quote_argument(network)}: it is for "
            f"{', '.join(get_args(BackboneName))}."
        )
