"""The commands for label errors, from `cross-validate` to `compare-corrections`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    logs_option,
    settings_options,
    without_face_option,
)
from emoclf.apps.commands.terminal import echo
from emoclf.config import Settings
from emoclf.run import Run
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.loading import WithoutFace
    from emoclf.experiments.cross_validation import Learner

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_RUN = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("cross-validate")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--split", "split_file", type=_FILE, help="Take the photos of a split that `split` wrote."
)
@logs_option
@click.option("--name", help="Name of the run.  [default: the time]")
@click.option("--resume", is_flag=True, help="Go on with the run of this --name, else begin it.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many times all photos are answered, each time with other folds.",
)
@click.option(
    "--learner",
    type=click.Choice(["network", "face_features"]),
    default="network",
    show_default=True,
    help="face_features: the packaged network's features of each face and a logistic regression, "
    "in seconds.",
)
@click.option(
    "--include-test", is_flag=True, help="Divide the test photos, too: for very small folders."
)
@class_map_option
@settings_options
@without_face_option
@detector_options
@click.pass_context
def cross_validate_command(
    context: click.Context,
    folder: Path | None,
    split_file: Path | None,
    logs: Path,
    name: str | None,
    resume: bool,
    folds: int,
    repeats: int,
    learner: Learner,
    include_test: bool,
    class_map: dict[str, str],
    without_face: WithoutFace,
    choice: DetectorChoice,
    **values: Any,
) -> None:
    """Let every photo in FOLDER be answered by a network that has not seen it.

    The photos are divided into folds, copies of a photo in one; each fold is answered by a network
    that has learned from the others. That uses a small folder well, and it is what
    `find-label-errors` needs. It trains --folds times --repeats networks: how long that takes is
    said first, measured on a few steps. The test photos of the split are not looked at.

    Every finished fold is kept; with --resume, the same command goes on after it was stopped.

    \b
    Examples:
      python -m emoclf cross-validate data --name check
      python -m emoclf cross-validate data --name check --resume
      python -m emoclf cross-validate data --learner face_features --crop face --image-size 48
      python -m emoclf find-label-errors logs/check
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    check_train_source(context, folder, split_file)
    if resume and name is None:
        raise click.UsageError("--resume needs the name of the run: --name check --resume")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stopped = "Stopped. Finished folds are kept: the same command with --resume and --name goes on."
    with clear_errors(stopped=stopped):
        settings = Settings(**values)
        photos = find_split(folder, split_file, class_map, settings)
        from emoclf.runtime import quiet_start

        with quiet_start():
            from emoclf.experiments.cross_validation import cross_validate
        result = cross_validate(
            photos,
            settings,
            fold_count=folds,
            repeats=repeats,
            learner=learner,
            include_test=include_test,
            logs=logs,
            name=name,
            resume=resume,
            detector=choice() if settings.crop == "face" else None,
            without_face=without_face,
            say=echo,
            progress=is_watched(),
        )
    echo(f"\n{result}")
    echo(f"Next: python -m emoclf find-label-errors {quote_argument(result.run_folder)}")


@click.command("find-label-errors")
@click.argument("run", type=_RUN)
@click.option(
    "--output", type=_FOLDER, help="Where the sheet goes; never overwritten.  [default: RUN/review]"
)
@click.option(
    "--mistakes",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many of the other confident wrong answers to show.",
)
@click.option("--limit", type=click.IntRange(1), help="Show only so many photos, the first ones.")
@click.option("--include-test", is_flag=True, help="Review test photos, too.")
@class_map_option
def find_label_errors_command(
    run: Path,
    output: Path | None,
    mistakes: int,
    limit: int | None,
    include_test: bool,
    class_map: dict[str, str],
) -> None:
    """Find photos that may lie in the wrong class folder, and make a page to look at them.

    RUN is a run of `cross-validate`. The page, review.html, works offline in any browser: look at
    each photo, choose keep, move or set aside, and save the table, decisions.csv. The same table
    lies beside the page, to be filled in by hand. Nothing is moved before `apply-decisions`.

    Test photos are left out, so that before and after the repair can be compared on them.

    \b
    Examples:
      python -m emoclf find-label-errors logs/check
      python -m emoclf find-label-errors logs/check --output review --limit 50
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.cleaning import find_problems

    with clear_errors():
        from emoclf.experiments.cross_validation import load_cross_validation
        from emoclf.experiments.label_errors import rank_label_errors, save_review_sheet

        result = load_cross_validation(run)
        photos = Run.open(run).photos
        report = find_problems(photos.root, class_map=class_map, progress=is_watched())
        review = rank_label_errors(
            result.evaluation,
            report,
            photos=photos,
            include_test=include_test,
            mistakes=mistakes,
        )
        echo(str(review))
        sheet = save_review_sheet(review, output or run / "review", limit=limit)
    echo(f"\n{sheet.photos:,} photos are on {show_text(sheet.page)}: open it in a browser.")
    echo(f"The same as a table to fill in: {show_text(sheet.table)}")
    echo(f"Next: python -m emoclf apply-decisions {quote_argument(photos.root)} decisions.csv")


@click.command("apply-decisions")
@click.argument("folder", type=_FOLDER)
@click.argument("decisions", type=_FILE)
@click.option("--move", is_flag=True, help="Do it; without this, it is only said what would be.")
@class_map_option
def apply_decisions_command(
    folder: Path, decisions: Path, move: bool, class_map: dict[str, str]
) -> None:
    """Move the photos of FOLDER as DECISIONS says, the CSV that the review sheet saved.

    Without --move nothing is touched. Nothing is ever overwritten or deleted: a name that is taken
    gets a number, photos set aside go to FOLDER/quarantine, and a photo that is gone or changed
    since it was looked at stays. `restore` brings everything back, byte for byte.

    \b
    Examples:
      python -m emoclf apply-decisions data decisions.csv
      python -m emoclf apply-decisions data decisions.csv --move
      python -m emoclf restore data
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    with clear_errors(stopped="Stopped. The same command does the rest; `restore` undoes it."):
        from emoclf.experiments.label_errors import apply_decisions

        result = apply_decisions(folder, decisions, dry_run=not move, class_map=class_map)
    echo(result)
    if not move and result.moved:
        echo("\nNothing was moved. Add --move to do it.")
    elif result.moved:
        echo(
            f"\nUndo it: python -m emoclf restore {quote_argument(folder)} "
            f"--id {quote_argument(result.folder.name)}"
        )


@click.command("compare-corrections")
@click.argument("run", type=_RUN)
@click.argument("decisions", type=_FILE)
@logs_option
@click.option("--name", default="corrections", show_default=True, help="Name of the comparison.")
@class_map_option
@without_face_option
@detector_options
def compare_corrections_command(
    run: Path,
    decisions: Path,
    logs: Path,
    name: str,
    class_map: dict[str, str],
    without_face: WithoutFace,
    choice: DetectorChoice,
) -> None:
    """Train before and after a repair and compare both on the test photos.

    RUN is the run of `cross-validate` that was reviewed; its settings and its split are used.
    DECISIONS is the table, applied already or not. The test photos are those that the split has
    kept; the repair must not have touched them. Stopped, the same command goes on.

    \b
    Example:
      python -m emoclf compare-corrections logs/check decisions.csv
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with clear_errors(stopped="Stopped. The same command goes on after the last whole epoch."):
        from emoclf.runtime import quiet_start

        with quiet_start():
            from emoclf.experiments.label_errors import (
                apply_decisions,
                compare_corrections,
                correct_labels,
                load_decisions,
            )

        settings = Run.open(run).settings
        photos = Run.open(run).photos
        found = load_decisions(decisions)
        applied = apply_decisions(photos.root, found, class_map=class_map)
        comparison = compare_corrections(
            correct_labels(photos, found, locations=applied.locations),
            settings,
            logs=logs,
            name=name,
            detector=choice() if settings.crop == "face" else None,
            without_face=without_face,
            say=echo,
            progress=is_watched(),
        )
    echo(f"\n{comparison}")
