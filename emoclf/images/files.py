"""What lies at a path: which format the bytes are in, and why they cannot become a picture.

A file is judged by its first bytes, never by its extension: scraped photos carry the wrong one
often, and a web page saved as `.jpg` is no photo. Only regular files are read.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from pathlib import Path
from typing import BinaryIO

from emoclf.images.headers import name_media
from emoclf.images.memory import take_file_memory
from emoclf.storage import describe_irregular, open_regular
from emoclf.untrusted import show_text

MAX_FILE_BYTES: int = 128 * 2**20
"""Largest file that is read into memory: 128 MiB."""

FORMAT_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "AVIF": (".avif", ".avifs"),
}
"""Every format that is read, by Pillow's name, with the file extensions that belong to it."""

IMAGE_EXTENSIONS: tuple[str, ...] = tuple(itertools.chain(*FORMAT_EXTENSIONS.values()))
"""All extensions of the formats that are read, in lower case and with the dot."""

_READ_FORMATS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("BMP", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
)

_OTHER_PICTURES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a TIFF picture", re.compile(rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]")),
    ("an icon (ICO)", re.compile(rb"\x00\x00[\x01\x02]\x00")),
    ("a JPEG 2000 picture", re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51")),
    ("a JPEG XL picture", re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL ")),
    ("a Photoshop file", re.compile(rb"8BPS")),
)

_NO_PICTURES: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a PDF document", re.compile(rb"%PDF")),
    ("a ZIP archive", re.compile(rb"PK\x03\x04")),
    ("a gzip archive", re.compile(rb"\x1f\x8b")),
    ("a video", re.compile(rb"\x1aE\xdf\xa3|RIFF.{4}AVI ", re.DOTALL)),
)

HEIC_REASON = (
    "This is an HEIC photo, as iPhones take them, which is not read here. Save it as JPEG: open it "
    "in Preview on a Mac or in Photos on Windows and export it. (On the iPhone, Settings > Camera "
    "> Formats > Most Compatible takes JPEGs.)"
)

_GONE = frozenset(
    getattr(errno, name, -1) for name in ("ENOTCONN", "EIO", "ESTALE", "ENODEV", "EHOSTDOWN")
)
"""What is said of a drive that is not connected any more."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|data:")
_SVG = re.compile(rb"<(\w+:)?svg[\s>]", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_SNIFFED_BYTES = 4096


class UnreadableImageError(ValueError):
    """Say why a file or some bytes cannot become a picture.

    Attributes:
        source: The path as text, or how many bytes were given.
        kind: One of "missing", "not_a_file", "no_permission", "empty", "not_an_image",
            "unsupported_format", "truncated", "damaged", "too_large".
        reason: One or two sentences for the reader: what was found, and what to do next.
    """

    def __init__(self, source: str, kind: str, reason: str) -> None:
        """Keep the three parts of the refusal."""
        super().__init__(source, kind, reason)
        self.source, self.kind, self.reason = source, kind, reason

    def __str__(self) -> str:
        """Return the source, with control characters escaped, and the reason."""
        return f"{self.source!r}: {self.reason}"


def find_format(data: bytes) -> str | None:
    """Return the format that the first bytes announce: a key of `FORMAT_EXTENSIONS`, or None.

    The rest of the file may still be damaged.

    Example:
        >>> find_format(b"GIF89a...")
        'GIF'
    """
    if name_media(data) == "AVIF":
        return "AVIF"
    return next((name for name, pattern in _READ_FORMATS if pattern.match(data)), None)


def explain_unknown_content(data: bytes) -> tuple[str, str]:
    """Say what content is that is in none of the formats we read.

    Returns:
        The kind ("unsupported_format" or "not_an_image") and a reason with the next step.

    Example:
        >>> explain_unknown_content(b"%PDF-1.7")[0]
        'not_an_image'
    """
    known = (name for name, pattern in _OTHER_PICTURES + _NO_PICTURES if pattern.match(data))
    name = name_media(data) or next(known, None)
    if name == "HEIC":
        return "unsupported_format", HEIC_REASON
    if name in dict(_NO_PICTURES):
        return "not_an_image", f"This is {name}, not a photo. {_find_reader(name)}"
    if name:
        return "unsupported_format", f"This is {name}. Convert it to JPEG or PNG."
    return _explain_text(data[:_SNIFFED_BYTES])


def _find_reader(name: str) -> str:
    """Say which command takes what is no picture."""
    if name.endswith("archive"):
        return "If photos are in it, `stage` unpacks them."
    return "`live --video` predicts films." if name == "a video" else "Leave it out."


def _explain_text(beginning: bytes) -> tuple[str, str]:
    """Tell drawings and web pages from other content that is no picture."""
    svg, page = _SVG.search(beginning), _WEB_PAGE.search(beginning)
    if svg and not (page and page.start() < svg.start()):
        return "unsupported_format", "This is an SVG drawing, not a photo. Export it as PNG."
    if page:
        step = "Open it in a browser and download the picture itself."
        return "not_an_image", f"This is a web page, not a photo. {step}"
    step = f"Expected one of {', '.join(FORMAT_EXTENSIONS)}; check the file or download it again."
    return "not_an_image", f"The content is no picture that we know. {step}"


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
        kind = describe_irregular(os.stat(source).st_mode)  # noqa: PTH116 - "" is no folder
        if kind:
            reason = f"Expected a file, found {kind}. Pass the path of a picture."
            raise UnreadableImageError(source, "not_a_file", reason)
        with open_regular(path, what="a picture") as file:
            data = _read_whole(source, file)
    except OSError as error:
        raise UnreadableImageError(source, *_explain_os_error(error, source)) from error
    except UnreadableImageError:
        raise
    except ValueError as error:  # a null character in the name, or a pipe put there meanwhile
        reason = f"No file can have this name: {show_text(error)}."
        raise UnreadableImageError(source, "missing", reason) from error
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


def _explain_os_error(error: OSError, source: str) -> tuple[str, str]:
    """Turn what the operating system raised for a path into a kind and a reason."""
    if isinstance(error, PermissionError):
        return "no_permission", "You may not read this file. Change its permissions."
    is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
    is_impossible = error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
    if (is_missing or is_impossible) and _ADDRESS.match(source):
        return "missing", "This is an address. Download the photo, and give the path of its file."
    if is_missing:
        return "missing", "There is no such file. Check the path."
    said = show_text(error.strerror or error)
    if is_impossible:
        return "missing", f"No file can be found under this name: {said}. Give the path of a photo."
    step = "Connect its drive again." if error.errno in _GONE else "Try again."
    return "damaged", f"The disk did not deliver the file: {said}. {step}"
