"""Draws what carries the expression: eyes, brows, nose and mouth."""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import (
    Canvas,
    Colour,
    Points,
    darker,
    ellipse,
    mix,
    ribbon,
    smooth,
)
from emoclf.data.synthetic.traits import Expression, Person

_T = np.linspace(-1.0, 1.0, 17)
_ARCH = 1.0 - _T**2
_WHITE: Colour = (250, 248, 244)
_INK: Colour = (44, 30, 30)


def eye_line(person: Person) -> float:
    """Return the height of the eyes: lower in a child's face."""
    return -0.1 + 0.14 * person.child


def mouth_line(person: Person) -> float:
    """Return the height of the mouth."""
    nose_end = eye_line(person) + person.nose_length
    return nose_end + 0.52 * (person.chin - nose_end) - 0.06


def draw_nose(canvas: Canvas, person: Person) -> None:
    """Draw the nose: a shaded side, a round tip and two nostrils."""
    end, width = eye_line(person) + person.nose_length, person.nose_width
    side = 1.0 if canvas.pose.yaw >= 0.0 else -1.0
    bridge = smooth(
        [(side * 0.06, end - 0.3), (side * 0.09, end - 0.12), (side * width, end)], closed=False
    )
    canvas.surface(ribbon(bridge, 0.06), darker(person.skin, 0.8), depth=0.92, opacity=0.8)
    tip = ellipse(0.0, end - 0.05, width * 0.8, 0.1)
    canvas.surface(tip, darker(person.skin, 1.05), depth=0.98, opacity=0.6)
    base = smooth([(-width, end - 0.03), (0.0, end + 0.06), (width, end - 0.03)], closed=False)
    canvas.surface(ribbon(base, 0.05), darker(person.skin, 0.68), depth=0.95)


def mouth_edges(expression: Expression) -> tuple[Points, Points]:
    """Return the upper and the lower edge of the mouth's opening around `(0, 0)`.

    Args:
        expression: How the face moves.

    Returns:
        Two arrays, float64, shape (17, 2), head units, both from the left corner to the
        right one; they coincide when the mouth is closed.
    """
    x = expression.mouth_width * _T
    middle = expression.mouth_curve * (0.5 - _T**2) + expression.mouth_skew * _T
    arch = _ARCH**0.75
    upper = middle - 0.42 * expression.mouth_open * arch
    lower = middle + 0.58 * expression.mouth_open * arch
    return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)


def draw_mouth(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw the lips, the line between them or the opening with teeth and tongue."""
    centre = np.array([0.0, mouth_line(person)])
    upper, lower = (edge + centre for edge in mouth_edges(expression))
    full = person.lip_fullness
    bow = full * (_ARCH**0.6) * (1.0 - 0.3 * np.exp(-((_T / 0.18) ** 2)))
    upper_lip = np.concatenate([upper - np.stack([0 * _T, bow], axis=1), upper[::-1]])
    swell = np.stack([0 * _T, 1.25 * full * _ARCH**0.8], axis=1)
    lower_lip = np.concatenate([lower + swell, lower[::-1]])
    shade = lower + swell + np.array([0.0, 0.07])
    canvas.surface(ribbon(shade[4:13], 0.05), darker(person.skin, 0.8), opacity=0.6)
    canvas.surface(upper_lip, darker(person.lip, 0.88))
    canvas.surface(lower_lip, person.lip)
    if expression.mouth_open > 0.0:
        _draw_opening(canvas, upper, lower, teeth=expression.teeth)
    line = darker(person.lip, 0.45)
    canvas.surface(ribbon(upper, 0.045, taper=0.5), line)
    for edge in (upper[0], upper[-1]):
        canvas.surface(ellipse(edge[0], edge[1], 0.028, 0.028), line)


def _draw_opening(canvas: Canvas, upper: Points, lower: Points, *, teeth: bool) -> None:
    """Draw the dark of an open mouth, its tongue and, perhaps, its upper teeth."""
    canvas.surface(np.concatenate([upper, lower[::-1]]), (86, 30, 36))
    gap = lower[:, 1] - upper[:, 1]
    tongue_top = lower[:, 1] - 0.4 * gap * _ARCH
    tongue = np.stack([lower[:, 0], tongue_top], axis=1)[4:13]
    canvas.surface(np.concatenate([tongue, lower[4:13][::-1]]), (198, 96, 98))
    if teeth:
        edge = np.stack([upper[:, 0], upper[:, 1] + np.minimum(0.5 * gap, 0.11)], axis=1)
        canvas.surface(np.concatenate([upper[1:-1], edge[1:-1][::-1]]), _WHITE)


def draw_eye(canvas: Canvas, person: Person, expression: Expression, *, side: float) -> None:
    """Draw one eye between its two lids; a smile pushes the lower lid up."""
    width, height = 0.19 * person.eye_size, 0.135 * person.eye_size
    outer = side * _T
    x = side * person.eye_distance + width * _T
    level = eye_line(person) + 0.05 * expression.upper_lid * outer
    if expression.eye_open == 0.0:
        bend = height * (0.45 - 1.3 * expression.lower_lid) * _ARCH
        lid = np.stack([x, level + bend], axis=1)
        canvas.surface(ribbon(lid, 0.055, taper=0.5), _INK)
        return
    hang = 1.0 - 0.3 * expression.upper_lid * (1.0 + outer) / 2.0
    opening = 0.35 + 0.65 * expression.eye_open
    top = level - height * opening * hang * _ARCH**0.65
    bottom = level + height * (0.8 - 1.15 * expression.lower_lid) * opening * _ARCH
    bottom = np.maximum(bottom, top + 0.02)
    upper, lower = np.stack([x, top], axis=1), np.stack([x, bottom], axis=1)
    canvas.surface(np.concatenate([upper, lower[::-1]]), _WHITE)
    _draw_iris(canvas, person, expression, upper, lower)
    crease = upper - np.array([0.0, 0.075])
    canvas.surface(ribbon(crease, 0.035), darker(person.skin, 0.72), opacity=0.7)
    canvas.surface(ribbon(upper, 0.065 if person.lashes else 0.05, taper=0.5), _INK)
    canvas.surface(ribbon(lower, 0.03), darker(person.skin, 0.6), opacity=0.8)
    if expression.lower_lid > 0.2 or person.lines > 0.0:
        pouch = lower + np.array([0.0, 0.06])
        canvas.surface(ribbon(pouch, 0.03), darker(person.skin, 0.75), opacity=0.6)
    if person.lashes:
        start = upper[-1] if side > 0 else upper[0]
        lash = start + np.array([(0.0, 0.0), (0.07 * side, -0.06)])
        canvas.surface(ribbon(lash, 0.04, taper=0.5), _INK)


def _draw_iris(
    canvas: Canvas, person: Person, expression: Expression, upper: Points, lower: Points
) -> None:
    """Draw iris, pupil and highlight, cut off by the lids."""
    radius = 0.105 * person.eye_size
    x = upper[8, 0] + 0.06 * expression.gaze_x
    y = eye_line(person) + 0.03 * expression.gaze_y
    for colour, share in ((person.iris, 1.0), ((20, 16, 18), 0.55)):
        disc = ellipse(x, y, radius * share, radius * share)
        top = np.interp(disc[:, 0], upper[:, 0], upper[:, 1])
        bottom = np.interp(disc[:, 0], lower[:, 0], lower[:, 1])
        disc[:, 1] = np.clip(disc[:, 1], top, bottom)
        canvas.surface(disc, colour)
    light = ellipse(x + 0.035, y - 0.04, 0.028, 0.028)
    canvas.surface(light, (255, 255, 255), opacity=0.9)


def draw_brow(canvas: Canvas, person: Person, expression: Expression, *, side: float) -> None:
    """Draw one brow; sadness raises its inner end."""
    base = eye_line(person) - 0.29 - 0.05 * person.eye_size - expression.brow_height
    inner = expression.brow_inner
    line = smooth(
        [
            (side * (person.eye_distance - 0.22), base + 0.04 - inner),
            (side * person.eye_distance, base - 0.04 - 0.25 * inner),
            (side * (person.eye_distance + 0.24), base + 0.05 + 0.55 * inner),
        ],
        closed=False,
    )
    colour = mix(darker(person.hair, 0.75), darker(person.skin, 0.55), 0.3)
    canvas.surface(ribbon(line, person.brow_width, taper=0.6), colour)


def draw_tear(canvas: Canvas, person: Person) -> None:
    """Draw one tear under an eye."""
    x, y = person.eye_distance + 0.06, eye_line(person) + 0.36
    drop = smooth([(x, y - 0.17), (x + 0.07, y + 0.02), (x, y + 0.1), (x - 0.07, y + 0.02)])
    canvas.surface(drop, (172, 214, 240), opacity=0.9)
