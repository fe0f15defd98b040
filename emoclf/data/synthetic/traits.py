"""What is drawn, and how chance chooses it: a person, a pose, a scene and an expression.

Only `draw_expression` is told the class. Everything else is chosen without it, so neither
colour, light, hair nor an open mouth says anything about happy or sad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from emoclf.data.synthetic.canvas import Colour, HeadPose, darker, mix

LONG_STYLES = ("long", "wavy", "bob", "bun", "ponytail", "braids")
HAIR_STYLES = (
    *("bald", "buzz", "receding", "short", "side_part", "quiff", "curly", "afro"),
    *LONG_STYLES,
)
HEADWEAR = ("beanie", "cap", "hat", "headscarf", "hair_band")
BEARDS = ("stubble", "full", "goatee", "moustache")
GLASSES = ("round", "square", "dark_frame")
COLLARS = ("crew", "v_neck", "shirt", "hood", "stripes", "turtleneck")
BACKGROUNDS = ("gradient", "lights", "room", "sky", "leaves", "city", "wallpaper")
COVERS = ("hand", "lock", "scarf", "mug", "phone", "branch")


def _parse_palette(colours: str) -> tuple[Colour, ...]:
    """Read colours in hexadecimal digits."""
    digits = (bytes.fromhex(colour) for colour in colours.split())
    return tuple((red, green, blue) for red, green, blue in digits)


SKIN_TONES = _parse_palette("fcddc4 f8d2b8 f0c2a0 e4b28c d49e76 c08862 a8704e 8d5c3e 704832 54372a")
HAIR_COLOURS = _parse_palette(
    "1c181a 2e221e 4a3226 68462e 865230 a8542c c49658 debe82 969496 dedcda"
)
CLOTH_COLOURS = _parse_palette(
    "c44842 e2924a eec868 6c9a6a 3e7670 548cba 3a4e7a 806096 d68c9c f0eade 787a82 34343c"
)
IRIS_COLOURS = _parse_palette("34221a 4e3222 624228 606e46 5c8096 6e7c82")

SIDES = (-1.0, 1.0)
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Person:
    """Who is drawn; lengths in head units, which `canvas` explains.

    Attributes:
        skin: Colour of the lit skin.
        head_width: Half width of the head.
        chin: From the middle of the head down to the chin.
        jaw: 0.7 (square) to 1 (oval).
        child: 0 (adult) to 1 (young child).
        eye_size: Factor, about 1.
        eye_distance: From the middle of the face to an eye.
        iris: Colour of the eyes.
        nose_width: Half width of the nose.
        nose_length: From the eyes down to the end of the nose.
        lip_fullness: Height of the upper lip.
        lip: Colour of the lips.
        ear_size: Half height of an ear.
        brow_width: Thickness of the brows.
        freckles: Whether there are freckles.
        lashes: Whether the lashes show.
        blush: How red the cheeks are, 0 to about 0.3.
        hair: Colour of hair, brows and beard.
        hair_style: One of `HAIR_STYLES`.
        hair_side: -1 (parted on the left) or 1.
        beard: One of `BEARDS`, or "" for none.
        glasses: One of `GLASSES`, or "" for none.
        headwear: One of `HEADWEAR`, or "" for none.
        accessory: Colour of headwear and scarf.
        cloth: Colour of the clothes.
        trim: Second colour of the clothes.
        collar: One of `COLLARS`.
        earrings: Whether there are earrings.
        lines: Lines of age, 0 to 1.
    """

    skin: Colour
    head_width: float
    chin: float
    jaw: float
    child: float
    eye_size: float
    eye_distance: float
    iris: Colour
    nose_width: float
    nose_length: float
    lip_fullness: float
    lip: Colour
    ear_size: float
    brow_width: float
    freckles: bool
    lashes: bool
    blush: float
    hair: Colour
    hair_style: str
    hair_side: float
    beard: str
    glasses: str
    headwear: str
    accessory: Colour
    cloth: Colour
    trim: Colour
    collar: str
    earrings: bool
    lines: float


@dataclass(frozen=True)
class Scene:
    """What is around the person and how the photo was taken.

    Attributes:
        background: One of `BACKGROUNDS`.
        colours: Three colours of the background.
        cover: One of `COVERS`, or "" for none.
        cover_side: -1 (left) or 1 (right).
        light_x: Direction of the light, -1 (from the left) to 1.
        light_y: Direction of the light, -1 (from above) to 1.
        light_strength: How much lighter the lit side is, 0 to about 0.4.
        brightness: Factor of the whole picture.
        contrast: Factor around the middle grey.
        warmth: Above 0 warm, below 0 cold.
        saturation: 0 (grey) to about 1.15.
        blur: Radius as a fraction of the picture's short side.
        noise: Standard deviation in grey levels.
        jpeg_quality: 50 to 95.
    """

    background: str
    colours: tuple[Colour, Colour, Colour]
    cover: str
    cover_side: float
    light_x: float
    light_y: float
    light_strength: float
    brightness: float
    contrast: float
    warmth: float
    saturation: float
    blur: float
    noise: float
    jpeg_quality: int


@dataclass(frozen=True)
class Expression:
    """How the face moves.

    Attributes:
        strength: 0 (nothing to see) to 1 (obvious).
        mouth_curve: Height of the corners over the middle, head units; below 0 they hang.
        mouth_open: Height of the opening, head units; independent of the class.
        mouth_width: Half width, head units.
        mouth_skew: One corner higher than the other, head units.
        teeth: Whether an open mouth shows teeth; independent of the class.
        brow_inner: How far the inner ends of the brows are raised, head units.
        brow_height: How far both brows are raised, head units; independent of the class.
        eye_open: Opening of the eyes, 0 (closed) to 1; independent of the class.
        lower_lid: How far a smile pushes up the lower lids, 0 to 1.
        upper_lid: How far the outer ends of the upper lids hang, 0 to 1.
        cheek: How far a smile lifts the cheeks (above 0), or the corners pull down (below 0).
        gaze_x: Where the eyes look, -1 to 1.
        gaze_y: Where the eyes look, -1 to 1.
        tear: Whether there is a tear, which is rare.
    """

    strength: float
    mouth_curve: float
    mouth_open: float
    mouth_width: float
    mouth_skew: float
    teeth: bool
    brow_inner: float
    brow_height: float
    eye_open: float
    lower_lid: float
    upper_lid: float
    cheek: float
    gaze_x: float
    gaze_y: float
    tear: bool


def draw_person(generator: np.random.Generator) -> Person:
    """Choose a person by chance."""
    child = generator.uniform(0.5, 1.0) if generator.random() < 0.25 else 0.0
    tone = generator.uniform(0.0, len(SKIN_TONES) - 1.001)
    hair, style = _draw_hair(generator, tone, child)
    headwear = _pick(generator, HEADWEAR) if generator.random() < 0.22 else ""
    bearded = generator.random() < 0.42 and child == 0.0 and headwear != "headscarf"
    cloth, trim, accessory = (
        CLOTH_COLOURS[index] for index in generator.permutation(len(CLOTH_COLOURS))[:3]
    )
    return Person(
        **_draw_build(generator, tone, child),
        hair=hair,
        hair_style=style,
        hair_side=_pick(generator, SIDES),
        beard=_pick(generator, BEARDS) if bearded and style not in LONG_STYLES else "",
        glasses=_pick(generator, GLASSES) if generator.random() < 0.26 else "",
        headwear=headwear,
        accessory=accessory,
        cloth=cloth,
        trim=trim,
        collar=_pick(generator, COLLARS),
        earrings=generator.random() < 0.2,
        lines=generator.uniform(0.4, 0.9) if hair in HAIR_COLOURS[-2:] else 0.0,
    )


def _draw_build(generator: np.random.Generator, tone: float, child: float) -> dict[str, Any]:
    """Choose skin and proportions; a child has a rounder head, larger eyes and a small nose."""
    skin = mix(SKIN_TONES[int(tone)], SKIN_TONES[int(tone) + 1], tone % 1.0)
    return {
        "skin": skin,
        "head_width": generator.uniform(0.86, 1.02) + 0.05 * child,
        "chin": generator.uniform(1.14, 1.34) - 0.14 * child,
        "jaw": generator.uniform(0.72, 1.0),
        "child": child,
        "eye_size": generator.uniform(0.85, 1.1) + 0.22 * child,
        "eye_distance": generator.uniform(0.36, 0.43),
        "iris": _pick(generator, IRIS_COLOURS if tone < 4.5 else IRIS_COLOURS[:3]),
        "nose_width": generator.uniform(0.11, 0.2) - 0.03 * child,
        "nose_length": generator.uniform(0.34, 0.46) - 0.12 * child,
        "lip_fullness": generator.uniform(0.05, 0.11),
        "lip": mix(darker(skin, 0.82), (176, 66, 74), generator.uniform(0.2, 0.5)),
        "ear_size": generator.uniform(0.17, 0.25),
        "brow_width": generator.uniform(0.06, 0.12),
        "freckles": generator.random() < 0.12 and tone < 5.0,
        "lashes": generator.random() < 0.4,
        "blush": generator.uniform(0.0, 0.3),
    }


def _draw_hair(generator: np.random.Generator, tone: float, child: float) -> tuple[Colour, str]:
    """Choose colour and style: mostly dark with the deeper skin tones, grey now and then."""
    style = _pick(generator, HAIR_STYLES)
    natural = 8 if tone < 3.5 else (5 if tone < 5.5 else 3)
    colour = _pick(generator, HAIR_COLOURS[:natural])
    grey = _pick(generator, HAIR_COLOURS[-2:])
    if child > 0.0:
        return colour, "short" if style in ("bald", "receding") else style
    return grey if generator.random() < 0.18 else colour, style


def _pick(generator: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """Choose one of several things, each with the same chance."""
    return choices[int(generator.integers(len(choices)))]


def draw_pose(generator: np.random.Generator, size: tuple[int, int]) -> HeadPose:
    """Choose where the head is in a picture of `(height, width)` pixels, and how it is turned."""
    height, width = size
    short_side = min(size)
    unit_px = short_side * generator.uniform(0.28, 0.36)
    return HeadPose(
        centre_x=width * 0.5 + short_side * generator.uniform(-0.07, 0.07),
        centre_y=height * 0.5 + short_side * generator.uniform(-0.05, 0.06),
        unit_px=unit_px,
        roll=float(np.clip(generator.normal(0.0, 0.12), -0.4, 0.4)),
        yaw=float(np.clip(generator.normal(0.0, 0.18), -0.5, 0.5)),
        pitch=float(np.clip(generator.normal(0.0, 0.1), -0.25, 0.25)),
    )


def draw_scene(generator: np.random.Generator) -> Scene:
    """Choose background, light, cover and camera."""
    colours = tuple(_background_colour(generator) for _ in range(3))
    grey = generator.random() < 0.08
    return Scene(
        background=_pick(generator, BACKGROUNDS),
        colours=(colours[0], colours[1], colours[2]),
        cover=_pick(generator, COVERS) if generator.random() < 0.14 else "",
        cover_side=_pick(generator, SIDES),
        light_x=generator.uniform(-1.0, 1.0),
        light_y=generator.uniform(-1.0, 0.2),
        light_strength=generator.uniform(0.05, 0.32),
        brightness=float(np.exp(np.clip(generator.normal(0.0, 0.14), -0.3, 0.13))),
        contrast=generator.uniform(0.78, 1.08),
        warmth=float(np.clip(generator.normal(0.015, 0.04), -0.03, 0.12)),
        saturation=0.0 if grey else generator.uniform(0.88, 1.15),
        blur=abs(generator.normal(0.0, 0.003)),
        noise=abs(generator.normal(0.0, 2.5)),
        jpeg_quality=int(generator.integers(62, 96)),
    )


def _background_colour(generator: np.random.Generator) -> Colour:
    """Choose a soft colour: a grey mixed with a little of a random hue."""
    grey = generator.uniform(70.0, 225.0)
    hue = generator.uniform(0.0, 2.0 * np.pi)
    red, green, blue = (
        round(grey + 30.0 * float(np.cos(hue + offset))) for offset in (0.0, 2.1, 4.2)
    )
    return darker((red, green, blue), 1.0)


def draw_expression(
    generator: np.random.Generator, direction: float, *, strength: float | None = None
) -> Expression:
    """Choose how a face moves.

    The same generator state gives the same habits and the same random offsets for either
    direction, so a happy and a sad picture of one seed differ in the feeling alone.

    Args:
        generator: Source of chance.
        direction: 1.0 for happy, -1.0 for sad.
        strength: 0 to 1, or None to choose it.

    Returns:
        The expression.
    """
    is_faint = generator.random() < 0.14  # most faces show it clearly, some hardly at all
    drawn = generator.uniform(*((0.0, 0.2) if is_faint else (0.45, 1.0)))
    chosen = drawn if strength is None else strength
    feeling = direction * chosen
    mouth, brows, eyes = generator.uniform((0.6, 0.3, 0.3), (1.15, 1.1, 1.1))
    if generator.random() < 0.08:
        mouth *= 0.3
    offset = generator.normal(0.0, 1.0, 6)
    opened = generator.random() < 0.45
    closed_eyes = generator.random() < 0.08
    return Expression(
        strength=chosen,
        mouth_curve=(0.4 if feeling > 0.0 else 0.34) * feeling * mouth + 0.02 * offset[0],
        mouth_open=generator.uniform(0.1, 0.34) if opened else 0.0,
        mouth_width=float(np.clip(0.46 + 0.045 * offset[1] + 0.03 * feeling, 0.32, 0.56)),
        mouth_skew=0.03 * offset[2],
        teeth=generator.random() < 0.7,
        brow_inner=(-0.15 if feeling < 0.0 else -0.02) * feeling * brows + 0.035 * offset[3],
        brow_height=0.05 * offset[4],
        eye_open=0.0 if closed_eyes else generator.uniform(0.62, 1.0),
        lower_lid=max(0.0, feeling * eyes),
        upper_lid=max(0.0, -feeling * eyes),
        cheek=feeling * eyes,
        gaze_x=generator.uniform(-1.0, 1.0),
        gaze_y=float(np.clip(0.35 * offset[5] - 0.2 * feeling, -1.0, 1.0)),
        tear=bool(generator.random() < 0.06 and feeling < -0.4),
    )
