"""Draws one photo of one face, from the background to the grain of the film."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emoclf.data.synthetic.canvas import Canvas
from emoclf.data.synthetic.chance import draw_expression, draw_person, draw_pose, draw_scene
from emoclf.data.synthetic.clothes import draw_clothes, draw_cover
from emoclf.data.synthetic.hair import draw_hair_before, draw_hair_behind
from emoclf.data.synthetic.head import draw_head, draw_neck
from emoclf.data.synthetic.scene import draw_background, finish_photo
from emoclf.data.synthetic.traits import Expression, Person, Scene

_OVERSAMPLING = 3


@dataclass(frozen=True)
class DrawnPhoto:
    """A drawn photo and everything that was chosen for it.

    Attributes:
        pixels: uint8, shape (height, width, 3), 0 to 255, RGB.
        person: Who is drawn.
        scene: Background, light and camera, with the JPEG quality to store the photo at.
        expression: How the face moves.
    """

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
    person, pose, scene = (
        draw_person(chances[0]),
        draw_pose(chances[1], size),
        draw_scene(chances[2]),
    )
    expression = draw_expression(chances[3], direction, strength=strength)
    times = _OVERSAMPLING
    image = draw_background(scene, (size[0] * times, size[1] * times), chances[4])
    large = replace(
        pose,
        centre_x=pose.centre_x * times,
        centre_y=pose.centre_y * times,
        unit_px=pose.unit_px * times,
    )
    head, body = Canvas(image, large), Canvas(image, replace(large, roll=0.25 * large.roll))
    draw_hair_behind(head, person)
    draw_neck(body, person)
    draw_clothes(body, person)
    draw_head(head, person, expression)
    draw_hair_before(head, person)
    draw_cover(head, person, scene)
    pixels = finish_photo(image.reduce(times), scene, pose, chances[4])
    return DrawnPhoto(pixels, person, scene, expression)
