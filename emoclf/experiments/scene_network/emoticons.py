"""Draw emoticons, happy and sad, of many styles: what photos of people do not teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 448
_FACE = 256
_GLYPHS = {
    True: "😀😁😂😃😄😅😆😉😊😋😍😎☺😸😹😺😻😗😙😝😜",
    False: "😐😒😓😔😕😖😞😟😠😡😢😣😥😦😧😩😪😫😭☹😿😾🙀",
}
_EYES = ("dot", "oval", "white", "arc up", "arc down", "cross", "line")
_EYE_SHARES = {
    True: (0.37, 0.20, 0.13, 0.20, 0.05, 0.02, 0.03),
    False: (0.37, 0.20, 0.13, 0.03, 0.13, 0.06, 0.08),
}


def draw_emoticons(seed: int, *, is_happy: bool) -> np.ndarray:
    """Draw a picture with one emoticon, or with several that express the same.

    Args:
        seed: Of all that is random.
        is_happy: What they express.

    Returns:
        uint8 RGB `(448, 448, 3)`, 0 to 255.
    """
    rng = np.random.default_rng(seed)
    back = (255, 255, 255) if rng.random() < 0.5 else _colour(rng, 0, 256)
    picture = Image.new("RGB", (SIDE, SIDE), back)
    count = int(rng.choice([1, 2, 3, 5, 9], p=[0.6, 0.12, 0.1, 0.1, 0.08]))
    first = draw_emoticon(rng, is_happy=is_happy)
    for _ in range(count):
        face = first if count == 1 or rng.random() < 0.5 else draw_emoticon(rng, is_happy=is_happy)
        low, high = (0.55, 0.95) if count == 1 else (0.18, 0.4)
        side = int(SIDE * rng.uniform(low, high))
        face = face.rotate(rng.normal(0, 8), Image.Resampling.BICUBIC).resize((side, side))
        place = rng.integers(0, SIDE - side, 2) if count > 1 else rng.normal((SIDE - side) / 2, 12)
        picture.paste(face, tuple(np.broadcast_to(place, 2).astype(int).tolist()), face)
    if rng.random() < 0.25:  # as picture agencies mark theirs
        ImageDraw.Draw(picture).rectangle((0, SIDE - 26, SIDE, SIDE), fill=_colour(rng, 0, 90))
    if rng.random() < 0.1:
        picture = picture.convert("L").convert("RGB")
    rows = int(SIDE * rng.uniform(0.55, 1)) if rng.random() < 0.4 else SIDE
    return np.asarray(picture)[(SIDE - rows) // 2 :][:rows]


def draw_emoticon(rng: np.random.Generator, *, is_happy: bool) -> Image.Image:
    """Draw one emoticon.

    Args:
        rng: Chooses style, colours and forms.
        is_happy: What it expresses.

    Returns:
        An RGBA image, 256 x 256, transparent around the face.
    """
    image = Image.new("RGBA", (_FACE, _FACE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.12:
        _draw_glyph(draw, rng, is_happy)
        return image
    ink, width = _draw_head(draw, rng)
    centre = _FACE * (0.5 + rng.uniform(-0.04, 0.04))
    eyes = _FACE * rng.uniform(0.33, 0.45)
    apart, radius = _FACE * rng.uniform(0.13, 0.22), _FACE * rng.uniform(0.025, 0.08)
    kind = str(rng.choice(_EYES, p=_EYE_SHARES[is_happy]))
    tilt = 0.0 if is_happy else rng.choice([-1, 1], p=[0.3, 0.7]) * _FACE * rng.uniform(0.02, 0.05)
    has_brows = rng.random() < (0.2 if is_happy else 0.5)
    tears = () if is_happy or rng.random() > 0.3 else ((-1, 1) if rng.random() < 0.4 else (1,))
    for side in (-1, 1):
        x = centre + side * apart
        _draw_eye(draw, (x, eyes, radius), kind, ink, width)
        if has_brows:
            y, half = eyes - 2 * radius - 0.04 * _FACE, side * 1.6 * radius
            draw.line((x - half, y - tilt, x + half, y + tilt), ink, width)
        if side in tears:
            long, wide = _FACE * rng.uniform(0.05, 0.2), 0.03 * _FACE
            top = eyes + 1.5 * radius
            draw.ellipse((x - wide, top, x + wide, top + long + wide), (90, 170, 240))
    _draw_mouth(draw, rng, centre, ink, width, is_happy=is_happy)
    return image


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def _draw_glyph(draw: ImageDraw.ImageDraw, rng: np.random.Generator, is_happy: bool) -> None:
    """Draw an emoji of the font that comes with matplotlib."""
    import matplotlib

    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(file), int(0.85 * _FACE))
    if rng.random() < 0.6:
        draw.ellipse((26, 26, _FACE - 26, _FACE - 26), _colour(rng, 150, 256))
    glyph = str(rng.choice([*_GLYPHS[is_happy]]))
    draw.text((_FACE / 2, _FACE / 2), glyph, _colour(rng, 0, 90), font, anchor="mm")


def _draw_head(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator
) -> tuple[tuple[int, int, int], int]:
    """Draw the head; return the colour and the width of the lines in it."""
    ink = _colour(rng, 0, 70 if rng.random() < 0.8 else 256)
    style, fill = rng.random(), None
    if style < 0.5:
        fill = tuple(rng.integers((225, 170, 0), (256, 235, 110)).tolist())  # yellow
    elif style < 0.7:
        fill = (255, 255, 255)
    elif style < 0.9:
        fill = _colour(rng, 60, 256)
    if fill and sum(fill) < 330:
        ink = (255, 255, 255)
    has_edge = fill is None or rng.random() < 0.6
    edge, edge_width = ink if has_edge else None, int(_FACE * rng.uniform(0.012, 0.045))
    margin, form = 15, rng.random()
    box = (margin, margin, _FACE - margin, _FACE - margin)
    if form < 0.8:
        draw.ellipse(box, fill, edge, edge_width)
    elif form < 0.95:
        draw.rounded_rectangle(box, _FACE * rng.uniform(0.03, 0.3), fill, edge, edge_width)
    return ink, max(2, int(_FACE * rng.uniform(0.015, 0.05)))


def _draw_eye(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float, float],
    kind: str,
    ink: tuple[int, int, int],
    width: int,
) -> None:
    x, y, radius = place
    box = (x - radius, y - radius, x + radius, y + radius)
    wide = (x - 1.5 * radius, y - 1.4 * radius, x + 1.5 * radius, y + 1.4 * radius)
    if kind == "dot":
        draw.ellipse(box, ink)
    elif kind == "oval":
        draw.ellipse((x - 0.7 * radius, y - 1.6 * radius, x + 0.7 * radius, y + 1.6 * radius), ink)
    elif kind == "white":
        draw.ellipse(wide, (255, 255, 255), ink, max(1, width // 2))
        draw.ellipse((x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2), ink)
    elif kind == "arc up":
        draw.arc(wide, 180, 360, ink, width)
    elif kind == "arc down":
        draw.arc(wide, 0, 180, ink, width)
    elif kind == "cross":
        draw.line(box, ink, width)
        draw.line((box[0], box[3], box[2], box[1]), ink, width)
    else:
        draw.line((x - 1.3 * radius, y, x + 1.3 * radius, y), ink, width)


def _draw_mouth(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: float,
    ink: tuple[int, int, int],
    width: int,
    *,
    is_happy: bool,
) -> None:
    half, high = _FACE * rng.uniform(0.14, 0.3), _FACE * rng.uniform(0.07, 0.2)
    y, kind, tilt = _FACE * rng.uniform(0.63, 0.75), rng.random(), rng.uniform(5, 35)
    inside = ink if rng.random() < 0.5 else _colour(rng, 30, 140)
    if is_happy and kind < 0.55:
        box = (centre - half, y - 1.6 * high, centre + half, y + 0.9 * high)
        draw.arc(box, tilt, 180 - tilt, ink, width)
    elif is_happy:
        box = (centre - half, y - 1.5 * high, centre + half, y + 1.1 * high)
        draw.chord(box, 0, 180, (255, 255, 255) if kind < 0.65 else inside, ink, width // 2)
        if kind > 0.85:
            tongue = (centre - 0.4 * half, y + 0.3 * high, centre + 0.4 * half, y + 0.95 * high)
            draw.ellipse(tongue, (230, 80, 90))
    elif kind < 0.6:
        box = (centre - 0.9 * half, y - 0.3 * high, centre + 0.9 * half, y + 1.6 * high)
        draw.arc(box, 180 + tilt, 360 - tilt, ink, width)
    elif kind < 0.75:
        box = (centre - 0.7 * half, y - 0.6 * high, centre + 0.7 * half, y + 1.4 * high)
        draw.chord(box, 180, 360, inside)
    elif kind < 0.82:
        draw.line((centre - 0.6 * half, y, centre + 0.6 * half, y), ink, width)
    elif kind < 0.93:
        steps = np.linspace(-0.8 * half, 0.8 * half, 2 * int(rng.integers(3, 6)) + 1)
        points = [(centre + x, y + (-1) ** n * high / 4) for n, x in enumerate(steps.tolist())]
        draw.line(points, ink, width, joint="curve")
    else:
        draw.ellipse((centre - 0.35 * half, y - high / 2, centre + 0.35 * half, y + high), inside)
