"""Read the bytes of a regular file; anything else at a path is refused unopened."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from emoclf.images.formats import UnreadableImageError
from emoclf.images.memory import take_file_memory
from emoclf.storage import describe_irregular, open_regular
from emoclf.untrusted import show_text

MAX_FILE_BYTES: int = 128 * 2**20
"""Largest file that is read into memory: 128 MiB."""


def read_image_bytes(path: str | Path) -> bytes:
    """Read a regular file; folders, devices, pipes and sockets are refused unopened.

    Args:
        path: The file. A symbolic link is followed.

    Returns:
        The content, never empty.

    Raises:
        UnreadableImageError: Of kind "missing", "not_a_file", "no_permission", "empty",
            "too_large" or "damaged" (the disk did not deliver).
    """
    source = os.fspath(path)
    try:
        kind = describe_irregular(Path(path).stat().st_mode)
        if kind:
            reason = f"Expected a file, found {kind}. Pass the path of a picture."
            raise UnreadableImageError(source, "not_a_file", reason)
        with open_regular(path, what="a picture") as file:
            data = _read_whole(source, file)
    except OSError as error:
        raise UnreadableImageError(source, *_explain_os_error(error)) from error
    except UnreadableImageError:
        raise
    except ValueError as error:  # a null character in the name, or a pipe put there meanwhile
        raise UnreadableImageError(
            source, "missing", f"No file can have this name: {show_text(error)}."
        ) from error
    if not data:
        raise UnreadableImageError(source, "empty", "The file has 0 bytes. Download it again.")
    return data


def _read_whole(source: str, file: BinaryIO) -> bytes:
    """Read as many bytes as the file has now: it may grow, or come from the system itself."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        reason = f"The file has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read."
        raise UnreadableImageError(source, "too_large", reason)
    take_file_memory(size)
    return file.read(size)


def _explain_os_error(error: OSError) -> tuple[str, str]:
    """Turn what the operating system raised into a kind and a reason."""
    if isinstance(error, PermissionError):
        return "no_permission", "You may not read this file. Change its permissions."
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing", "There is no such file. Check the path."
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return "missing", f"No file can be found under this name: {error.strerror}."
    return "damaged", f"The disk did not deliver the file: {error.strerror}. Try again."
