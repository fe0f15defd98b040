"""Draws a head without its hair: neck, ears, skin, beard, glasses, and what carries the expression.

The functions take a `Canvas`, which knows the pose, and read the person and the expression.
They draw from the back to the front, in the order in which `draw_head` calls them.
"""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import (
    Canvas,
    Colour,
    Points,
    curve,
    darker,
    ellipse,
    mix,
    parse,
    smooth,
)
from emoclf.data.synthetic.traits import SIDES, Expression, Person

_THETA = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
_T = np.linspace(-1.0, 1.0, 17)
_ARCH = 1.0 - _T**2
_WHITE: Colour = (250, 248, 244)
_INK: Colour = (44, 30, 30)
_MIRROR = np.array([-1.0, 1.0])


def draw_neck(canvas: Canvas, person: Person) -> None:
    """Draw the neck and the shadow that the chin throws on it."""
    half = 0.42 * person.head_width + 0.04 * (1.0 - person.child)
    neck = np.array([(-half, 0.5), (half, 0.5), (half + 0.08, 2.0), (-half - 0.08, 2.0)])
    canvas.flat(neck, darker(person.skin, 0.9))
    shadow = ellipse(0.0, person.chin - 0.08, half + 0.02, 0.34)
    canvas.flat(shadow, darker(person.skin, 0.72), opacity=0.8)


def draw_head(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw everything between the hair behind the head and the hair before it."""
    _draw_ears(canvas, person)
    outline = _find_head_outline(person)
    canvas.flat(outline, person.skin, depth=_outline_depth(outline))
    _draw_cheeks(canvas, person, expression)
    if person.beard:
        _draw_beard(canvas, person)
    _draw_nose(canvas, person)
    _draw_mouth(canvas, person, expression)
    if person.beard in ("full", "goatee", "moustache"):
        _draw_moustache(canvas, person, expression)
    for side in SIDES:
        _draw_eye(canvas, person, expression, side=side)
        _draw_brow(canvas, person, expression, side=side)
    if expression.tear:
        _draw_tear(canvas, person)
    if person.glasses:
        _draw_glasses(canvas, person)


def _find_head_outline(person: Person, *, grow: float = 0.0) -> Points:
    """Return the outline of the head, moved outwards by `grow` head units: (64, 2), flat."""
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
    for side in SIDES:
        x, y = side * (person.head_width + 0.02), _find_eye_line(person) + 0.14
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
    mouth = _find_mouth_line(person)
    fold = darker(person.skin, 0.68)
    for side in SIDES:
        blush = ellipse(side * 0.56, 0.5 * mouth + 0.08 - 0.06 * lift, 0.24, 0.17)
        canvas.surface(blush, mix(person.skin, (206, 78, 72), 0.6), opacity=person.blush)
        corner = side * (expression.mouth_width + 0.09)
        start = (side * (person.nose_width + 0.05), mouth - 0.3)
        middle, end = (corner + side * 0.05, mouth - 0.16), (corner + side * 0.04, mouth + 0.02)
        opacity = min(1.0, 0.15 * person.lines + 0.5 * lift)
        canvas.stroke(curve(start, middle, end), 0.04, fold, opacity=opacity)
        middle = (corner + side * 0.05, mouth + 0.2)
        sob_fold = curve((corner, mouth + 0.1), middle, (corner, mouth + 0.3))
        opacity = min(1.0, 0.1 * person.lines + 0.4 * max(0.0, -expression.cheek))
        canvas.stroke(sob_fold, 0.04, fold, opacity=opacity)
        if person.freckles:
            for x, y in parse("0.42,0.18 0.52,0.26 0.62,0.2 0.5,0.12 0.34,0.26"):
                spot = ellipse(side * x, y + 0.05, 0.018, 0.018)
                canvas.surface(spot, darker(person.skin, 0.7), opacity=0.7)


def _draw_beard(canvas: Canvas, person: Person) -> None:
    """Draw stubble, a full beard or a goatee along the jaw."""
    if person.beard == "moustache":
        return
    mouth = _find_mouth_line(person)
    colour = darker(person.hair, 0.9)
    if person.beard == "goatee":
        below = ellipse(0.0, 0.5 * (mouth + person.chin) + 0.14, 0.27, person.chin - mouth - 0.18)
        canvas.surface(below, colour)
        return
    outline = _find_head_outline(person, grow=0.05 if person.beard == "full" else 0.0)
    jaw = outline[(outline[:, 1] > 0.12)]
    top = curve((-0.78 * person.head_width, 0.3), (-0.5, mouth - 0.16), (0.0, mouth - 0.24))
    edge = np.concatenate([top, (top * _MIRROR)[::-1]])
    shape = np.concatenate([edge, jaw[np.argsort(-jaw[:, 0])]])
    depth = np.concatenate([np.full(len(edge), 0.55), _outline_depth(jaw)])
    opacity = 0.3 if person.beard == "stubble" else 1.0
    canvas.flat(shape, colour, depth=depth, opacity=opacity)


def _draw_moustache(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw a moustache that follows the upper lip."""
    upper = mouth_edges(expression)[0] + np.array([0.0, _find_mouth_line(person)])
    line = upper - np.array([0.0, person.lip_fullness + 0.06])
    line[:, 0] *= 1.1
    canvas.stroke(line, 0.13, darker(person.hair, 0.85), taper=0.65)


def _draw_glasses(canvas: Canvas, person: Person) -> None:
    """Draw glasses: two frames with a faint reflection, a bridge and the sides."""
    colour = {"round": (92, 72, 60), "square": (60, 66, 84), "dark_frame": (30, 28, 30)}
    ink, y = colour[person.glasses], _find_eye_line(person) + 0.02
    corner = 1.0 if person.glasses == "round" else 0.6
    circle = np.stack([np.cos(_THETA), np.sin(_THETA)], axis=1)
    ring = np.sign(circle) * np.abs(circle) ** corner
    radius = np.array([0.29, 0.27 if person.glasses == "round" else 0.22])
    thick = 0.055 if person.glasses == "dark_frame" else 0.035
    for side in SIDES:
        centre = np.array([side * (person.eye_distance + 0.01), y])
        outer, inner = centre + ring * (radius + thick), centre + ring * radius
        closed = np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
        canvas.surface(inner, (220, 235, 245), depth=0.86, opacity=0.14)
        canvas.surface(closed, ink, depth=0.86)
        ends = (side * (person.eye_distance + 0.3), side * 0.93 * person.head_width)
        arm = np.array([(ends[0], y), (ends[1], y - 0.03)])
        canvas.stroke(arm, thick, ink, taper=0.0, depth=0.86)
    gap = person.eye_distance - 0.27
    bridge = curve((-gap, y - 0.02), (0.0, y - 0.07), (gap, y - 0.02))
    canvas.stroke(bridge, thick, ink, taper=0.0, depth=0.86)


def _find_eye_line(person: Person) -> float:
    """Return the height of the eyes: lower in a child's face."""
    return -0.1 + 0.14 * person.child


def _find_mouth_line(person: Person) -> float:
    """Return the height of the mouth."""
    nose_end = _find_eye_line(person) + person.nose_length
    return nose_end + 0.52 * (person.chin - nose_end) - 0.06


def _draw_nose(canvas: Canvas, person: Person) -> None:
    """Draw the nose: a shaded side, a round tip and two nostrils."""
    end, width = _find_eye_line(person) + person.nose_length, person.nose_width
    side = 1.0 if canvas.pose.yaw >= 0.0 else -1.0
    bridge = curve((side * 0.06, end - 0.3), (side * 0.09, end - 0.12), (side * width, end))
    canvas.stroke(bridge, 0.06, darker(person.skin, 0.8), depth=0.92, opacity=0.8)
    tip = ellipse(0.0, end - 0.05, width * 0.8, 0.1)
    canvas.surface(tip, darker(person.skin, 1.05), depth=0.98, opacity=0.6)
    base = curve((-width, end - 0.03), (0.0, end + 0.06), (width, end - 0.03))
    canvas.stroke(base, 0.05, darker(person.skin, 0.68), depth=0.95)


def mouth_edges(expression: Expression) -> tuple[Points, Points]:
    """Return the upper and the lower edge of the mouth's opening around `(0, 0)`, head units.

    Both are float64 (17, 2), from the left corner to the right one; the same when it is closed.
    """
    x = expression.mouth_width * _T
    middle = expression.mouth_curve * (0.5 - _T**2) + expression.mouth_skew * _T
    arch = _ARCH**0.75
    upper = middle - 0.42 * expression.mouth_open * arch
    lower = middle + 0.58 * expression.mouth_open * arch
    return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)


def _draw_mouth(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Draw the lips, the line between them or the opening with teeth and tongue."""
    centre = np.array([0.0, _find_mouth_line(person)])
    upper, lower = (edge + centre for edge in mouth_edges(expression))
    full = person.lip_fullness
    bow = full * (_ARCH**0.6) * (1.0 - 0.3 * np.exp(-((_T / 0.18) ** 2)))
    upper_lip = np.concatenate([upper - np.stack([0 * _T, bow], axis=1), upper[::-1]])
    swell = np.stack([0 * _T, 1.25 * full * _ARCH**0.8], axis=1)
    lower_lip = np.concatenate([lower + swell, lower[::-1]])
    shade = lower + swell + np.array([0.0, 0.07])
    canvas.stroke(shade[4:13], 0.05, darker(person.skin, 0.8), opacity=0.6)
    canvas.surface(upper_lip, darker(person.lip, 0.88))
    canvas.surface(lower_lip, person.lip)
    if expression.mouth_open > 0.0:
        _draw_opening(canvas, upper, lower, teeth=expression.teeth)
    line = darker(person.lip, 0.45)
    canvas.stroke(upper, 0.045, line, taper=0.5)
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


def _draw_eye(canvas: Canvas, person: Person, expression: Expression, *, side: float) -> None:
    """Draw one eye between its two lids; a smile pushes the lower lid up."""
    width, height = 0.19 * person.eye_size, 0.135 * person.eye_size
    outer = side * _T
    x = side * person.eye_distance + width * _T
    level = _find_eye_line(person) + 0.05 * expression.upper_lid * outer
    if expression.eye_open == 0.0:
        bend = height * (0.45 - 1.3 * expression.lower_lid) * _ARCH
        lid = np.stack([x, level + bend], axis=1)
        canvas.stroke(lid, 0.055, _INK, taper=0.5)
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
    canvas.stroke(crease, 0.035, darker(person.skin, 0.72), opacity=0.7)
    canvas.stroke(upper, 0.065 if person.lashes else 0.05, _INK, taper=0.5)
    canvas.stroke(lower, 0.03, darker(person.skin, 0.6), opacity=0.8)
    if expression.lower_lid > 0.2 or person.lines > 0.0:
        pouch = lower + np.array([0.0, 0.06])
        canvas.stroke(pouch, 0.03, darker(person.skin, 0.75), opacity=0.6)
    if person.lashes:
        start = upper[-1] if side > 0 else upper[0]
        lash = start + np.array([(0.0, 0.0), (0.07 * side, -0.06)])
        canvas.stroke(lash, 0.04, _INK, taper=0.5)


def _draw_iris(
    canvas: Canvas, person: Person, expression: Expression, upper: Points, lower: Points
) -> None:
    """Draw iris, pupil and highlight, cut off by the lids."""
    radius = 0.105 * person.eye_size
    x = upper[8, 0] + 0.06 * expression.gaze_x
    y = _find_eye_line(person) + 0.03 * expression.gaze_y
    for colour, share in ((person.iris, 1.0), ((20, 16, 18), 0.55)):
        disc = ellipse(x, y, radius * share, radius * share)
        top = np.interp(disc[:, 0], upper[:, 0], upper[:, 1])
        bottom = np.interp(disc[:, 0], lower[:, 0], lower[:, 1])
        disc[:, 1] = np.clip(disc[:, 1], top, bottom)
        canvas.surface(disc, colour)
    light = ellipse(x + 0.035, y - 0.04, 0.028, 0.028)
    canvas.surface(light, (255, 255, 255), opacity=0.9)


def _draw_brow(canvas: Canvas, person: Person, expression: Expression, *, side: float) -> None:
    """Draw one brow; sadness raises its inner end."""
    base = _find_eye_line(person) - 0.29 - 0.05 * person.eye_size - expression.brow_height
    inner = expression.brow_inner
    start = (side * (person.eye_distance - 0.22), base + 0.04 - inner)
    middle = (side * person.eye_distance, base - 0.04 - 0.25 * inner)
    end = (side * (person.eye_distance + 0.24), base + 0.05 + 0.55 * inner)
    colour = mix(darker(person.hair, 0.75), darker(person.skin, 0.55), 0.3)
    canvas.stroke(curve(start, middle, end), person.brow_width, colour, taper=0.6)


def _draw_tear(canvas: Canvas, person: Person) -> None:
    """Draw one tear under an eye."""
    x, y = person.eye_distance + 0.06, _find_eye_line(person) + 0.36
    drop = smooth((x, y - 0.17), (x + 0.07, y + 0.02), (x, y + 0.1), (x - 0.07, y + 0.02))
    canvas.surface(drop, (172, 214, 240), opacity=0.9)
