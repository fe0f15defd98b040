"""A second place for runs, such as Google Drive: written locally, then copied and verified."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import keras

from emoclf.storage import building_folder, find_sha256, replacing
from emoclf.training.state import STATE_FOLDER_NAME
from emoclf.untrusted import show_text


class CopyRun(keras.callbacks.Callback):
    """Copy what is new in a run folder after every epoch.

    A machine that is taken away, as Colab's are, takes its disk with it. Writing to Drive directly
    leaves half a file when that happens at the wrong moment; a copy that is made under another
    name, read back and then renamed does not.

    Put it behind `KeepState`. A copy that fails is a warning, and is tried again after the next
    epoch: the training does not depend on the second place.

    Args:
        run_folder: The run's folder.
        folder: The folder that holds the copies of all runs.
    """

    def __init__(self, run_folder: str | Path, folder: str | Path) -> None:
        """Nothing is copied yet."""
        super().__init__()
        self.run_folder, self.folder = Path(run_folder), Path(folder)
        self._copied: dict[str, tuple[int, int]] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Copy what has changed since the last time."""
        try:
            copy_run(self.run_folder, self.folder, known=self._copied)
        except OSError as error:
            self._warn(error, "copying is tried again after the next epoch")

    def finish(self) -> None:
        """Copy what the end of the training has written; call it when all of the run is there."""
        try:
            copy_run(self.run_folder, self.folder, known=self._copied)
        except OSError as error:
            self._warn(error, "going on with the finished run (--resume) does nothing but copy it")

    def _warn(self, error: OSError, what_next: str) -> None:
        warnings.warn(
            f"The run was not copied to {show_text(self.folder)} ({show_text(error)}). It is "
            f"whole in {show_text(self.run_folder)}, and {what_next}.",
            stacklevel=3,
        )


def copy_run(
    run_folder: str | Path,
    folder: str | Path,
    *,
    known: dict[str, tuple[int, int]] | None = None,
) -> list[Path]:
    """Copy a run folder to a second place, file by file, each verified before it counts.

    Args:
        run_folder: The run's folder; the copy has its name.
        folder: The folder that holds the copies of all runs.
        known: What was copied before, file to size and time, which is then left out; brought up to
            date.

    Returns:
        The copies that were made.

    Raises:
        OSError: If a file cannot be copied, or does not read back as it was written.
    """
    run_folder, known = Path(run_folder), {} if known is None else known
    target, made = Path(folder) / run_folder.name, []
    for path in sorted(path for path in run_folder.rglob("*") if path.is_file()):
        name = path.relative_to(run_folder).as_posix()
        facts = (path.stat().st_size, path.stat().st_mtime_ns)
        if _is_hidden(path, run_folder) or known.get(name) == facts:
            continue
        made.append(copy_verified(path, target / name))
        known[name] = facts
    for copy in (target / STATE_FOLDER_NAME).rglob("epoch-*.npz"):
        if not (run_folder / copy.relative_to(target)).exists():
            copy.unlink()  # an older state, whose successor lies beside it
    return made


def fetch_run(folder: str | Path, run_folder: str | Path) -> bool:
    """Bring a run back from its second place, where this machine does not have it.

    Args:
        folder: The folder that holds the copies of all runs.
        run_folder: Where the run belongs; left alone where it exists.

    Returns:
        Whether it was brought back.

    Raises:
        OSError: If a file does not read back as it was written.
    """
    run_folder = Path(run_folder)
    source = Path(folder) / run_folder.name
    if run_folder.exists() or not source.is_dir():
        return False
    with building_folder(run_folder) as unfinished:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            if not _is_hidden(path, source):
                copy_verified(path, unfinished / path.relative_to(source))
    return True


def _is_hidden(path: Path, folder: Path) -> bool:
    """Return whether a file, or a folder it is in, is not there for good."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def copy_verified(source: Path, target: Path) -> Path:
    """Copy a file under another name, read it back, and only then give it its name.

    Args:
        source: The file.
        target: Where the copy belongs.

    Returns:
        `target`.

    Raises:
        OSError: If the copy does not read back as the file.
    """
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
        if find_sha256(temporary) != find_sha256(source):
            raise OSError(
                f"the copy of {show_text(source)} to {show_text(target)} does not read "
                "back as it was written"
            )
    return target
