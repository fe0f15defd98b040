"""Blur, noise, darkness, JPEG, rotation, a grey patch: what is done to a photo, and how strongly.

A photo is first brought to one working size, so that a strength means the same for every photo.
The kinds and the five strengths follow the idea of Hendrycks and Dietterich (2019).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, ImageFilter

from emoclf.config import SEED
from emoclf.images import PADDING_GREY, decode_image, load_image

HarmName = Literal["blur", "noise", "darkness", "jpeg", "rotation", "cover"]
"""What can be done to a photo."""

WORKING_SIDE: int = 384
"""Longer side in pixels that every photo is brought to before it is harmed."""


@dataclass(frozen=True)
class Harm:
    """A kind of harm and the strengths at which it is tried.

    Attributes:
        name: Its name.
        title: What the strength is, with its unit.
        strengths: Rising; 0, which is not among them, leaves a photo unchanged.
    """

    name: HarmName
    title: str
    strengths: tuple[float, ...]


HARMS: tuple[Harm, ...] = (
    Harm("blur", "blur: deviation, % of the longer side", (0.3, 0.6, 1.2, 2.4, 4.8)),
    Harm("noise", "noise: standard deviation, of 255", (8, 16, 32, 64, 128)),
    Harm("darkness", "darkness: % of the light taken away", (20, 40, 60, 80, 95)),
    Harm("jpeg", "JPEG: 100 minus quality", (50, 70, 85, 92, 98)),
    Harm("rotation", "rotation: degrees, left or right", (10, 20, 30, 45, 90)),
    Harm("cover", "grey patch: % of the photo covered", (5, 10, 20, 35, 50)),
)
"""The six kinds, each at five strengths from hardly visible to severe."""


def harm_photo(
    photo: np.ndarray, name: HarmName, *, strength: float, seed: int = SEED
) -> np.ndarray:
    """Harm a photo.

    Args:
        photo: uint8 RGB `(height, width, 3)`, 0 to 255.
        name: What is done to it.
        strength: How much, as in `HARMS`; 0 returns the photo unchanged.
        seed: Seed of the noise, of the patch's place and of the direction of the turn. A stronger
            harm of one seed has the same noise, place and direction.

    Returns:
        uint8 RGB of the same shape, 0 to 255.

    Raises:
        ValueError: If the harm is unknown or its strength out of range.

    Example:
        >>> photo = np.full((40, 40, 3), 200, dtype=np.uint8)
        >>> int(harm_photo(photo, "darkness", strength=75)[0, 0, 0])
        50
    """
    if name not in get_args(HarmName):
        raise ValueError(f"name={name!r} should be one of {', '.join(get_args(HarmName))}.")
    limit = {"darkness": 100, "jpeg": 99, "rotation": 360, "cover": 100}.get(name, np.inf)
    if not 0 <= strength <= limit:
        raise ValueError(f"strength={strength} should be 0 to {limit:g} for {name!r}.")
    if strength == 0:
        return photo.copy()
    generator = np.random.default_rng(seed)
    if name == "noise":
        return _to_uint8(photo + strength * generator.standard_normal(photo.shape))
    if name == "darkness":
        return _to_uint8(photo * (1 - strength / 100))
    if name == "cover":
        return _cover(photo, strength / 100, generator)
    picture = Image.fromarray(np.ascontiguousarray(photo))
    if name == "rotation":
        turn = choose_degrees(strength, seed=seed)
        grey = (PADDING_GREY,) * 3
        return np.asarray(picture.rotate(turn, Image.Resampling.BICUBIC, fillcolor=grey))
    if name == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=round(100 - strength))
        return decode_image(buffer.getvalue()).pixels
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(strength / 100 * max(picture.size))))


def choose_degrees(strength: float, *, seed: int) -> float:
    """Return the turn that `harm_photo` gives a photo: to the left above 0, to the right below."""
    return strength if np.random.default_rng(seed).random() < 0.5 else -strength


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _cover(photo: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Lay a grey patch of the photo's proportions over a share of it, wholly inside of it."""
    size = np.maximum(1, np.rint(np.array(photo.shape[:2]) * share**0.5)).astype(int)
    top, left = np.rint(generator.random(2) * (np.array(photo.shape[:2]) - size)).astype(int)
    covered = photo.copy()
    covered[top : top + size[0], left : left + size[1]] = PADDING_GREY
    return covered


def load_at_working_size(photo: Any, side_px: int = WORKING_SIDE) -> np.ndarray:
    """Decode a photo and bring its longer side to one length, its proportions kept.

    Args:
        photo: As for `emoclf.load_image`.
        side_px: The longer side in pixels.

    Returns:
        uint8 RGB `(height, width, 3)`, 0 to 255.
    """
    pixels = load_image(photo, min_size=(side_px, side_px))
    scale = side_px / max(pixels.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in reversed(pixels.shape[:2]))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
