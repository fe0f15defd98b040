"""FER2013 and the FER+ votes, in any form they are passed around in, as arrays.

FER2013 (Goodfellow et al., 2013, arXiv:1307.0414) holds 35,887 faces of 48 x 48 grey pixels with
one of seven labels. FER+ (Barsoum et al., 2016, arXiv:1608.01041) gives every face the votes of ten
raters. Neither is part of this project: bring your own copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from emoclf.config import FACE_SIZE
from emoclf.data.folders import list_files
from emoclf.data.sources.copying import is_debris
from emoclf.data.sources.fer2013_layout import (
    CSV_LABELS,
    TEST,
    find_classes,
    find_emotion,
    find_parts,
    find_usage,
    name_unused,
    take_shallowest,
)
from emoclf.images import ModelInfo, UnreadableImageError, prepare
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

_USAGES = ("Training", "PublicTest", "PrivateTest")
_Face = tuple[np.ndarray, int, str, str]
"""Pixels, label, usage or `TEST`, and name."""

TABLE_EXTENSIONS = (".csv", ".tsv", ".txt", "")
"""How tables of faces are called, as a rule."""

_SEPARATORS = ",;\t|"
_TABLE_NAMES = ("fer2013.csv", "icml_face_data.csv")
_NOT_SPLIT = (
    "Not split (no column Usage, no folder of a test): all {count:,} are taken as one part, "
    "Training."
)
_NUMBERED = (
    "Folders with numbers are read in the order of fer2013.csv: 0 angry, 1 disgust, 2 fear, 3 "
    "happy, 4 sad, 5 surprise, 6 neutral. In alphabetical order 4 would be neutral: look at some."
)
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
    """Load FER2013 in whichever form it is there; as `read_fer2013`, without the notes."""
    return read_fer2013(path, votes=votes)[0]


def read_fer2013(
    path: str | Path, *, votes: str | Path | None = None
) -> tuple[FaceSet, tuple[str, ...]]:
    """Load FER2013 in whichever form it is there, and say how it was read.

    Args:
        path: A table such as `fer2013.csv` (columns `emotion` and `pixels`, perhaps `Usage`, in
            any order and spelling, with commas, semicolons or tabs between them); an `.npz` file
            with the arrays `pixels`, `label`, `usage`, `votes`, `name`; a folder of such files,
            which are joined; or one with `train`, `validation`, `test` folders of class folders,
            named or numbered. The usage is the first word of a file's name
            (`PrivateTest_88305.jpg`) or else the folder's. A folder may lie around any of these.
        votes: `fer2013new.csv` of FER+, for a table. Its rows are those of `fer2013.csv`.

    Returns:
        The faces, and sentences on what was taken for what and what was not used. Without votes
        every row of `votes` is zero; without parts all faces are `"Training"`.

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
    if not path.is_dir():
        is_arrays = path.suffix.lower() == ".npz"
        return (_load_arrays(path), ()) if is_arrays else _load_tables([path], votes)
    listing = list_files(path)
    found = [*listing.files, *(each for each, _ in listing.skipped if each.is_file())]  # links, too
    files = [each for each in found if not is_debris(PurePosixPath(each.relative_to(path)))]
    if tables := _choose_tables(files):
        faces, notes = _load_tables(tables, votes)
        used = set(tables)
    elif arrays := take_shallowest([each for each in files if each.suffix.lower() == ".npz"]):
        faces, notes, used = join_face_sets(*map(_load_arrays, arrays)), (), set(arrays)
    else:
        faces, notes, used = _load_folders(path)
    return faces, (*notes, *name_unused(path, files, used))


def _settle_tests(usages: Iterable[str]) -> list[str]:
    """Decide what parts called test are: the last of the tests that are there."""
    usages = list(usages)
    test = "PrivateTest" if "PublicTest" in usages else "PublicTest"
    return [test if usage == TEST else usage for usage in usages]


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
    labels = [_parse_label(str(label), name) for label in file["label"]]
    pixels, votes = file["pixels"], file["votes"]
    for title, array in (("pixels", pixels), ("votes", votes)):
        if array.dtype != np.uint8:
            raise ValueError(f"{title} should be uint8. Received: {array.dtype}")
    if file["label"].dtype.kind != "U":
        raise ValueError(f"label should be names. Received: {file['label'].dtype}")
    usages = _settle_tests(_parse_usage(str(usage), "usage") for usage in file["usage"])
    names = file["name"].astype(str)
    return FaceSet(pixels, np.array(labels, np.int64), votes, np.array(usages, str), names)


def _choose_tables(files: Sequence[Path]) -> list[Path]:
    """Return the table of all faces, or those of the parts where each has its own."""
    files = sorted(files, key=lambda each: len(each.parts))
    heads = {each: _read_head(each) for each in files if each.suffix.lower() in TABLE_EXTENSIONS}
    tables = [each for each, head in heads.items() if {"emotion", "pixels"} <= set(head)]
    named = [each for name in _TABLE_NAMES for each in tables if each.name.lower() == name]
    parts = take_shallowest([each for each in tables if find_usage(each.stem)])
    whole = [each for each in tables if "usage" in heads[each]]
    return named[:1] or (parts if len(parts) > 1 else whole[:1]) or tables[:1]


def _read_head(path: Path) -> list[str]:
    """Return the names of a table's columns, in small letters; none where it is no table."""
    try:
        with open_table(
            path, what="a table of faces", max_bytes=_MAX_BYTES, separators=_SEPARATORS
        ) as rows:
            return _name_columns(next(rows, (0, []))[1])[0]
    except (OSError, ValueError):
        return []  # it is named among what is not used


def _name_columns(cells: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names of a table's columns, in small letters, and whether its first line does.

    A first line that is a face already tells them by what it holds.
    """
    head = [name.strip(" \t\"'\ufeff").lower() for name in cells]
    held = [
        "pixels"
        if len(cell.strip("[] ").replace(",", " ").split()) == FACE_SIZE[0] * FACE_SIZE[1]
        else "usage" * bool(find_usage(cell)) or "emotion" * bool(find_emotion(cell))
        for cell in head
    ]
    is_face = {"emotion", "pixels"} <= set(held) and len(set(held)) == len(held)
    return (held, False) if is_face else (head, True)


def _load_tables(
    paths: Sequence[Path], votes: str | Path | None
) -> tuple[FaceSet, tuple[str, ...]]:
    faces: list[_Face] = []
    is_split = False
    for path in paths:
        is_split = _load_table(path, faces) or len(paths) > 1 or is_split
    made = _make_set(faces, None if votes is None else _load_votes(Path(votes), len(faces)))
    return made, () if is_split else (_NOT_SPLIT.format(count=len(faces)),)


def _load_table(path: Path, faces: list[_Face]) -> bool:
    """Add the faces of a table, and tell whether it says which part they are in."""
    with open_table(
        path, what="FER2013's CSV file", max_bytes=_MAX_BYTES, separators=_SEPARATORS
    ) as rows:
        first = next(rows, (0, []))
        head, names_columns = _name_columns(first[1])
        if not {"emotion", "pixels"} <= set(head):
            raise ValueError(
                f"{show_text(path)} is no FER2013: its first line should name the columns emotion, "
                "pixels and, if there is one, Usage, or be a face. Received: "
                f"{show_text(str(head)[:200])}. Write such a line at its beginning."
            )
        own = find_usage(path.stem) or "Training"
        for number, row in chain([] if names_columns else [first], rows):
            if not any(row):
                continue  # an empty line, as at the end
            where = f"{show_text(path.name)}, line {number}"
            cells = dict(zip(head, row, strict=False))
            pixels = _parse_pixels(cells.get("pixels", ""), where)
            label = _parse_label(cells.get("emotion", ""), where)
            usage = _parse_usage(cells.get("usage", ""), where) if "usage" in head else own
            faces.append((pixels, label, usage, f"fer{len(faces):07d}.png"))
    return "usage" in head


def _make_set(faces: Sequence[_Face], votes: np.ndarray | None = None) -> FaceSet:
    pixels, labels, usages, names = zip(*faces, strict=True) if faces else ((),) * 4
    no_votes = np.zeros((len(faces), len(VOTE_COLUMNS)), dtype=np.uint8)
    return FaceSet(
        np.array(pixels, dtype=np.uint8).reshape(-1, *FACE_SIZE),
        np.array(labels, dtype=np.int64),
        no_votes if votes is None else votes,
        np.array(_settle_tests(usages), dtype=str),
        np.array(names, dtype=str),
    )


def _parse_pixels(text: str, where: str) -> np.ndarray:
    words = text.strip("[] ").replace(",", " ").split()
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
    emotion = find_emotion(text.strip().removesuffix(".0"))
    if emotion is None:
        raise ValueError(
            f"{where}: expected an emotion of 0 to 6, or its name; {text[:20]!r} is none of "
            f"FER2013's seven: {', '.join(CSV_LABELS)}."
        )
    return EMOTIONS.index(emotion)


def _parse_usage(text: str, where: str) -> str:
    usage = find_usage(text)
    if usage is None:
        raise ValueError(
            f"{where}: expected the usage {', '.join(_USAGES)}. Received: {text[:20]!r}."
        )
    return usage


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


def _load_folders(path: Path) -> tuple[FaceSet, tuple[str, ...], set[Path]]:
    """Load the class folders of parts; return also the notes, and the files that were used."""
    parts, notes = find_parts(path), []
    faces: list[_Face] = []
    used: set[Path] = set()
    for part, usage in parts:
        for folder, emotion in find_classes(part):
            label = EMOTIONS.index(emotion)
            for file in list_files(folder).files:
                try:
                    pixels = prepare(file, ModelInfo(image_size=FACE_SIZE)).crops[0, :, :, 0]
                except UnreadableImageError:
                    continue  # it is named among what is not used
                own = named if (named := file.name.partition("_")[0]) in _USAGES else usage
                faces.append((pixels, label, own, file.relative_to(path).as_posix()))
                used.add(file)
            if folder.name.strip().isdigit():
                notes = [_NUMBERED]
    if not faces:
        raise ValueError(
            f"{show_text(path)} holds no FER2013: expected fer2013.csv or another table with the "
            "columns emotion and pixels, .npz files, or train/ and test/ folders of class folders "
            "(angry, disgust, fear, happy, neutral, sad, surprise), and found neither."
        )
    made = _make_set(faces)
    if set(made.usages.tolist()) == {"Training"}:
        notes.append(_NOT_SPLIT.format(count=len(faces)))
    return made, tuple(notes), used
