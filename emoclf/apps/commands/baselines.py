"""The command `baselines`."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emoclf.apps.commands.figures import save_figure
from emoclf.apps.commands.options import (
    DetectorChoice,
    class_map_option,
    clear_errors,
    detector_options,
    is_watched,
)
from emoclf.apps.commands.settings import (
    logs_option,
    settings_options,
)
from emoclf.apps.commands.terminal import echo, echo_json
from emoclf.config import Settings
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.experiments.baselines import BaselineComparison, BaselineName

_BASELINES = (
    "majority",
    "brightness",
    "colours",
    "pixels",
    "network",
    "face_features",
    "fine_tuned",
)


@click.command("baselines")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@logs_option
@click.option("--name", help="Name of the baselines's folder.  [default: the time]")
@click.option("--resume", is_flag=True, help="Go on with the baselines of this --name.")
@click.option(
    "--skip",
    type=click.Choice(_BASELINES),
    multiple=True,
    help="A baseline to leave out; may be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@class_map_option
@settings_options
@detector_options
@click.pass_context
def baselines_command(
    context: click.Context,
    source: Path,
    logs: Path,
    name: str | None,
    resume: bool,
    skip: tuple[BaselineName, ...],
    as_json: bool,
    class_map: dict[str, str],
    choice: DetectorChoice,
    **values: Any,
) -> None:
    """Compare simple rules and networks on the same test photos: what did the network learn?

    SOURCE is a folder with one folder of photos per class, a split that `split` wrote, or a run
    folder, whose trained network is then one of the baselines. All baselines learn from the same
    photos and are asked once about the same test photos. What is done is kept: given again with
    --resume and --name (a run folder needs neither), an interrupted baselines goes on.

    \b
    Baselines:
      majority       always the more frequent class
      brightness     how bright a photo is, and nothing else
      colours        mean colours and their spread
      pixels         all pixels of a small copy, weighed
      network        the network of the settings, or of the run
      face_features  what the packaged face network sees, weighed
      fine_tuned     the packaged face network, trained on

    \b
    Examples:
      python -m emoclf baselines data --name baselines --resume
      python -m emoclf baselines logs/first
      python -m emoclf baselines data --skip network --skip fine_tuned
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    is_run = Run(source).is_there
    _check_options(context, source, is_run)
    if resume and name is None:
        raise click.UsageError(
            "--resume needs the name of the baselines: --name baselines --resume"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    again = "the same command" if is_run else "the same command with --resume and --name"
    with clear_errors(stopped=f"Stopped. Baselines that are done are kept: {again} goes on."):
        say = (lambda _: None) if as_json else echo
        settings = Settings(**values)
        photos = None if is_run else _find_split(source, class_map, settings, as_json)
        from emoclf.runtime import quiet_start

        with quiet_start():
            from emoclf.experiments.baselines import train_baselines
        needs_faces = not {"face_features", "fine_tuned"} <= set(skip)
        baselines = train_baselines(
            photos,
            None if is_run else settings,
            run_folder=source if is_run else None,
            logs=logs,
            name=name,
            resume=resume,
            skip=skip,
            detector=choice() if needs_faces or settings.crop == "face" else None,
            say=say,
            progress=is_watched() and not as_json,
        )
        _show(baselines, as_json)


def _show(baselines: BaselineComparison, as_json: bool) -> None:
    from emoclf.plots import plot_baselines

    figure = save_figure(plot_baselines(baselines), baselines.folder / "baselines.png")
    if as_json:
        echo_json({**baselines.to_dict(), "folder": str(baselines.folder)})
        return
    echo(f"\n{baselines}")
    echo(
        f"\nWritten to {show_text(baselines.folder / 'baselines.json')} and {figure.name} beside it"
    )


def _check_options(context: click.Context, source: Path, is_run: bool) -> None:
    """Refuse options that a run folder decides."""
    if not is_run:
        return
    for name in ("logs", "name", "class_map", *(field.name for field in fields(Settings))):
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given:
            option = "map" if name == "class_map" else name.replace("_", "-")
            raise click.UsageError(
                f"--{option} has no meaning with a run folder: {show_text(source)} decides."
            )


def _find_split(
    source: Path, class_map: dict[str, str], settings: Settings, is_quiet: bool
) -> Photos:
    """Read a split, or clean and split a folder."""
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_photos

    if source.is_file():
        return Photos.load(source)
    report = find_problems(source, class_map=class_map, progress=is_watched() and not is_quiet)
    photos = split_photos(report.kept, settings)
    if not is_quiet:
        echo(f"{len(report.records):,} files, {len(report.rejects):,} left out")
        echo(str(photos))
    return photos
