"""The commands for a folder of photos: `draw-faces`, `clean`, `restore`, `split`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from emoclf.apps.commands.errors import stopping
from emoclf.apps.commands.options import (
    AsJson,
    ClassMap,
    Directory,
    File,
    Name,
    PhotoFolder,
    Switch,
    refuse_existing,
)
from emoclf.apps.commands.settings import SPLIT, SplitOptions, read_settings
from emoclf.apps.commands.terminal import echo, echo_json, is_watched
from emoclf.config import SEED
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.cleaning import CleaningReport, MoveResult


@stopping("Stopped. The same command goes on from here.")
def draw_faces(
    folder: Directory = Path("data"),
    /,
    *,
    per_class: PositiveInt = 1000,
    seed: NonNegativeInt = SEED,
    flaws: Switch = True,
    wrong_labels: NonNegativeInt = 0,
) -> None:
    """Draw happy and sad faces into FOLDER/happy and FOLDER/sad, to try everything without photos.

    Nothing is overwritten; stopped and started again, the command goes on where it was.

    Args:
        folder: Where the class folders go.
        per_class: How many pictures each class gets.
        seed: Seed of the drawings.
        flaws: Whether damaged files and duplicates are among them.
        wrong_labels: So many pictures of each class show the other expression, to try finding them.

    Examples:
      python -m emoclf draw-faces
      python -m emoclf draw-faces drawn --per-class 300 --no-flaws
    """
    from emoclf.data.synthetic import make_drawn_faces

    drawn = make_drawn_faces(
        folder,
        photos_per_class=per_class,
        seed=seed,
        with_flaws=flaws,
        wrong_labels=wrong_labels,
        progress=is_watched(),
    )
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items())
    planted = f", and {len(drawn.planted_flaws)} flawed files" if drawn.planted_flaws else ""
    echo(f"{counts} in {show_text(drawn.folder)}{planted}")


@stopping("Stopped. The same command does the rest.")
def clean(
    folder: PhotoFolder,
    /,
    *,
    move: bool = False,
    csv: File | None = None,
    class_map: ClassMap = None,
    as_json: AsJson = False,
) -> None:
    """Examine every file of FOLDER's class folders and say what is wrong.

    Nothing is deleted or changed. With --move, the files that must not be trained on are moved to
    FOLDER/quarantine; `restore` brings them back, byte for byte. Training leaves them out either
    way. Stopped and given again, --move first finishes what it had begun.

    Args:
        move: Move the rejected files to FOLDER/quarantine.
        csv: Write one line per file into a new file, for a spreadsheet.

    Examples:
      python -m emoclf clean data
      python -m emoclf clean data --csv problems.csv
      python -m emoclf clean data --move
    """
    from emoclf.data.cleaning import find_problems, finish_moves, quarantine

    refuse_existing(csv, "--csv")
    finished = finish_moves(folder, dry_run=not move)
    for each in finished:
        if not as_json and (each.moves or each.left):
            echo(each)
    report = find_problems(folder, class_map=class_map, progress=is_watched())
    if not as_json:
        echo(report)
    if csv is not None:
        report.to_csv(csv)
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
    there_was = result.moved or result.left
    echo(f"\n{result if there_was else 'There was nothing to move.'}")
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


@stopping("Stopped. The same command does the rest.")
def restore(
    folder: PhotoFolder, /, *, quarantine_id: Annotated[Name | None, Parameter("--id")] = None
) -> None:
    """Bring back the files of FOLDER that `clean --move` or `apply-decisions --move` moved.

    Args:
        quarantine_id: Undo one run only: the name of its folder.

    Example:
      python -m emoclf restore data
    """
    from emoclf.data.cleaning import restore as restore_files

    echo(restore_files(folder, quarantine_id=quarantine_id))


def split(
    folder: PhotoFolder,
    /,
    *,
    output: File = Path("split.json"),
    as_published: bool = False,
    class_map: ClassMap = None,
    settings: SplitOptions = SPLIT,
) -> None:
    """Split the photos of FOLDER into those to train on, to validate on and to test on.

    Duplicates of a photo stay in one part. `train` draws the same split by itself; write one down
    to train several networks on it: `train --split split.json`.

    Args:
        output: Where the split goes; never overwritten.
        as_published: Use the split that FER2013 was published with (after `fetch fer2013`).

    Example:
      python -m emoclf split data --output split.json
    """
    from emoclf.data.cleaning import find_problems
    from emoclf.data.splitting import split_as_published, split_photos

    refuse_existing(output, "--output")
    chosen = read_settings(settings)
    report = find_problems(folder, class_map=class_map, progress=is_watched())
    if as_published:
        photos = split_as_published(report, chosen)
    else:
        photos = split_photos(report.kept, chosen)
    photos.save(output)
    echo(f"{photos}\nWritten to {show_text(output)}")
