"""Carry out what was decided: to the other class, or aside; and nothing is ever overwritten.

The moves go the way of `quarantine`: a manifest first, then one renaming for each file. Killed at
any moment, the next call that moves anything finishes the work first; `emoclf.restore` undoes it.

    DATA/quarantine/3f9c1a2b7d4e/manifest.jsonl    one line per file: from, to, SHA-256, reason
    DATA/happy/a.jpg                               a photo that was moved from DATA/sad
    DATA/quarantine/3f9c1a2b7d4e/files/sad/b.jpg   a photo that was set aside
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from emoclf.config import CLASS_NAMES
from emoclf.data.cleaning import MoveResult, finish_moves
from emoclf.data.cleaning.manifests import (
    FILES_NAME,
    MANIFEST_NAME,
    PATH_ERRORS,
    Move,
    exists,
    explain,
    make_changed,
    make_id,
    read_manifest,
)
from emoclf.data.cleaning.moving import carry_out
from emoclf.data.folders import QUARANTINE_NAME, ClassFolder, find_class_folders
from emoclf.experiments.label_errors.sheet import Decision, load_decisions
from emoclf.storage import find_path
from emoclf.untrusted import match_names, normalise_name, show_text

MAX_NAME_BYTES = 255
"""What most file systems allow for a name."""

_LEFT_BEFORE = "an earlier call with these decisions left it out; `restore`, then apply them again"


@dataclass
class _Plan:
    """The moves that are planned so far, and what stands in their way."""

    root: Path
    folders: tuple[ClassFolder, ...]
    moves: list[Move] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)


def apply_decisions(
    folder: str | Path,
    decisions: str | Path | Sequence[Decision],
    *,
    dry_run: bool = True,
    class_names: tuple[str, ...] = CLASS_NAMES,
    class_map: Mapping[str, str] | None = None,
) -> MoveResult:
    """Move photos to the class that was decided, or set them aside.

    A photo that is to change its class keeps its place below the class folder; where that name is
    taken it gets a number. `restore(folder)` undoes everything. What an interrupted call has begun,
    with other decisions, or of `quarantine` or `restore`, is finished first.

    Args:
        folder: The data set's folder.
        decisions: The CSV that the review sheet saved, or what `load_decisions` returned.
        dry_run: Whether only to say what would be moved. This is the default.
        class_names: The classes in label order.
        class_map: Which folder belongs to which class, as for `find_class_folders`.

    Returns:
        What was moved, and what was left in place because it is gone, changed, or not where it was.

    Raises:
        FileNotFoundError: If there is no such folder or CSV.
        FileExistsError: If the manifest of an interrupted call was changed.
        ValueError: If the CSV is no such file, or a class has no folder.

    Example:
        >>> print(apply_decisions("data", "decisions.csv"))  # doctest: +SKIP
        >>> apply_decisions("data", "decisions.csv", dry_run=False)  # doctest: +SKIP
    """
    if isinstance(decisions, (str, Path)):
        decisions = load_decisions(decisions)
    found = find_class_folders(folder, class_names=class_names, class_map=class_map)
    wanted = [each for each in decisions if each.action in ("move", "set_aside")]
    facts = [
        [normalise_name(each.path), each.sha256, each.action, each.suggested_class]
        for each in wanted
    ]
    home = found.root / QUARANTINE_NAME / make_id(sorted(facts))
    finished = finish_moves(found.root, dry_run=dry_run, but=home)
    if finished:  # a class folder that was moved as a whole may be back
        found = find_class_folders(folder, class_names=class_names, class_map=class_map)
    plan = _Plan(found.root, found.folders)
    begun = _read_manifest(home)
    known = {normalise_name(move.source) for move in begun or ()}
    for decision in sorted(wanted, key=lambda each: each.path):
        try:
            if normalise_name(decision.path) not in known:
                _plan_move(plan, _match_disk(plan, decision))
        except PATH_ERRORS as error:  # the row's path is none that a file can have
            plan.left.append((decision.path, explain(error)))
    if begun is not None:
        plan.left += [(move.source, _LEFT_BEFORE) for move in plan.moves]
        plan.moves = begun
    result = carry_out(plan.moves, found.root, folder=home, dry_run=dry_run)
    actions = Counter(each.action for each in decisions)
    note = f"{actions['keep']:,} stay as decided, {actions['']:,} are not decided"
    left = (*plan.left, *result.left)
    return replace(result, left=left, finished=finished, notes=(note,), is_listed=True)


def _read_manifest(home: Path) -> list[Move] | None:
    """Return the moves of an earlier call with the same decisions; None where there was none."""
    path = home / MANIFEST_NAME
    if not exists(path):
        return None
    manifest = read_manifest(path)
    if manifest.damaged:
        raise make_changed(path)
    return list(manifest.moves)


def _match_disk(plan: _Plan, decision: Decision) -> Decision:
    """Return a decision with path and classes as they are written here, accents included."""
    names = {each.class_name for each in plan.folders}
    own = match_names((decision.class_name, decision.suggested_class), names)
    path = decision.path
    found = find_path(plan.root, path)
    if not path.isascii() and found.is_relative_to(plan.root):
        path = found.relative_to(plan.root).as_posix()
    return replace(
        decision,
        path=path,
        class_name=own[decision.class_name],
        suggested_class=own[decision.suggested_class],
    )


def _plan_move(plan: _Plan, decision: Decision) -> None:
    """Add the move of one decision, or the reason why there is none."""
    path = PurePosixPath(decision.path)
    own = [each for each in plan.folders if _find_below(plan.root, each, path) is not None]
    if ".." in path.parts or not own or own[0].class_name != decision.class_name:
        plan.left.append(
            (decision.path, f"it is in no folder of class {show_text(decision.class_name)}")
        )
        return
    if not decision.sha256:
        plan.left.append((decision.path, "its line has no sha256; take it from the sheet's CSV"))
        return
    reason = f"decided: {decision.action}. {decision.reason}"
    if decision.action == "set_aside":
        to = f"{FILES_NAME}/{decision.path}"
        plan.moves.append(Move(decision.path, to, decision.sha256, reason))
        return
    targets = [each for each in plan.folders if each.class_name == decision.suggested_class]
    if not targets or decision.suggested_class == decision.class_name:
        names = ", ".join(sorted({each.class_name for each in plan.folders} - {own[0].class_name}))
        plan.left.append(
            (decision.path, f"suggested_class: expected {names}, not {decision.suggested_class!r}")
        )
        return
    below = _find_below(plan.root, own[0], path)
    to = _find_free(plan, targets[0].path.relative_to(plan.root).as_posix(), below or path)
    plan.moves.append(Move(decision.path, to, decision.sha256, reason, "data"))


def _find_below(root: Path, folder: ClassFolder, path: PurePosixPath) -> PurePosixPath | None:
    """Return a photo's path below a class folder, or None if it is not in there."""
    home = PurePosixPath(folder.path.relative_to(root).as_posix())
    return path.relative_to(home) if home in path.parents else None


def _find_free(plan: _Plan, folder: str, below: PurePosixPath) -> str:
    """Return a free path in a class folder: the photo's own, or one with a number."""
    number = 1
    while True:
        name = below.name if number == 1 else _add_number(below, f" ({number})")
        to = (PurePosixPath(folder) / below.with_name(name)).as_posix()
        key = normalise_name(to).casefold()
        if key not in plan.taken and not exists(plan.root / to):
            plan.taken.add(key)
            return to
        number += 1


def _add_number(path: PurePosixPath, number: str) -> str:
    """Return a name with a number before its extension, cut to what a file system allows."""
    stem = path.stem
    while len(os.fsencode(f"{stem}{number}{path.suffix}")) > MAX_NAME_BYTES and len(stem) > 1:
        stem = stem[:-1]
    return f"{stem}{number}{path.suffix}"
