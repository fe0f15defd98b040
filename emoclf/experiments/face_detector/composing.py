"""Pictures to learn from: photos put together at many sizes, and what YuNet says about each.

YuNet is asked about every composed picture, and its answer of every cell is kept: how sure it is of
a face there (0 to 1, not only yes or no), and where box and landmarks would be. A network that
learns these soft answers gets the teacher's scores, on which `YuNetDetector` relies, as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emoclf.images.decoding import UnreadableImageError, load_image
from emoclf.images.faces.face import FaceDetector, scale_to_side
from emoclf.storage import replacing

STRIDES = (8, 16, 32)
"""Pixels of the picture per cell of each of the three grids, as YuNet has them."""

SIDE = 320
"""Height and width in pixels of a composed picture."""

NUMBERS = 15
"""Per cell: the score, four numbers of the box, two of each of the five landmarks."""

_OUTPUTS = [f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
_MIN_TAUGHT_SCORE = 0.2
"""Where the teacher is less sure, its box means nothing and is not taught."""

_PHOTO_SIDE = 448
TILES = (0.4, 0.3, 0.18, 0.12)
"""How often one, two, three and four photos stand side by side."""

CLOSE_TILES = (0.7, 0.3)
"""The same for close-ups."""

_MIN_CLOSE_SIDE = 48

_ZOOM = (0.5, 2.5)
_TURN_DEGREES, _FREELY_TURNED = 15.0, 0.08
_BORDERS = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)


class Teacher:
    """YuNet's raw answers: what it says in every cell, before anything is dropped.

    Args:
        path: A YuNet file that takes pictures of any size, such as that of May 2026.
    """

    def __init__(self, path: str | Path) -> None:
        """Load the network."""
        self._network = cv2.dnn.readNetFromONNX(str(path))

    def answer(self, picture: np.ndarray) -> np.ndarray:
        """Ask about one picture.

        Args:
            picture: uint8 BGR `(height, width, 3)`, 0 to 255, sides that 32 divides.

        Returns:
            float32 `(cells, 15)`, the grids one after the other, each row by row: the score, then
            the numbers of box and landmarks; those are 0 where the score is below 0.2.
        """
        self._network.setInput(cv2.dnn.blobFromImage(picture))
        found = [np.asarray(each)[0] for each in self._network.forward(_OUTPUTS)]
        scores, objects, boxes, marks = (
            np.concatenate(found[start : start + 3]) for start in (0, 3, 6, 9)
        )
        scores = np.sqrt(np.clip(scores, 0, 1) * np.clip(objects, 0, 1))
        places = np.concatenate([boxes, marks], axis=1)
        return np.concatenate([scores, places * (scores >= _MIN_TAUGHT_SCORE)], axis=1)


def read_photos(paths: Sequence[Path]) -> list[np.ndarray]:
    """Read photos to compose from: uint8 RGB, at most 448 pixels long; skip unreadable ones."""
    photos = []
    for path in paths:
        try:
            photo = load_image(path)
        except UnreadableImageError:
            continue
        photos.append(scale_to_side(photo, _PHOTO_SIDE, max_enlargement=1.0))
    return photos


def cut_close_ups(photos: Sequence[np.ndarray], detector: FaceDetector) -> list[np.ndarray]:
    """Cut out the largest faces of photos, as uint8 RGB, each with half its side around it."""
    close_ups = []
    for photo in photos:
        for face in detector.find(photo)[:2]:
            left, top, width, height = face.box
            side = math.sqrt(width * height)
            x, y = left + width / 2, top + height / 2
            edges = [max(0, int(edge)) for edge in (y - side, y + side, x - side, x + side)]
            cut = photo[edges[0] : edges[1], edges[2] : edges[3]]
            if min(side, *cut.shape[:2]) >= _MIN_CLOSE_SIDE:
                close_ups.append(cut)
    return close_ups


def write_lessons(
    photos: Sequence[np.ndarray],
    path: str | Path,
    *,
    teacher: Teacher,
    count: int,
    seed: int = 0,
    tiles: Sequence[float] = TILES,
) -> None:
    """Compose pictures, ask the teacher, and keep both in one file.

    The file holds `pictures` uint8 BGR `(count, 320, 320, 3)` and `answers` float16
    `(count, cells, 15)`.

    Args:
        photos: uint8 RGB photos, drawn pictures and faces, with and without faces.
        path: The file, `.npz`.
        teacher: Whom to ask.
        count: How many pictures.
        seed: Chooses what is composed.
        tiles: How often one, two, ... photos stand side by side.
    """
    chance = np.random.default_rng(seed)
    pictures = np.stack([compose_picture(photos, chance, tiles=tiles) for _ in range(count)])
    answers = np.stack([teacher.answer(each) for each in pictures]).astype(np.float16)
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, pictures=pictures, answers=answers)


def compose_picture(
    photos: Sequence[np.ndarray], chance: np.random.Generator, *, tiles: Sequence[float] = TILES
) -> np.ndarray:
    """Compose one picture of 1 to 16 photos: uint8 BGR `(320, 320, 3)`."""
    count = 1 + int(chance.choice(len(tiles), p=tiles))
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    rows, columns = (_cut_side(count, chance) for _ in range(2))
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            photo = photos[int(chance.integers(len(photos)))]
            tile = _show_photo(photo, (bottom - top, right - left), chance)
            canvas[top:bottom, left:right] = tile
    return np.ascontiguousarray(canvas[:, :, ::-1])


def _cut_side(count: int, chance: np.random.Generator) -> list[int]:
    """Return where a side is cut into `count` parts of uneven length."""
    cuts = np.arange(1, count) + chance.uniform(-0.25, 0.25, count - 1)
    return [0, *(cuts * SIDE / count).astype(int).tolist(), SIDE]


def _show_photo(
    photo: np.ndarray, size: tuple[int, int], chance: np.random.Generator
) -> np.ndarray:
    """Show a photo in a tile of `(height, width)` pixels: zoomed, turned, mirrored, shifted."""
    height, width = size
    zoom = math.exp(chance.uniform(*np.log(_ZOOM)))
    scale = zoom * max(height / photo.shape[0], width / photo.shape[1])
    if scale < 0.5:
        photo = scale_to_side(photo, math.ceil(max(photo.shape) * scale), max_enlargement=1.0)
        scale = 1.0
    angle = chance.normal(0, _TURN_DEGREES)
    if chance.random() < _FREELY_TURNED:
        angle = chance.choice([chance.uniform(-180, 180), 90, -90, 180])
    matrix = cv2.getRotationMatrix2D((0, 0), float(angle), scale)[:, :2]
    stretch = math.exp(chance.normal(0, 0.06))
    matrix = matrix @ np.diag([stretch * chance.choice((-1, 1)), 1 / stretch])
    shown = np.array(photo.shape[1::-1]) * scale
    slack = np.maximum(np.abs(shown - (width, height)) / 2, 0.1 * shown)
    middle = (width / 2, height / 2) + chance.uniform(-1, 1, 2) * slack
    offset = middle - matrix @ (np.array(photo.shape[1::-1]) / 2)
    border = int(chance.choice(_BORDERS, p=(0.5, 0.3, 0.2)))
    return cv2.warpAffine(
        photo, np.column_stack([matrix, offset]), (width, height), borderMode=border
    )


def spoil_and_mirror(pictures: Any, answers: Any) -> tuple[Any, Any]:
    """Darken, tint, blur or grey a batch and add noise; the answers stay those for clean pictures.

    Args:
        pictures: uint8 BGR tensor `(n, 320, 320, 3)`.
        answers: float16 tensor `(n, cells, 15)`.

    Returns:
        Both as float32; all of a batch are mirrored, or none.
    """
    import tensorflow as tf

    def chance(low: float, high: float, *, channels: int = 1) -> Any:
        return tf.random.uniform((tf.shape(pictures)[0], 1, 1, channels), low, high)

    changed, answers = tf.cast(pictures, tf.float32), tf.cast(answers, tf.float32)
    if tf.random.uniform(()) < 0.12:
        changed = tf.repeat(tf.reduce_mean(changed, axis=-1, keepdims=True), 3, axis=-1)
    if tf.random.uniform(()) < 0.15:
        changed = tf.nn.avg_pool2d(changed, 3, 1, "SAME")
    if tf.random.uniform(()) < 0.3:
        changed += tf.random.normal((SIDE, SIDE, 3)) * tf.nn.relu(chance(-10, 12))
    light = tf.where(chance(0, 1) < 0.2, chance(0.25, 0.8), 1.0) * chance(0.9, 1.1, channels=3)
    contrast = chance(0.6, 1.3)
    offset = (128 * (1 - contrast) + chance(-30, 30)) * light
    changed = tf.clip_by_value(changed * (contrast * light) + offset, 0.0, 255.0)
    if tf.random.uniform(()) < 0.5:
        changed, answers = changed[:, :, ::-1], mirror_answers(answers)
    return changed, answers


_MIRRORED_COLUMNS = (0, 1, 2, 3, 4, 7, 8, 5, 6, 9, 10, 13, 14, 11, 12)
"""Right and left eye, and right and left corner of the mouth, change places."""

_X_COLUMNS = np.isin(np.arange(NUMBERS), (1, 5, 7, 9, 11, 13))


def mirror_answers(answers: Any) -> Any:
    """Turn answers `(n, cells, 15)` into those for the mirrored pictures."""
    import tensorflow as tf

    grids, start = [], 0
    for stride in STRIDES:
        side = SIDE // stride
        grid = answers[:, start : start + side * side]
        start += side * side
        grid = tf.reshape(grid, (-1, side, side, NUMBERS))[:, :, ::-1]
        grids.append(tf.reshape(grid, (-1, side * side, NUMBERS)))
    mirrored = tf.gather(tf.concat(grids, axis=1), _MIRRORED_COLUMNS, axis=2)
    return tf.where(_X_COLUMNS, 1 - mirrored, mirrored)
