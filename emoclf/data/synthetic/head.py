"""Draws a head without its hair: neck, ears, skin, beard, glasses; calls for the features.

The functions take a `Canvas`, which knows the pose, and read the person and the expression.
They draw from the back to the front, in the order in which `draw_head` calls them.
"""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import Canvas, Points, darker, ellipse, mix, ribbon, smooth
from emoclf.data.synthetic.features import (
    draw_brow,
    draw_eye,
    draw_mouth,
    draw_nose,
    draw_tear,
    eye_line,
    mouth_edges,
    mouth_line,
)
from emoclf.data.synthetic.traits import Expression, Person

_THETA = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
_SIDES = (-1.0, 1.0)


def draw_neck(canvas: Canvas, person: Person) -> None:
    """Draw the neck and the shadow that the chin throws on it."""
    half = 0.42 * person.head_width + 0.04 * (1.0 - person.child)
    neck = np.array([(-half, 0.5), (half, 0.5), (half + 0.08, 2.0), (-half - 0.08, 2.0)])
    canvas.flat(neck, darker(person.skin, 0.9))
    shadow = ellipse(0.0, person.chin - 0.08, half + 0.02, 0.34)
    canvas.flat(shadow, darker(person.skin, 0.72), opacity=0.8)


def draw_head(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw everything between the hair behind the head and the hair before it.

    Args:
        canvas: Drawn into.
        person: Who is drawn.
        expression: How the face moves.
    """
    _draw_ears(canvas, person)
    outline = head_outline(person)
    canvas.flat(outline, person.skin, depth=_outline_depth(outline))
    _draw_cheeks(canvas, person, expression)
    if person.beard:
        _draw_beard(canvas, person)
    draw_nose(canvas, person)
    draw_mouth(canvas, person, expression)
    if person.beard in ("full", "goatee", "moustache"):
        _draw_moustache(canvas, person, expression)
    for side in _SIDES:
        draw_eye(canvas, person, expression, side=side)
        draw_brow(canvas, person, expression, side=side)
    if expression.tear:
        draw_tear(canvas, person)
    if person.glasses:
        _draw_glasses(canvas, person)


def head_outline(person: Person, *, grow: float = 0.0) -> Points:
    """Return the outline of the head.

    Args:
        person: Whose head.
        grow: Head units by which the outline is moved outwards.

    Returns:
        float64, shape (64, 2), head units, flat.
    """
    across, down = np.cos(_THETA), np.sin(_THETA)
    power = np.where(down > 0.0, person.jaw, 0.92)
    x = np.sign(across) * np.abs(across) ** power * (person.head_width + grow)
    y = down * np.where(down > 0.0, person.chin + grow, 1.18 + grow)
    return np.stack([x, y], axis=1)


def _outline_depth(outline: Points) -> Points:
    """Return how far the outline's points lie in front: the chin follows the face's turn."""
    return 0.45 * np.clip(outline[:, 1], 0.0, None) ** 2


def _draw_ears(canvas: Canvas, person: Person) -> None:
    """Draw both ears; the one on the side that is turned away hides behind the head."""
    size = person.ear_size
    for side in _SIDES:
        x, y = side * (person.head_width + 0.02), eye_line(person) + 0.14
        ear = ellipse(x, y, 0.62 * size, size, tilt=0.18 * side)
        canvas.flat(ear, darker(person.skin, 0.95), depth=-0.18)
        inner = ellipse(x + 0.02 * side, y, 0.3 * size, 0.6 * size, tilt=0.18 * side)
        canvas.flat(inner, darker(person.skin, 0.8), depth=-0.18, opacity=0.6)
        if person.earrings:
            ring = ellipse(x, y + size + 0.05, 0.06, 0.07)
            canvas.flat(ring, (232, 196, 110), depth=-0.18)


def _draw_cheeks(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw blush, freckles, lines of age and the folds that a smile or a sob makes."""
    lift = max(0.0, expression.cheek)
    mouth = mouth_line(person)
    fold = darker(person.skin, 0.68)
    for side in _SIDES:
        blush = ellipse(side * 0.56, 0.5 * mouth + 0.08 - 0.06 * lift, 0.24, 0.17)
        canvas.surface(blush, mix(person.skin, (206, 78, 72), 0.6), opacity=person.blush)
        corner = side * (expression.mouth_width + 0.09)
        smile_fold = smooth(
            [
                (side * (person.nose_width + 0.05), mouth - 0.3),
                (corner + side * 0.05, mouth - 0.16),
                (corner + side * 0.04, mouth + 0.02),
            ],
            closed=False,
        )
        opacity = 0.15 * person.lines + 0.5 * lift
        canvas.surface(ribbon(smile_fold, 0.04), fold, opacity=min(1.0, opacity))
        sob_fold = smooth(
            [(corner, mouth + 0.1), (corner + side * 0.05, mouth + 0.2), (corner, mouth + 0.3)],
            closed=False,
        )
        opacity = 0.1 * person.lines + 0.4 * max(0.0, -expression.cheek)
        canvas.surface(ribbon(sob_fold, 0.04), fold, opacity=min(1.0, opacity))
        if person.freckles:
            for x, y in ((0.42, 0.18), (0.52, 0.26), (0.62, 0.2), (0.5, 0.12), (0.34, 0.26)):
                spot = ellipse(side * x, y + 0.05, 0.018, 0.018)
                canvas.surface(spot, darker(person.skin, 0.7), opacity=0.7)


def _draw_beard(canvas: Canvas, person: Person) -> None:
    """Draw stubble, a full beard or a goatee along the jaw."""
    if person.beard == "moustache":
        return
    mouth = mouth_line(person)
    colour = darker(person.hair, 0.9)
    if person.beard == "goatee":
        below = ellipse(0.0, 0.5 * (mouth + person.chin) + 0.14, 0.27, person.chin - mouth - 0.18)
        canvas.surface(below, colour)
        return
    outline = head_outline(person, grow=0.05 if person.beard == "full" else 0.0)
    jaw = outline[(outline[:, 1] > 0.12)]
    top = smooth(
        [(-0.78 * person.head_width, 0.3), (-0.5, mouth - 0.16), (0.0, mouth - 0.24)], closed=False
    )
    edge = np.concatenate([top, (top * np.array([-1.0, 1.0]))[::-1]])
    shape = np.concatenate([edge, jaw[np.argsort(-jaw[:, 0])]])
    depth = np.concatenate([np.full(len(edge), 0.55), _outline_depth(jaw)])
    opacity = 0.3 if person.beard == "stubble" else 1.0
    canvas.flat(shape, colour, depth=depth, opacity=opacity)


def _draw_moustache(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw a moustache that follows the upper lip."""
    upper = mouth_edges(expression)[0] + np.array([0.0, mouth_line(person)])
    line = upper - np.array([0.0, person.lip_fullness + 0.06])
    line[:, 0] *= 1.1
    canvas.surface(ribbon(line, 0.13, taper=0.65), darker(person.hair, 0.85))


def _draw_glasses(canvas: Canvas, person: Person) -> None:
    """Draw glasses: two frames with a faint reflection, a bridge and the sides."""
    colour = {"round": (92, 72, 60), "square": (60, 66, 84), "dark_frame": (30, 28, 30)}
    ink, y = colour[person.glasses], eye_line(person) + 0.02
    corner = 1.0 if person.glasses == "round" else 0.6
    across, down = np.cos(_THETA), np.sin(_THETA)
    ring = np.stack(
        [np.sign(across) * np.abs(across) ** corner, np.sign(down) * np.abs(down) ** corner], axis=1
    )
    radius = np.array([0.29, 0.27 if person.glasses == "round" else 0.22])
    thick = 0.055 if person.glasses == "dark_frame" else 0.035
    for side in _SIDES:
        centre = np.array([side * (person.eye_distance + 0.01), y])
        outer, inner = centre + ring * (radius + thick), centre + ring * radius
        closed = np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
        canvas.surface(inner, (220, 235, 245), depth=0.86, opacity=0.14)
        canvas.surface(closed, ink, depth=0.86)
        ends = (side * (person.eye_distance + 0.3), side * 0.93 * person.head_width)
        arm = np.array([(ends[0], y), (ends[1], y - 0.03)])
        canvas.surface(ribbon(arm, thick, taper=0.0), ink, depth=0.86)
    gap = person.eye_distance - 0.27
    bridge = smooth([(-gap, y - 0.02), (0.0, y - 0.07), (gap, y - 0.02)], closed=False)
    canvas.surface(ribbon(bridge, thick, taper=0.0), ink, depth=0.86)
