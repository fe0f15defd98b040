"""From a folder to a report of what is wrong with its files, and why. Nothing is changed.

Every file is read exactly once. What the report rejects is moved aside, never deleted, by
`emoclf.quarantine()`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.data.cleaning.checks import CleaningThresholds, ExaminedFile, examine_file
from emoclf.data.cleaning.duplicates import find_near_pairs, group_pairs
from emoclf.data.cleaning.finishing import find_unfinished
from emoclf.data.cleaning.report import (
    PROBLEM_KINDS,
    UNFINISHED_KIND,
    CleaningReport,
    FileRecord,
    Problem,
)
from emoclf.data.folders import find_class_folders, list_files
from emoclf.images import quiet_pillow, warn_if_pillow_is_old
from emoclf.untrusted import show_text


def find_problems(
    folder: str | Path,
    *,
    class_names: tuple[str, ...] = CLASS_NAMES,
    class_map: Mapping[str, str] | None = None,
    workers: int | None = None,
    progress: bool = True,
    thresholds: CleaningThresholds | None = None,
) -> CleaningReport:
    """Examine every file of the class folders.

    What an interrupted `quarantine`, `apply_decisions` or `restore` has not finished is rejected,
    so that nothing is learned from half a state.

    Args:
        folder: The data set's folder, which holds one folder or more for each class.
        class_names: The classes in label order.
        class_map: Which folder belongs to which class, as for `find_class_folders`.
        workers: How many files are examined at the same time; None takes one per processor,
            8 at most. The report does not depend on it.
        progress: Whether to show a progress bar.
        thresholds: Where each check draws its line; None takes the defaults.

    Returns:
        One record per file, whatever its state, sorted by path.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If a class has no folder, or `workers` is no positive number.

    Example:
        >>> print(find_problems("data").describe())  # doctest: +SKIP
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected 1 or more, received {workers}.")
    thresholds = thresholds or CleaningThresholds()
    found = find_class_folders(folder, class_names=class_names, class_map=class_map)
    paths: list[tuple[Path, FileRecord]] = []
    skipped: list[tuple[str, str]] = []
    for class_folder in found.folders:
        listing = list_files(class_folder.path)
        for path in listing.files:
            name = path.relative_to(found.root).as_posix()
            paths.append((path, FileRecord(name, class_folder.class_name, class_folder.label)))
        skipped += [(_name(path, found.root), reason) for path, reason in listing.skipped]
    paths.sort(key=lambda pair: pair[1].path)
    examined = _examine_files(paths, thresholds, workers=workers, progress=progress)
    unfinished, unread = find_unfinished(found.root)
    if unfinished:
        examined = [_reject_unfinished(each, unfinished) for each in examined]
    return CleaningReport(
        root=found.root,
        class_names=tuple(class_names),
        records=_mark_duplicates(examined, thresholds),
        unassigned=(
            *((_name(path, found.root), reason) for path, reason in found.unassigned),
            *unread,
        ),
        skipped=tuple(sorted(skipped)),
    )


def _name(path: Path, root: Path) -> str:
    """Return a path relative to the data set's folder, with forward slashes."""
    return path.relative_to(root).as_posix()


def _examine_files(
    paths: list[tuple[Path, FileRecord]],
    thresholds: CleaningThresholds,
    *,
    workers: int | None,
    progress: bool,
) -> list[ExaminedFile]:
    """Examine files in several threads and return them in the order given."""
    from tqdm import tqdm

    warn_if_pillow_is_old()
    count = workers or min(8, os.cpu_count() or 1)
    with quiet_pillow(), ThreadPoolExecutor(count) as pool:
        results = pool.map(lambda pair: examine_file(*pair, thresholds=thresholds), paths)
        bar = tqdm(results, total=len(paths), desc="Examining", unit=" files", disable=not progress)
        return list(bar)


def _reject_unfinished(
    examined: ExaminedFile, unfinished: Mapping[tuple[str, str], str]
) -> ExaminedFile:
    """Reject a file that an interrupted call was to move, or has brought back without others."""
    record = examined.record
    why = unfinished.get((record.path, record.sha256))
    if why is None:
        return examined
    reason = (
        "It belongs to an interrupted move or restore, which `clean --move` finishes. "
        f"It is moved for this reason: {show_text(why)}"
    )
    problems = (*record.problems, Problem(UNFINISHED_KIND, "reject", reason))
    return replace(examined, record=replace(record, problems=problems))


def _mark_duplicates(
    examined: list[ExaminedFile], thresholds: CleaningThresholds
) -> tuple[FileRecord, ...]:
    """Add the duplicate groups and the problems that only show between files."""
    records = [each.record for each in examined]
    copies = _find_exact_copies(records)
    pairs = _find_look_alikes(examined, copies, thresholds)
    links = [(each[0], other) for each in copies for other in each[1:]]
    joined = np.array(links, dtype=np.int64).reshape(-1, 2)
    groups = group_pairs(np.concatenate([joined, pairs]), len(records))
    added: defaultdict[int, list[Problem]] = defaultdict(list)
    for position, problem in [
        *_judge_copies(records, copies),
        *_judge_pairs(records, copies, pairs),
    ]:
        added[position].append(problem)
    return tuple(
        replace(
            record,
            problems=_sort_problems([*record.problems, *added[position]]),
            duplicate_group=int(groups[position]),
        )
        for position, record in enumerate(records)
    )


def _find_exact_copies(records: list[FileRecord]) -> list[list[int]]:
    """Return the positions of pictures by content; one list per content, the best-placed first."""
    by_content: defaultdict[str, list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        if record.format:
            by_content[record.sha256].append(position)
    for positions in by_content.values():
        positions.sort(key=lambda each: _rank_copy(records[each]))
    return list(by_content.values())


def _rank_copy(record: FileRecord) -> tuple[int, int, str]:
    """Order copies: the fewest problems first, then the shortest name (`a.jpg`, `a (1).jpg`)."""
    return len(record.problems), len(record.path), record.path


def _find_look_alikes(
    examined: list[ExaminedFile], copies: list[list[int]], thresholds: CleaningThresholds
) -> np.ndarray:
    """Return pairs (n, 2) of positions of near-duplicates; one file speaks for its exact copies."""
    compared = [each[0] for each in copies if examined[each[0]].signature is not None]
    signatures = [each for position in compared if (each := examined[position].signature)]
    pairs = find_near_pairs(
        signatures,
        max_distance=thresholds.max_hash_distance,
        min_similarity=thresholds.min_similarity,
    )
    return np.array(compared, dtype=np.int64)[pairs] if len(pairs) else pairs


def _judge_copies(
    records: list[FileRecord], copies: list[list[int]]
) -> Iterator[tuple[int, Problem]]:
    """Yield what is wrong with files that have the same content."""
    for positions in copies:
        labels = {records[position].label for position in positions}
        for order, position in enumerate(positions):
            if len(labels) > 1:
                other = next(
                    each for each in positions if records[each].label != records[position].label
                )
                reason = f"The same file is in the other class: {show_text(records[other].path)}."
                yield position, Problem("in_both_classes", "reject", reason)
            elif order > 0:
                reason = f"The same file as {show_text(records[positions[0]].path)}."
                yield position, Problem("exact_duplicate", "reject", reason)


def _judge_pairs(
    records: list[FileRecord], copies: list[list[int]], pairs: np.ndarray
) -> Iterator[tuple[int, Problem]]:
    """Yield the advice for files that look like others, once per file."""
    look_alikes: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in pairs.tolist():
        look_alikes[first].append(second)
        look_alikes[second].append(first)
    for positions in copies:
        others = look_alikes.get(positions[0], [])
        for position in positions if others else []:
            label = records[position].label
            reason = f"Looks like {show_text(records[others[0]].path)}."
            yield position, Problem("near_duplicate", "advice", reason)
            other = next((each for each in others if records[each].label != label), None)
            if other is not None:
                name, place = records[other].class_name, show_text(records[other].path)
                reason = f"Looks like {place}, which is in {name}: check both labels."
                yield position, Problem("in_both_classes", "advice", reason)


def _sort_problems(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order of `PROBLEM_KINDS`."""
    return tuple(sorted(problems, key=lambda problem: PROBLEM_KINDS.index(problem.kind)))
