"""Which pictures are the same one, re-encoded, resized or mirrored, and what that means.

Two tests must agree. The perceptual hash (pHash, by way of the ImageHash library) looks at the
signs of the 64 lowest frequencies and finds candidates fast; the correlation of two 32 x 32
thumbnails then confirms them. The hash alone chains look-alikes together: aligned portraits and
drawings on white share most of their low frequencies. Duplicates that were cropped, or that got a
banner added, are mostly not found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from emoclf.data.cleaning.report import PROBLEM_KINDS, FileRecord, Problem
from emoclf.untrusted import show_text

_THUMBNAIL_SIDE = 32
_BLOCK_ROWS = 512
Found = Iterator[tuple[int, Problem]]
"""Positions of records, and what is wrong with each."""


class Signature(NamedTuple):
    """What is compared: uint8 (32, 32) grey, and 64-bit hashes of it as it is and mirrored."""

    thumbnail: np.ndarray
    own: int
    mirrored: int


def make_signature(grey: np.ndarray) -> Signature:
    """Make the signature of a picture: grey values 0 to 255, uint8 `(height, width)`."""
    import imagehash

    thumbnail = Image.fromarray(grey).resize((_THUMBNAIL_SIDE,) * 2, Image.Resampling.LANCZOS)
    mirrored = thumbnail.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    own, other = (int(str(imagehash.phash(image)), 16) for image in (thumbnail, mirrored))
    return Signature(np.asarray(thumbnail), own, other)


def find_near_pairs(
    signatures: Sequence[Signature], *, max_distance: int, min_similarity: float
) -> np.ndarray:
    """Find the pairs of pictures that look the same, mirrored or not.

    Their hashes differ in at most `max_distance` bits, 0 to 64, and their thumbnails correlate with
    at least `min_similarity`, -1.0 to 1.0. Returns int64 (pairs, 2): positions in `signatures`, the
    smaller one first, sorted.
    """
    own = np.array([signature.own for signature in signatures], dtype=np.uint64)
    mirrored = np.array([signature.mirrored for signature in signatures], dtype=np.uint64)
    thumbnails = _normalise(signatures)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(signatures), _BLOCK_ROWS):
        rows = own[start : start + _BLOCK_ROWS, np.newaxis]
        for hashes, flip in ((own, False), (mirrored, True)):
            near = np.bitwise_count(rows ^ hashes[start:]) <= max_distance
            pairs = np.argwhere(np.triu(near, 1)) + start
            other = thumbnails[pairs[:, 1]]
            other = other[:, :, ::-1] if flip else other
            similarity = np.einsum("nij,nij->n", thumbnails[pairs[:, 0]], other)
            found.append(pairs[similarity >= min_similarity])
    return np.unique(np.concatenate(found), axis=0)


def group_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    """Join pairs that share a picture, int (pairs, 2), into groups.

    Returns int64 (count,): the group of each picture, numbered from 0 in the order of their first
    members; -1 for a picture that is in no pair.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = np.full(count, -1, dtype=np.int64)
    if not len(pairs):
        return groups
    graph = coo_array((np.ones(len(pairs), dtype=bool), tuple(pairs.T)), shape=(count, count))
    _, components = connected_components(graph, directed=False)
    members = np.unique(pairs)
    _, first, inverse = np.unique(components[members], return_index=True, return_inverse=True)
    groups[members] = np.argsort(np.argsort(first))[inverse]
    return groups


def mark_duplicates(
    records: Sequence[FileRecord],
    signatures: Sequence[Signature | None],
    *,
    max_distance: int,
    min_similarity: float,
) -> tuple[FileRecord, ...]:
    """Add the duplicate groups and the problems that only show between files.

    A file without a signature is compared byte by byte only. The numbers are those of
    `find_near_pairs`. Returns the records in the same order, the problems of each in the order of
    `PROBLEM_KINDS`.
    """
    same = _find_exact_duplicates(records)
    # One file speaks for its exact duplicates.
    compared = [(each[0], found) for each in same if (found := signatures[each[0]]) is not None]
    positions = np.array([position for position, _ in compared], dtype=np.int64)
    pairs = positions[
        find_near_pairs(
            [signature for _, signature in compared],
            max_distance=max_distance,
            min_similarity=min_similarity,
        )
    ]
    links = [(each[0], other) for each in same for other in each[1:]]
    joined = np.array(links, dtype=np.int64).reshape(-1, 2)
    groups = group_pairs(np.concatenate([joined, pairs]), len(records))
    judged = [list(record.problems) for record in records]
    for position, problem in [*_judge_same(records, same), *_judge_pairs(records, same, pairs)]:
        judged[position].append(problem)
    for problems in judged:
        problems.sort(key=lambda problem: PROBLEM_KINDS.index(problem.kind))
    return tuple(
        replace(record, problems=tuple(problems), duplicate_group=group)
        for record, problems, group in zip(records, judged, groups.tolist(), strict=True)
    )


def _normalise(signatures: Sequence[Signature]) -> np.ndarray:
    """Return float32 thumbnails (n, 32, 32) of mean 0 and length 1: products are correlations."""
    shape = (len(signatures), _THUMBNAIL_SIDE, _THUMBNAIL_SIDE)
    stacked = np.array([signature.thumbnail for signature in signatures], dtype=np.float32)
    centred = stacked.reshape(shape) - stacked.reshape(shape).mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return centred / np.maximum(lengths, np.float32(1e-6))


def _find_exact_duplicates(records: Sequence[FileRecord]) -> list[list[int]]:
    """Return the positions of pictures by content; one list per content, the best-placed first.

    That is the one with the fewest problems, then the shortest name (`a.jpg`, `a (1).jpg`).
    """
    by_content: defaultdict[str, list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        if record.format:
            by_content[record.sha256].append(position)

    def rank(position: int) -> tuple[int, int, str]:
        record = records[position]
        return len(record.problems), len(record.path), record.path

    return [sorted(positions, key=rank) for positions in by_content.values()]


def _judge_same(records: Sequence[FileRecord], same: list[list[int]]) -> Found:
    """Yield what is wrong with files that have the same content."""
    for positions in same:
        labels = {records[position].label for position in positions}
        for order, position in enumerate(positions):
            if len(labels) > 1:
                other = next(p for p in positions if records[p].label != records[position].label)
                reason = f"The same file is in the other class: {show_text(records[other].path)}."
                yield position, Problem("in_both_classes", "reject", reason)
            elif order > 0:
                reason = f"The same file as {show_text(records[positions[0]].path)}."
                yield position, Problem("exact_duplicate", "reject", reason)


def _judge_pairs(records: Sequence[FileRecord], same: list[list[int]], pairs: np.ndarray) -> Found:
    """Yield the advice for files that look like others, once per file."""
    look_alikes: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in pairs.tolist():
        look_alikes[first].append(second)
        look_alikes[second].append(first)
    for positions in same:
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
