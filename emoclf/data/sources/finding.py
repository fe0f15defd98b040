"""Where a data set comes from: the folder you name, Google Drive, `data/`, or drawn faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emoclf.config import CLASS_NAMES, SEED
from emoclf.data.folders import find_class_folders, list_files
from emoclf.data.sources.staging import stage_data
from emoclf.data.synthetic import PHOTOS_PER_CLASS, make_drawn_faces
from emoclf.images import UnreadableImageError, load_image
from emoclf.runtime import DRIVE_MOUNT_POINT, in_colab, mount_drive
from emoclf.untrusted import show_text

DRIVE_DATA_FOLDER = "/content/drive/MyDrive/Image Classifier/data"
"""Where the lesson looks on a mounted Google Drive."""

DRAWN_FACES_FOLDER_NAME = "drawn_faces"
"""Sub-folder of the local data folder that holds the built-in faces."""

STAGED_FOLDER_NAME = "staged"
"""Sub-folder of the local data folder that holds a copy of what lies on Drive or in an archive."""


@dataclass(frozen=True)
class DataSource:
    """The folder a lesson works on, and why this one.

    Attributes:
        folder: Holds one folder per class.
        is_drawn: Whether it holds the built-in drawn faces.
        description: One or two sentences: what was looked for, what was found.
    """

    folder: Path
    is_drawn: bool
    description: str


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
) -> DataSource:
    """Find photos to work on: the folder asked for, else `data/`, else draw faces.

    In Colab, Google Drive is mounted first when the folder lies on it, and its photos are copied
    to this machine, because Drive takes long to open a file; so are those of an archive. A folder
    that you name yourself must exist; only the default Drive folder may be missing.

    Args:
        folder: The data set's folder, with one folder per class, or a `.zip`, `.tar` or `.tar.gz`
            of it; None means "look in `data/`".
        local_folder: The folder that is looked into next; copies go to `staged` in it.
        class_names: Names in label order.
        class_map: Which folder of `folder` belongs to which class, as for `find_class_folders`.
        drawn_per_class: Faces drawn per class when there is no other data.
        with_flaws: Whether the drawn set holds the flaws that the cleaning step looks for.
        seed: Seed of the drawing.
        progress: Whether a progress bar is shown while drawing or copying.

    Returns:
        The folder and how it was found.

    Raises:
        FileNotFoundError: If a folder that you named does not exist.
        FileExistsError: If a copy was made before, and what lies on Drive has changed since.
        ArchiveRefusedError: If an archive is damaged, unsafe or too large.
        ValueError: If a folder that you named does not hold one folder per class.
    """
    notes = []
    if folder is not None:
        is_on_drive = in_colab() and Path(folder).is_relative_to(DRIVE_MOUNT_POINT)
        if is_on_drive:
            mount_drive()
        if Path(folder).exists() or str(folder) != DRIVE_DATA_FOLDER:
            notes.append(f"Using the photos in {show_text(folder)}.")
            if not Path(folder).is_file():
                find_class_folders(folder, class_names=class_names, class_map=class_map)
            if is_on_drive or Path(folder).is_file():
                staged_folder = Path(local_folder) / STAGED_FOLDER_NAME
                staged = stage_data(
                    folder, staged_folder, class_names=class_names, progress=progress
                )
                find_class_folders(staged.folder, class_names=class_names, class_map=class_map)
                folder = staged.folder
                notes.append(f"Copied to this machine: {staged.describe()}")
            return DataSource(Path(folder), False, " ".join(notes))
        notes.append(f"There is no folder {show_text(folder)}.")
    if _holds_photos(Path(local_folder), class_names):
        notes.append(f"Using the photos in {show_text(Path(local_folder))}.")
        return DataSource(Path(local_folder), False, " ".join(notes))
    notes.append(f"{show_text(local_folder)} holds no photos of {' and '.join(class_names)}.")
    name = f"{drawn_per_class}_per_class_seed_{seed}"
    target = Path(local_folder) / DRAWN_FACES_FOLDER_NAME / name
    make_drawn_faces(
        target,
        photos_per_class=drawn_per_class,
        seed=seed,
        with_flaws=with_flaws,
        progress=progress,
    )
    notes.append(f"Using the built-in drawn faces, in {show_text(target)}.")
    return DataSource(target, True, " ".join(notes))


@dataclass(frozen=True, eq=False)
class SamplePhoto:
    """A photo to look at.

    Attributes:
        path: The file.
        class_name: The class of its folder.
        pixels: uint8 RGB `(height, width, 3)`, 0 to 255.
    """

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
        ValueError: If it does not hold one folder per class.
    """
    found = find_class_folders(folder, class_names=class_names, class_map=class_map)
    generator = np.random.default_rng(seed)
    samples: list[SamplePhoto] = []
    for name in class_names:
        paths = [p for e in found.folders if e.class_name == name for p in list_files(e.path).files]
        chosen: list[SamplePhoto] = []
        for index in generator.permutation(len(paths)):
            try:
                pixels = load_image(paths[index], min_size=(256, 256))
            except UnreadableImageError:
                continue  # the cleaning step says what is wrong with it
            chosen.append(SamplePhoto(paths[index], name, pixels))
            if len(chosen) == per_class:
                break
        samples += chosen
    return tuple(samples)


def _holds_photos(folder: Path, class_names: tuple[str, ...]) -> bool:
    if not folder.is_dir():
        return False
    found = find_class_folders(folder, class_names=class_names, require_all=False)
    filled = {entry.class_name for entry in found.folders if list_files(entry.path).files}
    return filled == set(class_names)
