"""The commands that bring photos here: `data-sets`, `stage`, `fetch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emoclf.apps.commands.options import class_map_option, clear_errors, is_watched
from emoclf.apps.commands.terminal import echo, echo_json
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.photo_folder import PhotoFolder

_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, path_type=Path)


@click.command("data-sets")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def data_sets_command(name: str | None, as_json: bool) -> None:
    """List the data sets that emoclf knows: where from, on what terms, how many, how to get.

    NAME shows one of them only.

    \b
    Examples:
      python -m emoclf data-sets
      python -m emoclf data-sets fer2013 --json
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.sources import find_data_set, list_data_sets

    with clear_errors():
        found = (find_data_set(name),) if name else list_data_sets()
    if as_json:
        echo_json([each.to_dict() for each in found])
    else:
        echo("\n\n".join(map(str, found)))


@click.command("stage")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=_FOLDER)
@click.option("--sha256", metavar="DIGITS", help="What the SHA-256 of the archive should be.")
@class_map_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def stage_command(
    source: Path, folder: Path, sha256: str | None, class_map: dict[str, str], as_json: bool
) -> None:
    """Copy the pictures of SOURCE, a folder or a .zip or .tar.gz, into FOLDER, once.

    For a SOURCE on Google Drive, where opening many small files is slow: an archive is fastest.
    Every file is verified; a damaged or unsafe archive is refused and leaves nothing behind. The
    source is never changed. A second call finds the copy and is done at once.

    \b
    Examples:
      python -m emoclf stage "/content/drive/MyDrive/photos.zip" data
      python -m emoclf stage /mnt/photos data --map joy=Happy,gloom=Sad
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.sources import stage_data

    with clear_errors(stopped="Stopped. Nothing was kept; the same command begins again."):
        staged = stage_data(source, folder, sha256=sha256, progress=is_watched())
        _show_staged(staged, class_map, as_json=as_json)


@click.command("fetch")
@click.argument("name")
@click.argument("folder", type=_FOLDER)
@click.option("--link", help="A public Drive link of yours, with project-drive.")
@click.option(
    "--from",
    "source",
    type=_EXISTING,
    help="fer2013.csv, a folder with train/ and test/, .npz files, or an archive: your own copy of "
    "fer2013. Without it, kagglehub is asked.",
)
@click.option("--votes", type=_EXISTING, help="fer2013new.csv of FER+, beside fer2013.csv.")
@click.option(
    "--label-by",
    type=click.Choice(["fer2013", "votes"]),
    default="fer2013",
    show_default=True,
    help="FER2013's own label, or what more than half of the raters saw.",
)
@click.option("--part", is_flag=True, help="The file holds a part of FER2013 only.")
@class_map_option
def fetch_command(name: str, folder: Path, class_map: dict[str, str], **options: Any) -> None:
    """Bring the data set NAME (see `data-sets`) into FOLDER, as the other commands take it.

    What its owners hand out on request only is described, never fetched.

    \b
    Examples:
      python -m emoclf fetch project-drive data
      python -m emoclf fetch fer2013 faces --from fer2013.csv
      python -m emoclf fetch fer-plus votes
      python -m emoclf fetch drawn-faces data
    """  # noqa: D301 - click reads the backspace: keep the lines as they are
    from emoclf.data.sources import find_data_set

    stopped = "Stopped. The same command begins again, or goes on with what a Drive link brought."
    with clear_errors(stopped=stopped):
        data_set = find_data_set(name)
        fetch = _FETCHERS.get(data_set.name)
        if fetch is None:
            raise ValueError(f"{data_set.name} is not fetched.\n\n{data_set}")
        _check_options(data_set.name, options)
        fetch(folder, class_map, options)


def _check_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that have no meaning for a data set."""
    allowed = {"project-drive": {"link"}, "fer2013": {"source", "votes", "label_by", "part"}}
    shown = {"source": "--from", "label_by": "--label-by"}
    for option, value in options.items():
        is_given = value and value != "fer2013"
        if is_given and option not in allowed.get(name, set()):
            raise click.UsageError(f"{shown.get(option, f'--{option}')} has no meaning for {name}.")


def _fetch_drive(folder: Path, class_map: dict[str, str], options: dict[str, Any]) -> None:
    from emoclf.data.sources import PROJECT_DRIVE_LINK, fetch_drive_link

    link = options["link"] or PROJECT_DRIVE_LINK
    _show_staged(fetch_drive_link(folder, link=link, progress=is_watched()), class_map)


def _fetch_fer2013(folder: Path, _class_map: dict[str, str], options: dict[str, Any]) -> None:
    from emoclf.data.sources import fetch_fer2013_from_kaggle, make_fer2013_folders

    made = make_fer2013_folders(
        options["source"] or fetch_fer2013_from_kaggle(),
        folder,
        votes=options["votes"],
        label_by=options["label_by"],
        whole=not options["part"],
        progress=is_watched(),
    )
    echo(made)
    echo(f"Next: python -m emoclf split {quote_argument(folder)} --as-published")


def _fetch_votes(folder: Path, _class_map: dict[str, str], _options: dict[str, Any]) -> None:
    from emoclf.data.sources import fetch_fer_plus_votes

    echo(f"The votes of FER+ are in {show_text(fetch_fer_plus_votes(folder))}")


def _fetch_drawn(folder: Path, _class_map: dict[str, str], _options: dict[str, Any]) -> None:
    from emoclf.data.synthetic import make_drawn_faces

    drawn = make_drawn_faces(folder, with_flaws=True, progress=is_watched())
    counts = ", ".join(f"{count:,} {name}" for name, count in drawn.counts.items())
    echo(f"{counts} in {show_text(drawn.folder)}")


_FETCHERS: dict[str, Callable[[Path, dict[str, str], dict[str, Any]], None]] = {
    "project-drive": _fetch_drive,
    "fer2013": _fetch_fer2013,
    "fer-plus": _fetch_votes,
    "drawn-faces": _fetch_drawn,
}


def _show_staged(staged: PhotoFolder, class_map: dict[str, str], *, as_json: bool = False) -> None:
    """Show what was staged, and the classes that are found in it."""
    from emoclf.data.folders import find_class_folders, list_files

    found = find_class_folders(staged.folder, class_map=class_map, require_all=False)
    counts: dict[str, int] = {}
    for each in found.folders:
        files = len(list_files(each.path).files)
        counts[each.class_name] = counts.get(each.class_name, 0) + files
    if as_json:
        document = {**asdict(staged), "folder": str(staged.folder), "classes": counts}
        echo_json(document)
        return
    echo(staged)
    for name, count in counts.items():
        echo(f"  {name}: {count:,}")
    for path, reason in found.unassigned[:10]:
        echo(f"  in no class: {show_text(path.name)} ({reason}); name its class with --map")
