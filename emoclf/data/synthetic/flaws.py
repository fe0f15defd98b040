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

COPIES_PER_CLASS: int = 10
"""How many different ordinary pictures of each class are copied."""

_KINDS = {
    "truncated": (4, "A download that broke off: the lower part of the picture is missing."),
    "web_page": (2, "A web page (an error message) saved as .jpg."),
    "empty": (2, "A file of 0 bytes."),
    "unsupported_format": (2, "A vector drawing, which is no photo."),
    "stray_file": (2, "A file that is no picture and does not claim to be one."),
    "wrong_extension": (4, "A PNG file whose name ends in .jpg: readable, if read by its content."),
    "too_small": (2, "An icon of 16 by 16 pixels."),
    "blank": (2, "A placeholder: one colour from edge to edge."),
    "sideways": (4, "Stored sideways, with an EXIF entry that turns it upright."),
    "exact_copy": (6, "The same file twice: the copy could end up in the test set."),
    "resized_copy": (6, "The same picture, smaller and compressed again: the bytes differ."),
    "mirrored_copy": (4, "The same picture, mirrored."),
    "in_both_classes": (4, "The same picture in both classes: one of the two labels is wrong."),
}
FLAW_COUNTS: dict[str, int] = {kind: count for kind, (count, _) in _KINDS.items()}
"""How many files are planted of each kind: even numbers, half of them in each class folder."""

_COPIES = {"exact_copy", "resized_copy", "mirrored_copy", "in_both_classes"}
_DRAWN = {"truncated", "wrong_extension", "too_small", "sideways"}
_ORIENTATION = 0x0112
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


def flawed_files(
    extra_face: Callable[[int, int], Image.Image],
    ordinary_face: Callable[[int, int], tuple[str, bytes]],
) -> Iterator[tuple[PlantedFlaw, bytes]]:
    """Make every flawed file: yield its record and the bytes of the file `paths[0]`.

    `extra_face` draws face `number` of class `label`, given both, that is no ordinary picture of
    the data set. `ordinary_face` gives path and JPEG bytes of ordinary face `number`, modulo their
    count, of class `label`, to be copied.
    """
    planted = [(kind, position) for kind, n in FLAW_COUNTS.items() for position in range(n)]
    for number, (kind, position) in enumerate(planted, start=1):
        label = position % len(CLASS_NAMES)
        sources: tuple[str, ...] = ()
        folder = CLASS_NAMES[label].lower()
        if kind in _COPIES:
            source, whole = ordinary_face(label, number // len(CLASS_NAMES))
            name, content = _copy(kind, number, source.rpartition("/")[2], whole)
            folder = CLASS_NAMES[1 - label].lower() if kind == "in_both_classes" else folder
            sources = (source,)
        elif kind in _DRAWN:
            name, content = _spoil(kind, number, extra_face(label, number))
        else:
            name, content = _make_faceless(kind, position)
        yield PlantedFlaw(kind, (f"{folder}/{name}", *sources), _KINDS[kind][1]), content


def _copy(kind: str, number: int, name: str, content: bytes) -> tuple[str, bytes]:
    """Copy an ordinary picture: as it is, smaller, mirrored or into the other class."""
    image = Image.fromarray(load_image(content))
    stem, _, extension = name.rpartition(".")
    if kind == "exact_copy":
        return f"{stem} (1).{extension}", content
    if kind == "resized_copy":
        smaller = image.resize((round(image.width * 0.75), round(image.height * 0.75)))
        return f"{stem}-small.jpg", encode_image(smaller, quality=72)
    if kind == "mirrored_copy":
        return f"{stem}_flip.jpg", encode_image(ImageOps.mirror(image), quality=88)
    return f"repost-{number}-{name}", content


def _spoil(kind: str, number: int, face: Image.Image) -> tuple[str, bytes]:
    """Store a face of its own in a flawed way."""
    if kind == "truncated":
        whole = encode_image(face, quality=90)
        return f"partial-{number}.jpg", whole[: int(len(whole) * (0.35 + 0.05 * number))]
    if kind == "wrong_extension":
        return f"screenshot-{number}.jpg", encode_image(face, "PNG")
    if kind == "too_small":
        return f"favicon-{number}.png", encode_image(face.resize((16, 16)), "PNG")
    is_clockwise, exif = number % 2 == 0, Image.Exif()
    exif[_ORIENTATION] = 6 if is_clockwise else 8
    turn = Image.Transpose.ROTATE_90 if is_clockwise else Image.Transpose.ROTATE_270
    return f"phone-{number}.jpg", encode_image(face.transpose(turn), quality=90, exif=exif)


def _make_faceless(kind: str, position: int) -> tuple[str, bytes]:
    """Make a file without a face in it."""
    if kind == "blank":
        grey = Image.new("RGB", (128, 128), (255, 255, 255) if position else (96, 98, 102))
        return f"placeholder-{position}.jpg", encode_image(grey, quality=90)
    return {
        "web_page": (f"image-{position}.jpg", _WEB_PAGE),
        "empty": (f"download-{position}.jpg", b""),
        "unsupported_format": (f"icon-{position}.svg", _DRAWING),
        "stray_file": ("notes.txt", _NOTES) if position else ("Thumbs.db", _THUMBNAILS),
    }[kind]


def encode_image(image: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()
