"""Which photos to work on: the folder you name, Google Drive, `data/`, or drawn faces.

What emoclf knows of published data sets, where each is from and on what terms, is in
`data_sets.toml`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from emoclf.config import CLASS_NAMES, SEED
from emoclf.data.folders import PhotoFolder, find_class_folders, list_files
from emoclf.data.sources.staging import stage_data
from emoclf.data.synthetic import PHOTOS_PER_CLASS, make_drawn_faces
from emoclf.display import Displayed, Table
from emoclf.images import UnreadableImageError, load_image
from emoclf.runtime import DRIVE_MOUNT_POINT, in_colab, mount_drive
from emoclf.untrusted import show_text

PROJECT_DRIVE_LINK = "https://drive.google.com/drive/folders/1zWFnDQt2xOoRCO4GqhhCw3B6s8pHFKq1"
"""The project's public folder on Google Drive."""

DRIVE_DATA_FOLDER = "/content/drive/MyDrive/Image Classifier/data"
"""Where the lesson looks on a mounted Google Drive."""

DRAWN_FACES_FOLDER_NAME = "drawn_faces"
"""Sub-folder of the local data folder that holds the built-in faces."""

STAGED_FOLDER_NAME = "staged"
"""Sub-folder of the local data folder that holds a copy of what lies on Drive or in an archive."""


_NAMED_ENTRIES = 8

Access = Literal["built_in", "open", "login", "request"]
"""Built in, open to everybody, after a login, or on request to the owners (never fetched)."""

_WORDS_ACCESS: dict[Access, str] = {
    "built_in": "drawn on your machine",
    "open": "no login",
    "login": "a free Kaggle account, as a rule",
    "request": "on request to the owners; emoclf never fetches it",
}


@dataclass(frozen=True)
class DataSet(Displayed):
    """What is known about a data set.

    Attributes:
        name: What the commands call it.
        title: What it is, in a line.
        origin: Where it comes from: an address, with the paper where there is one.
        terms: Licence and terms in a sentence.
        access: Who may have it.
        classes: Its own class names.
        how: How to get it, in a sentence.
        photos: How many photos it holds, or None where that is not fixed.
        parts: Published counts: part -> class -> photos; empty where none are published.
    """

    name: str
    title: str
    origin: str
    terms: str
    access: Access
    classes: tuple[str, ...]
    how: str
    photos: int | None = None
    parts: dict[str, dict[str, int]] = field(default_factory=dict)

    def count_class(self, class_name: str) -> int:
        """Return the published count of a class over all parts, 0 where none is published."""
        return sum(counts.get(class_name, 0) for counts in self.parts.values())

    def blocks(self) -> Iterable[str | Table]:
        """Return what is known, as a table."""
        total = f"{self.photos:,} in all: " if self.photos else ""
        classes = ", ".join(
            f"{name} {count:,}" if (count := self.count_class(name)) else name
            for name in self.classes
        )
        rows = {
            "what": self.title,
            "from": self.origin,
            "terms": self.terms,
            "access": _WORDS_ACCESS[self.access],
            "holds": f"{total}{classes}",
            "get it": self.how,
        }
        yield Table(("", self.name), list(rows.items()))


@cache
def list_data_sets() -> tuple[DataSet, ...]:
    """Return every data set that emoclf knows, those that can be had at once first."""
    content = Path(__file__).with_name("data_sets.toml").read_bytes()
    return msgspec.toml.decode(content, type=dict[str, tuple[DataSet, ...]])["data_sets"]


def find_data_set(name: str) -> DataSet:
    """Look up a data set.

    Args:
        name: Its name, in upper or lower case.

    Returns:
        What is known about it.

    Raises:
        ValueError: If there is none of this name; the message lists those there are.

    Example:
        >>> find_data_set("fer2013").count_class("sadness")
        6077
    """
    for data_set in list_data_sets():
        if data_set.name == name.lower():
            return data_set
    names = ", ".join(each.name for each in list_data_sets())
    raise ValueError(
        f"There is no data set {name!r} in the registry. It has: {names}. A folder of your own "
        "needs no entry: pass the folder itself."
    )


def find_data(
    folder: str | Path | None = DRIVE_DATA_FOLDER,
    *,
    local_folder: str | Path = "data",
    class_names: tuple[str, ...] = CLASS_NAMES,
    class_map: Mapping[str, str] | None = None,
    drawn_per_class: int = PHOTOS_PER_CLASS,
    with_flaws: bool = True,
    seed: int = SEED,
    progress: bool = True,
    ask: Callable[[str], str] = input,
) -> PhotoFolder:
    """Find photos to work on: the folder asked for, else `data/`, else draw faces.

    In Colab, Google Drive is mounted first when the folder lies on it, and its photos are copied
    to this machine, because Drive takes long to open a file; so are those of an archive. Photos
    that are added there later go into a further copy. A folder that you name yourself must exist;
    only the default Drive folder, and a Drive that is not mounted, may be missing.

    Args:
        folder: The data set's folder, with one folder per class, or a `.zip`, `.tar` or `.tar.gz`
            of it; None or "" means "look in `data/`".
        local_folder: The folder that is looked into next; copies go to `staged` in it.
        class_names: Names in label order.
        class_map: Which folder of `folder` belongs to which class, as for `find_class_folders`.
        drawn_per_class: Faces drawn per class when there is no other data.
        with_flaws: Whether the drawn set holds the flaws that the cleaning step looks for.
        seed: Seed of the drawing.
        progress: Whether is shown, while drawing or copying, how far it is.
        ask: Called with a question before more than 5 GB are copied from Drive.

    Returns:
        The folder, and how it was found.

    Raises:
        FileNotFoundError: If a folder that you named does not exist.
        ArchiveRefusedError: If an archive is damaged, unsafe or too large.
        ValueError: If a folder that you named does not hold one folder per class, or the question
            was not answered with yes.
    """
    missing = [why] if folder and (why := _reach(folder)) else []
    if folder and not missing:
        note = f"Using the photos in {show_text(folder)}."
        is_archive = Path(folder).is_file()
        if not is_archive:
            find_class_folders(folder, class_names=class_names, class_map=class_map)
        if not (is_on_drive(folder) or is_archive):
            return PhotoFolder(Path(folder), str(folder), (note,))
        place = Path(local_folder) / STAGED_FOLDER_NAME
        staged = stage_data(
            folder,
            place,
            class_names=class_names,
            progress=progress,
            ask=ask if is_on_drive(folder) else None,
            beside=True,
        )
        find_class_folders(staged.folder, class_names=class_names, class_map=class_map)
        is_first = staged.folder.is_relative_to(place)
        anew = "" if is_first else " as they are now, and earlier copies stay as you left them"
        return replace(staged, notes=(f"{note} They are copied to this machine{anew}:",))
    if _holds_photos(Path(local_folder), class_names):
        note = f"Using the photos in {show_text(Path(local_folder))}."
        return PhotoFolder(Path(local_folder), str(local_folder), (*missing, note))
    missing.append(f"{show_text(local_folder)} holds no photos of {' and '.join(class_names)}.")
    name = f"{drawn_per_class}_per_class_seed_{seed}"
    target = Path(local_folder) / DRAWN_FACES_FOLDER_NAME / name
    drawn = make_drawn_faces(
        target,
        photos_per_class=drawn_per_class,
        seed=seed,
        with_flaws=with_flaws,
        progress=progress,
    )
    loud = "DRAWN FACES STAND IN FOR PHOTOS: what you measure with them holds for drawings."
    note = f"Using the built-in drawn faces, in {show_text(target)}."
    return replace(drawn, notes=(loud, *missing, note))


def is_on_drive(path: str | Path) -> bool:
    """Tell whether a path leads to a Google Drive that Colab has mounted, or could mount."""
    return in_colab() and Path(path).absolute().is_relative_to(DRIVE_MOUNT_POINT)


def _reach(folder: str | Path) -> str:
    """Mount Drive where the folder lies on it; return why photos from elsewhere stand in, or ""."""
    on_drive = is_on_drive(folder)
    try:
        if on_drive:
            mount_drive()
    except RuntimeError as error:
        return str(error)
    is_default = str(folder) == DRIVE_DATA_FOLDER
    if os.path.exists(folder) or not (on_drive or is_default):  # noqa: PTH110 - False for any fault
        return ""
    text = f"There is no folder {show_text(folder)}."
    if on_drive:
        text = f"{text} {_list_instead(Path(folder))}"
    if not is_default:
        raise FileNotFoundError(text)
    return text


def _list_instead(missing: Path) -> str:
    """Say what is in the folder that should hold one that is missing, most alike first."""
    while not missing.parent.is_dir():
        missing = missing.parent
    with os.scandir(missing.parent) as entries:
        names = [f"{e.name}/" if e.is_dir() else e.name for e in entries if e.name[0] != "."]
    wanted = f"{missing.name}/".lower()
    names.sort(key=lambda name: -SequenceMatcher(None, name.lower(), wanted).ratio())
    listed = ", ".join(map(show_text, names[:_NAMED_ENTRIES])) or "nothing"
    more = ", ..." if len(names) > _NAMED_ENTRIES else ""
    return f"{show_text(missing.parent)} holds: {listed}{more}"


class SamplePhoto(NamedTuple):
    """A photo to look at: file, class of its folder, uint8 RGB `(height, width, 3)`, 0 to 255."""

    path: Path
    class_name: str
    pixels: np.ndarray


def sample_photos(
    folder: str | Path,
    *,
    per_class: int = 6,
    class_names: tuple[str, ...] = CLASS_NAMES,
    class_map: Mapping[str, str] | None = None,
    seed: int = SEED,
) -> tuple[SamplePhoto, ...]:
    """Draw a few photos of every class at random, to look at; files that are no photo are skipped.

    Args:
        folder: The data set's folder, with one folder per class.
        per_class: Photos of each class at most.
        class_names: Names in label order.
        class_map: Which folder belongs to which class, as for `find_class_folders`.
        seed: Seed of the draw.

    Returns:
        The photos, by class.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it does not hold one folder per class, or no photo that can be opened.
    """
    found = find_class_folders(folder, class_names=class_names, class_map=class_map)
    generator = np.random.default_rng(seed)

    def draw(name: str) -> Iterator[SamplePhoto]:
        paths = [p for e in found.folders if e.class_name == name for p in list_files(e.path).files]
        for index in generator.permutation(len(paths)):
            # the cleaning step says what is wrong with a file that cannot be read
            with suppress(UnreadableImageError):
                yield SamplePhoto(paths[index], name, load_image(paths[index], min_size=(256, 256)))

    samples = tuple(sample for name in class_names for sample in islice(draw(name), per_class))
    if not samples:
        raise ValueError(
            f"{show_text(folder)} holds no photo that can be opened, of either class. Put the "
            "files themselves there (links are not followed): JPEG, PNG, WebP, GIF, BMP or AVIF."
        )
    return samples


def _holds_photos(folder: Path, class_names: tuple[str, ...]) -> bool:
    if not folder.is_dir():
        return False
    found = find_class_folders(folder, class_names=class_names, require_all=False)
    filled = {entry.class_name for entry in found.folders if list_files(entry.path).files}
    return filled == set(class_names)
