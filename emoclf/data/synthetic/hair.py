"""Draws hair, what is worn on it, clothes, and what hides a part of a face."""

from __future__ import annotations

import numpy as np

from emoclf.data.synthetic.canvas import Canvas, Points, curve, darker, ellipse, mix, parse, smooth
from emoclf.data.synthetic.traits import SIDES, Person, Scene

_CROWN = parse("-0.85,-0.95 -0.45,-1.22 0,-1.3 0.45,-1.22 0.85,-0.95")
_THICKNESS = {"buzz": 0.03, "receding": 0.05, "afro": 0.3, "curly": 0.14, "quiff": 0.1}
_HAIRLINES = {
    "buzz": "0.97,-0.2 0.75,-0.62 0,-0.78 -0.75,-0.62 -0.97,-0.2",
    "bun": "0.97,-0.1 0.84,-0.55 0,-0.86 -0.84,-0.55 -0.97,-0.1",
    "short": "0.97,-0.05 0.84,-0.5 0.48,-0.66 0.21,-0.56 -0.05,-0.7 -0.32,-0.56 -0.58,-0.66 "
    "-0.84,-0.48 -0.97,-0.05",
    "side_part": "0.97,0 0.89,-0.42 0.32,-0.56 -0.21,-0.72 -0.53,-0.95 -0.82,-0.55 -0.97,0",
    "bob": "0.97,0.55 0.84,-0.3 0.53,-0.44 0,-0.48 -0.53,-0.44 -0.84,-0.3 -0.97,0.55",
    "long": "0.97,0.6 0.91,-0.1 0.58,-0.55 0.06,-0.95 -0.42,-0.66 -0.89,-0.1 -0.97,0.6",
}
_SAME_HAIRLINE = {
    **{"wavy": "long", "braids": "long", "ponytail": "bun"},
    **{"quiff": "bun", "curly": "buzz", "afro": "buzz"},
}
_HEADSCARF_EDGE = parse("-0.84,0.1 -0.63,-0.7 0,-0.86 0.63,-0.7 0.84,0.1 0.62,0.86")
_HEADSCARF_RIM = parse(
    "-1.1,-0.2 -0.76,-1.15 0,-1.42 0.76,-1.15 1.1,-0.2 1.02,0.9 0.64,1.5 0,1.7 -0.64,1.5 -1.02,0.9"
)
_LOOSE_STYLES = ("long", "wavy", "bob", "side_part", "quiff", "short")
_MIRROR = np.array([-1.0, 1.0])


def draw_hair_behind(canvas: Canvas, person: Person) -> None:
    """Draw the hair, or the cloth of a headscarf, that hangs behind the head and the neck."""
    width = person.head_width
    if person.headwear == "headscarf":
        scarf = smooth("-1.16,-0.5 0,-1.5 1.16,-0.5 1.2,0.9 0.75,1.75 -0.75,1.75 -1.2,0.9")
        canvas.flat(scarf, darker(person.accessory, 0.82), depth=-0.1)
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
        tail = parse("0.5,-1.1 1.35,-1 1.5,0.2 1.25,1 1.05,0.1 0.9,-0.5")
        canvas.flat(smooth(tail * (person.hair_side, 1.0)), colour, depth=-0.3)


def draw_hair_before(canvas: Canvas, person: Person) -> None:
    """Draw the hair on the head and in the forehead, then what is worn on top."""
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
        canvas.stroke_flat(band, 0.16, person.accessory, taper=0.1, depth=0.25)


def _hanging(person: Person) -> Points:
    """Return the outline of hair that hangs down on both sides."""
    lengths = {"long": (1.9, 0.16), "wavy": (1.75, 0.32), "bob": (1.0, 0.24), "braids": (0.6, 0.08)}
    end, beside = lengths[person.hair_style]
    wide = person.head_width + beside
    y = np.linspace(-0.4, end, 8)
    wave = 0.07 * np.cos(3.4 * np.pi * (y + 0.4) / 2.0) if person.hair_style == "wavy" else 0.0
    right = np.stack([wide + wave + 0.0 * y, y], axis=1)
    return smooth(_CROWN, right, (right * _MIRROR)[::-1])


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
    points = parse(_HAIRLINES[style]) * (person.head_width, 1.0)
    return points if person.hair_side > 0 else (points * _MIRROR)[::-1]


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
    across, down = (person.head_width + 0.6 * grow) * np.cos(angles), (1.18 + grow) * np.sin(angles)
    outer = np.stack([across, down], axis=1)
    if style == "quiff":
        across = outer[:, 0] / outer[:, 0].max()
        outer[:, 1] -= 0.2 * (1.0 - across**4) * (1.0 + 0.5 * person.hair_side * across)
    if style in ("curly", "afro"):
        outer = _blobs(person.head_width + grow, 1.16 + grow, y=0.0, size=0.18)
    side = person.head_width + 0.5 * grow
    top = np.concatenate([[(-side, start)], outer, [(side, start)]])
    pixels = np.concatenate([canvas.pose.flat(top), canvas.pose.surface(curve(line), depth=0.75)])
    canvas.fill(pixels, person.hair, opacity=0.82 if style == "buzz" else 1.0)
    _draw_strands(canvas, person)


def _draw_strands(canvas: Canvas, person: Person) -> None:
    """Draw a highlight and a few darker strands, which give flat hair its direction."""
    side = person.hair_side
    if person.hair_style in ("buzz", "curly", "afro"):
        return
    for start, share in ((-0.45, 1.14), (0.35, 0.82), (0.0, 1.12)):
        root = (side * (start - 0.1), -1.2 + 0.3 * abs(start))
        strand = curve(root, (side * (start + 0.15), -1.02), (side * (start + 0.42), -0.74))
        colour = mix(darker(person.hair, share), (255, 240, 220), 0.03 if share > 1.0 else 0.0)
        canvas.stroke(strand, 0.06, colour, taper=1.0, depth=0.4, opacity=0.8)


def _draw_sides(canvas: Canvas, person: Person) -> None:
    """Draw hair above the ears only."""
    for side in SIDES:
        patch = parse("0.82,-0.72 1.06,-0.45 1.1,0.05 0.95,0.1 0.9,-0.3")
        canvas.flat(smooth(patch * (side * person.head_width, 1.0)), person.hair, depth=0.05)


def _draw_braids(canvas: Canvas, person: Person) -> None:
    """Draw two braids that hang over the shoulders."""
    for side in SIDES:
        for step in range(5):
            x, y = side * (person.head_width + 0.06), 0.55 + 0.26 * step
            shade = 1.0 if step % 2 else 0.86
            knot = ellipse(x, y, 0.17 - 0.015 * step, 0.17, tilt=0.5 * side)
            canvas.flat(knot, darker(person.hair, shade), depth=-0.05)
        tie = ellipse(side * (person.head_width + 0.06), 1.76, 0.1, 0.07)
        canvas.flat(tie, person.accessory, depth=-0.05)


def _draw_headscarf(canvas: Canvas, person: Person) -> None:
    """Draw a headscarf: a ring of cloth around the face and a fold under the chin."""
    colour, scale = person.accessory, (person.head_width, 1.0)
    edge = np.array([*_HEADSCARF_EDGE, (0.0, person.chin - 0.02), (-0.62, 0.86)])
    outer = canvas.pose.flat(smooth(_HEADSCARF_RIM * scale))
    inner = canvas.pose.surface(smooth(edge * scale), depth=0.5)
    canvas.fill(np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), colour)
    for offset in (0.0, 0.14):
        fold = curve((-0.8, 1.0 + offset), (0.0, 1.42 + offset), (0.75, 0.9 + offset))
        canvas.stroke_flat(fold, 0.05, darker(colour, 0.82), taper=0.9)


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
        canvas.stroke_flat(rim, 0.26, darker(colour, 0.84), taper=0.05, depth=0.1)
        canvas.flat(ellipse(0.0, -1.52, 0.17, 0.17), mix(colour, (255, 255, 255), 0.4))
    elif person.headwear == "cap":
        peak = smooth("-0.85,-0.62 0,-0.42 0.85,-0.62 0.5,-0.84 -0.5,-0.84")
        canvas.flat(peak, darker(colour, 0.72), depth=0.5)
        canvas.flat(ellipse(0.0, -1.06, 0.17, 0.15), mix(colour, (255, 255, 255), 0.65), depth=0.5)
    else:
        canvas.flat(ellipse(0.0, -0.66, 1.75 * width, 0.24), darker(colour, 0.86), depth=0.2)
        canvas.flat(np.concatenate([rim - (0.0, 0.1), dome]), colour, depth=0.2)
        band = darker(colour, 0.55)
        canvas.stroke_flat(rim - (0.0, 0.14), 0.17, band, taper=0.0, depth=0.2)


def draw_clothes(canvas: Canvas, person: Person) -> None:
    """Draw shoulders and collar, with the pose of the body: it rolls less than the head."""
    shoulder, wide = 1.66 + 0.12 * person.child, 1.95 - 0.4 * person.child
    right = np.array([(wide + 0.3, 5.0), (wide, 2.1), (1.2, shoulder), (0.52, 1.42)])
    body = smooth((right * _MIRROR)[::-1], right, (0.0, 1.6))
    canvas.flat(body, person.cloth)
    if person.collar == "stripes":
        for y in (2.15, 2.6, 3.05, 3.5):
            line = curve((-wide - 0.1, y), (0.0, y + 0.12), (wide + 0.1, y))
            canvas.stroke_flat(line, 0.2, person.trim, taper=0.0)
    _draw_collar(canvas, person)


def _draw_collar(canvas: Canvas, person: Person) -> None:
    """Draw the part of the clothes around the neck."""
    dark = darker(person.cloth, 0.78)
    if person.collar in ("crew", "stripes"):
        canvas.stroke_flat(curve("-0.56,1.4 0,1.72 0.56,1.4"), 0.12, dark, taper=0.0)
    elif person.collar == "v_neck":
        canvas.flat(parse("-0.46,1.4 0.46,1.4 0,2.15"), darker(person.skin, 0.9))
        canvas.stroke_flat(parse("-0.54,1.38 0,2.2 0.54,1.38"), 0.12, dark, taper=0.0)
    elif person.collar == "turtleneck":
        neck = smooth("-0.52,1.2 0,1.34 0.52,1.2 0.6,1.6 -0.6,1.6")
        canvas.flat(neck, darker(person.cloth, 0.88))
    elif person.collar == "shirt":
        for side in SIDES:
            wing = parse("0.5,1.26 0.62,1.5 0.36,1.92 0.02,1.62") * (side, 1.0)
            canvas.flat(wing, mix(person.cloth, (255, 255, 255), 0.55))
    else:
        for side in SIDES:
            hood = smooth("0.46,1.1 0.95,1.2 1.05,1.6 0.4,1.95 0.05,1.75") * (side, 1.0)
            canvas.flat(hood, darker(person.cloth, 0.86))


def draw_cover(canvas: Canvas, person: Person, scene: Scene) -> None:
    """Draw what hides a part of the face, if anything does."""
    side = np.array([scene.cover_side, 1.0])
    loose_hair = person.hair_style in _LOOSE_STYLES and person.headwear != "headscarf"
    held = {"hand": _draw_hand, "phone": _draw_phone, "mug": _draw_mug}
    if scene.cover in held:
        held[scene.cover](canvas, person, side)
    elif scene.cover == "scarf":
        scarf = smooth("-0.95,0.9 0,1.12 0.95,0.9 1.1,1.5 0,1.9 -1.1,1.5")
        canvas.flat(scarf, person.accessory, depth=0.2)
        fold = curve("-0.9,1.2 0.1,1.5 0.95,1.15")
        canvas.stroke_flat(fold, 0.06, darker(person.accessory, 0.8), depth=0.2)
    elif scene.cover == "lock" and loose_hair:
        lock = smooth("0.05,-1.05 0.5,-0.6 0.66,0 0.5,0.55 0.4,-0.1")
        canvas.surface(lock * side, person.hair, depth=0.85)
    elif scene.cover:
        _draw_branch(canvas, side)


def _draw_hand(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a hand that leans on one cheek."""
    skin = darker(person.skin, 0.97)
    palm = smooth("0.5,0.75 0.95,0.5 1.1,0.95 1,2.6 0.55,2.6 0.48,1.2")
    canvas.flat(palm * side, skin, depth=0.3)
    for x, y in parse("0.62,0.28 0.74,0.16 0.86,0.14 0.98,0.24"):
        finger = np.linspace((x, y), (0.5 * x + 0.39, 0.95), 6) * side
        canvas.stroke_flat(finger, 0.17, darker(skin, 0.88), taper=0.15, depth=0.3)
        canvas.stroke_flat(finger, 0.13, skin, taper=0.15, depth=0.3)


def _draw_phone(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a telephone at one ear and the hand that holds it."""
    skin = darker(person.skin, 0.94)
    arm = parse("0.85,0.6 1.3,0.5 1.75,2.4 1.2,2.4")
    canvas.flat(smooth(arm * side), skin, depth=0.1)
    phone = np.linspace((1.12, -0.5), (0.84, 0.75), 8) * side
    canvas.stroke_flat(phone, 0.42, (46, 48, 56), taper=0.12, depth=0.2)
    canvas.stroke_flat(phone, 0.34, (66, 70, 82), taper=0.12, depth=0.2)
    for y in (0.1, 0.28, 0.46, 0.64):
        finger = np.linspace((0.8, y - 0.04), (1.24, y + 0.1), 5) * side
        canvas.stroke_flat(finger, 0.17, darker(skin, 0.9), taper=0.3, depth=0.2)
        canvas.stroke_flat(finger, 0.13, skin, taper=0.3, depth=0.2)


def _draw_mug(canvas: Canvas, person: Person, side: Points) -> None:
    """Draw a mug that is lifted to the mouth."""
    body = parse("0.12,0.98 0.88,0.98 0.8,1.8 0.2,1.8")
    handle = ellipse(0.9, 1.35, 0.24, 0.24)
    canvas.flat(handle * side, darker(person.trim, 0.85), depth=0.5)
    canvas.flat(ellipse(0.9, 1.35, 0.14, 0.14) * side, person.cloth, depth=0.5)
    canvas.flat(body * side, person.trim, depth=0.5)
    canvas.flat(ellipse(0.5, 0.98, 0.38, 0.08) * side, darker(person.trim, 0.6), depth=0.5)
    for y in (1.2, 1.38, 1.56):
        finger = np.linspace((0.62, y), (1.1, y + 0.06), 5) * side
        canvas.stroke_flat(finger, 0.16, darker(person.skin, 0.92), taper=0.3, depth=0.5)


def _draw_branch(canvas: Canvas, side: Points) -> None:
    """Draw a branch with leaves between the camera and the face."""
    canvas.stroke_flat(curve("1.9,-1.3 1,-0.7 0.2,-0.55") * side, 0.06, (92, 72, 54))
    for x, y in parse("1.3,-0.75 0.9,-0.8 0.55,-0.5 0.2,-0.62 1.05,-0.45"):
        leaf = ellipse(x, y, 0.26, 0.11, tilt=0.7)
        canvas.flat(leaf * side, (98, 138, 78))
