"""Puts one photo together: background, head, what is before it, light and the camera's grain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from emoclf.data.synthetic.canvas import Canvas, Colour, HeadPose, darker, mix
from emoclf.data.synthetic.face import draw_head, draw_neck
from emoclf.data.synthetic.hair import draw_clothes, draw_cover, draw_hair_before, draw_hair_behind
from emoclf.data.synthetic.traits import (
    Expression,
    Person,
    Scene,
    draw_expression,
    draw_person,
    draw_pose,
    draw_scene,
)

_OVERSAMPLING = 3


class DrawnPhoto(NamedTuple):
    """A drawn photo, uint8 RGB `(height, width, 3)`, 0 to 255, and what was chosen for it."""

    pixels: NDArray[np.uint8]
    person: Person
    scene: Scene
    expression: Expression


def draw_photo(
    direction: float, *, seed: int, size: tuple[int, int], strength: float | None = None
) -> DrawnPhoto:
    """Draw one photo.

    Person, pose, scene and expression each have a source of chance of their own, and only the
    expression reads `direction`: one seed gives the same person, happy and sad.

    Args:
        direction: 1.0 for happy, -1.0 for sad.
        seed: 0 or more; the same seed gives the same photo.
        size: `(height, width)` in pixels.
        strength: 0 (no expression) to 1 (a clear one); None chooses it by chance.

    Returns:
        The photo with what was chosen for it.
    """
    chances = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
    person, pose = draw_person(chances[0]), draw_pose(chances[1], size)
    scene = draw_scene(chances[2])
    expression = draw_expression(chances[3], direction, strength=strength)
    times = _OVERSAMPLING
    image = _draw_background(scene, (size[0] * times, size[1] * times), chances[4])
    larger = {key: times * getattr(pose, key) for key in ("centre_x", "centre_y", "unit_px")}
    large = replace(pose, **larger)
    head, body = Canvas(image, large), Canvas(image, replace(large, roll=0.25 * large.roll))
    draw_hair_behind(head, person)
    draw_neck(body, person)
    draw_clothes(body, person)
    draw_head(head, person, expression)
    draw_hair_before(head, person)
    draw_cover(head, person, scene)
    pixels = _finish_photo(image.reduce(times), scene, pose, chances[4])
    return DrawnPhoto(pixels, person, scene, expression)


def _draw_background(scene: Scene, size: tuple[int, int], generator: Generator) -> Image.Image:
    """Draw a background of `(height, width)` pixels as a photo's blurred distance shows it."""
    small = Image.new("RGB", (96, 96), scene.colours[0])
    _fill_gradient(small, scene.colours[0], scene.colours[1], float(generator.uniform(-0.3, 1.0)))
    pen = ImageDraw.Draw(small, "RGBA")
    paint = _PAINTERS.get(scene.background)
    if paint is not None:
        paint(pen, scene, generator)
    blurred = small.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.6, 3.0))))
    return blurred.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _fill_gradient(image: Image.Image, first: Colour, second: Colour, slant: float) -> None:
    """Fill a picture with a gradient between two colours."""
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    share = np.clip((1.0 - abs(slant)) * y + slant * x + max(0.0, -slant), 0.0, 1.0)[..., None]
    pixels = np.array(first) + (np.array(second) - np.array(first)) * share
    image.paste(Image.fromarray(pixels.astype(np.uint8)))


def _paint_lights(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint the round spots of distant lights."""
    for x, y, radius, pick in generator.uniform((0, 0, 4, 0), (96, 96, 14, 3), (14, 4)):
        colour = mix(scene.colours[int(pick)], (255, 240, 210), 0.45)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colour, 110))


def _paint_room(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint a wall with a window, a picture, a shelf and the floor."""
    window_x, picture_x, floor = generator.uniform((-10, 30, 66), (50, 80, 90))
    pen.rectangle((0, floor, 96, 96), fill=(*darker(scene.colours[2], 0.7), 255))
    light = mix(scene.colours[1], (236, 244, 255), 0.75)
    pen.rectangle((window_x, 8, window_x + 30, 52), fill=(*light, 255))
    frame = darker(scene.colours[2], 0.8)
    pen.line((window_x + 15, 8, window_x + 15, 52), fill=(*frame, 255), width=2)
    pen.line((window_x, 30, window_x + 30, 30), fill=(*frame, 255), width=2)
    pen.rectangle((picture_x, 14, picture_x + 22, 40), fill=(*frame, 255))
    pen.rectangle((picture_x + 3, 17, picture_x + 19, 37), fill=(*scene.colours[0], 255))
    pen.rectangle((picture_x - 6, 52, picture_x + 28, 55), fill=(*darker(frame, 0.7), 255))
    for step in range(5):
        height = float(generator.uniform(5, 11))
        left = picture_x - 4 + 6 * step
        pen.rectangle((left, 52 - height, left + 4, 52), fill=(*scene.colours[step % 3], 255))


def _paint_sky(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint clouds over hills."""
    pen.rectangle((0, 0, 96, 96), fill=(*mix(scene.colours[0], (150, 196, 232), 0.5), 170))
    for x, y, radius in generator.uniform((0, 4, 5), (96, 44, 11), (4, 3)):
        for shift in (-1.1, 0.0, 1.1):
            left, high = x + shift * radius, y - radius * (0.7 if shift == 0.0 else 0.4)
            box = (left - radius, high, left + radius, high + 1.2 * radius)
            pen.ellipse(box, fill=(250, 250, 252, 190))
    for colour, low in ((scene.colours[1], 58), (scene.colours[2], 72)):
        x = float(generator.uniform(-30, 40))
        green = mix(colour, (94, 138, 92), 0.55)
        pen.ellipse((x - 50, low, x + 60, low + 90), fill=(*green, 255))
        pen.ellipse((x + 20, low + 6, x + 140, low + 90), fill=(*darker(green, 0.9), 255))


def _paint_leaves(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint foliage with the light between it."""
    places = generator.uniform((-5, -5, 4, 0.55), (100, 100, 12, 1.25), (34, 4))
    green = mix(scene.colours[0], (98, 142, 84), 0.6)
    for x, y, radius, light in places:
        box = (x - radius, y - 0.6 * radius, x + radius, y + 0.6 * radius)
        pen.ellipse(box, fill=(*darker(green, float(light)), 200))


def _paint_city(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint a row of houses with windows."""
    left = float(generator.uniform(-12, 0))
    while left < 96:
        width, top, light = generator.uniform((10, 10, 0.6), (24, 60, 1.1))
        colour = darker(scene.colours[int(width) % 3], float(light))
        pen.rectangle((left, top, left + width, 96), fill=(*colour, 255))
        for x in np.arange(left + 3, left + width - 3, 5):
            for y in np.arange(top + 4, 92, 8):
                glow = (*mix(colour, (250, 228, 160), 0.6), 255)
                pen.rectangle((x, y, x + 2, y + 4), fill=glow)
        left += width


def _paint_wallpaper(pen: ImageDraw.ImageDraw, scene: Scene, generator: Generator) -> None:
    """Paint stripes or dots."""
    step, width, dots = generator.uniform((8, 2, 0), (20, 6, 1))
    colour = (*mix(scene.colours[0], scene.colours[2], 0.55), 200)
    for x in np.arange(0, 110, step):
        if dots < 0.5:
            pen.rectangle((x, 0, x + width, 96), fill=colour)
            continue
        for y in np.arange(0, 110, step):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


_Painter = Callable[[ImageDraw.ImageDraw, Scene, Generator], None]
_PAINTERS: dict[str, _Painter] = {
    **{"lights": _paint_lights, "room": _paint_room, "sky": _paint_sky},
    **{"leaves": _paint_leaves, "city": _paint_city, "wallpaper": _paint_wallpaper},
}


def _finish_photo(
    image: Image.Image, scene: Scene, pose: HeadPose, generator: Generator
) -> NDArray[np.uint8]:
    """Light a picture of the final size and take the photo: contrast, colour, blur, noise."""
    short_side = min(image.size)
    if scene.blur * short_side > 0.15:
        image = image.filter(ImageFilter.GaussianBlur(scene.blur * short_side))
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels * _light(image.size, scene, pose)[..., None]
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    pixels = grey[..., None] + np.float32(scene.saturation) * (pixels - grey[..., None])
    tint = np.array([1.0 + scene.warmth, 1.0, 1.0 - scene.warmth], dtype=np.float32)
    pixels = ((pixels - 128.0) * np.float32(scene.contrast) + 128.0) * tint
    pixels = pixels * np.float32(scene.brightness)
    noise = generator.standard_normal(pixels.shape, dtype=np.float32)
    pixels += np.float32(scene.noise) * noise
    return np.clip(np.rint(pixels), 0.0, 255.0).astype(np.uint8)


def _light(size: tuple[int, int], scene: Scene, pose: HeadPose) -> NDArray[np.float32]:
    """Return how much light falls on each pixel: float32, shape (height, width), around 1."""
    width, height = size
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    room = scene.light_x * (x / width - 0.5) + scene.light_y * (y / height - 0.5)
    across = (x - np.float32(pose.centre_x)) / np.float32(1.15 * pose.unit_px)
    down = (y - np.float32(pose.centre_y)) / np.float32(1.4 * pose.unit_px)
    inside = np.clip(1.5 * (1.15 - across**2 - down**2), 0.0, 1.0)
    head = inside * np.clip(scene.light_x * across + scene.light_y * down, -1.2, 1.2)
    light = 1.0 + scene.light_strength * (0.6 * room + head)
    return light.astype(np.float32)
