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
from emoclf.data.folders import PhotoFolder, list_files
from emoclf.data.sources.archives import extract_archive, read_safe_path
from emoclf.data.sources.fer2013 import CSV_LABELS, EMOTIONS, FaceSet, load_fer2013
from emoclf.data.sources.finding import find_data_set
from emoclf.storage import building_folder, temporary_folder
from emoclf.untrusted import show_text

EMOTION_OF_CLASS: dict[str, str] = {"Sad": "sadness", "Happy": "happiness"}
"""Which emotion of FER2013 each class is."""

_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
_PLAIN_EXTENSIONS = (".csv", ".npz")


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
        source: `fer2013.csv` or `icml_face_data.csv`; a folder with `train` and `test`; `.npz`
            files; a folder around one of these, or an archive (`.zip`, `.tar.gz`) of it.
        folder: Where the class folders go: nothing, or an empty folder.
        votes: `fer2013new.csv` of FER+, row by row the faces of the CSV.
        label_by: "fer2013" for its own label, "votes" for what more than half of the raters saw.
        whole: Whether every published face must be there; see `check_fer2013_counts`.
        progress: Whether a progress bar is shown.

    Returns:
        The counts of what was written.

    Raises:
        FileNotFoundError: If there is no such source, or no FER2013 in it.
        FileExistsError: If something is in the folder.
        ValueError: If it is no FER2013, the counts are not the published ones, or votes are asked
            for and there are none. Nothing is left behind then.
    """
    with _open_source(Path(source)) as path:
        faces = load_fer2013(path, votes=votes)
    check_fer2013_counts(faces, whole=whole)
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
    return PhotoFolder(Path(folder), str(source), (note,), files=len(chosen), counts=counts)


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
def _open_source(source: Path) -> Iterator[Path]:
    """Give what `load_fer2013` takes, unpacked into a temporary folder if need be."""
    if source.is_dir():
        yield _locate(source)
    elif not source.exists() or source.suffix.lower() in _PLAIN_EXTENSIONS:
        yield source
    else:
        with temporary_folder() as temporary:
            inside = temporary / "fer2013"
            extract_archive(source, inside, also=_PLAIN_EXTENSIONS, progress=False)
            found = _locate(inside)
            has_folders = (found / "train").is_dir()
            if found.is_dir() and not has_folders and not list(found.glob("*.npz")):
                raise ValueError(
                    f"{show_text(source)} holds no FER2013: expected {' or '.join(_CSV_NAMES)}, "
                    ".npz files, or train/ and test/ folders of class folders in it."
                )
            yield found


def _locate(folder: Path) -> Path:
    """Find FER2013 in a folder: downloads wrap it in folders of their own."""
    listing = list_files(folder)
    found = [*listing.files, *(path for path, _ in listing.skipped)]  # links, too
    for name in _CSV_NAMES:
        if named := [path for path in found if path.name == name and path.is_file()]:
            return named[0]
    parts = [path.relative_to(folder).parts for path in found]
    inner = {each[:level] for each in parts for level, name in enumerate(each) if name == "train"}
    places = [folder.joinpath(*each) for each in sorted(inner)]
    return next((path for path in places if (path / "test").is_dir()), folder)
