"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emoclf.apps.commands.options import (
    DetectorChoice,
    class_map_option,
    clear_errors,
    detector_options,
    is_watched,
)
from emoclf.apps.commands.terminal import echo, echo_json
from emoclf.config import PARTS
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.inference.testing import PhotoTest

_PACKAGED = "packaged"


@click.command("evaluate")
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--part",
    type=click.Choice(PARTS),
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
    and the numbers, every answer and the time of this look are written into the run folder; a
    second look is allowed, and what it is worth is said. FOLDER is another folder with
    one folder of photos per class.

    \b
    Examples:
      python -m emoclf evaluate logs/first-run
      python -m emoclf evaluate packaged data
      python -m emoclf evaluate logs/first-run other_photos --json
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    if model != _PACKAGED and not Path(model).exists():
        raise click.UsageError(
            f"{show_text(model)} does not exist: name a run folder, such as logs/first, "
            "or a .keras file."
        )
    if folder is None and not Path(model).is_dir():
        raise click.UsageError(
            f"{show_text(model)} is no run folder: name the photos to test it on. "
            f"For example: python -m emoclf evaluate {quote_argument(Path(model))} data"
        )
    with clear_errors():
        test = _test(model, folder, part, class_map, choice)
        if folder is None:
            from emoclf.training import save_evaluation

            kept = save_evaluation(test.evaluation, model)
    if as_json:
        left_out = [{"file": name, "reason": reason} for name, reason in test.left_out]
        document = {**test.evaluation.to_dict(), "left_out": left_out}
        if test.access_log:
            document["test_accesses"] = len(test.access_log.accesses)
        echo_json(document)
        return
    echo(str(test))
    if folder is None:
        echo(f"\nWritten to {show_text(kept)} and, photo by photo, to the table beside it")


def _test(
    model: str,
    folder: Path | None,
    part: str,
    class_map: dict[str, str],
    choice: DetectorChoice,
) -> PhotoTest:
    from emoclf.apps.commands.answering import load_predictor
    from emoclf.inference.testing import evaluate, evaluate_folder
    from emoclf.run import Run

    is_packaged = model == _PACKAGED and folder is not None
    predictor = load_predictor(None if is_packaged else Path(model), choice)
    if folder is None:
        return evaluate(model, part=part, predictor=predictor, progress=is_watched())
    run = Run(Path(model))
    if run.is_there and Path(run.photos.root).resolve() == folder.resolve():
        echo(
            "Note: the network has learned from photos in this folder, so the numbers are too "
            "good. Leave FOLDER out to test on the photos that were kept for it.",
            err=True,
        )
    return evaluate_folder(predictor, folder, class_map=class_map, progress=is_watched())
