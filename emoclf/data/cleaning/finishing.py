"""First the end of what was interrupted, then the next thing: nothing is planned on half a state.

A photo that stood in both classes would else be kept with an unchecked label, because its twin has
been moved already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoclf.data.cleaning.manifests import (
    MANIFEST_NAME,
    QUARANTINE_NAME,
    Manifest,
    Move,
    read_manifest,
)
from emoclf.data.cleaning.marks import Task, Unfinished, find_marks
from emoclf.data.cleaning.moving import PATH_ERRORS, carry_on, explain
from emoclf.data.cleaning.restoring import sort_by_age, undo
from emoclf.untrusted import show_text


@dataclass(frozen=True)
class FinishedMoves:
    """What an interrupted call had begun and what was done of it now, or would be.

    Attributes:
        task: `"move"` for `quarantine` and `apply_decisions`, or `"restore"`.
        folder: Where the manifest is; for "restore" the folder of all of them.
        dry_run: Whether nothing was touched.
        moves: Moves that the interrupted call had done before it ended, and those that were done
            now, or would be; none for "restore".
        paths: Where the files were, relative to the data set's folder, that were moved or brought
            back now, or would be.
        left: Paths that stay where they are, each with the reason.
    """

    task: Task
    folder: Path
    dry_run: bool
    paths: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    moves: tuple[Move, ...] = ()

    def describe(self) -> str:
        """Return the result as text for reading."""
        done = "moved" if self.task == "move" else "restored"
        count, where = f"{len(self.paths):,} files", show_text(self.folder)
        if self.dry_run:
            what = f"An interrupted call has left {count} to be {done} ({where}): the next one"
            lines = [f"{what} that moves files does that first"]
        else:
            lines = [f"An interrupted call was finished first: {count} {done} ({where})"]
        lines += [f"left in place: {show_text(path)}: {reason}" for path, reason in self.left]
        return "\n".join(lines)


def describe_finished(finished: Sequence[FinishedMoves]) -> list[str]:
    """Return the lines about what was finished first, where anything was left to do or to say."""
    return [each.describe() for each in finished if each.paths or each.left]


def finish_moves(
    folder: str | Path, *, dry_run: bool = False, but: Path | None = None
) -> tuple[FinishedMoves, ...]:
    """Finish what an interrupted `quarantine`, `apply_decisions` or `restore` has begun.

    Only files whose content is the one that was to be moved are touched; nothing is overwritten.

    Args:
        folder: The data set's folder.
        dry_run: Whether only to say what would be done.
        but: Folder of a manifest whose moves the caller carries out himself.

    Returns:
        What was done, one for each interrupted call of which something was to be done or said.

    Raises:
        OSError: If the disk is full or read-only.

    Example:
        >>> for each in finish_moves("data"):  # doctest: +SKIP
        ...     print(each.describe())
    """
    root = Path(folder)
    restores, moves, unread = _read_unfinished(root)
    home = root / QUARANTINE_NAME
    found = [FinishedMoves("move", home, dry_run, left=unread)]
    if restores:  # together, for one may have moved further what another has moved
        back = undo(restores, root, dry_run=dry_run)
        found.append(FinishedMoves("restore", home, dry_run, back.restored, left=back.left))
    found += [
        _finish(manifest, root, dry_run=dry_run)
        for manifest in reversed(moves)
        if but is None or manifest.folder.resolve() != but.resolve()
    ]
    return tuple(each for each in found if each.paths or each.left or each.moves)


def _finish(manifest: Manifest, root: Path, *, dry_run: bool) -> FinishedMoves:
    result = carry_on(manifest.moves, root, folder=manifest.folder, dry_run=dry_run)
    left = tuple((move.source, reason) for move, reason in result.left)
    return FinishedMoves(
        "move",
        manifest.folder,
        dry_run,
        paths=tuple(move.source for move in result.waiting),
        left=(*manifest.damaged, *left),
        moves=(*result.moved, *result.waiting),
    )


def find_unfinished(
    folder: str | Path,
) -> tuple[dict[tuple[str, str], str], tuple[tuple[str, str], ...]]:
    """Find the files that interrupted calls were to move, or had begun to bring back.

    Args:
        folder: The data set's folder; nothing in it is touched.

    Returns:
        The reason why each was to be moved, by its path and its SHA-256; and what stands in the
        way of knowing, each with the reason.
    """
    restores, moves, unread = _read_unfinished(Path(folder))
    lines = [move for manifest in (*restores, *moves) for move in manifest.moves]
    return {(move.source, move.sha256): move.reason for move in lines}, unread


def _read_unfinished(
    root: Path,
) -> tuple[list[Manifest], list[Manifest], tuple[tuple[str, str], ...]]:
    """Return the manifests that are being undone and carried out, the newest first."""
    marks, unread = find_marks(root)
    read: dict[Path, tuple[Unfinished, Manifest]] = {}
    failed = list(unread)
    for mark in marks:
        path = mark.folder / MANIFEST_NAME
        try:
            read[path] = mark, read_manifest(path)
        except PATH_ERRORS as error:
            step = f"If it was removed on purpose, remove {mark.file.name} there, too."
            failed.append((mark.file.relative_to(root).as_posix(), f"{explain(error)} {step}"))
    found = [read[path] for path in sort_by_age(read)]
    restores = [manifest for mark, manifest in found if mark.task == "restore"]
    moves = [manifest for mark, manifest in found if mark.task == "move"]
    return restores, moves, tuple(failed)
