"""One way to move files and back: a manifest first, then one renaming for each.

A process that is killed leaves each file whole, in its old place or in its new one, a manifest
that names both, and a mark that says what was under way. The next call that moves anything does
the rest first, so that nothing is planned on half a state: a photo that stood in both classes
would else be kept with an unchecked label, because its twin has been moved already.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emoclf.data.cleaning.manifests import (
    MANIFEST_NAME,
    PATH_ERRORS,
    Manifest,
    Move,
    Reasons,
    Task,
    clear_mark,
    exists,
    explain,
    read_unfinished,
    set_mark,
    write_manifest,
)
from emoclf.data.folders import QUARANTINE_NAME
from emoclf.display import Displayed, Table, count_noun
from emoclf.storage import find_path, find_sha256, make_folder
from emoclf.untrusted import normalise_name, show_text

_READY, _DONE = "ready", "done"
_SENTENCES: dict[Task, dict[str, str]] = {
    "move": {
        "outside": "it is not inside the data set's folder",
        "gone": "it is gone, or is no file any more",
        "unread": "its content cannot be read",
        "changed": "it changed since it was examined; examine the folder again",
        "taken": "there is a file in its place in the {home}",
    },
    "restore": {
        "outside": "the manifest points outside the folder",
        "gone": "it is neither in quarantine nor in its place",
        "unread": "its content in quarantine cannot be read",
        "changed": "its content in quarantine is not the one that was moved",
        "taken": "there is a file in its place; move that one away",
    },
}
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_OF_THE_MOMENT = {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.EBUSY),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EXDEV),
}


@dataclass(frozen=True)
class MoveResult(Displayed):
    """What `quarantine`, `apply_decisions`, `restore` or `finish_moves` did, or would do.

    Attributes:
        task: `"move"`, or `"restore"` for bringing files back.
        root: The data set's folder.
        folder: Where the manifest is and the files that were set aside; after `restore` the folder
            of all manifests.
        dry_run: Whether nothing was touched.
        moves: What was moved or brought back, or would be.
        earlier: What was in its new place before.
        left: Paths that stay where they are, each with the reason.
        finished: What interrupted calls had begun and was finished first, or would be.
        notes: What else there is to say, in sentences.
        is_listed: Whether every move is shown.
        was_interrupted: Whether this is the rest of an interrupted call.
    """

    task: Task
    root: Path
    folder: Path
    dry_run: bool
    moves: tuple[Move, ...] = ()
    earlier: tuple[Move, ...] = ()
    left: Reasons = ()
    finished: tuple[MoveResult, ...] = ()
    notes: tuple[str, ...] = ()
    is_listed: bool = False
    was_interrupted: bool = False

    @property
    def moved(self) -> tuple[str, ...]:
        """The paths in `moves`: where each file was, relative to the data set's folder."""
        return tuple(move.source for move in self.moves)

    @property
    def already_moved(self) -> tuple[str, ...]:
        """The paths in `earlier`."""
        return tuple(move.source for move in self.earlier)

    @property
    def targets(self) -> dict[str, str]:
        """Old path -> new path of `moves`, relative to the data set's folder where it is inside."""
        return self._find_targets(self.moves)

    @property
    def locations(self) -> dict[str, str]:
        """Old path -> where the photo is now, for all that have been moved."""
        return self._find_targets(self.earlier if self.dry_run else (*self.earlier, *self.moves))

    def _find_targets(self, moves: Iterable[Move]) -> dict[str, str]:
        found = {
            move.source: find_path(move.find_base(self.root, self.folder), move.to)
            for move in moves
        }
        return {
            path: (to.relative_to(self.root) if to.is_relative_to(self.root) else to).as_posix()
            for path, to in found.items()
        }

    def blocks(self) -> Iterable[str | Table]:
        """Return what was finished first, the counts, the moves and what was left, with reasons."""
        for each in self.finished:
            yield from each.blocks()
        done, where = "moved" if self.task == "move" else "restored", show_text(self.folder)
        count = count_noun(len(self.moves), "file")
        if not self.was_interrupted:
            to = f" to {where}" if self.task == "move" and not self.is_listed else ""
            yield f"{count} {'would be ' * self.dry_run}{done}{to}"
        elif (self.moves or self.left) and self.dry_run:
            yield (
                f"An interrupted call has left {count} to be {done} ({where}): the next one that "
                "moves files does that first"
            )
        elif self.moves or self.left:
            yield f"An interrupted call was finished first: {count} {done} ({where})"
        if self.earlier and not self.was_interrupted:
            place = "was in its place" if len(self.earlier) == 1 else "were in their place"
            before = "had been moved before" if self.task == "move" else place
            yield f"{count_noun(len(self.earlier), 'file')} {before}"
        if self.is_listed and self.moves:
            yield Table(("file", "new place"), list(self.targets.items()))
        yield from self.notes
        if self.left:
            yield Table(("left in place", "reason"), self.left)


def carry_out(
    moves: Sequence[Move], root: Path, *, folder: Path, dry_run: bool, is_written: bool = False
) -> MoveResult:
    """Write the manifest, then move the files that wait.

    Args:
        moves: The plan.
        root: The data set's folder.
        folder: The manifest's folder, and that of files set aside.
        dry_run: Whether to touch nothing.
        is_written: Whether an interrupted call has written the manifest, and this does the rest.

    Returns:
        What was moved, and what was left, with the reason.

    Raises:
        FileExistsError: If the manifest of an interrupted run was changed.
        OSError: If the target is on another disk, or the disk is full or read-only.
        ValueError: If there are too many moves for a manifest.
    """
    states = [(move, *_find_state("move", move, root, folder)) for move in moves]
    ready = [move for move, state, _ in states if state == _READY]
    done = tuple(move for move, state, _ in states if state == _DONE)
    left = [(move.source, why) for move, state, why in states if state not in (_READY, _DONE)]
    if dry_run:
        return MoveResult("move", root, folder, dry_run, tuple(ready), done, tuple(left))
    if ready and not is_written:
        write_manifest(folder / MANIFEST_NAME, moves)
    if ready:
        set_mark(root, folder, "move")
    tried = [(m, _try_rename(*_find_ends(m, root, folder))) for m in ready]
    moved = tuple(move for move, error in tried if error is None)
    failed = [(move, error) for move, error in tried if error is not None]
    may_go_on = any(_may_pass(error) for _, error in failed) or any(
        state in ("taken", "unread") and move.sha256 for move, state, _ in states
    )
    if not (may_go_on and (moved or done)):
        clear_mark(root, folder)
    for _, error in failed if not (moved or done or is_written) else ():
        if isinstance(error, OSError) and error.errno == errno.EXDEV:
            raise error
    left += [(move.source, explain(error)) for move, error in failed]
    return MoveResult("move", root, folder, dry_run, moved, done, tuple(left))


def undo(manifests: Sequence[Manifest], root: Path, *, dry_run: bool = False) -> MoveResult:
    """Bring back what manifests, the newest first, have moved; a mark says so until all is done.

    Raises OSError if the disk is full or read-only.
    """
    back: list[Move] = []
    there: list[Move] = []
    left = [row for manifest in manifests for row in manifest.damaged]
    waiting = [(move, manifest.folder) for manifest in manifests for move in manifest.moves]
    stuck: set[Path] = set()
    if not dry_run:
        _mark_undoing(manifests, root)
    while waiting:
        found = [(m, home, *_bring_back(m, root, home, stuck, dry_run)) for m, home in waiting]
        back += [move for move, _, state, _ in found if state == _READY]
        there += [move for move, _, state, _ in found if state == _DONE]
        again = not dry_run and any(state == _READY for *_, state, _ in found)
        # A file that another move has taken further may be back in reach now.
        waiting = [(move, home) for move, home, state, _ in found if again and state == "gone"]
        done = (_READY, _DONE, "gone") if again else (_READY, _DONE)
        left += [(move.source, reason) for move, _, state, reason in found if state not in done]
    for manifest in manifests:
        if not dry_run and manifest.folder not in stuck:
            clear_mark(root, manifest.folder)
    home = root / QUARANTINE_NAME
    return MoveResult("restore", root, home, dry_run, tuple(back), tuple(there), tuple(left))


def finish_moves(
    folder: str | Path, *, dry_run: bool = False, but: Path | None = None
) -> tuple[MoveResult, ...]:
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
        ...     print(each)
    """
    root = Path(folder)
    restores, moves, unread = read_unfinished(root)
    found = [MoveResult("move", root, root / QUARANTINE_NAME, dry_run, left=unread)]
    if restores:  # together, for one may have moved further what another has moved
        found.append(undo(restores, root, dry_run=dry_run))
    for manifest in reversed(moves):
        if but is None or manifest.folder.resolve() != but.resolve():
            options = {"dry_run": dry_run, "is_written": True}
            rest = carry_out(manifest.moves, root, folder=manifest.folder, **options)
            found.append(replace(rest, left=(*manifest.damaged, *rest.left)))
    return tuple(
        replace(each, was_interrupted=True)
        for each in found
        if each.moves or each.left or (each.earlier and each.task == "move")
    )


def find_unfinished(folder: str | Path) -> tuple[dict[tuple[str, str], str], Reasons]:
    """Find the files that interrupted calls were to move, or had begun to bring back.

    Nothing is touched. Returns the reason why each was to be moved, by its path, normalised, and
    its SHA-256;
    and what stands in the way of knowing, each with the reason.
    """
    restores, moves, unread = read_unfinished(Path(folder))
    lines = [move for manifest in (*restores, *moves) for move in manifest.moves]
    return {(normalise_name(move.source), move.sha256): move.reason for move in lines}, unread


def _find_state(task: Task, move: Move, root: Path, folder: Path) -> tuple[str, str]:
    """Return what is the case with a file, `_READY` and `_DONE` included, and a sentence on it."""
    sentences = _SENTENCES[task]
    try:
        state = _look(task, move, root, folder)
    except PATH_ERRORS as error:
        if not _may_pass(error):
            return "impossible", explain(error)
        return "unread", f"{sentences['unread']}: {explain(error)}"
    home = "quarantine" if move.place == "quarantine" else "other class"
    return state, sentences.get(state, "").format(home=home)


def _look(task: Task, move: Move, root: Path, folder: Path) -> str:
    here, there = _find_ends(move, root, folder)
    if task == "restore":
        here, there = there, here
    if not move.is_inside(root, folder):
        return "outside"
    content = hash_file(here)
    if content is None and (task == "move" or not exists(here)):
        return _DONE if hash_file(there) == move.sha256 else "gone"
    if content == "" or (task == "move" and not move.sha256):
        return "unread"
    if content != move.sha256:
        return "changed"
    return "taken" if exists(there) else _READY


def _find_ends(move: Move, root: Path, folder: Path) -> tuple[Path, Path]:
    """Return where a file was and where it goes, as names are written on this disk.

    Copied from another machine, a file may have the accents in its name written in another way than
    its manifest: it is known by its content then, and keeps the name that it has.
    """
    base = move.find_base(root, folder)
    ends = (_find_place(root, move.source), _find_place(base, move.to))
    if (move.source + move.to).isascii() or any(map(exists, ends)):
        return ends
    for found in (find_path(root, move.source), find_path(base, move.to)):
        if hash_file(found) == move.sha256:
            source, target = (_write_alike(each, found.name) for each in ends)
            return source, target
    return ends


def _find_place(folder: Path, relative: str) -> Path:
    """Return a place below a folder, whose own folders may be there with other accents."""
    path = PurePosixPath(relative)
    return folder / path if relative.isascii() else find_path(folder, str(path.parent)) / path.name


def _write_alike(path: Path, name: str) -> Path:
    is_same = normalise_name(path.name) == normalise_name(name)
    return path.with_name(name) if is_same else path


def _mark_undoing(manifests: Sequence[Manifest], root: Path) -> None:
    """Mark the manifests of which something may be undone.

    The newest comes first: killed in between, those that are marked lead back to a state that the
    folder was in before.
    """
    for manifest in manifests:
        states = (_find_state("restore", m, root, manifest.folder)[0] for m in manifest.moves)
        if any(state in (_READY, "gone", "unread") for state in states):
            set_mark(root, manifest.folder, "restore")


def _bring_back(
    move: Move, root: Path, home: Path, stuck: set[Path], dry_run: bool
) -> tuple[str, str]:
    """Move a file back if that can be done; return its state and a sentence."""
    state, reason = _find_state("restore", move, root, home)
    if state == "unread":
        stuck.add(home)
    if state == _READY and not dry_run:
        source, target = _find_ends(move, root, home)
        error = _try_rename(target, source)
        if error is not None:
            if _may_pass(error):
                stuck.add(home)
            return "failed", explain(error)
    return state, reason


def _may_pass(error: Exception) -> bool:
    """Tell whether the same move may succeed later: a permission can be given, a disk repaired."""
    return isinstance(error, OSError) and error.errno in _OF_THE_MOMENT


def hash_file(path: Path) -> str | None:
    """Return a regular file's SHA-256, "" when it cannot be read, None when there is none."""
    try:
        return find_sha256(path) if stat.S_ISREG(path.lstat().st_mode) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return ""


def _try_rename(source: Path, target: Path) -> Exception | None:
    """Move a file; return what stands in its way, and raise what stands in the way of all."""
    try:
        _rename(source, target)
    except PATH_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        return error
    return None


def _rename(source: Path, target: Path) -> None:
    """Move a file on the same disk to a place that is free."""
    make_folder(target.parent)
    if exists(target):
        raise FileExistsError(f"{show_text(target)} exists; nothing is overwritten. Move it away.")
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise OSError(
            errno.EXDEV,
            f"destination: {show_text(target.parent)} is on another disk than "
            f"{show_text(source)}, so files cannot be moved in one step. Pass a destination on the "
            "same disk",
        ) from error
