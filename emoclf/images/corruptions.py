"""Blur, noise, darkness, JPEG, rotation, a grey patch: what is done to a photo, and how strongly.

A photo is first brought to one working size, so that a severity means the same for every photo.
The kinds and the five severities follow the idea of Hendrycks and Dietterich (2019).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, ImageFilter

from emoclf.config import SEED
from emoclf.images import PADDING_GREY, decode_image, load_image

CorruptionName = Literal["blur", "noise", "darkness", "jpeg", "rotation", "cover"]
"""What can be done to a photo."""

WORKING_SIDE: int = 384
"""Longer side in pixels that every photo is brought to before it is corrupted."""


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption and the severities at which it is tried.

    Attributes:
        name: Its name.
        title: What the severity is, with its unit.
        severities: Rising; 0, which is not among them, leaves a photo unchanged.
    """

    name: CorruptionName
    title: str
    severities: tuple[float, ...]


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("blur", "blur: deviation, % of the longer side", (0.3, 0.6, 1.2, 2.4, 4.8)),
    Corruption("noise", "noise: standard deviation, of 255", (8, 16, 32, 64, 128)),
    Corruption("darkness", "darkness: % of the light taken away", (20, 40, 60, 80, 95)),
    Corruption("jpeg", "JPEG: 100 minus quality", (50, 70, 85, 92, 98)),
    Corruption("rotation", "rotation: degrees, left or right", (10, 20, 30, 45, 90)),
    Corruption("cover", "grey patch: % of the photo covered", (5, 10, 20, 35, 50)),
)
"""The six kinds, each at five severities from hardly visible to severe."""


def corrupt_photo(
    photo: np.ndarray, name: CorruptionName, *, severity: float, seed: int = SEED
) -> np.ndarray:
    """Corrupt a photo.

    Args:
        photo: uint8 RGB `(height, width, 3)`, 0 to 255.
        name: What is done to it.
        severity: How much, as in `CORRUPTIONS`; 0 returns the photo unchanged.
        seed: Seed of the noise, of the patch's place and of the direction of the turn. A stronger
            corruption of one seed has the same noise, place and direction.

    Returns:
        uint8 RGB of the same shape, 0 to 255.

    Raises:
        ValueError: If the corruption is unknown or its severity out of range.

    Example:
        >>> photo = np.full((40, 40, 3), 200, dtype=np.uint8)
        >>> int(corrupt_photo(photo, "darkness", severity=75)[0, 0, 0])
        50
    """
    if name not in get_args(CorruptionName):
        raise ValueError(f"name={name!r} should be one of {', '.join(get_args(CorruptionName))}.")
    limit = {"darkness": 100, "jpeg": 99, "rotation": 360, "cover": 100}.get(name, np.inf)
    if not 0 <= severity <= limit:
        raise ValueError(f"severity={severity} should be 0 to {limit:g} for {name!r}.")
    if severity == 0:
        return photo.copy()
    generator = np.random.default_rng(seed)
    if name == "noise":
        return _to_uint8(photo + severity * generator.standard_normal(photo.shape))
    if name == "darkness":
        return _to_uint8(photo * (1 - severity / 100))
    if name == "cover":
        return _cover(photo, severity / 100, generator)
    picture = Image.fromarray(np.ascontiguousarray(photo))
    if name == "rotation":
        turn = choose_degrees(severity, seed=seed)
        grey = (PADDING_GREY,) * 3
        return np.asarray(picture.rotate(turn, Image.Resampling.BICUBIC, fillcolor=grey))
    if name == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=round(100 - severity))
        return decode_image(buffer.getvalue()).pixels
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(severity / 100 * max(picture.size))))


def choose_degrees(severity: float, *, seed: int) -> float:
    """Return how far `corrupt_photo` turns a photo: to the left above 0, to the right below."""
    return severity if np.random.default_rng(seed).random() < 0.5 else -severity


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _cover(photo: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Lay a grey patch of the photo's proportions over a fraction of it, wholly inside of it."""
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
