"""Draws the built-in data set: happy and sad faces, so that everything runs with no download.

Each picture has its own generator, seeded from the data set's seed, the class and the
picture's number: the pictures do not depend on each other, on their order or on their count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from emoclf.config import CLASS_NAMES, SEED
from emoclf.data.folders import DRAWN_FACES, PhotoFolder
from emoclf.data.synthetic.flaws import COPIES_PER_CLASS, PlantedFlaw, encode_image, flawed_files
from emoclf.data.synthetic.photo import DrawnPhoto, draw_photo
from emoclf.storage import read_json, replacing
from emoclf.untrusted import show_text

PHOTOS_PER_CLASS: int = 1000
"""Default size of the data set: large enough to learn from, small enough for two CPU cores."""

SETTINGS_NAME: str = ".drawn_faces.json"
"""File beside the class folders that says how they were drawn."""

WRONG_LABEL: str = "wrong_label"
"""Kind of a planted flaw: the picture shows the other expression."""

_FORMAT = 1
_MIN_SIDE_PX = 32
_MAX_SIDE_PX = 1024
_WRONG_NOTE = "The picture shows the other expression: its label is wrong."
_DIRECTIONS = (-1.0, 1.0)
_FLAW_INDEX = 1_000_000_000
_NAME_PATTERNS = (
    "IMG_{number:04d}.jpg",
    "DSC{number:05d}.JPG",
    "portrait-{number}.jpg",
    "{word}_face_{number}.jpeg",
    "{word}-person-photo-{number}.jpg",
    "download ({number}).jpg",
    "{number:08x}.jpg",
)


def draw_face(
    class_name: str, *, seed: int, size: tuple[int, int] = (128, 128), strength: float | None = None
) -> NDArray[np.uint8]:
    """Draw one face.

    The seed decides the person, the pose, the place, the light and the camera; the class only
    decides the expression. The same seed therefore gives the same person, once happy and once
    sad.

    Args:
        class_name: One of `CLASS_NAMES`, upper or lower case.
        seed: 0 or more; the same seed gives the same picture.
        size: `(height, width)` in pixels, each from 32 to 1024.
        strength: 0 (no expression) to 1 (a clear one); None draws it by chance.

    Returns:
        uint8, shape (height, width, 3), 0 to 255, RGB.

    Raises:
        ValueError: If an argument is outside the range named above.

    Example:
        >>> draw_face("Happy", seed=1).shape
        (128, 128, 3)
    """
    names = [name.lower() for name in CLASS_NAMES]
    if not isinstance(class_name, str) or class_name.lower() not in names:
        raise ValueError(
            f"Expected `class_name` to be one of {', '.join(CLASS_NAMES)}. "
            f"Received: class_name={class_name!r}."
        )
    _check_size(size)
    _check_whole_number("seed", seed, minimum=0)
    if strength is not None and not 0.0 <= strength <= 1.0:
        raise ValueError(
            f"Expected `strength` from 0 (no expression) to 1 (a clear one), or None to draw it "
            f"by chance. Received: strength={strength!r}."
        )
    direction = _DIRECTIONS[names.index(class_name.lower())]
    return draw_photo(direction, seed=int(seed), size=size, strength=strength).pixels


def make_drawn_faces(
    folder: str | os.PathLike[str],
    *,
    photos_per_class: int = PHOTOS_PER_CLASS,
    seed: int = SEED,
    size: tuple[int, int] = (128, 128),
    with_flaws: bool = False,
    wrong_labels: int = 0,
    progress: bool = False,
) -> PhotoFolder:
    """Draw the built-in data set into `folder/sad` and `folder/happy`.

    Nothing is overwritten. A data set that was already drawn there with the same settings is
    returned as it is, and one whose drawing was interrupted is finished.

    Args:
        folder: Where the class folders are made; it is created when it does not exist.
        photos_per_class: Ordinary pictures of each class, at least 1.
        seed: 0 or more; the same seed gives the same files.
        size: `(height, width)` in pixels, each from 32 to 1024.
        with_flaws: Whether to plant what a scraped folder suffers from: duplicates, damaged
            files, files that are no pictures.
        wrong_labels: How many of the pictures of each class show the other expression, for trying
            to find them; they are named among the planted flaws.
        progress: Whether to show a progress bar.

    Returns:
        The folder, with one class folder each in lower case; `counts` are the ordinary pictures
        that are there now, `planted_flaws` the flaws and wrong labels.

    Raises:
        FileExistsError: If a class folder holds files that were not drawn with these settings.
        NotADirectoryError: If `folder` is a file.
        ValueError: If a number is outside the range named above; with flaws, at least 10
            pictures of each class are needed.

    Example:
        >>> faces = make_drawn_faces("data", photos_per_class=2)  # doctest: +SKIP
        >>> faces.counts  # doctest: +SKIP
        {'Sad': 2, 'Happy': 2}
    """
    fewest = COPIES_PER_CLASS if with_flaws else 1
    _check_whole_number("photos_per_class", photos_per_class, minimum=fewest)
    _check_whole_number("wrong_labels", wrong_labels, minimum=0, maximum=photos_per_class)
    _check_whole_number("seed", seed, minimum=0)
    _check_size(size)
    root = Path(folder)
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(
            f"Expected `folder` to be a folder, or a path where one can be made. "
            f"Received: {show_text(root)}, which is a file. Choose another name."
        )
    settings: dict[str, Any] = {
        **{"format": _FORMAT, "photos_per_class": int(photos_per_class), "seed": int(seed)},
        **{"size": (int(size[0]), int(size[1])), "with_flaws": bool(with_flaws)},
        **({"wrong_labels": int(wrong_labels)} if wrong_labels else {}),
    }
    wrong = _choose_wrong_labels(settings)
    keys = [(label, i) for i in range(photos_per_class) for label in range(len(CLASS_NAMES))]
    places = {key: _relative_path(seed, *key) for key in keys}
    record = _open_record(root, settings)
    flaws = record.planted_flaws
    if not record.complete:
        missing = [key for key, place in places.items() if not (root / place).exists()]
        for key in tqdm(missing, desc="Drawing faces", disable=not progress):
            picture = _picture(settings, *key, is_turned=key in wrong)
            _write_whole(root / places[key], _encode(picture))
        flaws = _plant_flaws(root, settings, places) if with_flaws else ()
        flaws += tuple(PlantedFlaw(WRONG_LABEL, (places[key],), _WRONG_NOTE) for key in wrong)
        _save_record(root, _Record(settings, complete=True, planted_flaws=flaws))
    counts = {
        name: sum((root / place).exists() for key, place in places.items() if key[0] == label)
        for label, name in enumerate(CLASS_NAMES)
    }
    note = f"Faces drawn into {show_text(root)}."
    return PhotoFolder(root, DRAWN_FACES, (note,), counts=counts, planted_flaws=flaws)


def _check_size(size: tuple[int, int]) -> None:
    """Refuse a size that is not two whole numbers in range."""
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(
        isinstance(side, (int, np.integer)) and _MIN_SIDE_PX <= side <= _MAX_SIDE_PX
        for side in size
    ):
        raise ValueError(
            f"Expected `size` as (height, width) in whole pixels, each from {_MIN_SIDE_PX} to "
            f"{_MAX_SIDE_PX}, such as (128, 128). Received: size={size!r}."
        )


def _check_whole_number(name: str, value: int, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse what is not a whole number of at least `minimum`, or is above `maximum`."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < minimum or (maximum is not None and value > maximum):
        most = "" if maximum is None else f" and at most {maximum}"
        raise ValueError(
            f"Expected `{name}` to be a whole number of at least {minimum}{most}. "
            f"Received: {name}={value!r}."
        )


@dataclass(frozen=True)
class _Record:
    """What `SETTINGS_NAME` holds: how the faces were drawn, whether all are, which are flawed."""

    settings: dict[str, bool | int | tuple[int, int]]
    complete: bool
    planted_flaws: tuple[PlantedFlaw, ...]


def _choose_wrong_labels(settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return label and index of the pictures that show the other expression."""
    chosen = []
    for label in range(len(CLASS_NAMES)):
        generator = np.random.default_rng(np.random.SeedSequence((settings["seed"], label, 2)))
        order = generator.permutation(settings["photos_per_class"])
        count = settings.get("wrong_labels", 0)
        chosen += [(label, int(index)) for index in sorted(order[:count])]
    return chosen


def _picture(
    settings: Mapping[str, Any], label: int, index: int, *, is_turned: bool = False
) -> DrawnPhoto:
    """Draw one picture of a data set; a turned one shows the other expression."""
    state = np.random.SeedSequence((settings["seed"], label, index)).generate_state(2, np.uint64)
    direction = -_DIRECTIONS[label] if is_turned else _DIRECTIONS[label]
    return draw_photo(direction, seed=int(state[0]), size=settings["size"])


def _relative_path(seed: int, label: int, index: int) -> str:
    """Return where a picture lies, such as `sad/IMG_0417.jpg`: named as scraped files are."""
    generator = np.random.default_rng(np.random.SeedSequence((seed, label, index, 1)))
    word = CLASS_NAMES[label].lower()
    pattern = _NAME_PATTERNS[int(generator.integers(len(_NAME_PATTERNS)))]
    # The index times an odd number, modulo a power of two, is unique up to a million pictures.
    number = (index * 387_420_489 + 7 * label + 1) % 2**20
    return f"{word}/" + pattern.format(number=number, word=word)


def _encode(photo: DrawnPhoto) -> bytes:
    """Return a picture as JPEG bytes, at the quality of its camera."""
    return encode_image(Image.fromarray(photo.pixels), quality=photo.scene.jpeg_quality)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name first, so that no half file is ever there."""
    with replacing(path, flush=False) as temporary:
        temporary.write_bytes(content)


def _plant_flaws(
    root: Path, settings: Mapping[str, Any], places: Mapping[tuple[int, int], str]
) -> tuple[PlantedFlaw, ...]:
    """Plant the flaws that are not there yet; return what and where they all are."""

    def extra_face(label: int, number: int) -> Image.Image:
        return Image.fromarray(_picture(settings, label, _FLAW_INDEX + number).pixels)

    def ordinary_face(label: int, number: int) -> tuple[str, bytes]:
        place = places[label, number % settings["photos_per_class"]]
        return place, (root / place).read_bytes()

    flaws = []
    for flaw, content in flawed_files(extra_face, ordinary_face):
        flaws.append(flaw)
        if not (root / flaw.paths[0]).exists():
            _write_whole(root / flaw.paths[0], content)
    return tuple(flaws)


def _open_record(root: Path, settings: dict[str, Any]) -> _Record:
    """Return how far the data set is; refuse a folder that holds something else."""
    class_folders = [root / name.lower() for name in CLASS_NAMES]
    filled = [
        folder
        for folder in class_folders
        if folder.is_dir() and any(entry.name[0] != "." for entry in folder.iterdir())
    ]
    found = _read_record(root / SETTINGS_NAME)
    if found is not None and found.settings == settings and (filled or not found.complete):
        return found
    foreign = [root / SETTINGS_NAME] if found is None and (root / SETTINGS_NAME).exists() else []
    if filled or foreign:
        content = f"faces drawn with {_describe(found.settings)}" if found else "other files"
        raise FileExistsError(
            f"Expected {show_text(root)} to hold no pictures, or faces drawn with "
            f"{_describe(settings)}. Received: {content} ({show_text((filled + foreign)[0])}). "
            "Nothing was changed: choose another `folder`, or move what is there away first."
        )
    for folder in class_folders:
        folder.mkdir(parents=True, exist_ok=True)
    return _save_record(root, _Record(settings, complete=False, planted_flaws=()))


def _describe(settings: Mapping[str, Any]) -> str:
    """Return settings as a learner writes them."""
    shown = {key: value for key, value in settings.items() if key != "format"}
    return show_text(", ".join(f"{key}={value}" for key, value in shown.items()))


def _read_record(path: Path) -> _Record | None:
    """Return how a folder was drawn; None if it was not drawn by us."""
    try:
        found: _Record = read_json(path, what="how faces were drawn", kind=_Record)
    except (FileNotFoundError, ValueError):
        return None
    return found


def _save_record(root: Path, record: _Record) -> _Record:
    """Write the record beside the class folders, and return it."""
    _write_whole(root / SETTINGS_NAME, f"{json.dumps(asdict(record), indent=1)}\n".encode())
    return record
