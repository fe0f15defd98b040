"""Move rejected files aside, and bring them back. Nothing is ever deleted or overwritten.

`quarantine` writes a manifest before it moves the first file, and every move is one renaming on
the same disk. So a process that is killed leaves each file whole, in its old place or in its new
one: the next `quarantine` finishes the work before it begins its own, `restore` undoes it.

    DATA/quarantine/3f9c1a2b7d4e/manifest.jsonl    one line per file: from, to, SHA-256, reason
    DATA/quarantine/3f9c1a2b7d4e/files/sad/a.jpg   the file, with its path below DATA
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from emoclf.data.cleaning.finishing import FinishedMoves, describe_finished, finish_moves
from emoclf.data.cleaning.manifests import FILES_NAME, QUARANTINE_NAME, Move, make_id
from emoclf.data.cleaning.moving import carry_out
from emoclf.data.cleaning.report import PROBLEM_KINDS, UNFINISHED_KIND, CleaningReport, FileRecord
from emoclf.untrusted import show_text

_OF_COPIES = {"exact_duplicate", "in_both_classes", UNFINISHED_KIND}
_STALE = "a copy of it was moved when an interrupted call was finished; examine the folder again"


@dataclass(frozen=True)
class QuarantineResult:
    """What `quarantine` did, or would do.

    Attributes:
        folder: Where the files are, or would be.
        dry_run: Whether nothing was touched.
        moved: Paths, relative to the data set's folder, that were moved (or would be).
        already_moved: Paths that an interrupted run had moved before.
        left: Paths that stay where they are, each with the reason.
        finished: What interrupted calls had begun and was finished first (or would be).
    """

    folder: Path
    dry_run: bool
    moved: tuple[str, ...]
    already_moved: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    finished: tuple[FinishedMoves, ...] = ()

    def describe(self) -> str:
        """Return the result as text for reading."""
        verb = "would be moved to" if self.dry_run else "moved to"
        lines = describe_finished(self.finished)
        lines.append(f"{len(self.moved):,} files {verb} {show_text(self.folder)}")
        if self.already_moved:
            lines.append(f"{len(self.already_moved):,} files had been moved there before")
        lines += [f"left in place: {show_text(path)}: {reason}" for path, reason in self.left]
        return "\n".join(lines)


def quarantine(
    report: CleaningReport,
    *,
    dry_run: bool = True,
    destination: str | Path | None = None,
    max_share: float = 0.5,
    include_advice: tuple[str, ...] = (),
) -> QuarantineResult:
    """Move the rejected files out of the class folders.

    What an interrupted call has begun, this function, `apply_decisions` or `restore`, is finished
    first. To examine the folder after that, call `finish_moves` before `find_problems`.

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
        OSError: If the destination is on another disk; nothing has been moved then. If the disk
            is full: the next call goes on.

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
    base = Path(destination) if destination is not None else root / QUARANTINE_NAME
    folder = _find_folder(base, moves)
    finished = finish_moves(root, dry_run=dry_run, but=folder)
    stale: tuple[tuple[str, str], ...] = ()
    if finished:
        moves, stale = _leave_out_finished(flagged, finished)
        folder = _find_folder(base, moves)
    result = carry_out(moves, root, folder=folder, dry_run=dry_run)
    return QuarantineResult(
        folder=folder,
        dry_run=dry_run,
        moved=tuple(move.source for move in result.waiting),
        already_moved=tuple(move.source for move in result.moved),
        left=(*stale, *((move.source, state) for move, state in result.left)),
        finished=finished,
    )


def _leave_out_finished(
    flagged: list[FileRecord], finished: tuple[FinishedMoves, ...]
) -> tuple[list[Move], tuple[tuple[str, str], ...]]:
    """Return the moves that remain, and the files whose copies have moved since the report."""
    done = [move for each in finished for move in each.moves]
    gone = {(move.source, move.sha256) for move in done}
    contents = {move.sha256 for move in done}
    rest = [record for record in flagged if (record.path, record.sha256) not in gone]
    stale = {
        record.path: _STALE
        for record in rest
        if record.sha256 in contents and _find_reject_kinds(record) <= _OF_COPIES
    }
    moves = [_plan_move(record) for record in rest if record.path not in stale]
    return moves, tuple(stale.items())


def _find_folder(base: Path, moves: list[Move]) -> Path:
    """Return the folder of a plan's manifest, named after the plan."""
    return base / make_id([_list_facts(move) for move in moves])


def _is_flagged(record: FileRecord, include_advice: tuple[str, ...]) -> bool:
    """Tell whether a file is to be moved; one whose move waits already has its manifest."""
    kinds = _find_reject_kinds(record) - {UNFINISHED_KIND}
    return bool(kinds) or any(map(record.has_problem, include_advice))


def _find_reject_kinds(record: FileRecord) -> set[str]:
    return {problem.kind for problem in record.problems if problem.severity == "reject"}


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


def _plan_move(record: FileRecord) -> Move:
    """Return where a file goes, and why."""
    reason = "; ".join(f"{problem.kind}: {problem.reason}" for problem in record.problems)
    return Move(record.path, f"{FILES_NAME}/{record.path}", record.sha256, reason)


def _list_facts(move: Move) -> dict[str, str]:
    """Return what the folder's name is made from, the same as in earlier versions."""
    return {name: value for name, value in asdict(move).items() if name != "place"}
