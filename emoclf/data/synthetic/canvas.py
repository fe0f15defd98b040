"""Points, curves and a canvas that knows where the head is: the drawing tools of the faces.

Shapes are written down in head units: the head's centre is `(0, 0)`, x grows to the right,
y grows downwards, and one unit is about half the width of a head. A `HeadPose` turns such
points into pixels, so position, size, roll, yaw and pitch are dealt with in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]
"""float64, shape (points, 2), head units or pixels, columns x and y."""

Depth = float | NDArray[np.float64]
"""Head units in front of the head's axis: one number, or float64 of shape (points,)."""

Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""

_SPLINE_STEPS = np.linspace(0.0, 1.0, 7, endpoint=False)[:, None]
_CIRCLE = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)


@dataclass(frozen=True)
class HeadPose:
    """Where a head is in the picture and which way it is turned.

    Attributes:
        centre_x: Pixels from the left edge to the head's centre.
        centre_y: Pixels from the upper edge to the head's centre.
        unit_px: Pixels per head unit.
        roll: Radians, turning the head clockwise in the picture.
        yaw: Radians, turning the face to the right of the picture.
        pitch: Radians, turning the face down.
    """

    centre_x: float
    centre_y: float
    unit_px: float
    roll: float
    yaw: float
    pitch: float

    def flat(self, points: Points, *, depth: Depth = 0.0) -> Points:
        """Project points, float64 (n, 2), that lie `depth` in front of the head's axis, to pixels.

        `depth`, one number or float64 (n,), decides the shift under yaw and pitch.
        """
        shift = np.multiply.outer(depth, [np.sin(self.yaw), np.sin(self.pitch)])
        return self._to_pixels(points + shift)

    def surface(self, points: Points, *, depth: float = 0.8) -> Points:
        """Project points, float64 (n, 2), seen from the front, that lie on the front of the head.

        `depth` is how far its curve bulges forward at its middle. Returns pixels, float64 (n, 2),
        foreshortened on the side that is turned away.
        """
        x, y = points[:, 0], points[:, 1]
        bulge = depth * np.sqrt(np.clip(1.0 - (x / 1.1) ** 2 - (y / 1.6) ** 2, 0.0, 1.0))
        turned_x = x * np.cos(self.yaw) + bulge * np.sin(self.yaw)
        turned_y = y * np.cos(self.pitch) + bulge * np.sin(self.pitch)
        return self._to_pixels(np.stack([turned_x, turned_y], axis=1))

    def _to_pixels(self, points: Points) -> Points:
        """Roll, scale and move points from head units to pixels."""
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        return points @ rotation * self.unit_px + np.array([self.centre_x, self.centre_y])


class Canvas:
    """An RGB picture with a head pose; every colour is blended with its opacity.

    Args:
        image: Pillow picture, mode RGB, drawn into.
        pose: Turns head units into pixels.
    """

    def __init__(self, image: Image.Image, pose: HeadPose) -> None:
        """Remember the picture and the pose."""
        self.image = image
        self.pose = pose
        self._pen = ImageDraw.Draw(image, "RGBA")

    def fill(self, pixels: Points, colour: Colour, *, opacity: float = 1.0) -> None:
        """Fill a polygon given in pixels, with an opacity of 0 (invisible) to 1 (covering)."""
        if opacity > 0.0:
            self._pen.polygon(pixels.ravel().tolist(), fill=(*colour, round(255 * opacity)))

    def flat(
        self, points: Points, colour: Colour, *, depth: Depth = 0.0, opacity: float = 1.0
    ) -> None:
        """Fill a polygon of a flat layer; see `HeadPose.flat`."""
        self.fill(self.pose.flat(points, depth=depth), colour, opacity=opacity)

    def surface(
        self, points: Points, colour: Colour, *, depth: float = 0.8, opacity: float = 1.0
    ) -> None:
        """Fill a polygon that lies on the face; see `HeadPose.surface`."""
        self.fill(self.pose.surface(points, depth=depth), colour, opacity=opacity)

    def stroke(
        self,
        line: Points,
        width: float,
        colour: Colour,
        *,
        taper: float = 0.7,
        depth: float = 0.8,
        opacity: float = 1.0,
    ) -> None:
        """Draw a brush stroke on the face; see `ribbon` and `surface`."""
        self.surface(ribbon(line, width, taper=taper), colour, depth=depth, opacity=opacity)

    def stroke_flat(
        self, line: Points, width: float, colour: Colour, *, taper: float = 0.7, depth: float = 0.0
    ) -> None:
        """Draw a brush stroke in a flat layer; see `ribbon` and `flat`."""
        self.flat(ribbon(line, width, taper=taper), colour, depth=depth)


def mix(first: Colour, second: Colour, fraction: float) -> Colour:
    """Mix two colours, with a fraction of 0 to 1 of the second.

    Example:
        >>> mix((0, 0, 0), (200, 100, 50), 0.5)
        (100, 50, 25)
    """
    red, green, blue = (round(a + (b - a) * fraction) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, factor: float) -> Colour:
    """Multiply a colour by a factor, which below 1 darkens, and keep it within 0 to 255."""
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue


def ellipse(x: float, y: float, radius_x: float, radius_y: float, *, tilt: float = 0.0) -> Points:
    """Return the outline of an ellipse around `(x, y)`, tilted clockwise by radians: (32, 2)."""
    across, down = radius_x * np.cos(_CIRCLE), radius_y * np.sin(_CIRCLE)
    cosine, sine = np.cos(tilt), np.sin(tilt)
    return np.stack([x + across * cosine - down * sine, y + across * sine + down * cosine], axis=1)


def parse(points: str) -> Points:
    """Read points as SVG writes them: `"0.1,0.2 0.3,-0.4"` are two."""
    return np.array([pair.split(",") for pair in points.split()], dtype=np.float64)


def smooth(*points: str | Points | tuple[float, float], closed: bool = True) -> Points:
    """Draw a smooth curve through points (a Catmull-Rom spline).

    Args:
        *points: The points to pass through: pairs, a text for `parse`, or float64 `(n, 2)`.
        closed: Whether the last point is joined to the first.

    Returns:
        float64, shape (about 7 n, 2).
    """
    found = [parse(each) if isinstance(each, str) else np.atleast_2d(each) for each in points]
    knots = np.concatenate(found).astype(np.float64)
    if closed:
        before, after, beyond = (np.roll(knots, shift, axis=0) for shift in (1, -1, -2))
        start = knots
    else:
        padded = np.concatenate([knots[:1], knots, knots[-1:]])
        before, start, after, beyond = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = _SPLINE_STEPS
    curve = 0.5 * (
        2.0 * start[:, None]
        + (after - before)[:, None] * t
        + (2.0 * before - 5.0 * start + 4.0 * after - beyond)[:, None] * t**2
        + (3.0 * (start - after) + beyond - before)[:, None] * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, knots[-1:]])


def curve(*points: str | Points | tuple[float, float]) -> Points:
    """Draw a smooth curve through points, from the first to the last; see `smooth`."""
    return smooth(*points, closed=False)


def ribbon(points: Points, width: float, *, taper: float = 0.7) -> Points:
    """Turn a line, float64 (n, 2), n at least 2, into the outline of a brush stroke: (2 n, 2).

    `width` is that at its middle; `taper` 0 (ends equally wide) to 1 (pointed).
    """
    tangent = np.gradient(points, axis=0)
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / length
    place = np.linspace(-1.0, 1.0, len(points))[:, None]
    half = 0.5 * width * (1.0 - taper * place**2)
    return np.concatenate([points + normal * half, (points - normal * half)[::-1]])
