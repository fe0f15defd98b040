"""The command `analyse-errors`."""

from __future__ import annotations

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
from emoclf.apps.commands.terminal import echo, echo_json
from emoclf.config import PARTS
from emoclf.run import Run
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from emoclf.evaluation import RobustnessReport, SliceReport
    from emoclf.images.faces import FaceDetector

_PACKAGED = "packaged"


@click.command("analyse-errors")
@click.argument("model")
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="test",
    show_default=True,
    help="Which photos of the run's split, without FOLDER.",
)
@click.option(
    "--slices/--no-slices", default=True, help="Accuracy by light, sharpness, size, faces."
)
@click.option("--robustness/--no-robustness", default=True, help="Accuracy on corrupted photos.")
@click.option(
    "--search-again",
    is_flag=True,
    help="Search for faces in the corrupted photos, instead of in the clean ones.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Gets tables and figures.  [default: the run folder, without FOLDER]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@class_map_option
@detector_options
def analyse_errors_command(
    model: str,
    folder: Path | None,
    part: str,
    slices: bool,
    robustness: bool,
    search_again: bool,
    output: Path | None,
    as_json: bool,
    class_map: dict[str, str],
    choice: DetectorChoice,
) -> None:
    """Find where MODEL is weak: on which photos it errs, and what corruption to photos it bears.

    MODEL is a run folder, a .keras file of yours, or "packaged". Its test photos, or those in
    FOLDER, which holds one folder per class, are sorted by brightness, sharpness, size and faces;
    then they are blurred, darkened, compressed, turned and covered, ever more. Tables and figures
    are written into the run folder.

    \b
    Examples:
      python -m emoclf analyse-errors logs/first
      python -m emoclf analyse-errors logs/first --no-robustness
      python -m emoclf analyse-errors packaged data --output found
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    if folder is None and not Run(Path(model)).is_there:
        raise click.UsageError(
            f"{show_text(model)} is no run folder: name the photos to test it on. "
            f"For example: python -m emoclf analyse-errors {quote_argument(Path(model))} data"
        )
    target = output or (Path(model) if folder is None else None)
    prefix = f"{part}_" if folder is None and part != "test" else ""
    with clear_errors():
        found = _find(model, folder, part, class_map, choice, slices, robustness, search_again)
        numbers = {name: report.to_dict() for name, report in found.items()}
        files = _save(found, target, prefix) if target else []
    if as_json:
        echo_json(numbers)
        return
    echo("\n\n".join(map(str, found.values())))
    if files:
        echo(f"\nWritten: {', '.join(map(show_text, files))}")


def _find(
    model: str,
    folder: Path | None,
    part: str,
    class_map: dict[str, str],
    choice: DetectorChoice,
    slices: bool,
    robustness: bool,
    search_again: bool,
) -> dict[str, Any]:
    """Return the reports that are asked for, by name."""
    from emoclf.apps.commands.answering import load_predictor
    from emoclf.experiments.error_analysis import evaluate_robustness, evaluate_slices
    from emoclf.inference.testing import evaluate, evaluate_folder

    predictor = load_predictor(None if model == _PACKAGED else Path(model), choice)
    watched = is_watched()
    if folder is None:
        test = evaluate(model, part=part, predictor=predictor, progress=watched)
    else:
        test = evaluate_folder(predictor, folder, class_map=class_map, progress=watched)
    if test.left_out:
        echo(f"Note: {len(test.left_out):,} photos without an answer are left out.", err=True)
    found: dict[str, SliceReport | RobustnessReport] = {}
    if slices:
        detector = _make_detector(choice)
        found["slices"] = evaluate_slices(test.evaluation, detector=detector, progress=watched)
    if robustness:
        found["robustness"] = evaluate_robustness(
            predictor, test.evaluation.photos, search_again=search_again, progress=watched
        )
    return found


def _make_detector(choice: DetectorChoice) -> FaceDetector | None:
    """Make the detector for the slices by face; without one, say so and go on without them."""
    from emoclf.images.faces import FaceDetectorUnavailableError

    try:
        return choice.made or choice()
    except FaceDetectorUnavailableError as error:
        echo(f"Note: no slices by face. {show_text(error)}", err=True)
        return None


def _save(found: dict[str, Any], folder: Path, prefix: str) -> list[Path]:
    """Write every report as JSON and as a figure."""
    from emoclf.plots import plot_robustness, plot_slices
    from emoclf.storage import write_json

    plots: dict[str, Callable[[Any], Figure]] = {
        "slices": plot_slices,
        "robustness": plot_robustness,
    }
    files = []
    for name, report in found.items():
        files.append(write_json(folder / f"{prefix}{name}.json", report.to_dict()))
        files.append(save_figure(plots[name](report), folder / f"{prefix}{name}.png"))
    return files
