"""Move rejected files aside, and bring them back. Nothing is ever deleted or overwritten.

A manifest is written before the first file is moved, and every move is one renaming on the same
disk. So a process that is killed leaves each file whole, in its old place or in its new one: the
next `quarantine` finishes the work before it begins its own, `restore` undoes it.

    DATA/quarantine/3f9c1a2b7d4e/manifest.jsonl    one line per file: from, to, SHA-256, reason
    DATA/quarantine/3f9c1a2b7d4e/files/sad/a.jpg   the file, with its path below DATA
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emoclf.data.cleaning.manifests import (
    FILES_NAME,
    PATH_ERRORS,
    Manifest,
    Move,
    explain,
    find_manifests,
    make_id,
    read_manifest,
)
from emoclf.data.cleaning.moving import MoveResult, carry_out, finish_moves, undo
from emoclf.data.cleaning.report import PROBLEM_KINDS, UNFINISHED_KIND, CleaningReport, FileRecord
from emoclf.data.folders import QUARANTINE_NAME
from emoclf.untrusted import normalise_name

_OF_DUPLICATES = {"exact_duplicate", "in_both_classes", UNFINISHED_KIND}
_STALE = (
    "a duplicate of it was moved when an interrupted call was finished; examine the folder again"
)


def quarantine(
    report: CleaningReport,
    *,
    dry_run: bool = True,
    destination: str | Path | None = None,
    max_fraction: float = 0.5,
    include_advice: tuple[str, ...] = (),
) -> MoveResult:
    """Move the rejected files out of the class folders.

    What an interrupted call has begun, this function, `apply_decisions` or `restore`, is finished
    first. To examine the folder after that, call `finish_moves` before `find_problems`.

    Args:
        report: What `find_problems` returned. With the same report, an interrupted run is
            finished.
        dry_run: Whether only to say what would be moved. This is the default.
        destination: Folder to move to, on the same disk; None takes `quarantine` in the data
            set's folder.
        max_fraction: Refuse when more than this fraction of all files, or of one class, is flagged.
        include_advice: Kinds of problems that are only advice but shall be moved too, for
            example `("very_dark",)`.

    Returns:
        What was moved, and what was left in place because it changed since the report.

    Raises:
        ValueError: If too many files are flagged, `max_fraction` is none, or `include_advice`
            names an unknown kind.
        FileExistsError: If the manifest of an interrupted run was changed.
        OSError: If the destination is on another disk; nothing has been moved then. If the disk
            is full: the next call goes on.

    Example:
        >>> print(quarantine(report))  # doctest: +SKIP
        >>> quarantine(report, dry_run=False)  # doctest: +SKIP
    """
    unknown = [kind for kind in include_advice if kind not in PROBLEM_KINDS]
    if unknown:
        raise ValueError(f"include_advice: expected kinds of {PROBLEM_KINDS}, received {unknown}.")
    flagged = [  # one whose move waits already has its manifest
        record
        for record in report.records
        if _find_reject_kinds(record) - {UNFINISHED_KIND}
        or any(map(record.has_problem, include_advice))
    ]
    _check_fraction(report, flagged, max_fraction)
    root = Path(report.root)
    base = root / QUARANTINE_NAME if destination is None else Path(destination)
    finished = finish_moves(root, dry_run=dry_run, but=base / _name_plan(flagged))
    flagged, stale = _leave_out_finished(flagged, finished)
    moves = [_plan_move(record) for record in flagged]
    result = carry_out(moves, root, folder=base / _name_plan(flagged), dry_run=dry_run)
    left = (*((record.path, _STALE) for record in stale), *result.left)
    return replace(result, left=left, finished=finished)


def restore(
    folder: str | Path, *, destination: str | Path | None = None, quarantine_id: str | None = None
) -> MoveResult:
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
        >>> print(restore("data"))  # doctest: +SKIP
    """
    root = Path(folder)
    base = root / QUARANTINE_NAME if destination is None else Path(destination)
    manifests: list[Manifest] = []
    unread: list[tuple[str, str]] = []
    for path in find_manifests(base, quarantine_id):
        try:
            manifests.append(read_manifest(path))
        except PATH_ERRORS as error:
            unread.append((f"{path.parent.name}/{path.name}", explain(error)))
    result = undo(manifests, root)
    return replace(result, folder=base, left=(*unread, *result.left))


def _leave_out_finished(
    flagged: list[FileRecord], finished: Sequence[MoveResult]
) -> tuple[list[FileRecord], list[FileRecord]]:
    """Return what remains to be moved, and what has a duplicate that was moved since the report."""
    moves = [each for each in finished if each.task == "move"]
    done = {
        (normalise_name(m.source), m.sha256) for each in moves for m in (*each.earlier, *each.moves)
    }
    contents = {sha256 for _, sha256 in done}
    rest = [r for r in flagged if (normalise_name(r.path), r.sha256) not in done]
    stale = [r for r in rest if r.sha256 in contents and _find_reject_kinds(r) <= _OF_DUPLICATES]
    paths = {record.path for record in stale}
    return [record for record in rest if record.path not in paths], stale


def _name_plan(flagged: Sequence[FileRecord]) -> str:
    """Return the name of the folder for the moves of these files."""
    return make_id([_plan_move(record).to_dict() for record in flagged])


def _find_reject_kinds(record: FileRecord) -> set[str]:
    return {problem.kind for problem in record.problems if problem.severity == "reject"}


def _check_fraction(report: CleaningReport, flagged: list[FileRecord], max_fraction: float) -> None:
    """Refuse to empty a data set: so many bad files are rather a bad threshold."""
    if not 0 <= max_fraction <= 1:
        raise ValueError(f"max_fraction: expected a fraction from 0 to 1, received {max_fraction}.")
    total = Counter(record.class_name for record in report.records)
    bad = Counter(record.class_name for record in flagged)
    groups = [(f"class {name}", bad[name], total[name]) for name in total]
    for name, count, of in [("all", len(flagged), len(report.records)), *groups]:
        if count > max_fraction * of:
            raise ValueError(
                f"{count} of {of} files ({name}) are flagged, more than {max_fraction:.0%}: "
                "nothing was moved. Read the report. If it is right, "
                f"pass max_fraction={min(count / of + 0.01, 1):.2f}."
            )


def _plan_move(record: FileRecord) -> Move:
    """Return where a file goes, and why."""
    reason = "; ".join(f"{problem.kind}: {problem.reason}" for problem in record.problems)
    return Move(record.path, f"{FILES_NAME}/{record.path}", record.sha256, reason)
