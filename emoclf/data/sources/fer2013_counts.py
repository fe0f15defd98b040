"""Is this FER2013, and are its labels read in the right order? The published counts tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from emoclf.data.sources.fer2013 import CSV_LABELS, EMOTIONS, FaceSet
from emoclf.data.sources.registry import FER2013_PARTS
from emoclf.untrusted import show_text

FOLDER_LABELS: tuple[str, ...] = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
"""The emotions in the alphabetical order of the folders (angry, ..., surprise): 4 is neutral."""

_BOTH_TESTS = "PublicTest and PrivateTest"

Counts = dict[tuple[str, str], int]


def check_fer2013_counts(faces: FaceSet, *, whole: bool = True) -> None:
    """Compare the faces of every usage and emotion with the published counts.

    A CSV whose numbers follow the alphabetical order of the folders (4 = neutral) instead of the
    original (4 = sad) is recognised by its counts, and so is one with missing or added rows. A part
    of FER2013 that holds as many of each emotion cannot be told apart by counting.

    Args:
        faces: From `load_fer2013`.
        whole: Whether every face must be there. Otherwise fewer are accepted, more are not.

    Raises:
        ValueError: If the counts differ; the message lists the differences.
    """
    received = _count(faces)
    has_private = any(usage == "PrivateTest" for usage, _ in received)
    expected = {
        (usage, emotion): count
        for usage, counts in FER2013_PARTS.items()
        for emotion, count in counts.items()
    }
    if not has_private:  # a folder `test` holds both, and its file names need not say which
        expected = _join_tests(expected)
        received = _join_tests(received)
    differences = _find_differences(received, expected, whole=whole)
    if not differences:
        return
    as_folders = _renumber(received)
    if not _find_differences(as_folders, expected, whole=whole):
        raise ValueError(
            "The labels are numbered in the alphabetical order of FER2013's folders (4 = neutral), "
            "but the numbers of fer2013.csv mean 4 = sad: the counts only fit the former "
            f"({differences[0]}). Use the original fer2013.csv, or the folders themselves."
        )
    step = (
        "Get the whole file again, or say that it is a part (whole=False, --part)."
        if all(received.get(key, 0) <= count for key, count in expected.items())
        else "It is another file, changed, or its labels are in another order: get it again."
    )
    shown = "; ".join(differences[:6]) + ("; ..." if len(differences) > 6 else "")
    raise ValueError(f"These are not the counts of FER2013 ({len(faces):,} faces): {shown}. {step}")


def _count(faces: FaceSet) -> Counts:
    labels = [EMOTIONS[label] for label in faces.labels.tolist()]
    return dict(Counter(zip(faces.usages.tolist(), labels, strict=True)))


def _join_tests(counts: Mapping[tuple[str, str], int]) -> Counts:
    joined: Counter[tuple[str, str]] = Counter()
    for (usage, emotion), count in counts.items():
        joined[_BOTH_TESTS if usage.endswith("Test") else usage, emotion] += count
    return dict(joined)


def _find_differences(received: Counts, expected: Counts, *, whole: bool) -> list[str]:
    found = []
    for usage, emotion in sorted({*expected, *received}):
        has, should = received.get((usage, emotion), 0), expected.get((usage, emotion), 0)
        if has > should or (whole and has < should):
            found.append(f"{show_text(usage)} {emotion} {has:,}, published {should:,}")
    return found


def _renumber(counts: Counts) -> Counts:
    """Return the counts as if the numbers had been in the order of the folders."""
    meant = dict(zip(CSV_LABELS, FOLDER_LABELS, strict=True))
    return {(usage, meant.get(emotion, emotion)): n for (usage, emotion), n in counts.items()}
