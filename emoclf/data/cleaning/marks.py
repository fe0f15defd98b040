"""Which moves are under way: a mark is set before the first one and taken off after the last.

Where the files are does not tell whether a manifest is carried out or undone when its process is
killed, so the mark says it. It lies in the data set's own quarantine, also when the files go
elsewhere, so that no later call can miss it.

    DATA/quarantine/3f9c1a2b7d4e/unfinished.json    {"task": "move", "folder": ""}
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from emoclf.data.cleaning.manifests import QUARANTINE_NAME
from emoclf.storage import read_json, write_json

MARK_NAME = "unfinished.json"

Task = Literal["move", "restore"]
"""What is under way: the moves of a manifest, or their undoing."""

_MAX_BYTES = 2**16


@dataclass(frozen=True)
class _Mark:
    """What a mark holds.

    Attributes:
        task: What is under way.
        folder: Of the manifest, absolute; "" when it lies beside the mark.
    """

    task: Task
    folder: str = ""

    def __post_init__(self) -> None:
        if self.folder and not Path(self.folder).is_absolute():
            raise ValueError("the folder is not absolute")


@dataclass(frozen=True)
class Unfinished:
    """What was begun and has not ended.

    Attributes:
        task: What was begun.
        folder: Of the manifest.
        file: The mark.
    """

    task: Task
    folder: Path
    file: Path


def set_mark(root: Path, folder: Path, task: Task) -> None:
    """Note that the moves of the manifest in `folder` are begun, or their undoing."""
    path = _find_mark(root, folder)
    is_beside = path.parent.resolve() == folder.resolve()
    write_json(path, asdict(_Mark(task, "" if is_beside else str(folder.absolute()))))


def clear_mark(root: Path, folder: Path) -> None:
    """Note that nothing of the manifest in `folder` is under way any more."""
    path = _find_mark(root, folder)
    path.unlink(missing_ok=True)
    for made in (path.parent, path.parent.parent):
        with suppress(OSError):  # not empty: there is more than the mark
            made.rmdir()


def find_marks(root: Path) -> tuple[tuple[Unfinished, ...], tuple[tuple[str, str], ...]]:
    """Find what is under way in a data set's folder.

    Args:
        root: The data set's folder.

    Returns:
        What was begun and has not ended, and the marks that cannot be read, with the reason.
    """
    found: list[Unfinished] = []
    damaged: list[tuple[str, str]] = []
    for path in sorted((root / QUARANTINE_NAME).glob(f"*/{MARK_NAME}")):
        try:
            mark = read_json(path, what="what is being moved", kind=_Mark, max_bytes=_MAX_BYTES)
        except (OSError, ValueError) as error:
            damaged.append((path.relative_to(root).as_posix(), str(error)))
            continue
        folder = Path(mark.folder) if mark.folder else path.parent
        found.append(Unfinished(mark.task, folder, path))
    return tuple(found), tuple(damaged)


def _find_mark(root: Path, folder: Path) -> Path:
    return root / QUARANTINE_NAME / folder.name / MARK_NAME
