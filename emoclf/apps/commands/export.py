"""The command `export`: a network as a file for other programs, checked on photos."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emoclf.apps.commands.options import (
    DetectorChoice,
    clear_errors,
    detector_options,
    is_watched,
)
from emoclf.apps.commands.terminal import echo, echo_json

if TYPE_CHECKING:
    from emoclf.experiments.exporting import ExportReport
    from emoclf.models.formats import ExportFormat

_FORMATS = ("keras", "saved_model", "litert", "litert_int8", "onnx")


@click.command("export")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "formats",
    type=click.Choice(_FORMATS),
    multiple=True,
    help="What to write; may be given more than once.  [default: all that can be written here]",
)
@click.option(
    "--part",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which photos of the split the files are scored on.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Gets a folder for every format.  [default: exports, in the run folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@detector_options
def export_command(
    model: Path,
    photos: Path | None,
    formats: tuple[ExportFormat, ...],
    part: str,
    output: Path | None,
    as_json: bool,
    choice: DetectorChoice,
) -> None:
    """Write MODEL, a run folder or a .keras file of yours, in the formats of other programs.

    Every file is loaded again and scored on the photos that the run kept for the test; the table
    says how far its answers are from the network's, how large it is and how long a photo takes.
    PHOTOS is another folder with one folder of photos per class; a .keras file needs it.

    \b
    Formats:
      keras        Keras, without the training's state
      saved_model  TensorFlow and TensorFlow Serving
      litert       phones and small machines
      litert_int8  the same, a quarter of the size
      onnx         OpenCV, ONNX Runtime, browsers; needs the extra `export`

    \b
    Examples:
      python -m emoclf export logs/first
      python -m emoclf export logs/first --format litert --format onnx
      python -m emoclf export best.keras data --output exported --json

    \b
    Exit codes:
      0  every file answers as the network does (int8 may differ; the table says how far)
      1  a file of a float format does not, or something could not be done
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    with clear_errors():
        report = _export(model, photos, formats, part, output, as_json, choice)
    if as_json:
        echo_json(report.to_dict())
    else:
        echo(str(report))
    sys.exit(0 if report.is_kept else 1)


def _export(
    model: Path,
    photos: Path | None,
    formats: tuple[ExportFormat, ...],
    part: str,
    output: Path | None,
    as_json: bool,
    choice: DetectorChoice,
) -> ExportReport:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from emoclf.runtime import quiet_start

    with quiet_start():
        import tensorflow  # noqa: F401 - here, where what it says is kept off the screen

        from emoclf.experiments.exporting import export_model
    return export_model(
        model,
        formats or None,
        photos=photos,
        part=part,
        folder=output,
        detector=choice,
        say=(lambda _: None) if as_json else echo,
        progress=is_watched() and not as_json,
    )
