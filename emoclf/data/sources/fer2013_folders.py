"""FER2013 in any form to class folders of PNG files, compared with the published counts.

The counts tell whether this is FER2013, and whether its labels are read in the right order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from emoclf.config import CLASS_NAMES, LabelSource
from emoclf.data.folders import PhotoFolder
from emoclf.data.sources.archives import extract_archive, read_safe_path
from emoclf.data.sources.fer2013 import (
    EMOTIONS,
    TABLE_EXTENSIONS,
    FaceSet,
    read_fer2013,
)
from emoclf.data.sources.fer2013_layout import CSV_LABELS
from emoclf.data.sources.finding import find_data_set
from emoclf.storage import building_folder, open_regular, temporary_folder
from emoclf.storage.archives import find_archive_kind
from emoclf.untrusted import show_text

EMOTION_OF_CLASS: dict[str, str] = {"Sad": "sadness", "Happy": "happiness"}
"""Which emotion of FER2013 each class is."""

FOLDER_LABELS: tuple[str, ...] = tuple(sorted(CSV_LABELS))
"""The emotions in the alphabetical order of the folders (angry, ..., surprise): 4 is neutral."""

_BOTH_TESTS = "PublicTest and PrivateTest"

Counts = Mapping[tuple[str, str], int]


def make_fer2013_folders(
    source: str | Path,
    folder: str | Path,
    *,
    votes: str | Path | None = None,
    label_by: LabelSource = "fer2013",
    whole: bool = True,
    progress: bool = True,
) -> PhotoFolder:
    """Write the happy and sad faces of FER2013 as PNG files into class folders.

    A face is written to `Happy/Training/fer0000007.png`: `Training`, `PublicTest` and
    `PrivateTest` stay apart, so that `split_as_published` can use the published split. FER2013
    holds duplicates across its parts; the cleaning step finds them.

    Args:
        source: What `read_fer2013` reads: a table such as `fer2013.csv`, a folder with `train` and
            `test`, `.npz` files, a folder around one of these; or an archive (`.zip`, `.tar.gz`).
        folder: Where the class folders go: nothing, or an empty folder.
        votes: `fer2013new.csv` of FER+, row by row the faces of the CSV.
        label_by: "fer2013" for its own label, "votes" for what more than half of the raters saw.
        whole: Whether every published face must be there; see `check_fer2013_counts`.
        progress: Whether a progress bar is shown.

    Returns:
        The counts of what was written; its notes say how the source was read, and what of it was
        not used.

    Raises:
        FileNotFoundError: If there is no such source, or no FER2013 in it.
        FileExistsError: If something is in the folder.
        ValueError: If it is no FER2013, the counts are not the published ones, or votes are asked
            for and there are none. Nothing is left behind then.
    """
    with _open_source(Path(source)) as (path, left_out):
        faces, notes = read_fer2013(path, votes=votes)
    split_note = check_fer2013_counts(faces, whole=whole)
    classes = _choose_classes(faces, label_by)
    with building_folder(folder) as temporary:
        chosen = np.flatnonzero(classes != "")
        for index in tqdm(chosen, desc="Writing", unit=" faces", disable=not progress):
            place = temporary / classes[index] / str(faces.usages[index])
            place.mkdir(parents=True, exist_ok=True)
            parts = read_safe_path(str(faces.names[index])).with_suffix(".png").parts
            file = place / "_".join(parts)  # a name may come from anywhere
            with file.open("xb") as content:  # never two faces in one file
                Image.fromarray(faces.pixels[index]).save(content, "PNG")
    counts = {
        f"{name}/{usage}": int(((faces.usages == usage) & (classes == name)).sum())
        for usage in sorted(set(faces.usages.tolist()), reverse=True)
        for name in CLASS_NAMES
    }
    note = f"Faces of 48 x 48 pixels; {len(faces) - len(chosen):,} other faces were left out."
    return PhotoFolder(
        Path(folder),
        str(source),
        (note, *notes, *([split_note] if split_note else [])),
        files=len(chosen),
        counts=counts,
        left_out=left_out,
    )


def check_fer2013_counts(faces: FaceSet, *, whole: bool = True) -> str | None:
    """Compare the faces of every usage and emotion with the published counts.

    A CSV whose numbers follow the alphabetical order of the folders (4 = neutral) instead of the
    original (4 = sad) is recognised by its counts, and so is one with missing or added rows. A part
    of FER2013 that holds as many of each emotion cannot be told apart by counting. Some copies are
    not split, or in another way; then the counts of all parts together decide.

    Args:
        faces: From `load_fer2013`.
        whole: Whether every face must be there. Otherwise fewer are accepted, more are not.

    Returns:
        A sentence where the parts are not the published ones, else None.

    Raises:
        ValueError: If the counts differ; the message lists the differences.
    """
    emotions = [EMOTIONS[label] for label in faces.labels.tolist()]
    received: Counts = Counter(zip(faces.usages.tolist(), emotions, strict=True))
    has_private = any(usage == "PrivateTest" for usage, _ in received)
    expected: Counts = {
        (usage, emotion): count
        for usage, counts in find_data_set("fer2013").parts.items()
        for emotion, count in counts.items()
    }
    if not has_private:  # a folder `test` holds both, and its file names need not say which
        expected = _join_tests(expected)
        received = _join_tests(received)
    differences = _find_differences(received, expected, whole=whole)
    if not differences:
        return None
    received_all, expected_all = _join_parts(received), _join_parts(expected)
    if not _find_differences(_renumber(received), expected, whole=whole) or (
        not _find_differences(_renumber(received_all), expected_all, whole=True)
    ):
        raise ValueError(
            "The labels are numbered in the alphabetical order of FER2013's folders (4 = neutral), "
            "but the numbers of fer2013.csv mean 4 = sad: the counts only fit the former "
            f"({differences[0]}). Use the original fer2013.csv, or the folders themselves."
        )
    if not _find_differences(received_all, expected_all, whole=whole):
        return (
            "The parts are not those that were published, all together are FER2013: figures on "
            f"them are not comparable with others ({differences[0]})."
        )
    step = (
        "Get the whole file again, or say that it is a part (whole=False, --part)."
        if all(received.get(key, 0) <= count for key, count in expected.items())
        else "It is another file, changed, or its labels are in another order: get it again."
    )
    shown = "; ".join(differences[:6]) + ("; ..." if len(differences) > 6 else "")
    raise ValueError(f"These are not the counts of FER2013 ({len(faces):,} faces): {shown}. {step}")


def _choose_classes(faces: FaceSet, label_by: LabelSource) -> np.ndarray:
    """Return the class of each face, str `(faces,)`, "" for neither."""
    labels = faces.labels
    if label_by == "votes":
        if not faces.votes.any():
            raise ValueError(
                "There are no votes to label by. Get FER+ (fetch fer-plus FOLDER) and pass its "
                "fer2013new.csv as votes (--votes), together with fer2013.csv."
            )
        majority = 2 * faces.votes.max(axis=1) > faces.votes.sum(axis=1)
        labels = np.where(majority, faces.votes.argmax(axis=1), -1)
    classes = np.full(len(faces), "", dtype="<U16")
    for class_name, emotion in EMOTION_OF_CLASS.items():
        classes[labels == EMOTIONS.index(emotion)] = class_name
    return classes


def _join_tests(counts: Counts) -> Counts:
    joined: Counter[tuple[str, str]] = Counter()
    for (usage, emotion), count in counts.items():
        joined[_BOTH_TESTS if usage.endswith("Test") else usage, emotion] += count
    return joined


def _join_parts(counts: Counts) -> Counts:
    joined: Counter[tuple[str, str]] = Counter()
    for (_, emotion), count in counts.items():
        joined["", emotion] += count
    return joined


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


@contextmanager
def _open_source(source: Path) -> Iterator[tuple[Path, tuple[tuple[str, str], ...]]]:
    """Give what `read_fer2013` takes, unpacked if need be, and what was not unpacked."""
    if not source.is_file() or source.suffix.lower() == ".npz" or not _is_archive(source):
        yield source, ()
        return
    also = (*TABLE_EXTENSIONS, ".npz")
    with temporary_folder() as temporary:
        made = extract_archive(source, temporary / "fer2013", also=also, progress=False)
        try:
            yield made.folder, made.left_out
        except ValueError as error:  # the unpacked files are gone when it is read
            said = str(error).replace(show_text(made.folder), show_text(source))
            raise ValueError(said) from error


def _is_archive(source: Path) -> bool:
    with open_regular(source, what="FER2013") as file:
        return find_archive_kind(file) is not None
