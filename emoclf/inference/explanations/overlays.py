"""Lay a map over its photo in colours that everybody can tell apart, with a legend.

The photo is shown in grey, so that all colour is the map's. The colours are cividis (Nuñez,
Anderton and Renslow, 2018): from dark blue to yellow, ever lighter, and the same order for readers
who are colour-blind and in a print without colour.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emoclf.images.faces import import_opencv
from emoclf.inference.annotation import annotate_photo, save_picture
from emoclf.inference.explanations.explaining import Explanation

_MAP_FRACTION = (0.3, 0.75)
"""How much of a pixel's colour comes from the map, where it marks least and most; the rest is the
photo in grey."""

OUTLINE_COLOUR = "#FFFFFF"

_STRIP_COLOUR, _INK = "#303338", "#FFFFFF"
_LITTLE, _MUCH = "little", "much"


def blend_map(photo: np.ndarray, explanation: Explanation) -> np.ndarray:
    """Lay a map over its photo, with the outline of what the network was shown.

    Args:
        photo: uint8 RGB `(height, width, 3)`, 0 to 255: the photo that was explained, upright and
            in full size, as `load_image` returns it.
        explanation: From `explain`.

    Returns:
        uint8 RGB of the photo's shape. What the network was not shown stays grey.

    Raises:
        ValueError: If the photo has another size than the map.
    """
    if photo.shape != (*explanation.map.shape, 3) or photo.dtype != np.uint8:
        raise ValueError(
            f"photo: expected uint8 RGB {(*explanation.map.shape, 3)}, the size of the map, "
            f"received {photo.dtype} {photo.shape}. Give the photo that was explained."
        )
    picture = Image.fromarray(np.ascontiguousarray(photo)).convert("L").convert("RGB")
    coloured = Image.fromarray(_colour(picture, explanation.map))
    outline = [(float(x), float(y)) for x, y in explanation.corners]
    seen = Image.new("1", picture.size)
    ImageDraw.Draw(seen).polygon(outline, fill=1)
    picture.paste(coloured, mask=seen)
    width = max(1, round(max(picture.size) / 400))
    ImageDraw.Draw(picture).polygon(outline, outline=OUTLINE_COLOUR, width=width)
    return np.array(picture)


def draw_ramp(size: tuple[int, int]) -> np.ndarray:
    """Draw the colours of a map for a legend, as they look over a mid-grey photo.

    Args:
        size: `(height, width)` in pixels.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255: on the left what marks nothing, on the right what
        is marked most.
    """
    marks = np.repeat(np.linspace(0, 1, size[1], dtype=np.float32)[np.newaxis], size[0], axis=0)
    return _colour(Image.new("RGB", (size[1], size[0]), (128, 128, 128)), marks)


def draw_explanation(photo: np.ndarray, explanation: Explanation) -> np.ndarray:
    """Draw a map, the prediction and a legend onto a photo.

    Args:
        photo: As for `blend_map`.
        explanation: From `explain`.

    Returns:
        uint8 RGB `(height, width, 3)`: a new picture, the prediction drawn as `annotate_photo`
        does, with a strip below that says what the colours mean.

    Raises:
        ValueError: If the photo has another size than the map.
    """
    drawn = annotate_photo(blend_map(photo, explanation), explanation.prediction)
    return np.concatenate([drawn, _draw_legend(drawn.shape[1], explanation)])


def save_explanation(photo: np.ndarray, explanation: Explanation, *, folder: str | Path) -> Path:
    """Write a photo with its map, prediction and legend into a folder.

    Args:
        photo: As for `blend_map`.
        explanation: From `explain`. The photo's file names the picture: `sunny.jpg` becomes
            `sunny-happy.jpg` when Happy is explained, other formats than JPEG become PNG.
        folder: Where to; made when it is missing.

    Returns:
        The path of the new picture. Nothing is ever overwritten: when the name is taken, `-2`,
        `-3` ... is added.

    Raises:
        OSError: If the folder cannot be made or written.
        ValueError: If the photo has another size than the map.
    """
    picture = draw_explanation(photo, explanation)
    ending = f"-{explanation.class_name.lower()}"
    return save_picture(picture, folder, file=explanation.prediction.file, ending=ending)


def _colour(picture: Image.Image, marks: np.ndarray) -> np.ndarray:
    """Mix a grey picture with the colours of a map: uint8 RGB of its size."""
    cv2 = import_opencv()
    levels = Image.fromarray(np.round(np.clip(marks, 0, 1) * 255).astype(np.uint8))
    colours = cv2.applyColorMap(np.asarray(levels), cv2.COLORMAP_CIVIDIS)[..., ::-1]
    least, most = (255 * share for share in _MAP_FRACTION)
    share = levels.point([round(least + (most - least) * level / 255) for level in range(256)])
    return np.array(Image.composite(Image.fromarray(np.ascontiguousarray(colours)), picture, share))


def _draw_legend(width: int, explanation: Explanation) -> np.ndarray:
    """Draw a strip: the colours with their ends named, and below what they stand for."""
    font_px = min(max(12, round(width / 36)), 40)
    font = ImageFont.load_default(size=font_px)
    text = f"what speaks for {explanation.class_name}"
    strip = Image.new("RGB", (width, round(3.4 * font_px)), _STRIP_COLOUR)
    draw = ImageDraw.Draw(strip)
    left = round(font.getlength(_LITTLE) + font_px)
    right = round(width - font.getlength(_MUCH) - font_px)
    ramp = draw_ramp((font_px, max(2, right - left)))
    strip.paste(Image.fromarray(ramp), (left, round(0.5 * font_px)))
    middle = round(font_px)
    draw.text((left - font_px // 2, middle), _LITTLE, fill=_INK, font=font, anchor="rm")
    draw.text((right + font_px // 2, middle), _MUCH, fill=_INK, font=font, anchor="lm")
    for words in (f"{text} ({explanation.method})", text):
        if font.getlength(words) <= width - 4:
            draw.text((width / 2, 2.5 * font_px), words, fill=_INK, font=font, anchor="mm")
            break
    return np.array(strip)
