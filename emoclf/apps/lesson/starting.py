"""The lesson's start: where its runs are kept, and what it runs on."""

from __future__ import annotations

import logging
import tempfile
import textwrap
from pathlib import Path

import emoclf
from emoclf.data.sources import DRIVE_DATA_FOLDER, is_on_drive
from emoclf.display import WIDTH
from emoclf.runtime import doctor, find_hardware, find_versions, in_colab, quiet_start
from emoclf.untrusted import show_text

SHOWN_VERSIONS = ("python", "tensorflow", "keras", "numpy", "pillow", "opencv-python")
"""What the lesson's results depend on most; a run records all of them."""


def find_logs(data_dir: str | Path | None, logs_dir: str | Path | None = None) -> str:
    """Choose where the lesson's runs are kept: on Drive where the photos are, too.

    Args:
        data_dir: The folder that was chosen for the photos.
        logs_dir: The folder that was chosen for the runs; None leaves the choice open.

    Returns:
        `logs_dir`; else `logs` in the project's folder on a mounted Drive that holds the photos and
        can be written to; else `logs`, here.

    Example:
        >>> find_logs("my photos")
        'logs'
    """
    if logs_dir:
        return str(logs_dir)
    on_drive = Path(DRIVE_DATA_FOLDER).with_name("logs")
    try:
        if data_dir and is_on_drive(data_dir) and Path(data_dir).exists():
            on_drive.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=on_drive):  # a folder that is only shared with you
                return str(on_drive)
    except OSError:
        return "logs"
    return "logs"


def start_lesson(logs_dir: str | Path) -> str:
    """Keep TensorFlow's hints on speed away, and say what the lesson runs on.

    Args:
        logs_dir: Where the runs are kept.

    Returns:
        Lines: the machine, the versions, where the runs are kept, and `doctor`'s findings.
    """
    logging.getLogger("tensorflow").setLevel("ERROR")
    with quiet_start():
        hardware = find_hardware()
    versions = find_versions()
    place = "Colab" if in_colab() else "this machine"
    is_lost = in_colab() and not is_on_drive(logs_dir)
    lost = ", which Colab clears when the session ends" if is_lost else ""
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN_VERSIONS)
    return "\n".join(
        (
            f"emoclf {emoclf.__version__} on {place}: {hardware}",
            textwrap.fill(shown, WIDTH),
            f"Runs are kept in {show_text(logs_dir)}{lost}.",
            *(f"note: {finding}" for finding in doctor()),
        )
    )
