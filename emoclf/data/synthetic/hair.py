"""Draws hair and what is worn on it: one part behind the head, one part before it."""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import Canvas, Points, darker, ellipse, mix, ribbon, smooth
from emoclf.data.synthetic.traits import Person

_SIDES = (-1.0, 1.0)
_CROWN = np.array([(-0.85, -0.95), (-0.45, -1.22), (0.0, -1.3), (0.45, -1.22), (0.85, -0.95)])
_THICKNESS = {"buzz": 0.03, "receding": 0.05, "afro": 0.3, "curly": 0.14, "quiff": 0.1}


_HAIRLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "buzz": ((0.97, -0.2), (0.75, -0.62), (0.0, -0.78), (-0.75, -0.62), (-0.97, -0.2)),
    "bun": ((0.97, -0.1), (0.84, -0.55), (0.0, -0.86), (-0.84, -0.55), (-0.97, -0.1)),
    "short": (
        *((0.97, -0.05), (0.84, -0.5), (0.48, -0.66), (0.21, -0.56), (-0.05, -0.7)),
        *((-0.32, -0.56), (-0.58, -0.66), (-0.84, -0.48), (-0.97, -0.05)),
    ),
    "side_part": (
        *((0.97, 0.0), (0.89, -0.42), (0.32, -0.56), (-0.21, -0.72)),
        *((-0.53, -0.95), (-0.82, -0.55), (-0.97, 0.0)),
    ),
    "bob": (
        *((0.97, 0.55), (0.84, -0.3), (0.53, -0.44), (0.0, -0.48)),
        *((-0.53, -0.44), (-0.84, -0.3), (-0.97, 0.55)),
    ),
    "long": (
        *((0.97, 0.6), (0.91, -0.1), (0.58, -0.55), (0.06, -0.95)),
        *((-0.42, -0.66), (-0.89, -0.1), (-0.97, 0.6)),
    ),
}
_SAME_HAIRLINE = {
    "wavy": "long",
    "braids": "long",
    "ponytail": "bun",
    "quiff": "bun",
    "curly": "buzz",
    "afro": "buzz",
}
_SCARF_EDGE = ((-0.84, 0.1), (-0.63, -0.7), (0.0, -0.86), (0.63, -0.7), (0.84, 0.1), (0.62, 0.86))
_SCARF_RIM = (
    *((-1.1, -0.2), (-0.76, -1.15), (0.0, -1.42), (0.76, -1.15), (1.1, -0.2)),
    *((1.02, 0.9), (0.64, 1.5), (0.0, 1.7), (-0.64, 1.5), (-1.02, 0.9)),
)


def draw_hair_behind(canvas: Canvas, person: Person) -> None:
    """Draw the hair, or the cloth of a headscarf, that hangs behind the head and the neck.

    Args:
        canvas: Drawn into.
        person: Whose hair.
    """
    width = person.head_width
    if person.headwear == "headscarf":
        scarf = [(-1.16, -0.5), (0.0, -1.5), (1.16, -0.5), (1.2, 0.9), (0.75, 1.75), (-0.75, 1.75)]
        canvas.flat(smooth([*scarf, (-1.2, 0.9)]), darker(person.accessory, 0.82), depth=-0.1)
        return
    colour = darker(person.hair, 0.78)
    if person.hair_style == "afro":
        canvas.flat(ellipse(0.0, -0.5, width + 0.55, 1.15), colour, depth=-0.3)
        canvas.flat(_blobs(width + 0.5, 1.1, y=-0.5, size=0.24), colour, depth=-0.3)
    elif person.hair_style in ("long", "wavy", "bob", "braids"):
        canvas.flat(_hanging(person), colour, depth=-0.15)
    elif person.hair_style == "bun":
        canvas.flat(ellipse(0.12 * person.hair_side, -1.42, 0.42, 0.38), colour, depth=-0.3)
    elif person.hair_style == "ponytail":
        x = person.hair_side
        tail = [(0.5 * x, -1.1), (1.35 * x, -1.0), (1.5 * x, 0.2), (1.25 * x, 1.0)]
        canvas.flat(smooth([*tail, (1.05 * x, 0.1), (0.9 * x, -0.5)]), colour, depth=-0.3)


def draw_hair_before(canvas: Canvas, person: Person) -> None:
    """Draw the hair on the head and in the forehead, then what is worn on top.

    Args:
        canvas: Drawn into.
        person: Whose hair.
    """
    if person.headwear == "headscarf":
        _draw_headscarf(canvas, person)
        return
    if person.hair_style != "bald":
        _draw_cap_of_hair(canvas, person)
    if person.hair_style == "braids":
        _draw_braids(canvas, person)
    if person.headwear in ("beanie", "cap", "hat"):
        _draw_hat(canvas, person)
    elif person.headwear == "hair_band" and person.hair_style not in ("bald", "receding"):
        band = np.stack([np.linspace(-1.02, 1.02, 13), np.full(13, -0.62)], axis=1)
        band[:, 1] -= 0.35 * (1.0 - (band[:, 0] / 1.05) ** 2)
        canvas.flat(ribbon(band, 0.16, taper=0.1), person.accessory, depth=0.25)


def _hanging(person: Person) -> Points:
    """Return the outline of hair that hangs down on both sides."""
    end = {"long": 1.9, "wavy": 1.75, "bob": 1.0, "braids": 0.6}[person.hair_style]
    wide = (
        person.head_width
        + {"long": 0.16, "wavy": 0.32, "bob": 0.24, "braids": 0.08}[person.hair_style]
    )
    y = np.linspace(-0.4, end, 8)
    wave = 0.07 * np.cos(3.4 * np.pi * (y + 0.4) / 2.0) if person.hair_style == "wavy" else 0.0
    right = np.stack([wide + wave + 0.0 * y, y], axis=1)
    left = right * np.array([-1.0, 1.0])
    return smooth(np.concatenate([_CROWN, right, left[::-1]]))


def _blobs(radius_x: float, radius_y: float, *, y: float, size: float) -> Points:
    """Return a curly edge: circles along the upper half of an ellipse, as one outline."""
    angles = np.linspace(-np.pi, 0.0, 90)
    bump = size * 0.5 * np.abs(np.sin(4.5 * angles))
    edge_x = (radius_x + bump) * np.cos(angles)
    edge_y = y + (radius_y + bump) * np.sin(angles)
    return np.stack([edge_x, edge_y], axis=1)


def _hairline(person: Person) -> Points:
    """Return the edge of the hair on the face, from the right temple to the left one."""
    style = _SAME_HAIRLINE.get(person.hair_style, person.hair_style)
    points = np.array(_HAIRLINES[style]) * np.array([person.head_width, 1.0])
    return points if person.hair_side > 0 else (points * np.array([-1.0, 1.0]))[::-1]


def _draw_cap_of_hair(canvas: Canvas, person: Person) -> None:
    """Draw the hair between the top of the head and the hairline."""
    style = person.hair_style
    if style == "receding":
        _draw_sides(canvas, person)
        return
    grow = _THICKNESS.get(style, 0.09)
    line = _hairline(person)
    start = float(line[-1, 1])
    angles = np.linspace(np.pi, 2.0 * np.pi, 25)
    outer = np.stack(
        [(person.head_width + 0.6 * grow) * np.cos(angles), (1.18 + grow) * np.sin(angles)], axis=1
    )
    if style == "quiff":
        across = outer[:, 0] / outer[:, 0].max()
        outer[:, 1] -= 0.2 * (1.0 - across**4) * (1.0 + 0.5 * person.hair_side * across)
    if style in ("curly", "afro"):
        outer = _blobs(person.head_width + grow, 1.16 + grow, y=0.0, size=0.18)
    sides = np.array([(-person.head_width - 0.5 * grow, start), (0.0, 0.0)])
    left = np.array([[sides[0, 0], start]])
    right = np.array([[-sides[0, 0], start]])
    top = np.concatenate([left, outer, right])
    curve = smooth(line, closed=False)
    pixels = np.concatenate([canvas.pose.flat(top), canvas.pose.surface(curve, depth=0.75)])
    canvas.fill(pixels, person.hair, opacity=0.82 if style == "buzz" else 1.0)
    _draw_strands(canvas, person)


def _draw_strands(canvas: Canvas, person: Person) -> None:
    """Draw a highlight and a few darker strands, which give flat hair its direction."""
    side = person.hair_side
    if person.hair_style in ("buzz", "curly", "afro"):
        return
    for start, share in ((-0.45, 1.14), (0.35, 0.82), (0.0, 1.12)):
        strand = smooth(
            [
                (side * (start - 0.1), -1.2 + 0.3 * abs(start)),
                (side * (start + 0.15), -1.02),
                (side * (start + 0.42), -0.74),
            ],
            closed=False,
        )
        colour = mix(darker(person.hair, share), (255, 240, 220), 0.03 if share > 1.0 else 0.0)
        canvas.surface(ribbon(strand, 0.06, taper=1.0), colour, depth=0.4, opacity=0.8)


def _draw_sides(canvas: Canvas, person: Person) -> None:
    """Draw hair above the ears only."""
    for side in _SIDES:
        x = side * person.head_width
        patch = smooth(
            [
                (0.82 * x, -0.72),
                (1.06 * x, -0.45),
                (1.1 * x, 0.05),
                (0.95 * x, 0.1),
                (0.9 * x, -0.3),
            ]
        )
        canvas.flat(patch, person.hair, depth=0.05)


def _draw_braids(canvas: Canvas, person: Person) -> None:
    """Draw two braids that hang over the shoulders."""
    for side in _SIDES:
        for step in range(5):
            x, y = side * (person.head_width + 0.06), 0.55 + 0.26 * step
            shade = 1.0 if step % 2 else 0.86
            knot = ellipse(x, y, 0.17 - 0.015 * step, 0.17, tilt=0.5 * side)
            canvas.flat(knot, darker(person.hair, shade), depth=-0.05)
        tie = ellipse(side * (person.head_width + 0.06), 1.76, 0.1, 0.07)
        canvas.flat(tie, person.accessory, depth=-0.05)


def _draw_headscarf(canvas: Canvas, person: Person) -> None:
    """Draw a headscarf: a ring of cloth around the face and a fold under the chin."""
    colour, scale = person.accessory, np.array([person.head_width, 1.0])
    outer = smooth(np.array(_SCARF_RIM) * scale)
    edge = np.array([*_SCARF_EDGE, (0.0, person.chin - 0.02), (-0.62, 0.86)])
    inner = smooth(edge * scale)
    ring_outer = canvas.pose.flat(outer)
    ring_inner = canvas.pose.surface(inner, depth=0.5)
    ring = np.concatenate([ring_outer, ring_outer[:1], ring_inner[:1], ring_inner[::-1]])
    canvas.fill(ring, colour)
    for offset in (0.0, 0.14):
        fold = smooth(
            [(-0.8, 1.0 + offset), (0.0, 1.42 + offset), (0.75, 0.9 + offset)], closed=False
        )
        canvas.flat(ribbon(fold, 0.05, taper=0.9), darker(colour, 0.82))


def _draw_hat(canvas: Canvas, person: Person) -> None:
    """Draw a beanie, a peaked cap or a hat with a brim."""
    colour, width = person.accessory, person.head_width
    rim = np.stack([np.linspace(-1.1, 1.1, 13) * width, np.full(13, -0.56)], axis=1)
    rim[:, 1] -= 0.2 * (1.0 - (rim[:, 0] / (1.1 * width)) ** 2)
    angles = np.linspace(0.0, -np.pi, 21)
    height = {"beanie": 0.92, "cap": 0.78, "hat": 0.86}[person.headwear]
    dome = np.stack([1.1 * width * np.cos(angles), -0.56 + height * np.sin(angles)], axis=1)
    canvas.flat(np.concatenate([rim, dome]), colour, depth=0.1)
    if person.headwear == "beanie":
        canvas.flat(ribbon(rim, 0.26, taper=0.05), darker(colour, 0.84), depth=0.1)
        canvas.flat(ellipse(0.0, -1.52, 0.17, 0.17), mix(colour, (255, 255, 255), 0.4))
    elif person.headwear == "cap":
        peak = smooth([(-0.85, -0.62), (0.0, -0.42), (0.85, -0.62), (0.5, -0.84), (-0.5, -0.84)])
        canvas.flat(peak, darker(colour, 0.72), depth=0.5)
        canvas.flat(ellipse(0.0, -1.06, 0.17, 0.15), mix(colour, (255, 255, 255), 0.65), depth=0.5)
    else:
        canvas.flat(ellipse(0.0, -0.66, 1.75 * width, 0.24), darker(colour, 0.86), depth=0.2)
        canvas.flat(np.concatenate([rim - (0.0, 0.1), dome]), colour, depth=0.2)
        canvas.flat(ribbon(rim - (0.0, 0.14), 0.17, taper=0.0), darker(colour, 0.55), depth=0.2)
