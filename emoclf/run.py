"""A run: one training and everything of it in one folder, opened; the log of test-set access.

The test photos are meant for one access: when, and by which model, is logged. Whoever tests,
changes something and tests again chooses by the test, and the best of several figures is better
than the truth. A second access is allowed, and the log says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from emoclf.config import JOINT_FILE_NAME, MODEL_FILE_NAME, Settings
from emoclf.display import Displayed, Table, count_noun
from emoclf.images import ModelInfo
from emoclf.photos import Photos
from emoclf.storage import check_keys, check_kind, find_sha256, read_json, write_json
from emoclf.untrusted import show_text

SETTINGS_FILE_NAME = "settings.json"
SPLIT_FILE_NAME = "split.json"
ACCESS_LOG_FILE_NAME = "test_access_log.json"


@dataclass(frozen=True)
class Run:
    """A run folder, opened; its files are read when they are first used.

    Attributes:
        folder: The run's folder.
        photos_folder: Where its photos lie now; None where they lay when it was trained.

    Example:
        >>> run = Run.open("logs/first")  # doctest: +SKIP
        >>> run.settings.network, len(run.photos.part("test"))  # doctest: +SKIP
        ('small', 302)
    """

    folder: Path
    photos_folder: Path | None = None

    @classmethod
    def open(cls, folder: str | Path | Run) -> Run:
        """Open a run folder.

        Args:
            folder: Made by `train` or `start_run`; a run is returned as it is.

        Returns:
            The run.

        Raises:
            FileNotFoundError: If the folder holds no run.
        """
        if isinstance(folder, Run):
            return folder
        run = cls(Path(folder))
        if not run.is_there:
            raise FileNotFoundError(
                f"{show_text(folder)} is not a run: it holds no {SPLIT_FILE_NAME}. Train one "
                "(`python -m emoclf train`), or give the folder of one, such as logs/first."
            )
        return run

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / SPLIT_FILE_NAME).is_file()

    @property
    def model_file(self) -> Path:
        """Where the finished model is; while the run trains, there is no such file."""
        joint = self.folder / JOINT_FILE_NAME
        return joint if joint.is_file() else self.folder / MODEL_FILE_NAME

    @cached_property
    def settings(self) -> Settings:
        """The settings.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or a setting is missing, unknown, of another type or out
                of range; the message names it.
        """
        path, what = self.folder / SETTINGS_FILE_NAME, "the settings of a run"
        value = read_json(path, what=what)
        check_keys(value, [each.name for each in fields(Settings)], name=path, what=what)
        settings: Settings = check_kind(value, Settings, name=path, what=what)
        return settings

    @cached_property
    def photos(self) -> Photos:
        """The photos in their parts, where they lay when the split was written.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged.
        """
        return Photos.load(self.folder / SPLIT_FILE_NAME)

    @property
    def info(self) -> ModelInfo:
        """What a network of this run is shown: classes, size, resize mode and crop."""
        chosen = self.settings
        return ModelInfo(
            self.photos.class_names, chosen.image_size, chosen.resize_mode, chosen.crop
        )

    def find_photos(self) -> Photos:
        """Return the photos where they lie now.

        They are looked for in `photos_folder`; without one, where they were, and in the same place
        beside the run, if the project was moved as a whole. What is elsewhere is known again by
        its content, be it under another name.

        Returns:
            The photos, in the order of `photos`.

        Raises:
            FileNotFoundError: If they are not there.
            ValueError: If the run's file is damaged.
        """
        if self.photos_folder is not None:
            found, count = locate_photos(self.photos, self.photos_folder)
            if 2 * count >= len(self.photos):
                return found
            raise FileNotFoundError(
                f"{show_text(self.photos_folder)} holds {count:,} of the {len(self.photos):,} "
                f"photos of {show_text(self.folder)}, by their content. Name the folder that they "
                f"were moved to; it was {self.photos.root!r}."
            )
        if any(file.is_file() for file in self.photos.files):
            return self.photos
        for folder in self._list_places():
            found, count = locate_photos(self.photos, folder, search=False)
            if 2 * count >= len(self.photos):
                return found
        raise FileNotFoundError(
            f"The photos of {show_text(self.folder)} were in {self.photos.root!r}, and are not "
            "there. If they were moved, name the folder: --photos FOLDER (in Python: "
            "Run(folder, photos_folder=...)). To test on it as if it were another folder would "
            "test on training photos."
        )

    def _list_places(self) -> list[Path]:
        """Return folders that lie to the run as the photos' lay, the nearest first."""
        names = [name for name in re.split(r"[\\/]", self.photos.root) if name not in ("", ".")]
        tails = [Path(*names[start:]) for start in range(len(names))]
        above = self.folder.resolve().parents
        return [place for up in above for tail in tails if (place := up / tail).is_dir()]

    def find_known(self, photos: Photos) -> dict[str, str]:
        """Find which photos of a folder are those of this run, wherever that folder is.

        Args:
            photos: From another call of `find_problems`, with their contents and duplicates.

        Returns:
            Path -> the part of the run that the photo, or a duplicate of it, is in: the same
            content; where that is unknown, or in the run's own folder, the same path.
        """
        is_same_folder = Path(self.photos.root).resolve() == Path(photos.root).resolve()
        contents = {row.sha256: row.part for row in self.photos.rows if row.sha256}
        names = {row.path: row.part for row in self.photos.rows if is_same_folder or not row.sha256}
        parts: dict[int, str] = {}
        for row in photos.rows:
            if part := contents.get(row.sha256, names.get(row.path)):
                parts[row.group] = part
        return {row.path: parts[row.group] for row in photos.rows if row.group in parts}

    def save(self, settings: Settings, photos: Photos) -> None:
        """Write down what the run is made from."""
        write_json(self.folder / SETTINGS_FILE_NAME, settings.to_dict())
        photos.save(self.folder / SPLIT_FILE_NAME)

    def load_access_log(self) -> TestAccessLog:
        """Read the log of accesses to the test photos.

        Returns:
            The accesses; the folders beside the run's are searched for the same photos.

        Raises:
            ValueError: If a log is damaged.
        """
        folder = self.folder.resolve()
        accesses = _read_log(folder)
        seen = {access.photos_sha256 for access in accesses}
        beside = sorted(folder.parent.glob(f"*/{ACCESS_LOG_FILE_NAME}")) if seen else []
        elsewhere = [
            file.parent.name
            for file in beside
            if file.parent != folder
            and seen & {access.photos_sha256 for access in _read_log(file.parent)}
        ]
        return TestAccessLog(accesses, tuple(elsewhere))

    def log_test_access(
        self, photos: Photos, probabilities: np.ndarray, *, model_file: Path | None = None
    ) -> TestAccessLog:
        """Write down that a model has predicted the photos of the test.

        Args:
            photos: The photos of the test.
            probabilities: What it predicted, float64 `(photos, classes)`.
            model_file: The file of the model; None when it has none.

        Returns:
            All accesses, with this one.

        Raises:
            ValueError: If the log is damaged.
        """
        accesses = (*_read_log(self.folder), _describe_access(photos, probabilities, model_file))
        write_json(self.folder / ACCESS_LOG_FILE_NAME, [asdict(each) for each in accesses])
        return self.load_access_log()

    def log_test_access_once(self, photos: Photos, probabilities: np.ndarray) -> TestAccessLog:
        """Write an access of the run's own model down, unless the last one was this very one.

        Args:
            photos: As for `log_test_access`.
            probabilities: As for `log_test_access`.

        Returns:
            All accesses, with this one.

        Raises:
            ValueError: If the log is damaged.
        """
        accesses, new = _read_log(self.folder), _describe_access(photos, probabilities, None)
        if accesses and accesses[-1].predictions == new.predictions:
            return self.load_access_log()
        own = self.model_file if self.model_file.is_file() else None
        return self.log_test_access(photos, probabilities, model_file=own)


@dataclass(frozen=True)
class TestAccess:
    """One access to the test photos.

    Attributes:
        time: When, in UTC: `2026-09-01T12:00:00+00:00`.
        model_sha256: SHA-256 of the file of the model that predicted; None when it has no file.
        predictions_sha256: SHA-256 of its probabilities.
        photos_sha256: SHA-256 of the names and classes of the photos.
        photos: Number of photos that were predicted.
    """

    __test__ = False  # its name makes pytest look for tests in it

    time: str
    model_sha256: str | None
    predictions_sha256: str
    photos_sha256: str
    photos: int

    @property
    def predictions(self) -> tuple[str, str]:
        """Which probabilities of which photos, whatever the time and the file of the model."""
        return self.predictions_sha256, self.photos_sha256


@dataclass(frozen=True)
class TestAccessLog(Displayed):
    """All accesses to the test photos of a run, the oldest first.

    Attributes:
        accesses: Those that the run's folder records.
        elsewhere: Other runs beside it that were tested on the same photos.
    """

    __test__ = False

    accesses: tuple[TestAccess, ...]
    elsewhere: tuple[str, ...] = ()

    def blocks(self) -> Iterable[str | Table]:
        """Say how fresh the test still is."""
        text = self._describe_own()
        if self.elsewhere:
            count = len(self.elsewhere)
            others = "1 other run beside it was" if count == 1 else f"{count} others beside it were"
            text += (
                f" {others} tested on the same photos "
                f"({', '.join(map(show_text, self.elsewhere[:3]))}): the best of several "
                "looks better than it is."
            )
        yield text

    def _describe_own(self) -> str:
        if not self.accesses:
            return "No access to the test photos is recorded."
        if len(self.accesses) == 1:
            photos = count_noun(self.accesses[0].photos, "test photo")
            return f"First recorded access to the {photos}."
        models = {access.model_sha256 or access.predictions_sha256 for access in self.accesses}
        text = (
            f"This is access no. {len(self.accesses)} to the test photos (the first: "
            f"{show_text(self.accesses[0].time)})"
        )
        if len(models) == 1:
            return f"{text}, by the same model: nothing was chosen by them, the figures stand."
        return (
            f"{text}, by {len(models)} different models. Careful: choosing among them by these "
            "figures makes the chosen one look better than it is. A fresh figure needs photos that "
            "were never tested on; choose by the validation photos."
        )


def _describe_access(
    photos: Photos, probabilities: np.ndarray, model_file: Path | None
) -> TestAccess:
    names = sorted(zip(photos.paths, photos.labels.tolist(), strict=True))
    return TestAccess(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        model_sha256=find_sha256(model_file) if model_file else None,
        predictions_sha256=hashlib.sha256(probabilities.tobytes()).hexdigest(),
        photos_sha256=hashlib.sha256(json.dumps(names).encode()).hexdigest(),
        photos=len(photos),
    )


def _read_log(folder: Path) -> tuple[TestAccess, ...]:
    path = folder / ACCESS_LOG_FILE_NAME
    if not path.is_file():
        return ()
    try:
        accesses: tuple[TestAccess, ...] = read_json(
            path, what="the accesses to the test of a run", kind=tuple[TestAccess, ...]
        )
    except ValueError as error:
        raise ValueError(
            f"{show_text(error)} Moved away, the next access begins a new one."
        ) from error
    return accesses


def locate_photos(photos: Photos, folder: str | Path, *, search: bool = True) -> tuple[Photos, int]:
    """Find photos again in another folder: under their names, or by their content.

    Args:
        photos: The photos.
        folder: Where they may lie now.
        search: Whether all files of the folder are read to find those that have other names now.

    Returns:
        The photos in that folder, in the same order, and how many were found; the path of one that
        was not is as it was, and it is left out if that is another photo's path now.
    """
    root = Path(folder)
    found = {row.path: row.path for row in photos.rows if _holds(root / row.path, row.sha256)}
    lost = {row.sha256: row.path for row in photos.rows if row.path not in found and row.sha256}
    for file in _list_files(root) if lost and search else ():
        name = file.relative_to(root).as_posix()
        path = None if name in found else lost.pop(_find_content(file), None)
        if path is not None:
            found[path] = name
    taken = set(found.values())
    rows = tuple(
        replace(row, path=found.get(row.path, row.path))
        for row in photos.rows
        if row.path in found or row.path not in taken
    )
    return replace(photos, root=str(root), rows=rows), len(found)


def _holds(file: Path, sha256: str) -> bool:
    """Tell whether a file is there, with this content where that is known."""
    return _find_content(file) == sha256 if sha256 else file.is_file()


def _find_content(file: Path) -> str:
    try:
        return find_sha256(file) if file.is_file() else ""
    except OSError:
        return ""


def _list_files(folder: Path) -> list[Path]:
    """Return the files below a folder, hidden ones left out, links not followed."""
    found = []
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(current, name) for name in sorted(names) if not name.startswith(".")]
    return [file for file in found if not file.is_symlink()]


def check_run_name(name: str) -> None:
    """Refuse the name of a run that cannot be one.

    Args:
        name: The name.

    Raises:
        ValueError: If it is not a plain folder name.
    """
    if not name or Path(name).name != name or name in (".", ".."):
        raise ValueError(
            f"{name!r} should be a plain folder name without slashes, such as 'first-run'."
        )


def make_run_folder(
    logs: str | Path = "logs", *, name: str | None = None, copies: str | Path | None = None
) -> Path:
    """Make a new folder for one run; never reuse one.

    Args:
        logs: The folder that holds all runs.
        name: Name of the run; default: the time, as in `2026-05-04_13-59-01`.
        copies: The folder that holds copies of all runs, where the name must be free, too.

    Returns:
        The new, empty folder. When the name is taken, `-2`, `-3` ... is appended.

    Raises:
        ValueError: If `name` is not a plain folder name.
    """
    name = name or time.strftime("%Y-%m-%d_%H-%M-%S")
    check_run_name(name)
    for folder in list_free_folders(logs, name, copies=copies):
        with suppress(FileExistsError):  # made meanwhile
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(
        f"{show_text(logs)} already holds 9,999 runs named {name!r}: choose another name."
    )


def list_free_folders(
    logs: str | Path, name: str, *, copies: str | Path | None = None
) -> Iterator[Path]:
    """Yield the folders that a new run of this name may have, which are not there yet."""
    for number in range(1, 10_000):
        folder = Path(logs) / (name if number == 1 else f"{name}-{number}")
        places = [folder] if copies is None else [folder, Path(copies) / folder.name]
        if not any(map(os.path.lexists, places)):
            yield folder
