"""Where am I running: Colab or not, Google Drive, hardware, versions, seeds."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from emoclf.config import SEED
from emoclf.untrusted import quote_argument, show_text

DRIVE_MOUNT_POINT = Path("/content/drive")
"""Where Colab shows Google Drive once it is mounted."""

PACKAGES: tuple[str, ...] = (
    "tensorflow",
    "keras",
    "numpy",
    "pillow",
    "opencv-python",
    "matplotlib",
    "scikit-learn",
    "imagehash",
    "msgspec",
)
"""The packages whose versions a run records."""

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "opencv-python": (
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "tensorflow": ("tensorflow-cpu", "tf-nightly", "tensorflow-intel", "tensorflow-macos"),
}
"""Packages that bring the same module under another name."""

SECURITY_FLOORS: dict[str, tuple[int, ...]] = {"pillow": (13, 0, 0), "keras": (3, 15, 1)}
"""The first versions without a known hole in decoding pictures or in loading models."""


class Hardware(NamedTuple):
    """What this machine offers for training.

    Attributes:
        cpu_count: Cores that this process may use.
        gpu_names: One name per GPU that TensorFlow sees; empty without one.
        memory_gib: Memory in GiB, or None where the system does not tell.
        compute_capabilities: What each GPU can do, in Nvidia's numbers such as `(7, 5)`; those
            that do not tell are left out.
    """

    cpu_count: int
    gpu_names: tuple[str, ...]
    memory_gib: float | None
    compute_capabilities: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        """Return the hardware in one sentence."""
        gpus = ", ".join(self.gpu_names) if self.gpu_names else "no GPU"
        memory = f", {self.memory_gib:.0f} GiB of memory" if self.memory_gib else ""
        return f"{self.cpu_count} CPU cores{memory}, {gpus}"


def in_colab() -> bool:
    """Say whether this Python runs inside Google Colab."""
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def mount_drive(mount_point: str | Path = DRIVE_MOUNT_POINT) -> Path | None:
    """Mount Google Drive in Colab; do nothing anywhere else.

    Colab asks for permission in a window of its own. On a machine without Colab there is no
    Drive to mount, so the lesson runs unchanged there.

    Args:
        mount_point: Where Drive appears.

    Returns:
        The mount point, or None outside Colab.

    Raises:
        RuntimeError: If Colab could not mount Drive (permission refused, say).
    """
    if not in_colab():
        return None
    from google.colab import drive  # type: ignore[import-not-found]

    try:
        drive.mount(str(mount_point))
    except Exception as error:  # a refusal is a MessageError of Colab's own, a plain Exception
        raise RuntimeError(
            f"Google Drive was not mounted at {show_text(mount_point)} "
            f"({show_text(error)}). Run the cell again and "
            "allow the access, or set DATA_DIR to a folder that is not on Drive."
        ) from error
    return Path(mount_point)


def find_hardware() -> Hardware:
    """Look at the processor, the memory and the GPUs of this machine.

    Returns:
        What was found. Loads TensorFlow to ask for GPUs.
    """
    import tensorflow as tf

    names, capabilities = [], []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        names.append(details.get("device_name", device.name))
        if "compute_capability" in details:
            capabilities.append(tuple(details["compute_capability"]))
    return Hardware(len(_usable_cores()), tuple(names), _memory_gib(), tuple(capabilities))


def _usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def find_versions() -> dict[str, str]:
    """Return the versions of Python, of the system and of every package a run depends on.

    Returns:
        Name to version; `"not installed"` where neither the package nor one of its `OTHER_NAMES`
        is. Nothing is imported.
    """
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        found = map(_find_version, (name, *OTHER_NAMES.get(name, ())))
        versions[name] = next(filter(None, found), "not installed")
    return versions


def _find_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def doctor() -> list[str]:
    """List what is missing or too old here, each with the command that fixes it.

    Returns:
        One sentence per finding; empty when all is well. Older versions than the security
        floors work (Colab has them) but should not be fed files from strangers.
    """
    versions = find_versions()
    findings = [
        f"{name} is not installed. Fix it: pip install {quote_argument(name)}"
        for name in PACKAGES
        if versions[name] == "not installed"
    ]
    for name, floor in SECURITY_FLOORS.items():
        numbers = _version_numbers(versions[name])
        wanted = ".".join(str(number) for number in floor)
        if numbers and numbers < floor:
            findings.append(
                f"{name} {versions[name]} has a known security hole, closed in {wanted}. "
                f"It works; fix it with: pip install {quote_argument(f'{name}>={wanted}')}"
            )
    if versions["opencv-python"] != "not installed":
        findings += _find_opencv_problems()
    return findings


def _find_opencv_problems() -> list[str]:
    """Say what keeps OpenCV from loading: on servers, most often a missing libGL."""
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        return [
            f"OpenCV is installed but cannot be loaded ({show_text(error)}). Fix it, on a machine "
            "without a display: pip uninstall -y opencv-python && pip install "
            "opencv-python-headless"
        ]
    return []


def _version_numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:3]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep what TensorFlow's native code writes while it loads off the screen.

    TensorFlow tells at length which libraries it found and which GPUs it did not.
    Python's own errors and warnings are shown as always: only the process's standard error
    stream, which native code writes to, is led away until the block ends.

    Example:
        >>> with quiet_start():
        ...     import json  # in the lesson: import keras
    """
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def set_seeds(seed: int = SEED) -> None:
    """Seed Python, NumPy and Keras, so that a run can be repeated.

    Args:
        seed: Any integer from 0 to 2**32 - 1.
    """
    import keras

    keras.utils.set_random_seed(seed)
