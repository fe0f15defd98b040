"""What is drawn: a person, a scene with its camera, an expression. Values only, no drawing."""

from __future__ import annotations

from dataclasses import dataclass

from emoclf.data.synthetic.canvas import Colour

HAIR_STYLES: tuple[str, ...] = (
    "bald",
    "buzz",
    "receding",
    "short",
    "side_part",
    "quiff",
    "curly",
    "afro",
    "long",
    "wavy",
    "bob",
    "bun",
    "ponytail",
    "braids",
)
LONG_STYLES: tuple[str, ...] = ("long", "wavy", "bob", "bun", "ponytail", "braids")
HEADWEAR: tuple[str, ...] = ("beanie", "cap", "hat", "headscarf", "hair_band")
BEARDS: tuple[str, ...] = ("stubble", "full", "goatee", "moustache")
GLASSES: tuple[str, ...] = ("round", "square", "dark_frame")
COLLARS: tuple[str, ...] = ("crew", "v_neck", "shirt", "hood", "stripes", "turtleneck")
BACKGROUNDS: tuple[str, ...] = ("gradient", "lights", "room", "sky", "leaves", "city", "wallpaper")
COVERS: tuple[str, ...] = ("hand", "lock", "scarf", "mug", "phone", "branch")


@dataclass(frozen=True)
class Build:
    """Skin and proportions; lengths in head units, which `drawing_canvas` explains.

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


@dataclass(frozen=True)
class Person(Build):
    """Who is drawn: a build with hair, and with the things that are worn.

    Attributes:
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
        blur: Radius as a share of the picture's short side.
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
