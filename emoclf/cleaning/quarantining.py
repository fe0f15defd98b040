"""Move rejected files aside, and bring them back. Nothing is ever deleted or overwritten.

`quarantine` writes a manifest before it moves the first file, and every move is one renaming on
the same disk. So a process that is killed leaves each file whole, in its old place or in its new
one: `quarantine` with the same report finishes the work, `restore` undoes it.

    DATA/quarantine/3f9c1a2b7d4e/manifest.jsonl    one line per file: from, to, SHA-256, reason
    DATA/quarantine/3f9c1a2b7d4e/files/sad/a.jpg   the file, with its path below DATA
"""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from emoclf.cleaning.report import PROBLEM_KINDS, CleaningReport, FileRecord, show_path
from emoclf.storage import find_sha256, replacing

QUARANTINE_NAME: str = "quarantine"
"""Folder beside the class folders; `find_class_folders` never takes it for one of them."""

_MANIFEST_NAME = "manifest.jsonl"
_FILES_NAME = "files"
_ID_DIGITS = 12
_DONE = ("waiting", "moved")


@dataclass(frozen=True)
class QuarantineResult:
    """What `quarantine` did, or would do.

    Attributes:
        folder: Where the files are, or would be.
        dry_run: Whether nothing was touched.
        moved: Paths, relative to the data set's folder, that were moved (or would be).
        already_moved: Paths that an interrupted run had moved before.
        left: Paths that stay where they are, each with the reason.
    """

    folder: Path
    dry_run: bool
    moved: tuple[str, ...]
    already_moved: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        """Return the result as text for reading."""
        verb = "would be moved to" if self.dry_run else "moved to"
        lines = [f"{len(self.moved):,} files {verb} {show_path(str(self.folder))}"]
        if self.already_moved:
            lines.append(f"{len(self.already_moved):,} files had been moved there before")
        lines += [f"left in place: {show_path(path)}: {reason}" for path, reason in self.left]
        return "\n".join(lines)


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
        lines += [f"not restored: {show_path(path)}: {reason}" for path, reason in self.left]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Move:
    """One line of a manifest; `to` is relative to the manifest's folder."""

    source: str
    to: str
    sha256: str
    reason: str


def quarantine(
    report: CleaningReport,
    *,
    dry_run: bool = True,
    destination: str | Path | None = None,
    max_share: float = 0.5,
    include_advice: tuple[str, ...] = (),
) -> QuarantineResult:
    """Move the rejected files out of the class folders.

    Args:
        report: What `find_problems` returned. With the same report, an interrupted run is
            finished.
        dry_run: Whether only to say what would be moved. This is the default.
        destination: Folder to move to, on the same disk; None takes `quarantine` in the data
            set's folder.
        max_share: Refuse when more than this share of all files, or of one class, is flagged.
        include_advice: Kinds of problems that are only advice but shall be moved too, for
            example `("very_dark",)`.

    Returns:
        What was moved, and what was left in place because it changed since the report.

    Raises:
        ValueError: If too many files are flagged, `max_share` is no share, or `include_advice`
            names an unknown kind.
        FileExistsError: If the manifest of an interrupted run was changed.
        OSError: If the destination is on another disk; nothing has been moved then.

    Example:
        >>> print(quarantine(report).describe())  # doctest: +SKIP
        >>> quarantine(report, dry_run=False)  # doctest: +SKIP
    """
    unknown = [kind for kind in include_advice if kind not in PROBLEM_KINDS]
    if unknown:
        raise ValueError(f"include_advice: expected kinds of {PROBLEM_KINDS}, received {unknown}.")
    flagged = [record for record in report.records if _is_flagged(record, include_advice)]
    _check_share(report, flagged, max_share)
    root = Path(report.root)
    moves = [_plan_move(record) for record in flagged]
    plan = json.dumps([asdict(move) for move in moves]).encode()
    base = Path(destination) if destination is not None else root / QUARANTINE_NAME
    folder = base / hashlib.sha256(plan).hexdigest()[:_ID_DIGITS]
    states = [(move, _find_state(root, folder, move)) for move in moves]
    waiting = [move for move, state in states if state == "waiting"]
    if not dry_run and waiting:
        _write_manifest(folder / _MANIFEST_NAME, moves)
        for move in waiting:
            _rename(root / move.source, folder / move.to)
    return QuarantineResult(
        folder=folder,
        dry_run=dry_run,
        moved=tuple(move.source for move in waiting),
        already_moved=tuple(move.source for move, state in states if state == "moved"),
        left=tuple((move.source, state) for move, state in states if state not in _DONE),
    )


def restore(
    folder: str | Path,
    *,
    destination: str | Path | None = None,
    quarantine_id: str | None = None,
) -> RestoreResult:
    """Bring quarantined files back to where they were, byte for byte.

    Files whose place is taken, or whose content is no longer the one that was moved, stay in
    quarantine and are named. The manifests stay too.

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
    restored: list[str] = []
    already: list[str] = []
    left: list[tuple[str, str]] = []
    for manifest in _find_manifests(base, quarantine_id):
        for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
            move = _parse_line(line)
            if move is None:
                left.append((f"{manifest.parent.name} line {number}", "not a line of a manifest"))
                continue
            stored, place = manifest.parent / move.to, root / move.source
            state = _check_restore(stored, place, root, manifest.parent, move)
            if state == "ready":
                _rename(stored, place)
                restored.append(move.source)
            elif state == "there":
                already.append(move.source)
            else:
                left.append((move.source, state))
    return RestoreResult(tuple(restored), tuple(already), tuple(left))


def _is_flagged(record: FileRecord, include_advice: tuple[str, ...]) -> bool:
    """Tell whether a file is to be moved."""
    return record.rejected or any(record.has_problem(kind) for kind in include_advice)


def _check_share(report: CleaningReport, flagged: list[FileRecord], max_share: float) -> None:
    """Refuse to empty a data set: so many bad files are rather a bad threshold."""
    if not 0 <= max_share <= 1:
        raise ValueError(f"max_share: expected a share from 0 to 1, received {max_share}.")
    total = Counter(record.class_name for record in report.records)
    bad = Counter(record.class_name for record in flagged)
    groups = [(f"class {name}", bad[name], total[name]) for name in total]
    for name, count, of in [("all", len(flagged), len(report.records)), *groups]:
        if count > max_share * of:
            raise ValueError(
                f"max_share: {count} of {of} files ({name}) are flagged, which is more than "
                f"{max_share:.0%}; nothing was moved. Read `report.describe()`. If it is right, "
                f"pass max_share={min(count / of + 0.01, 1):.2f}."
            )


def _plan_move(record: FileRecord) -> _Move:
    """Return where a file goes, and why."""
    reason = "; ".join(f"{problem.kind}: {problem.reason}" for problem in record.problems)
    return _Move(record.path, f"{_FILES_NAME}/{record.path}", record.sha256, reason)


def _find_state(root: Path, folder: Path, move: _Move) -> str:
    """Return "waiting", "moved", or a sentence that says why a file stays where it is."""
    source, target = root / move.source, folder / move.to
    if not _is_inside(source, root, move.source):
        return "it is not inside the data set's folder"
    here, there = _hash_file(source), _hash_file(target)
    if here is None:
        return "moved" if there == move.sha256 else "it is gone, or is no file any more"
    if here == "" or not move.sha256:
        return "its content cannot be read"
    if here != move.sha256:
        return "it changed since the report; run `find_problems` again"
    return "waiting" if not _exists(target) else "there is a file in its place in the quarantine"


def _check_restore(stored: Path, place: Path, root: Path, folder: Path, move: _Move) -> str:
    """Return "ready", "there", or a sentence that says why a file is not restored."""
    if not (_is_inside(place, root, move.source) and _is_inside(stored, folder, move.to)):
        return "the manifest points outside the folder"
    if not _exists(stored):
        there = _hash_file(place) == move.sha256
        return "there" if there else "it is neither in quarantine nor in its place"
    if _hash_file(stored) != move.sha256:
        return "its content in quarantine is not the one that was moved"
    return "ready" if not _exists(place) else "there is a file in its place; move that one away"


def _is_inside(path: Path, folder: Path, relative: str) -> bool:
    """Tell whether a manifest's relative path stays below its folder, links included."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return path.parent.resolve().is_relative_to(folder.resolve())


def _exists(path: Path) -> bool:
    """Tell whether anything is at a path, a broken symbolic link included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _hash_file(path: Path) -> str | None:
    """Return a regular file's SHA-256, "" when it cannot be read, None when there is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return find_sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return ""


def _write_manifest(path: Path, moves: list[_Move]) -> None:
    """Write the manifest, whole and on the disk, unless an interrupted run has done so."""
    text = "".join(json.dumps(asdict(move)) + "\n" for move in moves)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise FileExistsError(
            f"{str(path)!r} is not what an interrupted run wrote: it was changed. "
            "Nothing was moved; move this folder away first."
        )


def _rename(source: Path, target: Path) -> None:
    """Move a file on the same disk to a place that is free."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if _exists(target):
        raise FileExistsError(f"{str(target)!r} exists; nothing is overwritten. Move it away.")
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise OSError(
            errno.EXDEV,
            f"destination: {str(target.parent)!r} is on another disk than {str(source)!r}, so "
            "files cannot be moved in one step. Pass a destination on the same disk",
        ) from error


def _find_manifests(base: Path, quarantine_id: str | None) -> list[Path]:
    """Return the manifests to undo, sorted by name."""
    found = sorted(base.glob(f"*/{_MANIFEST_NAME}"))
    if quarantine_id is not None:
        found = [manifest for manifest in found if manifest.parent.name == quarantine_id]
    if not found:
        raise FileNotFoundError(
            f"There is no quarantine to restore: expected {str(base)!r} to hold a folder with "
            f"{_MANIFEST_NAME}. Pass the data set's folder, and the destination if you chose one."
        )
    return found


def _parse_line(line: str) -> _Move | None:
    """Return the move that a manifest's line describes, or None if it describes none."""
    try:
        value = json.loads(line)
        move = _Move(**value)
    except (ValueError, TypeError):
        return None
    return move if all(isinstance(part, str) for part in asdict(move).values()) else None
