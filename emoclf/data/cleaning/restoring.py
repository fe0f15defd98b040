"""Bring back what was moved by a manifest, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emoclf.data.cleaning.manifests import (
    MANIFEST_NAME,
    QUARANTINE_NAME,
    Manifest,
    Move,
    exists,
    read_manifest,
)
from emoclf.data.cleaning.marks import clear_mark, set_mark
from emoclf.data.cleaning.moving import (
    PATH_ERRORS,
    explain,
    hash_file,
    is_of_the_disk,
    may_pass,
    rename,
)
from emoclf.untrusted import show_text

_NEITHER = "it is neither in quarantine nor in its place"
_UNREADABLE = "its content in quarantine cannot be read"


@dataclass(frozen=True)
class RestoreResult:
    """What `restore` did.

    Attributes:
        restored: Paths, relative to the data set's folder, that are back in their place.
        already_there: Paths that were in their place before.
        left: Paths that could not be given back, each with the reason.
    """

    restored: tuple[str, ...]
    already_there: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        """Return the result as text for reading."""
        lines = [f"{len(self.restored):,} files restored"]
        if self.already_there:
            lines.append(f"{len(self.already_there):,} files were in their place")
        lines += [f"not restored: {show_text(path)}: {reason}" for path, reason in self.left]
        return "\n".join(lines)


def restore(
    folder: str | Path,
    *,
    destination: str | Path | None = None,
    quarantine_id: str | None = None,
) -> RestoreResult:
    """Bring files that `quarantine` or `apply_decisions` moved back to where they were.

    Files whose place is taken, or whose content is no longer the one that was moved, stay where
    they are and are named. The manifests stay too. Where a file was moved more than once, the
    newest move is undone first.

    Args:
        folder: The data set's folder.
        destination: The folder that was given to `quarantine`; None takes `quarantine` in the
            data set's folder.
        quarantine_id: Name of one folder in there, to undo only this run; None undoes all.

    Returns:
        What was restored and what was not.

    Raises:
        FileNotFoundError: If there is no such quarantine.

    Example:
        >>> print(restore("data").describe())  # doctest: +SKIP
    """
    root = Path(folder)
    base = Path(destination) if destination is not None else root / QUARANTINE_NAME
    manifests: list[Manifest] = []
    unread: list[tuple[str, str]] = []
    for path in _find_manifests(base, quarantine_id):
        try:
            manifests.append(read_manifest(path))
        except PATH_ERRORS as error:
            unread.append((f"{path.parent.name}/{path.name}", explain(error)))
    result = undo(manifests, root)
    return replace(result, left=(*unread, *result.left))


def undo(manifests: Sequence[Manifest], root: Path, *, dry_run: bool = False) -> RestoreResult:
    """Bring back what manifests have moved; a mark says so until all of it is done.

    Args:
        manifests: The newest first.
        root: The data set's folder.
        dry_run: Whether to touch nothing.

    Returns:
        What was brought back, or would be.

    Raises:
        OSError: If the disk is full or read-only.
    """
    restored: list[str] = []
    already: list[str] = []
    left = [row for manifest in manifests for row in manifest.damaged]
    waiting = [(move, manifest.folder) for manifest in manifests for move in manifest.moves]
    stuck: set[Path] = set()
    if not dry_run:
        _mark_begun(manifests, root)
    while waiting:
        found = [
            (move, home, _bring_back(root, home, move, stuck, dry_run=dry_run))
            for move, home in waiting
        ]
        restored += [move.source for move, _, state in found if state == "ready"]
        already += [move.source for move, _, state in found if state == "there"]
        again = not dry_run and any(state == "ready" for *_, state in found)
        # A file that another move has taken further may be back in reach now.
        waiting = [(move, home) for move, home, state in found if again and state == _NEITHER]
        done = ("ready", "there", *((_NEITHER,) if again else ()))
        left += [(move.source, state) for move, _, state in found if state not in done]
    for manifest in manifests:
        if not dry_run and manifest.folder not in stuck:
            clear_mark(root, manifest.folder)
    return RestoreResult(tuple(restored), tuple(already), tuple(left))


def _mark_begun(manifests: Sequence[Manifest], root: Path) -> None:
    """Mark the manifests of which something may be undone.

    The newest comes first: killed in between, those that are marked lead back to a state that the
    folder was in before.
    """
    for manifest in manifests:
        states = (_find_state(root, manifest.folder, move) for move in manifest.moves)
        if any(state in ("ready", _NEITHER) or state.startswith(_UNREADABLE) for state in states):
            set_mark(root, manifest.folder, "restore")


def _bring_back(root: Path, home: Path, move: Move, stuck: set[Path], *, dry_run: bool) -> str:
    """Move a file back if that can be done; return "ready", "there" or why not."""
    state = _find_state(root, home, move)
    if state.startswith(_UNREADABLE):
        stuck.add(home)
    if state == "ready" and not dry_run:
        try:
            rename(move.find_target(root, home), root / move.source)
        except PATH_ERRORS as error:
            if is_of_the_disk(error):
                raise
            if may_pass(error):
                stuck.add(home)
            return explain(error)
    return state


def _find_state(root: Path, home: Path, move: Move) -> str:
    """Return "ready", "there", or a sentence that says why a file is not restored."""
    try:
        return _look(root, home, move)
    except PATH_ERRORS as error:
        return f"{_UNREADABLE}: {explain(error)}" if may_pass(error) else explain(error)


def _look(root: Path, home: Path, move: Move) -> str:
    stored, place = move.find_target(root, home), root / move.source
    if not move.is_inside(root, home):
        return "the manifest points outside the folder"
    if not exists(stored):
        return "there" if hash_file(place) == move.sha256 else _NEITHER
    content = hash_file(stored)
    if content == "":
        return _UNREADABLE
    if content != move.sha256:
        return "its content in quarantine is not the one that was moved"
    return "ready" if not exists(place) else "there is a file in its place; move that one away"


def _find_manifests(base: Path, quarantine_id: str | None) -> list[Path]:
    """Return the manifests to undo, the newest first."""
    found = sort_by_age(base.glob(f"*/{MANIFEST_NAME}"))
    if quarantine_id is not None:
        found = [manifest for manifest in found if manifest.parent.name == quarantine_id]
    if not found:
        raise FileNotFoundError(
            f"There is no quarantine to restore: expected {str(base)!r} to hold a folder with "
            f"{MANIFEST_NAME}. Pass the data set's folder, and the destination if you chose one."
        )
    return found


def sort_by_age(manifests: Iterable[Path]) -> list[Path]:
    """Return the paths of manifests, the newest first."""
    return sorted(manifests, key=_find_age)


def _find_age(manifest: Path) -> tuple[int, str]:
    return -manifest.lstat().st_mtime_ns, manifest.parent.name
