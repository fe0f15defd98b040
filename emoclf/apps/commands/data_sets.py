"""The commands that bring photos here: `data-sets`, `stage`, `fetch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from emoclf.apps.commands.errors import UsageError, stopping
from emoclf.apps.commands.options import (
    AsJson,
    ClassMap,
    Directory,
    ExistingPath,
    Votes,
    find_given,
)
from emoclf.apps.commands.terminal import echo, echo_json, is_watched
from emoclf.config import LabelSource
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.folders import PhotoFolder


def data_sets(name: str | None = None, /, *, as_json: AsJson = False) -> None:
    """List the data sets that emoclf knows: where from, on what terms, how many, how to get.

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
def stage(
    source: Path,
    folder: Directory,
    /,
    *,
    sha256: Annotated[str | None, Parameter(metavar="DIGITS")] = None,
    class_map: ClassMap = None,
    as_json: AsJson = False,
) -> None:
    """Copy the pictures of SOURCE, a folder or a .zip or .tar.gz, into FOLDER, once.

    For a SOURCE on Google Drive, where opening many small files is slow: an archive is fastest.
    Every file is verified; a damaged or unsafe archive is refused and leaves nothing behind. The
    source is never changed. A second call finds the copy and is done at once.

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
    """Bring the data set NAME into FOLDER, as the other commands take it.

    What its owners hand out on request only is described, never fetched.

    Args:
        name: The data set: see `data-sets`.
        folder: Where its class folders go.
        link: A public Drive link of yours, with project-drive.
        source: fer2013.csv, a folder with train/ and test/, .npz files, or an archive: your own
            copy of fer2013. Without it, kagglehub is asked.
        label_by: FER2013's own label, or what more than half of the raters saw.
        part: The file holds a part of FER2013 only.

    Examples:
      python -m emoclf fetch project-drive data
      python -m emoclf fetch fer2013 faces --from fer2013.csv
      python -m emoclf fetch fer-plus votes
      python -m emoclf fetch drawn-faces data
    """
    from emoclf.data.sources import find_data_set

    def fetch_fer2013() -> None:
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
        echo(f"Next: python -m emoclf split {quote_argument(folder)} --as-published")

    fetchers: dict[str, tuple[Callable[[], None], set[str]]] = {
        "project-drive": (lambda: _fetch_drive(folder, link, class_map), {"--link"}),
        "fer2013": (fetch_fer2013, {"--from", "--votes", "--label-by", "--part"}),
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


def _fetch_votes(folder: Path) -> None:
    from emoclf.data.sources import fetch_fer_plus_votes

    echo(f"The votes of FER+ are in {show_text(fetch_fer_plus_votes(folder))}")


def _fetch_drawn(folder: Path) -> None:
    from emoclf.data.synthetic import make_drawn_faces

    drawn = make_drawn_faces(folder, with_flaws=True, progress=is_watched())
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items())
    echo(f"{counts} in {show_text(drawn.folder)}")


def _show_staged(
    staged: PhotoFolder, class_map: dict[str, str] | None, *, as_json: bool = False
) -> None:
    """Show what was staged, and the classes that are found in it."""
    from emoclf.data.folders import find_class_folders, list_files

    found = find_class_folders(staged.folder, class_map=class_map, require_all=False)
    counts: dict[str, int] = {}
    for each in found.folders:
        files = len(list_files(each.path).files)
        counts[each.class_name] = counts.get(each.class_name, 0) + files
    if as_json:
        echo_json({**asdict(staged), "folder": str(staged.folder), "classes": counts})
        return
    echo(staged)
    for name, count in counts.items():
        echo(f"  {name}: {count:,}")
    for path, reason in found.unassigned[:10]:
        echo(f"  in no class: {show_text(path.name)} ({reason}); name its class with --map")
