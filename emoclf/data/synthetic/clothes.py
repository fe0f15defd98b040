"""Draws clothes, and what hides a part of a face: a hand, hair, a scarf, things."""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import Canvas, Points, darker, ellipse, mix, ribbon, smooth
from emoclf.data.synthetic.traits import Person, Scene

_SIDES = (-1.0, 1.0)
_SCARF = ((-0.95, 0.9), (0.0, 1.12), (0.95, 0.9), (1.1, 1.5), (0.0, 1.9), (-1.1, 1.5))
_LOOSE_STYLES = ("long", "wavy", "bob", "side_part", "quiff", "short")


def draw_clothes(canvas: Canvas, person: Person) -> None:
    """Draw shoulders and collar.

    Args:
        canvas: Drawn into, with the pose of the body: it rolls less than the head.
        person: Who is dressed.
    """
    slope, wide = 0.12 * person.child, 1.95 - 0.4 * person.child
    body = smooth(
        [
            (-0.52, 1.42),
            (-1.2, 1.66 + slope),
            (-wide, 2.1),
            (-wide - 0.3, 5.0),
            (wide + 0.3, 5.0),
            (wide, 2.1),
            (1.2, 1.66 + slope),
            (0.52, 1.42),
            (0.0, 1.6),
        ]
    )
    canvas.flat(body, person.cloth)
    if person.collar == "stripes":
        for y in (2.15, 2.6, 3.05, 3.5):
            line = np.array([(-wide - 0.1, y), (0.0, y + 0.12), (wide + 0.1, y)])
            canvas.flat(ribbon(smooth(line, closed=False), 0.2, taper=0.0), person.trim)
    _draw_collar(canvas, person)


def _draw_collar(canvas: Canvas, person: Person) -> None:
    """Draw the part of the clothes around the neck."""
    dark = darker(person.cloth, 0.78)
    if person.collar in ("crew", "stripes"):
        line = smooth([(-0.56, 1.4), (0.0, 1.72), (0.56, 1.4)], closed=False)
        canvas.flat(ribbon(line, 0.12, taper=0.0), dark)
    elif person.collar == "v_neck":
        skin = np.array([(-0.46, 1.4), (0.46, 1.4), (0.0, 2.15)])
        canvas.flat(skin, darker(person.skin, 0.9))
        line = np.array([(-0.54, 1.38), (0.0, 2.2), (0.54, 1.38)])
        canvas.flat(ribbon(line, 0.12, taper=0.0), dark)
    elif person.collar == "turtleneck":
        neck = smooth([(-0.52, 1.2), (0.0, 1.34), (0.52, 1.2), (0.6, 1.6), (-0.6, 1.6)])
        canvas.flat(neck, darker(person.cloth, 0.88))
    elif person.collar == "shirt":
        for side in _SIDES:
            wing = np.array([(0.5, 1.26), (0.62, 1.5), (0.36, 1.92), (0.02, 1.62)])
            canvas.flat(wing * np.array([side, 1.0]), mix(person.cloth, (255, 255, 255), 0.55))
    else:
        for side in _SIDES:
            hood = smooth([(0.46, 1.1), (0.95, 1.2), (1.05, 1.6), (0.4, 1.95), (0.05, 1.75)])
            canvas.flat(hood * np.array([side, 1.0]), darker(person.cloth, 0.86))


def draw_cover(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw what hides a part of the face, if anything does.

    Args:
        canvas: Drawn into.
        person: Whose hand or hair may cover the face.
        scene: Which cover, and on which side.
    """
    side = np.array([scene.cover_side, 1.0])
    loose_hair = person.hair_style in _LOOSE_STYLES and person.headwear != "headscarf"
    if scene.cover == "hand":
        _draw_hand(canvas, person, side)
    elif scene.cover == "phone":
        _draw_phone(canvas, person, side)
    elif scene.cover == "mug":
        _draw_mug(canvas, person, side)
    elif scene.cover == "scarf":
        scarf = smooth(_SCARF)
        canvas.flat(scarf, person.accessory, depth=0.2)
        fold = smooth([(-0.9, 1.2), (0.1, 1.5), (0.95, 1.15)], closed=False)
        canvas.flat(ribbon(fold, 0.06), darker(person.accessory, 0.8), depth=0.2)
    elif scene.cover == "lock" and loose_hair:
        lock = smooth([(0.05, -1.05), (0.5, -0.6), (0.66, 0.0), (0.5, 0.55), (0.4, -0.1)])
        canvas.surface(lock * side, person.hair, depth=0.85)
    elif scene.cover:
        _draw_branch(canvas, side)


def _draw_hand(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a hand that leans on one cheek."""
    skin = darker(person.skin, 0.97)
    palm = smooth([(0.5, 0.75), (0.95, 0.5), (1.1, 0.95), (1.0, 2.6), (0.55, 2.6), (0.48, 1.2)])
    canvas.flat(palm * side, skin, depth=0.3)
    for x, y in ((0.62, 0.28), (0.74, 0.16), (0.86, 0.14), (0.98, 0.24)):
        finger = np.linspace((x, y), (0.5 * x + 0.39, 0.95), 6) * side
        canvas.flat(ribbon(finger, 0.17, taper=0.15), darker(skin, 0.88), depth=0.3)
        canvas.flat(ribbon(finger, 0.13, taper=0.15), skin, depth=0.3)


def _draw_phone(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a telephone at one ear and the hand that holds it."""
    skin = darker(person.skin, 0.94)
    arm = np.array([(0.85, 0.6), (1.3, 0.5), (1.75, 2.4), (1.2, 2.4)])
    canvas.flat(smooth(arm * side), skin, depth=0.1)
    phone = np.linspace((1.12, -0.5), (0.84, 0.75), 8) * side
    canvas.flat(ribbon(phone, 0.42, taper=0.12), (46, 48, 56), depth=0.2)
    canvas.flat(ribbon(phone, 0.34, taper=0.12), (66, 70, 82), depth=0.2)
    for y in (0.1, 0.28, 0.46, 0.64):
        finger = np.linspace((0.8, y - 0.04), (1.24, y + 0.1), 5) * side
        canvas.flat(ribbon(finger, 0.17, taper=0.3), darker(skin, 0.9), depth=0.2)
        canvas.flat(ribbon(finger, 0.13, taper=0.3), skin, depth=0.2)


def _draw_mug(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a mug that is lifted to the mouth."""
    body = np.array([(0.12, 0.98), (0.88, 0.98), (0.8, 1.8), (0.2, 1.8)])
    handle = ellipse(0.9, 1.35, 0.24, 0.24)
    canvas.flat(handle * side, darker(person.trim, 0.85), depth=0.5)
    canvas.flat(ellipse(0.9, 1.35, 0.14, 0.14) * side, person.cloth, depth=0.5)
    canvas.flat(body * side, person.trim, depth=0.5)
    canvas.flat(ellipse(0.5, 0.98, 0.38, 0.08) * side, darker(person.trim, 0.6), depth=0.5)
    for y in (1.2, 1.38, 1.56):
        finger = np.linspace((0.62, y), (1.1, y + 0.06), 5) * side
        canvas.flat(ribbon(finger, 0.16, taper=0.3), darker(person.skin, 0.92), depth=0.5)


def _draw_branch(canvas: Canvas, side: Points) -> None:
    """Draw a branch with leaves between the camera and the face."""
    stem = smooth([(1.9, -1.3), (1.0, -0.7), (0.2, -0.55)], closed=False)
    canvas.flat(ribbon(stem * side, 0.06), (92, 72, 54))
    for x, y in ((1.3, -0.75), (0.9, -0.8), (0.55, -0.5), (0.2, -0.62), (1.05, -0.45)):
        leaf = ellipse(x, y, 0.26, 0.11, tilt=0.7)
        canvas.flat(leaf * side, (98, 138, 78))
