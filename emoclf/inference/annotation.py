"""Draw predictions onto a photo: a box and a label per face, readable at every size.

Sad is blue, Happy orange, uncertain grey with a broken line. The three can be told apart by readers
who are colour-blind, and every label says it in words too.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emoclf.images import FORMAT_EXTENSIONS
from emoclf.inference import UNCERTAIN, FacePrediction, Prediction
from emoclf.storage import add_file
from emoclf.untrusted import show_text

COLOURS: tuple[str, ...] = ("#3B6FB6", "#E8871E", "#2E8B57", "#B03A48", "#7A5BA6")
"""The classes' colours in label order: blue for Sad, orange for Happy."""

NEUTRAL_COLOUR = "#8A8F98"
"""The colour of "uncertain" and of a photo without a face."""

MIN_SIDE_PX: int = 320
"""A photo whose longest side is shorter is enlarged by a whole factor, so that text fits."""

_MIN_CANVAS = (44, 176)
"""Smallest `(height, width)` in pixels of the result, so that a label fits into it."""

_LINES_ACROSS = 160
"""A frame's line is so many times thinner than the photo is long."""

_MIN_FONT_PX = 11
_MAX_LABEL_SHARE = 3.0
"""A label that is wider than this many times its box is shortened."""

_JPEG_QUALITY = 92
_MAX_STEM_BYTES = 150
_MAX_NAMES = 100_000
_Box = tuple[float, float, float, float]


def annotate_photo(
    photo: np.ndarray, prediction: Prediction, *, numbered: bool = False
) -> np.ndarray:
    """Draw the prediction for every face onto a photo.

    Args:
        photo: uint8 RGB `(height, width, 3)`, 0 to 255: the upright photo that was predicted.
        prediction: For this photo.
        numbered: Whether faces get their numbers instead of probabilities, and a single one that
            says the same as the photo its frame alone, because the rest stands beside the picture.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255: a new picture. A photo of less than
        `MIN_SIDE_PX` pixels is enlarged, a very narrow one gets a grey margin. A photo without
        a face is marked "no face".

    Raises:
        ValueError: If `photo` has another shape or dtype.
    """
    _check_photo(photo)
    scale = max(1, math.ceil(MIN_SIDE_PX / max(photo.shape[:2])))
    canvas = _make_canvas(photo, scale)
    shown = prediction.faces if numbered and prediction.faces else prediction.all
    if not shown:
        whole = (0.0, 0.0, float(canvas.width), float(canvas.height))
        label = "not read" if prediction.problem else "no face"
        _draw_label(canvas, whole, [label], NEUTRAL_COLOUR, [])
        return np.array(canvas)
    classes = tuple(prediction.probabilities)
    frame = _find_line_width(canvas) + 3 if shown[0].is_whole_photo else 0
    boxes = [_place_box(each, scale, photo, 0 if each.is_whole_photo else frame) for each in shown]
    for face, box in zip(reversed(shown), reversed(boxes), strict=True):
        colour = _colour_of(face, classes)
        _draw_box(canvas, box, colour, is_broken=face.answer == UNCERTAIN)
    occupied = list(boxes)
    if numbered and len(boxes) == 1 and shown[0].answer == prediction.answer:
        return np.array(canvas)
    for number, (face, box) in enumerate(zip(shown, boxes, strict=True), start=1):
        labels = [f"{number} {face.answer}", str(number)] if numbered else _find_labels(face)
        _draw_label(canvas, box, labels, _colour_of(face, classes), occupied, sparing=numbered)
    return np.array(canvas)


def save_annotated(photo: np.ndarray, prediction: Prediction, *, folder: str | Path) -> Path:
    """Write a photo with its predictions drawn onto it into a folder.

    As `annotate_photo` draws and `save_picture` names it, after the prediction's `file`.
    """
    return save_picture(annotate_photo(photo, prediction), folder, file=prediction.file)


def save_picture(
    picture: np.ndarray, folder: str | Path, *, file: str | None = None, ending: str = ""
) -> Path:
    """Write a picture into a folder, named after the photo it was made from.

    Args:
        picture: uint8 RGB `(height, width, 3)`, 0 to 255.
        folder: Where to; made when it is missing.
        file: The photo: `sunny.jpg` becomes `sunny.jpg`, other formats than JPEG become PNG;
            without it the picture is `photo.png`.
        ending: What is added to the name of the photo.

    Returns:
        The path of the new picture. Nothing is ever overwritten: when the name is taken, `-2`,
        `-3` ... is added. The picture is there as a whole or not at all.

    Raises:
        OSError: If the folder cannot be made or written.
    """
    source = Path(file or "photo.png")
    is_jpeg = source.suffix.lower() in FORMAT_EXTENSIONS["JPEG"]
    stem = f"{_shorten(source.stem)}{ending}"
    made = Image.fromarray(picture)
    return add_file(
        _list_names(Path(folder), stem, ".jpg" if is_jpeg else ".png"),
        lambda path: made.save(path, "JPEG" if is_jpeg else "PNG", quality=_JPEG_QUALITY),
    )


def _check_photo(photo: np.ndarray) -> None:
    expected = isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3
    if not expected or photo.shape[2] != 3 or photo.size == 0:
        raise ValueError(
            "photo: expected uint8 RGB (height, width, 3), received "
            f"{getattr(photo, 'dtype', type(photo).__name__)} {getattr(photo, 'shape', '')}. "
            "emoclf.load_image returns such an array."
        )


def _make_canvas(photo: np.ndarray, scale: int) -> Image.Image:
    """Return the photo enlarged by a whole factor, on grey where it is too narrow for text."""
    picture = Image.fromarray(np.ascontiguousarray(photo))
    if scale > 1:
        size = (picture.width * scale, picture.height * scale)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    size = (max(picture.width, _MIN_CANVAS[1]), max(picture.height, _MIN_CANVAS[0]))
    if size == picture.size:
        return picture
    canvas = Image.new("RGB", size, "#303338")
    canvas.paste(picture, (0, 0))
    return canvas


def _place_box(face: FacePrediction, scale: int, photo: np.ndarray, margin: int) -> _Box:
    """Return `(left, top, right, bottom)` in pixels of the canvas, inside the photo's margin."""
    left, top, width, height = (value * scale for value in face.box)
    ends = np.array(photo.shape[1::-1]) * scale - 1
    low = np.minimum(margin, ends // 4)
    corners = np.clip([(left, top), (left + width, top + height)], low, ends - low)
    return tuple(corners.ravel().tolist())


def _find_labels(face: FacePrediction) -> list[str]:
    """Return what to write at a face, and a shorter form where the face is too small for that."""
    place = "whole photo: " if face.is_whole_photo else ""
    if face.answer == UNCERTAIN:
        return [f"{place}{UNCERTAIN}", "?"]
    return [f"{place}{face.answer} {face.probabilities[face.answer]:.0%}", face.answer[:1]]


def _colour_of(face: FacePrediction, classes: tuple[str, ...]) -> str:
    if face.answer not in classes:
        return NEUTRAL_COLOUR
    return COLOURS[classes.index(face.answer) % len(COLOURS)]


def _find_line_width(canvas: Image.Image) -> int:
    """Return a width in pixels that is still seen where a large photo is shown small."""
    return max(2, round(max(canvas.size) / _LINES_ACROSS))


def _draw_box(canvas: Image.Image, box: _Box, colour: str, *, is_broken: bool) -> None:
    """Draw a frame with a dark edge, so that it shows on light and on coloured ground."""
    draw = ImageDraw.Draw(canvas)
    width = _find_line_width(canvas)
    width = max(2, min(width, round(min(box[2] - box[0], box[3] - box[1]) / 12)))
    draw.rectangle(
        (box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), outline="black", width=width + 2
    )
    if not is_broken:
        draw.rectangle(box, outline=colour, width=width)
        return
    for dash in _find_dashes(box, 4.0 * width, width):
        draw.rectangle(dash, fill=colour)


def _find_dashes(box: _Box, length: float, width: int) -> Iterator[_Box]:
    """Yield every second piece of the four sides, as thick as `width` towards the inside."""
    left, top, right, bottom = box
    for start in np.arange(left, right, 2 * length).tolist():
        end = min(start + length, right)
        yield (start, top, end, top + width - 1)
        yield (start, bottom - width + 1, end, bottom)
    for start in np.arange(top, bottom, 2 * length).tolist():
        end = min(start + length, bottom)
        yield (left, start, left + width - 1, end)
        yield (right - width + 1, start, right, end)


def _draw_label(
    canvas: Image.Image,
    box: _Box,
    labels: list[str],
    colour: str,
    occupied: list[_Box],
    *,
    sparing: bool = False,
) -> None:
    """Write a text on coloured ground at a box, inside the picture, off faces and other labels.

    The last of the texts is taken where the first is too wide, or, `sparing`, would hide anything.
    """
    draw = ImageDraw.Draw(canvas)
    font = _load_font(_choose_font_px(canvas, box, labels[0]))
    for text in labels:
        left, top, right, bottom = font.getbbox(text)
        padding = max(2, round((bottom - top) / 4))
        size = (right - left + 2 * padding, bottom - top + 2 * padding)
        place = _choose_place(canvas, box, size, occupied)
        is_hiding = sparing and _measure_overlap((*place[:2], *size), occupied) > 0
        if font.getlength(text) <= _MAX_LABEL_SHARE * (box[2] - box[0]) and not is_hiding:
            break
    occupied.append(place)
    draw.rectangle(place, fill=colour, outline="black")
    start = (place[0] + padding - left, place[1] + padding - top)
    draw.text(start, text, fill=_choose_ink(colour), font=font)


def _choose_font_px(canvas: Image.Image, box: _Box, text: str) -> int:
    """Return a size at which a label is about as wide as its box and fits into the picture."""
    longest = max(canvas.size)
    smallest = max(_MIN_FONT_PX, longest / 90)
    wanted = min(max((box[2] - box[0]) / (0.55 * len(text)), smallest), longest / 16)
    fitting = min(canvas.width / (0.75 * len(text)), canvas.height / 2)
    return max(int(min(wanted, fitting)), _MIN_FONT_PX)


@functools.lru_cache(maxsize=32)
def _load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _choose_place(
    canvas: Image.Image, box: _Box, size: tuple[float, float], occupied: list[_Box]
) -> _Box:
    """Return where a label goes: above, below, in or beside its box, where it hides the least."""
    width, height = size
    last_x, last_y = canvas.width - 1 - width, canvas.height - 1 - height
    inside = list(itertools.product((box[0], box[2] - width), (box[1], box[3] - height)))
    outside = [(x, y) for y in (box[1] - height - 2, box[3] + 2) for x, _ in inside[::2]]
    beside = [(x, y) for x in (box[0] - width - 2, box[2] + 2) for _, y in inside[:2]]
    places = [
        (min(max(x, 0), last_x), min(max(y, 0), last_y)) for x, y in outside + inside + beside
    ]
    x, y = min(places, key=lambda place: _measure_overlap((*place, *size), occupied))
    return (x, y, x + width, y + height)


def _measure_overlap(place: tuple[float, float, float, float], occupied: list[_Box]) -> float:
    """Return the area in pixels that a place, `(left, top, width, height)`, takes from others."""
    if not occupied:
        return 0.0
    left, top, width, height = place
    others = np.array(occupied)
    across = np.minimum(others[:, 2], left + width) - np.maximum(others[:, 0], left)
    down = np.minimum(others[:, 3], top + height) - np.maximum(others[:, 1], top)
    return float((across.clip(0) * down.clip(0)).sum())


def _choose_ink(colour: str) -> str:
    """Return black or white, whichever stands out more (WCAG 2's relative luminance)."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def _shorten(stem: str) -> str:
    """Cut a name to what every file system takes with a number added; drop what is no text."""
    kept = stem.encode(errors="ignore")[:_MAX_STEM_BYTES].decode(errors="ignore")
    return kept or "photo"


def _list_names(folder: Path, stem: str, suffix: str) -> Iterator[Path]:
    """Yield the names that a picture may have, until there are too many to try."""
    yield folder / f"{stem}{suffix}"
    for number in range(2, _MAX_NAMES):
        yield folder / f"{stem}-{number}{suffix}"
    raise FileExistsError(
        f"{show_text(folder)} holds {_MAX_NAMES - 1:,} pictures named {show_text(stem)}: give "
        "another folder."
    )
