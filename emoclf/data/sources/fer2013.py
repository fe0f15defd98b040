"""FER2013 and the FER+ votes, in any form they are passed around in, as arrays.

FER2013 (Goodfellow et al., 2013, arXiv:1307.0414) holds 35,887 faces of 48 x 48 grey pixels with
one of seven labels. FER+ (Barsoum et al., 2016, arXiv:1608.01041) gives every face the votes of ten
raters. Neither is part of this project: bring your own copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from emoclf.config import FACE_SIZE
from emoclf.data.folders import list_files
from emoclf.images import ModelInfo, prepare
from emoclf.storage import open_regular
from emoclf.storage.archives import ZIP_ERRORS, check_small_zip, open_zip
from emoclf.storage.tables import open_table
from emoclf.untrusted import show_text

EMOTIONS: tuple[str, ...] = (
    *("neutral", "happiness", "surprise", "sadness"),
    *("anger", "disgust", "fear", "contempt"),
)
"""What the raters of FER+ could choose, in the order of its columns."""

VOTE_COLUMNS: tuple[str, ...] = (*EMOTIONS, "unknown", "not a face")
"""All ten columns of votes."""

CSV_LABELS: tuple[str, ...] = (
    *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
)
"""Meaning of the numbers 0 to 6 in the CSV. The alphabetical order of the folders differs."""

_EMOTION_OF_NAME = {
    **{name: name for name in CSV_LABELS},
    **{"angry": "anger", "happy": "happiness", "sad": "sadness"},
}
_FOLDER_USAGE = {"train": "Training", "test": "PublicTest"}
_Face = tuple[np.ndarray, int, str, str]
"""Pixels, label, usage and name."""
_USAGES = ("Training", "PublicTest", "PrivateTest")

_MAX_BYTES = 2**30  # fer2013.csv has 301 MB
_MAX_VOTES_BYTES = 16 * 2**20
_ARRAY_ERRORS = (KeyError, OSError, ValueError, TypeError, AttributeError, MemoryError)
"""What NumPy raises when a file of arrays is damaged, or claims to be larger than the memory."""


@dataclass(frozen=True)
class FaceSet:
    """Labelled faces.

    Attributes:
        pixels: uint8 `(faces, 48, 48)`, grey, 0 to 255.
        labels: int64 `(faces,)`, FER2013's own label as an index into `EMOTIONS`.
        votes: uint8 `(faces, 10)`, raters per column of `VOTE_COLUMNS`; zeros without FER+.
        usages: str `(faces,)`: `"Training"`, `"PublicTest"` or `"PrivateTest"`.
        names: str `(faces,)`, unique within the set.
    """

    pixels: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    usages: np.ndarray
    names: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        count = len(self.pixels)
        expected = {
            "pixels": (count, *FACE_SIZE),
            "labels": (count,),
            "votes": (count, len(VOTE_COLUMNS)),
            "usages": (count,),
            "names": (count,),
        }
        for name, shape in expected.items():
            received = getattr(self, name).shape
            if received != shape:
                raise ValueError(f"{name} should have the shape {shape}. Received: {received}.")

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.pixels)

    def take(self, chosen: np.ndarray) -> FaceSet:
        """Return the chosen faces, by bool `(faces,)` or indices."""
        return FaceSet(*(getattr(self, each.name)[chosen] for each in fields(self)))


def join_face_sets(*parts: FaceSet) -> FaceSet:
    """Join at least one set of faces, one after the other."""
    columns = ([getattr(part, each.name) for part in parts] for each in fields(FaceSet))
    return FaceSet(*map(np.concatenate, columns))


def load_fer2013(path: str | Path, *, votes: str | Path | None = None) -> FaceSet:
    """Load FER2013 in whichever form it is there.

    Args:
        path: `fer2013.csv` or `icml_face_data.csv` (columns `emotion`, `pixels`, `Usage`); a
            folder with `train` and `test` folders of class folders, where the usage is the first
            word of a file's name (`PrivateTest_88305.jpg`) or else the folder's; an `.npz` file
            with the arrays `pixels`, `label`, `usage`, `votes`, `name`; or a folder of such files,
            which are joined.
        votes: `fer2013new.csv` of FER+, for the CSV form. Its rows are those of `fer2013.csv`.

    Returns:
        The faces. Without votes every row of `votes` is zero.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        ValueError: If what is there is none of these forms, or rows do not fit together.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{show_text(path)} does not exist. Expected FER2013: fer2013.csv, a folder with "
            "train/ and test/, or .npz files. It is on Kaggle under that name; its terms are its "
            "own."
        )
    if path.suffix == ".npz":
        return _load_arrays(path)
    if path.suffix == ".csv":
        return _load_csv(path, votes)
    if path.is_dir():
        if files := sorted(path.glob("*.npz")):
            return join_face_sets(*(_load_arrays(file) for file in files))
        return _load_folders(path)
    raise ValueError(f"{show_text(path)} is no FER2013: expected a .csv or .npz file, or a folder.")


def _emotion_index(name: str, where: str) -> int:
    emotion = _EMOTION_OF_NAME.get(name.strip().lower())
    if emotion is None:
        raise ValueError(
            f"{show_text(where)}: the label {name!r} is none of FER2013's seven: "
            f"{', '.join(sorted(set(_EMOTION_OF_NAME)))}."
        )
    return EMOTIONS.index(emotion)


def _load_arrays(path: Path) -> FaceSet:
    what = "the arrays pixels, label, usage, votes and name"
    try:
        with (
            open_regular(path, what=what, max_bytes=_MAX_BYTES) as content,
            open_zip(content, max_entries=100) as archive,
        ):
            check_small_zip(archive, max_bytes=_MAX_BYTES, max_ratio=1000)
            content.seek(0)
            with np.load(content, allow_pickle=False) as file:
                return _take_arrays(file, path.name)
    except FileNotFoundError:
        raise
    except (*_ARRAY_ERRORS, *ZIP_ERRORS) as error:
        raise ValueError(f"{show_text(path)} should hold {what} ({show_text(error)}).") from error


def _take_arrays(file: Mapping[str, np.ndarray], name: str) -> FaceSet:
    labels = [_emotion_index(str(label), name) for label in file["label"]]
    pixels, votes = file["pixels"], file["votes"]
    for title, array in (("pixels", pixels), ("votes", votes)):
        if array.dtype != np.uint8:
            raise ValueError(f"{title} should be uint8. Received: {array.dtype}")
    usages = file["usage"].astype(str)
    for usage in np.unique(usages):
        _parse_usage(str(usage), "usage")
    return FaceSet(pixels, np.array(labels, np.int64), votes, usages, file["name"].astype(str))


def _load_csv(path: Path, votes: str | Path | None) -> FaceSet:
    faces: list[_Face] = []
    with open_table(path, what="FER2013's CSV file", max_bytes=_MAX_BYTES) as rows:
        head = [name.strip() for name in next(rows, (0, []))[1]]
        if not {"emotion", "pixels", "Usage"} <= set(head):
            raise ValueError(
                f"{show_text(path)} should have the columns emotion, pixels, Usage. "
                f"Received: {show_text(str(head)[:200])}."
            )
        for number, row in rows:
            if not row:
                continue  # an empty line, as at the end
            where = f"{show_text(path.name)}, line {number}"
            cells = dict(zip(head, row, strict=False))
            pixels = _parse_pixels(cells.get("pixels", ""), where)
            label = _parse_label(cells.get("emotion", ""), where)
            usage = _parse_usage(cells.get("Usage", ""), where)
            faces.append((pixels, label, usage, f"fer{len(faces):07d}.png"))
    return _make_set(faces, None if votes is None else _load_votes(Path(votes), len(faces)))


def _make_set(faces: Sequence[_Face], votes: np.ndarray | None = None) -> FaceSet:
    pixels, labels, usages, names = zip(*faces, strict=True) if faces else ((),) * 4
    no_votes = np.zeros((len(faces), len(VOTE_COLUMNS)), dtype=np.uint8)
    return FaceSet(
        np.array(pixels, dtype=np.uint8).reshape(-1, *FACE_SIZE),
        np.array(labels, dtype=np.int64),
        no_votes if votes is None else votes,
        np.array(usages, dtype=str),
        np.array(names, dtype=str),
    )


def _parse_pixels(text: str, where: str) -> np.ndarray:
    words = text.split()
    if len(words) == FACE_SIZE[0] * FACE_SIZE[1] and text.isascii() and "".join(words).isdigit():
        with suppress(ValueError, OverflowError):  # a number that is too large
            values = np.array(words, dtype=np.int64)
            if values.max() <= 255:
                return values.astype(np.uint8).reshape(FACE_SIZE)
    raise ValueError(
        f"{where}: expected 2,304 values of 0 to 255. Received: {len(words):,} words that begin "
        f"with {text[:20]!r}."
    )


def _is_byte(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255


def _parse_label(text: str, where: str) -> int:
    if not _is_byte(text) or int(text) >= len(CSV_LABELS):
        raise ValueError(f"{where}: expected an emotion of 0 to 6. Received: {text[:20]!r}.")
    return EMOTIONS.index(CSV_LABELS[int(text)])


def _parse_usage(text: str, where: str) -> str:
    if text not in _USAGES:
        raise ValueError(
            f"{where}: expected the usage {', '.join(_USAGES)}. Received: {text[:20]!r}."
        )
    return text


def _load_votes(path: Path, count: int) -> np.ndarray:
    columns, votes = len(VOTE_COLUMNS), []
    with open_table(path, what="FER+'s fer2013new.csv", max_bytes=_MAX_VOTES_BYTES) as rows:
        next(rows, None)
        for number, row in rows:
            cells = row[-columns:]
            if len(cells) < columns or not all(map(_is_byte, cells)):
                raise ValueError(
                    f"{show_text(path)} should end every row with ten votes of 0 to 10 "
                    f"({', '.join(VOTE_COLUMNS)}). Line {number:,} ends with: "
                    f"{', '.join(cells)[:100]!r}. Expected FER+'s fer2013new.csv."
                )
            votes.append([int(cell) for cell in cells])
    if len(votes) != count:
        raise ValueError(
            f"{show_text(path)} has {len(votes):,} rows of votes for {count:,} faces. Expected "
            "FER+'s fer2013new.csv and FER2013's fer2013.csv, row by row the same faces."
        )
    return np.array(votes, dtype=np.uint8).reshape(count, columns)


def _load_folders(path: Path) -> FaceSet:
    faces: list[_Face] = []
    for part, usage in _FOLDER_USAGE.items():
        for folder in sorted(entry for entry in (path / part).glob("*") if entry.is_dir()):
            label = _emotion_index(folder.name, str(folder))
            for file in list_files(folder).files:
                pixels = prepare(file, ModelInfo(image_size=FACE_SIZE)).crops[0, :, :, 0]
                named = file.name.partition("_")[0]
                own = named if named in _USAGES else usage
                faces.append((pixels, label, own, str(file.relative_to(path))))
    if not faces:
        raise ValueError(
            f"{show_text(path)} holds neither .npz files nor train/ and test/ folders of class "
            "folders (angry, disgust, fear, happy, neutral, sad, surprise)."
        )
    return _make_set(faces)
