"""What several commands have in common: the options of the detector, clear errors."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emoclf.apps.commands.terminal import echo
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.images.faces import DetectorKind, FaceDetector

EXIT_INTERRUPTED = 130
"""Exit code of a command that was stopped with Ctrl-C."""

Command = Callable[..., Any]

photos_argument = click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE_OR_FOLDER...",
)
"""Which photos a command answers."""


@dataclass
class DetectorChoice:
    """Makes the detector that the options ask for when a photo needs one, and remembers it.

    Attributes:
        kind: "auto", "yunet" or "haar".
        yunet_file: A YuNet file to use, else None.
        download: Whether the network may be used.
        made: The detector, once it was needed.
    """

    kind: DetectorKind = "auto"
    yunet_file: Path | None = None
    download: bool = True
    made: FaceDetector | None = None

    def __call__(self) -> FaceDetector:
        """Make the detector."""
        from emoclf.images.faces import make_detector

        self.made = make_detector(self.kind, model_path=self.yunet_file, download=self.download)
        return self.made


def model_option(command: Command) -> Command:
    """Give a command the option that names a network of the user's own, as its argument `model`."""
    return click.option(
        "--model",
        type=click.Path(exists=True, path_type=Path),
        metavar="RUN_OR_FILE",
        help="A run folder or a .keras file of yours, instead of the packaged face network.",
    )(command)


def class_map_option(command: Command) -> Command:
    """Give a command the option `--map`, as its argument `class_map`: folder -> class name."""

    def read(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, str]:
        from emoclf.data.folders import parse_class_map

        try:
            return parse_class_map(text) if text else {}
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return click.option(
        "--map",
        "class_map",
        metavar="FOLDER=CLASS,...",
        callback=read,
        help="The classes of folders whose names do not say them: joy=Happy,gloom=Sad. An empty "
        "class leaves a folder out.",
    )(command)


def detector_options(command: Command) -> Command:
    """Give a command the options that choose a face detector, as its argument `choice`."""

    @click.option(
        "--detector",
        "kind",
        type=click.Choice(["auto", "yunet", "haar"]),
        default="auto",
        show_default=True,
        help="What finds faces: YuNet, OpenCV 4's Haar cascade, or the better one that is there.",
    )
    @click.option(
        "--yunet-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="PATH",
        help="A YuNet model file, instead of the one in the cache.",
    )
    @click.option("--no-download", is_flag=True, help="Never fetch the detector's file.")
    @functools.wraps(command)
    def with_choice(
        *arguments: Any,
        kind: DetectorKind,
        yunet_file: Path | None,
        no_download: bool,
        **others: Any,
    ) -> Any:
        if kind == "haar" and yunet_file:
            raise click.UsageError("--yunet-file names a YuNet model: leave out --detector haar.")
        choice = DetectorChoice(kind, yunet_file, not no_download)
        return command(*arguments, choice=choice, **others)

    return with_choice


@contextmanager
def clear_errors(*, stopped: str = "Stopped.") -> Iterator[None]:
    """Turn what can go wrong into one line and an exit code, without the code it comes from.

    Args:
        stopped: What to say after Ctrl-C.

    Raises:
        click.ClickException: For a missing package, a bad file or a bad value.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        echo(stopped, err=True)
        sys.exit(EXIT_INTERRUPTED)
    except ImportError as error:
        raise click.ClickException(
            f"{show_text(error)}. Install what emoclf needs: pip install -r requirements.txt"
        ) from error
    except BrokenPipeError:
        raise  # who read the output has gone, as `head` does: click ends quietly then
    except OSError as error:
        raise click.ClickException(_explain(error)) from error
    except MemoryError as error:
        raise click.ClickException(_TOO_LARGE) from error
    except RecursionError as error:
        raise click.ClickException(_TOO_DEEP) from error
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(_say(error)) from error
    except _find_errors_of_libraries() as error:
        raise click.ClickException(f"{type(error).__name__}: {_say(error)}") from error


_TOO_LARGE = (
    "The memory of this machine is not enough for it. Close other programs, or give fewer or "
    "smaller photos; for a training, a smaller --image-size or --batch-size."
)
_TOO_DEEP = (
    "A file or folder is nested too deeply to be followed. Give a part of it, or lay it out in "
    "fewer levels."
)
_LITTLE_ROOM_BYTES = 16 * 2**20
_MAKE_ROOM = (
    "Make room on that disk, or choose another place, and give the command again (a training goes "
    "on with --resume)."
)


def _find_errors_of_libraries() -> tuple[type[Exception], ...]:
    """Return what is raised, beside Python's own errors, by libraries that are loaded already."""
    names = {
        "zipfile": "BadZipFile",
        "tarfile": "TarError",
        "csv": "Error",
        "zlib": "error",
        "cv2": "error",
        "tensorflow.python.framework.errors_impl": "OpError",
    }
    loaded = ((sys.modules.get(module), name) for module, name in names.items())
    return tuple(getattr(module, name) for module, name in loaded if hasattr(module, name))


def _say(error: Exception) -> str:
    """Return what an error says; what another library says of any name, on one line."""
    text, last = str(error) or type(error).__name__, error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    is_own = last is not None and last.tb_frame.f_globals.get("__name__", "").startswith("emoclf.")
    return text if is_own else show_text(" ".join(text.split()))


def _explain(error: OSError) -> str:
    """Say what the system refused, where, and what to do; emoclf's own errors say it already."""
    if error.errno is None or error.strerror is None:
        return _say(error)
    steps = {
        errno.ENOSPC: _MAKE_ROOM,
        errno.EDQUOT: _MAKE_ROOM,
        errno.EROFS: "Choose another place.",
        errno.EACCES: "Change the permissions, or choose another place.",
        errno.EPERM: "Change the permissions, or choose another place.",
        errno.ENAMETOOLONG: "Give a shorter name, or choose another place.",
    }
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    # Where a file is copied, the first name is the one that is read.
    place = error.filename2 if is_full and error.filename2 is not None else error.filename
    if isinstance(place, bytes):
        place = os.fsdecode(place)
    where = "" if place is None else f"{show_text(place)}: "
    reason = os.strerror(error.errno) if is_full else show_text(error.strerror)
    step = steps.get(error.errno, "Check the path, or choose another place.")
    return f"{where}{reason}. {step}{_describe_full_temporaries() if is_full else ''}"


def _describe_full_temporaries() -> str:
    """Name the temporary folder if it is full: libraries write there first, and do not say so."""
    try:
        folder = tempfile.gettempdir()
        is_full = shutil.disk_usage(folder).free < _LITTLE_ROOM_BYTES
    except OSError:  # no file can be made in any folder for such files
        folder, is_full = os.environ.get("TMPDIR", "/tmp"), True
    return f" The temporary folder {show_text(folder)} is full, too." if is_full else ""


def is_watched() -> bool:
    """Return whether somebody looks at the error stream, so that a progress bar makes sense."""
    return sys.stderr.isatty()
