"""Bring back what was moved by a manifest, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emoclf.cleaning.moving import (
    MANIFEST_NAME,
    QUARANTINE_NAME,
    Move,
    exists,
    hash_file,
    parse_line,
    rename,
)
from emoclf.untrusted import show_text

_NEITHER = "it is neither in quarantine nor in its place"


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
    restored: list[str] = []
    already: list[str] = []
    left: list[tuple[str, str]] = []
    waiting: list[tuple[Move, Path]] = []
    for manifest in _find_manifests(base, quarantine_id):
        for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
            move = parse_line(line)
            if move is None:
                left.append((f"{manifest.parent.name} line {number}", "not a line of a manifest"))
            else:
                waiting.append((move, manifest.parent))
    while waiting:
        found = [(move, home, _bring_back(root, home, move)) for move, home in waiting]
        restored += [move.source for move, _, state in found if state == "ready"]
        already += [move.source for move, _, state in found if state == "there"]
        again = any(state == "ready" for *_, state in found)
        # A file that another move has taken further may be back in reach now.
        waiting = [(move, home) for move, home, state in found if again and state == _NEITHER]
        done = ("ready", "there", *((_NEITHER,) if again else ()))
        left += [(move.source, state) for move, _, state in found if state not in done]
    return RestoreResult(tuple(restored), tuple(already), tuple(left))


def _bring_back(root: Path, home: Path, move: Move) -> str:
    """Move a file back if that can be done; return "ready", "there" or why not."""
    state = _check_restore(root, home, move)
    if state == "ready":
        rename(move.find_target(root, home), root / move.source)
    return state


def _check_restore(root: Path, home: Path, move: Move) -> str:
    """Return "ready", "there", or a sentence that says why a file is not restored."""
    stored, place = move.find_target(root, home), root / move.source
    if not move.is_inside(root, home):
        return "the manifest points outside the folder"
    if not exists(stored):
        return "there" if hash_file(place) == move.sha256 else _NEITHER
    if hash_file(stored) != move.sha256:
        return "its content in quarantine is not the one that was moved"
    return "ready" if not exists(place) else "there is a file in its place; move that one away"


def _find_manifests(base: Path, quarantine_id: str | None) -> list[Path]:
    """Return the manifests to undo, the newest first."""
    found = sorted(base.glob(f"*/{MANIFEST_NAME}"), key=_find_age)
    if quarantine_id is not None:
        found = [manifest for manifest in found if manifest.parent.name == quarantine_id]
    if not found:
        raise FileNotFoundError(
            f"There is no quarantine to restore: expected {str(base)!r} to hold a folder with "
            f"{MANIFEST_NAME}. Pass the data set's folder, and the destination if you chose one."
        )
    return found


def _find_age(manifest: Path) -> tuple[int, str]:
    return -manifest.stat().st_mtime_ns, manifest.parent.name
