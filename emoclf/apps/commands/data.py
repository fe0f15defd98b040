"""The commands that bring photos here and put them in order, from `draw-faces` to `split`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt
from cyclopts.validators import Number

from emoclf.apps.commands.options import (
    SPLIT,
    AsJson,
    ClassMap,
    Directory,
    ExistingPath,
    File,
    Name,
    PhotoFolder,
    SplitOptions,
    Switch,
    Votes,
    find_given,
    propose,
    read_settings,
    refuse_existing,
)
from emoclf.apps.commands.terminal import UsageError, echo, echo_json, is_watched, stopping, waiting
from emoclf.config import CLASS_NAMES, PARTS, SEED, LabelSource
from emoclf.display import count_noun
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.cleaning import MoveResult
    from emoclf.data.folders import PhotoFolder as FolderOfPhotos


@stopping("Stopped. The same command goes on from here.")
@waiting("Drawing")
def draw_faces(
    folder: Directory = Path("data"),
    /,
    *,
    per_class: PositiveInt = 1000,
    seed: NonNegativeInt = SEED,
    flaws: Switch = True,
    wrong_labels: NonNegativeInt = 0,
) -> None:
    """Draw happy and sad faces, to try it all without photos.

    They go into FOLDER/happy and FOLDER/sad. Nothing is overwritten; stopped and started again, the
    command goes on where it was.

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
    flaws_drawn = count_noun(len(drawn.planted_flaws), "flawed file")
    planted = f", and {flaws_drawn}" if drawn.planted_flaws else ""
    echo(f"{_count_drawn(drawn)}{planted}")
    echo(propose("clean", folder))


def _count_drawn(drawn: FolderOfPhotos) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items())
    return f"{counts} in {show_text(drawn.folder)}"


def data_sets(name: str | None = None, /, *, as_json: AsJson = False) -> None:
    """List the known data sets: where from, on what terms.

    Args:
        name: Show this one only.

    Examples:
      python -m emoclf data-sets
      python -m emoclf data-sets fer2013 --json
    """
    from emoclf.data.sources import find_data_set, list_data_sets

    found = (find_data_set(name),) if name else list_data_sets()
    if as_json:
        echo_json([asdict(each) for each in found])
    else:
        echo("\n\n".join(map(str, found)))


@stopping("Stopped. Nothing was kept; the same command begins again.")
@waiting("Copying")
def stage(
    source: Path,
    folder: Directory,
    /,
    *,
    sha256: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    class_map: ClassMap = None,
    as_json: AsJson = False,
) -> None:
    """Copy a folder or an archive of photos here, once.

    The pictures of SOURCE, a folder or a .zip or .tar.gz, go into FOLDER. For a SOURCE on Google
    Drive, where opening many small files is slow: an archive is fastest. Every file is verified; a
    damaged or unsafe archive is refused and leaves nothing behind. The source is never changed. A
    second call finds the copy and is done at once.

    Args:
        source: The folder or archive.
        folder: Where the copy goes.
        sha256: What the SHA-256 of the archive should be.

    Examples:
      python -m emoclf stage "/content/drive/MyDrive/photos.zip" data
      python -m emoclf stage /mnt/photos data --map joy=Happy,gloom=Sad
    """
    from emoclf.data.sources import stage_data

    staged = stage_data(source, folder, sha256=sha256, progress=is_watched())
    _show_staged(staged, class_map, as_json=as_json)


@stopping("Stopped. The same command begins again, or goes on with what a Drive link brought.")
@waiting("Fetching")
def fetch(
    name: str,
    folder: Directory,
    /,
    *,
    link: str | None = None,
    source: Annotated[ExistingPath | None, Parameter("--from")] = None,
    votes: Votes = None,
    label_by: LabelSource = "fer2013",
    part: bool = False,
    class_map: ClassMap = None,
) -> None:
    """Bring a data set here, as the other commands take it.

    NAME goes into FOLDER. What its owners hand out on request only is described, never fetched.

    Args:
        name: The data set: see `data-sets`.
        folder: Where its class folders go.
        link: A public Drive link of yours, with project-drive.
        source: Your own copy of fer2013: a table (CSV) with the columns emotion and pixels, a
            folder with train/ and test/, .npz files, or an archive. Without it, kagglehub is asked.
        label_by: FER2013's own label, or what more than half of the raters saw.
        part: The file holds a part of FER2013 only.

    Examples:
      python -m emoclf fetch project-drive data
      python -m emoclf fetch fer2013 faces --from fer2013.csv
      python -m emoclf fetch fer-plus votes
      python -m emoclf fetch drawn-faces data
    """
    from emoclf.data.sources import find_data_set

    fetchers: dict[str, tuple[Callable[[], None], set[str]]] = {
        "project-drive": (lambda: _fetch_drive(folder, link, class_map), {"--link"}),
        "fer2013": (
            lambda: _fetch_fer2013(folder, source, votes, label_by, part),
            {"--from", "--votes", "--label-by", "--part"},
        ),
        "fer-plus": (lambda: _fetch_votes(folder), set()),
        "drawn-faces": (lambda: _fetch_drawn(folder), set()),
    }
    data_set = find_data_set(name)
    if data_set.name not in fetchers:
        raise ValueError(f"{data_set.name} is not fetched.\n\n{data_set}")
    fetch_it, allowed = fetchers[data_set.name]
    for option in find_given("--link", "--from", "--votes", "--label-by", "--part"):
        if option not in allowed:
            raise UsageError(f"{option} has no meaning for {data_set.name}.")
    fetch_it()


def _fetch_drive(folder: Path, link: str | None, class_map: dict[str, str] | None) -> None:
    from emoclf.data.sources import PROJECT_DRIVE_LINK, fetch_drive_link

    staged = fetch_drive_link(folder, link=link or PROJECT_DRIVE_LINK, progress=is_watched())
    _show_staged(staged, class_map)


def _fetch_fer2013(
    folder: Path, source: Path | None, votes: Path | None, label_by: LabelSource, part: bool
) -> None:
    from emoclf.data.sources import fetch_fer2013_from_kaggle, make_fer2013_folders

    made = make_fer2013_folders(
        source or fetch_fer2013_from_kaggle(),
        folder,
        votes=votes,
        label_by=label_by,
        whole=not part,
        progress=is_watched(),
    )
    echo(made)
    is_split = len({name.rpartition("/")[2] for name in made.counts}) > 1
    echo(propose("split", folder, *(["--as-published"] if is_split else [])))


def _fetch_votes(folder: Path) -> None:
    from emoclf.data.sources import fetch_fer_plus_votes

    echo(f"The votes of FER+ are in {show_text(fetch_fer_plus_votes(folder))}")


def _fetch_drawn(folder: Path) -> None:
    from emoclf.data.synthetic import make_drawn_faces

    echo(_count_drawn(make_drawn_faces(folder, with_flaws=True, progress=is_watched())))
    echo(propose("clean", folder))


def _show_staged(
    staged: FolderOfPhotos, class_map: dict[str, str] | None, *, as_json: bool = False
) -> None:
    """Show what was staged, and the classes that are found in it."""
    from emoclf.data.folders import find_class_folders, list_files

    found = find_class_folders(staged.folder, class_map=class_map, require_all=False)
    counts: dict[str, int] = {}
    for each in found.folders:
        files = len(list_files(each.path).files)
        counts[each.class_name] = counts.get(each.class_name, 0) + files
    if as_json:
        names = ("source", "files", "bytes", "sha256", "left_out", "was_there", "gone")
        document = {"folder": str(staged.folder), **{name: getattr(staged, name) for name in names}}
        echo_json({**document, "classes": counts})
        return
    echo(staged)
    for name, count in counts.items():
        echo(f"  {name}: {count:,}")
    for path, reason in found.unassigned[:10]:
        echo(f"  in no class: {show_text(path.name)} ({reason}); name its class with --map")
    if set(counts) == set(CLASS_NAMES) and all(counts.values()):
        echo(propose("clean", staged.folder, again=("--map",)))


@stopping("Stopped. The same command does the rest.")
@waiting("Looking at the files")
def clean(
    folder: PhotoFolder,
    /,
    *,
    move: bool = False,
    max_fraction: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.5,
    csv: File | None = None,
    class_map: ClassMap = None,
    as_json: AsJson = False,
) -> int:
    """Examine every photo of FOLDER and say what is wrong.

    Nothing is deleted or changed. With --move, the files that must not be trained on are moved to
    FOLDER/quarantine; `restore` brings them back, byte for byte. Training leaves them out either
    way. Stopped and given again, --move first finishes what it had begun.

    Args:
        move: Move the rejected files to FOLDER/quarantine.
        max_fraction: Move nothing when more than this fraction of all files, or of one class, is
            rejected.
        csv: Write one line per file into a new file, for a spreadsheet.

    Examples:
      python -m emoclf clean data
      python -m emoclf clean data --csv problems.csv
      python -m emoclf clean data --move

    Exit codes:
      0  every file was examined, and with --move every rejected one was moved
      1  some could not be moved (it is said which), or nothing could be done
    """
    from emoclf.data.cleaning import find_problems, finish_moves, quarantine
    from emoclf.evaluation.bootstrap import count_different

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
    result = quarantine(report, dry_run=False, max_fraction=max_fraction) if move else None
    if as_json:
        document = {
            "folder": report.root,
            "files": len(report.records),
            "kept": len(report.kept),
            "rejected": len(report.rejects),
            "problems": report.count_by_kind(),
            "moved": list(result.moved) if result else [],
            "finished": [path for each in finished for path in each.moved],
        }
        echo_json(document)
    else:
        if result is not None:
            _show_moves(result, folder)
        elif report.rejects:
            echo("\nNothing was moved. Add --move to set the rejected files aside.")
        different = count_different(report.kept)
        if len(different) > 1 and min(different.values()) >= len(PARTS):  # enough to be split
            echo(propose("train", folder, again=("--map",)))
    return 1 if result and any(each.left for each in (result, *finished)) else 0


def _show_moves(result: MoveResult, folder: Path) -> None:
    """Say what was set aside, and how to undo it."""
    there_was = result.moved or result.left
    echo(f"\n{result if there_was else 'There was nothing to move.'}")
    if result.moved:
        echo(f"Undo it: python -m emoclf restore {quote_argument(folder)}")


@stopping("Stopped. The same command does the rest.")
@waiting("Moving the files back")
def restore(
    folder: PhotoFolder, /, *, quarantine_id: Annotated[Name | None, Parameter("--id")] = None
) -> int:
    """Bring back what `clean` or `apply-decisions` moved.

    Every file goes back to its place in FOLDER, byte for byte.

    Args:
        quarantine_id: Undo one run only: the name of its folder.

    Example:
      python -m emoclf restore data

    Exit codes:
      0  every file is back in its place
      1  some could not be brought back (it is said which, and why)
    """
    from emoclf.data.cleaning import restore as restore_files
    from emoclf.data.folders import find_class_folders

    result = restore_files(folder, quarantine_id=quarantine_id)
    echo(result)
    if result.left:
        return 1
    known = find_class_folders(folder, require_all=False).folders
    if {each.class_name for each in known} == set(CLASS_NAMES):  # else `clean` needs --map
        echo(propose("clean", folder))
    return 0


@waiting("Looking at the files")
def split(
    folder: PhotoFolder,
    /,
    *,
    output: File = Path("split.json"),
    as_published: bool = False,
    class_map: ClassMap = None,
    settings: SplitOptions = SPLIT,
) -> None:
    """Split photos into training, validation and test.

    Duplicates of a photo stay in one part. `train` draws the same split by itself; write one down
    to train several networks on it: `train --split split.json`.

    Args:
        output: Where the split goes; never overwritten.
        as_published: Use the parts that FER2013 (after `fetch fer2013`) or another data set was
            published with: the folders train, validation and test.

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
    echo(propose("train", "--split", output))
