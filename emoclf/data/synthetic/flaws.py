"""Makes the flawed files of the built-in data set: what a scraped folder suffers from.

Nothing is written here. `flawed_files` yields the content of each file with a record of what
is wrong with it, so that a lesson or a test can compare what a check finds with what is there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from emoclf.config import CLASS_NAMES
from emoclf.images import load_image

FLAW_COUNTS: dict[str, int] = {
    "truncated": 4,
    "web_page": 2,
    "empty": 2,
    "unsupported_format": 2,
    "stray_file": 2,
    "wrong_extension": 4,
    "too_small": 2,
    "blank": 2,
    "sideways": 4,
    "exact_copy": 6,
    "resized_copy": 6,
    "mirrored_copy": 4,
    "in_both_classes": 4,
}
"""How many files are planted of each kind: even numbers, half of them in each class folder."""

COPIES_PER_CLASS: int = 10
"""How many different ordinary pictures of each class are copied."""


@dataclass(frozen=True)
class PlantedFlaw:
    """One flawed file.

    Attributes:
        kind: A key of `FLAW_COUNTS`, or `wrong_label`.
        paths: Relative to the data set's folder, with `/`: the flawed file and, for a copy,
            the picture it was copied from.
        note: One sentence for the learner.
    """

    kind: str
    paths: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class SourceFace:
    """An ordinary picture of the data set that is copied.

    Attributes:
        path: Relative to the data set's folder.
        content: The bytes of its JPEG file.
    """

    path: str
    content: bytes


ExtraFace = Callable[[int, int], Image.Image]
"""Draws face `number` of class `label` that is no ordinary picture of the data set."""

OrdinaryFace = Callable[[int, int], SourceFace]
"""Reads ordinary face `number`, modulo their count, of class `label`."""


def flawed_files(
    extra_face: ExtraFace, ordinary_face: OrdinaryFace
) -> Iterator[tuple[PlantedFlaw, bytes]]:
    """Make every flawed file.

    Args:
        extra_face: Draws a face for a flaw of its own: `(label, number)` to a Pillow picture.
        ordinary_face: Reads an ordinary face that is copied: `(label, number)`.

    Yields:
        The record of a flaw and the bytes of the file `paths[0]`.
    """
    number = 0
    for kind, count in FLAW_COUNTS.items():
        for position in range(count):
            label = position % len(CLASS_NAMES)
            number += 1
            if kind in _COPIES:
                source = ordinary_face(label, number // len(CLASS_NAMES))
                yield _copy(kind, label, number, source)
            elif kind in _DRAWN:
                yield _drawn(kind, label, number, extra_face(label, number))
            else:
                yield _not_drawn(kind, label, position)


def _copy(kind: str, label: int, number: int, source: SourceFace) -> tuple[PlantedFlaw, bytes]:
    """Copy an ordinary picture: as it is, smaller, mirrored or into the other class."""
    image = Image.fromarray(load_image(source.content))
    stem, dot, extension = source.path.rpartition("/")[2].rpartition(".")
    folder = CLASS_NAMES[label].lower()
    if kind == "exact_copy":
        name, content = f"{stem} (1){dot}{extension}", source.content
    elif kind == "resized_copy":
        smaller = image.resize((round(image.width * 0.75), round(image.height * 0.75)))
        name, content = f"{stem}-small.jpg", _jpeg(smaller, quality=72)
    elif kind == "mirrored_copy":
        name, content = f"{stem}_flip.jpg", _jpeg(ImageOps.mirror(image), quality=88)
    else:
        folder = CLASS_NAMES[1 - label].lower()
        name, content = f"repost-{number}-{stem}{dot}{extension}", source.content
    return PlantedFlaw(kind, (f"{folder}/{name}", source.path), _COPIES[kind]), content


def _drawn(kind: str, label: int, number: int, face: Image.Image) -> tuple[PlantedFlaw, bytes]:
    """Store a face of its own in a flawed way."""
    if kind == "truncated":
        whole = _jpeg(face, quality=90)
        name, content = f"partial-{number}.jpg", whole[: int(len(whole) * (0.35 + 0.05 * number))]
    elif kind == "wrong_extension":
        name, content = f"screenshot-{number}.jpg", _encode(face, "PNG")
    elif kind == "too_small":
        name, content = f"favicon-{number}.png", _encode(face.resize((16, 16)), "PNG")
    else:
        name, content = f"phone-{number}.jpg", _sideways(face, clockwise=number % 2 == 0)
    path = f"{CLASS_NAMES[label].lower()}/{name}"
    return PlantedFlaw(kind, (path,), _DRAWN[kind]), content


def _not_drawn(kind: str, label: int, position: int) -> tuple[PlantedFlaw, bytes]:
    """Make a file without a face in it."""
    if kind == "web_page":
        name, content = f"image-{position}.jpg", _WEB_PAGE
    elif kind == "empty":
        name, content = f"download-{position}.jpg", b""
    elif kind == "unsupported_format":
        name, content = f"icon-{position}.svg", _DRAWING
    elif kind == "stray_file":
        name, content = ("notes.txt", _NOTES) if position else ("Thumbs.db", _THUMBNAILS)
    else:
        grey = Image.new("RGB", (128, 128), (255, 255, 255) if position else (96, 98, 102))
        name, content = f"placeholder-{position}.jpg", _jpeg(grey, quality=90)
    path = f"{CLASS_NAMES[label].lower()}/{name}"
    return PlantedFlaw(kind, (path,), _FACELESS[kind]), content


def _sideways(face: Image.Image, *, clockwise: bool) -> bytes:
    """Store a face turned by a quarter, with the EXIF entry that tells how to turn it back."""
    turn = Image.Transpose.ROTATE_90 if clockwise else Image.Transpose.ROTATE_270
    exif = Image.Exif()
    exif[_ORIENTATION] = 6 if clockwise else 8
    return _encode(face.transpose(turn), "JPEG", quality=90, exif=exif)


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Return a picture as JPEG bytes."""
    return _encode(image, "JPEG", quality=quality)


def _encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


_ORIENTATION = 0x0112
_COPIES = {
    "exact_copy": "The same file twice: the copy could end up in the test set.",
    "resized_copy": "The same picture, smaller and compressed again: the bytes differ.",
    "mirrored_copy": "The same picture, mirrored.",
    "in_both_classes": "The same picture in both classes: one of the two labels is wrong.",
}
_DRAWN = {
    "truncated": "A download that broke off: the lower part of the picture is missing.",
    "wrong_extension": "A PNG file whose name ends in .jpg: readable, if read by its content.",
    "too_small": "An icon of 16 by 16 pixels.",
    "sideways": "Stored sideways, with an EXIF entry that turns it upright.",
}
_FACELESS = {
    "web_page": "A web page (an error message) saved as .jpg.",
    "empty": "A file of 0 bytes.",
    "unsupported_format": "A vector drawing, which is no photo.",
    "stray_file": "A file that is no picture and does not claim to be one.",
    "blank": "A placeholder: one colour from edge to edge.",
}
_WEB_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n"
    b"<body><h1>Not Found</h1><p>The picture is no longer here.</p></body></html>\n"
)
_DRAWING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    b'<circle cx="32" cy="32" r="28" fill="#f2c14e"/></svg>\n'
)
_NOTES = b"Search words used: face, portrait. To do: look for more pictures.\n"
_THUMBNAILS = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
