"""The commands for a folder of photos: `draw-faces`, `clean`, `restore`, `split`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emoclf.apps.commands.options import class_map_option, clear_errors, is_watched
from emoclf.apps.commands.terminal import echo, echo_json
from emoclf.config import SEED, Settings
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.cleaning import CleaningReport, MoveResult

_FOLDER = click.Path(file_okay=False, path_type=Path)
_DEFAULTS = Settings()


@click.command("draw-faces")
@click.argument("folder", type=_FOLDER, default=Path("data"))
@click.option("--per-class", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True)
@click.option("--no-flaws", is_flag=True, help="Leave out the damaged files and the copies.")
@click.option(
    "--wrong-labels",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="So many pictures of each class show the other expression, to try finding them.",
)
def draw_faces_command(
    folder: Path, per_class: int, seed: int, no_flaws: bool, wrong_labels: int
) -> None:
    """Draw happy and sad faces into FOLDER/happy and FOLDER/sad, to try everything without photos.

    FOLDER is "data" unless you name one. Nothing is overwritten; stopped and started again, the
    command goes on where it was.

    \b
    Examples:
      python -m emoclf draw-faces
      python -m emoclf draw-faces drawn --per-class 300 --no-flaws
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.synthetic import make_drawn_faces

    with clear_errors(stopped="Stopped. The same command goes on from here."):
        drawn = make_drawn_faces(
            folder,
            photos_per_class=per_class,
            seed=seed,
            with_flaws=not no_flaws,
            wrong_labels=wrong_labels,
            progress=is_watched(),
        )
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items())
    flaws = len(drawn.planted_flaws)
    echo(
        f"{counts} in {show_text(drawn.folder)}" + (f", and {flaws} flawed files" if flaws else "")
    )


@click.command("clean")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--move", is_flag=True, help="Move the rejected files to FOLDER/quarantine.")
@click.option(
    "--csv",
    "table",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one line per file into a new file, for a spreadsheet.",
)
@class_map_option
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def clean_command(
    folder: Path, move: bool, table: Path | None, class_map: dict[str, str], as_json: bool
) -> None:
    """Examine every file of FOLDER's class folders and say what is wrong.

    Nothing is deleted or changed. With --move, the files that must not be trained on are moved to
    FOLDER/quarantine; `restore` brings them back, byte for byte. Training leaves them out either
    way. Stopped and given again, --move first finishes what it had begun.

    \b
    Examples:
      python -m emoclf clean data
      python -m emoclf clean data --csv problems.csv
      python -m emoclf clean data --move
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.cleaning import find_problems, finish_moves, quarantine

    with clear_errors(stopped="Stopped. The same command does the rest."):
        if table is not None and table.exists():
            raise click.UsageError(
                f"{show_text(table)} exists already: give another name to --csv."
            )
        finished = finish_moves(folder, dry_run=not move)
        for each in finished:
            if not as_json and (each.moves or each.left):
                echo(each)
        report = find_problems(folder, class_map=class_map, progress=is_watched())
        if not as_json:
            echo(report)
        if table is not None:
            report.to_csv(table)
        result = quarantine(report, dry_run=False) if move else None
    if as_json:
        document = _make_document(report, result)
        document["finished"] = [path for each in finished for path in each.moved]
        echo_json(document)
    elif result is not None:
        _show_moves(result, folder)
    elif report.rejects:
        echo("\nNothing was moved. Add --move to set the rejected files aside.")


def _show_moves(result: MoveResult, folder: Path) -> None:
    """Say what was set aside, and how to undo it."""
    if result.moved or result.left:
        echo(f"\n{result}")
    else:
        echo("\nThere was nothing to move.")
    if result.moved:
        echo(f"Undo it: python -m emoclf restore {quote_argument(folder)}")


def _make_document(report: CleaningReport, result: MoveResult | None) -> dict[str, Any]:
    return {
        "folder": report.root,
        "files": len(report.records),
        "kept": len(report.kept),
        "rejected": len(report.rejects),
        "problems": report.count_by_kind(),
        "moved": list(result.moved) if result else [],
    }


@click.command("restore")
@click.argument("folder", type=_FOLDER)
@click.option("--id", "quarantine_id", help="Undo one run only: the name of its folder.")
def restore_command(folder: Path, quarantine_id: str | None) -> None:
    """Bring back the files of FOLDER that `clean --move` or `apply-decisions --move` moved.

    \b
    Example:
      python -m emoclf restore data
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.cleaning import restore

    with clear_errors(stopped="Stopped. The same command does the rest."):
        echo(restore(folder, quarantine_id=quarantine_id))


@click.command("split")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("split.json"),
    show_default=True,
    help="Where the split goes; never overwritten.",
)
@click.option(
    "--validation-fraction", type=float, default=_DEFAULTS.validation_fraction, show_default=True
)
@click.option("--test-fraction", type=float, default=_DEFAULTS.test_fraction, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True)
@click.option(
    "--as-published",
    is_flag=True,
    help="Use the split that FER2013 was published with (after `fetch fer2013`).",
)
@class_map_option
def split_command(
    folder: Path,
    output: Path,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    as_published: bool,
    class_map: dict[str, str],
) -> None:
    """Decide which photos of FOLDER are learned from, and which are kept for the test.

    Copies of a photo stay on one side. `train` draws the same split by itself; write one down to
    train several networks on it: `train --split split.json`.

    \b
    Example:
      python -m emoclf split data --output split.json
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_as_published, split_photos

    with clear_errors():
        if output.exists():
            raise click.UsageError(
                f"{show_text(output)} exists already: give another name to --output."
            )
        settings = Settings(
            validation_fraction=validation_fraction, test_fraction=test_fraction, seed=seed
        )
        report = find_problems(folder, class_map=class_map, progress=is_watched())
        photos = (
            split_as_published(report, settings)
            if as_published
            else split_photos(report.kept, settings)
        )
        photos.save(output)
    echo(f"{photos}\nWritten to {show_text(output)}")
