"""FER2013 in any form to class folders of PNG files, as the rest of emoclf takes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from emoclf.config import CLASS_NAMES, LabelSource
from emoclf.data.folders import list_files
from emoclf.data.sources.archives import extract_archive, read_safe_path
from emoclf.data.sources.fer2013 import EMOTIONS, FaceSet, load_fer2013
from emoclf.data.sources.fer2013_counts import check_fer2013_counts
from emoclf.storage import building_folder, temporary_folder
from emoclf.untrusted import show_text

EMOTION_OF_CLASS: dict[str, str] = {"Sad": "sadness", "Happy": "happiness"}
"""Which emotion of FER2013 each class is."""

_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
_PLAIN_EXTENSIONS = (".csv", ".npz")


@dataclass(frozen=True)
class FaceFolders:
    """FER2013 as class folders.

    Attributes:
        folder: Holds a folder per class, each with a folder per usage.
        counts: Usage -> class name -> faces.
        other_faces: Faces with other emotions, which were not written.
    """

    folder: Path
    counts: dict[str, dict[str, int]]
    other_faces: int

    def describe(self) -> str:
        """Return the counts as text for reading."""
        lines = [
            f"{show_text(self.folder)}, 48 x 48 pixels, {self.other_faces:,} other faces left out"
        ]
        for usage, counts in self.counts.items():
            said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            lines.append(f"  {usage}: {said}")
        return "\n".join(lines)


def make_fer2013_folders(
    source: str | Path,
    folder: str | Path,
    *,
    votes: str | Path | None = None,
    label_by: LabelSource = "fer2013",
    whole: bool = True,
    progress: bool = True,
) -> FaceFolders:
    """Write the happy and sad faces of FER2013 as PNG files into class folders.

    A face is written to `Happy/Training/fer0000007.png`: `Training`, `PublicTest` and
    `PrivateTest` stay apart, so that `split_as_published` can use the published split. FER2013
    holds copies across its parts; the cleaning step finds them.

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
            file = place / _name_file(str(faces.names[index]))
            with file.open("xb") as content:  # never two faces in one file
                Image.fromarray(faces.pixels[index]).save(content, "PNG")
    return FaceFolders(Path(folder), _count(faces, classes), len(faces) - len(chosen))


def _name_file(name: str) -> str:
    """Return a name for a face's file; that of the face may come from anywhere."""
    parts = read_safe_path(name).with_suffix(".png").parts
    return "_".join(parts)


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


def _count(faces: FaceSet, classes: np.ndarray) -> dict[str, dict[str, int]]:
    return {
        str(usage): {
            name: int(((faces.usages == usage) & (classes == name)).sum()) for name in CLASS_NAMES
        }
        for usage in sorted(set(faces.usages.tolist()), reverse=True)
    }


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
