"""A photo and its faces on one sheet: what a network gets that looks at both.

The photo is on top, 224 x 224 pixels on a grey ground. Below it are up to eight faces, the largest
first, cut out by `crop_face`; beside them, for each face, a square whose brightness says how large
the face is in the photo: black where there is none. A sheet is a picture like any other, so all
that works with pictures, such as caches, batches and maps, works with sheets, and can be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from emoclf.config import FACE_SIZE, SCENE_SIZE, SHEET_SIZE

MAX_FACES = 8
"""The largest faces of a photo that a sheet shows; more bring nothing (measured up to 30)."""

_PER_ROW = 4
_MARK = FACE_SIZE[0] // _PER_ROW
"""Side of the square that tells a face's size: those of a row of faces stand in a column."""


class SheetParts(NamedTuple):
    """What is on some sheets.

    Attributes:
        scenes: uint8 RGB `(sheets, 224, 224, 3)`: the whole photos.
        faces: uint8 RGB `(sheets, 8, 48, 48, 3)`: the largest face of each first.
        sizes: float32 `(sheets, 8)`: root of each face's fraction of the photo, 0 to 1; 0 where
            there is no face.
    """

    scenes: Any
    faces: Any
    sizes: Any


def make_sheet(scene: np.ndarray, faces: Sequence[np.ndarray], sizes: np.ndarray) -> np.ndarray:
    """Put a photo and its faces on a sheet.

    Args:
        scene: uint8 RGB `(224, 224, 3)`: the whole photo.
        faces: uint8 RGB `(48, 48, 3)` each, the largest first; those after the eighth have no
            place.
        sizes: float `(faces,)`: root of each face's fraction of the photo, 0 to 1.

    Returns:
        uint8 RGB `(320, 224, 3)`, 0 to 255.
    """
    sheet = np.zeros((*SHEET_SIZE, 3), dtype=np.uint8)
    sheet[: SCENE_SIZE[0]] = scene
    for place, (face, size) in enumerate(zip(faces[:MAX_FACES], sizes, strict=False)):
        sheet[place_face(place)] = face
        sheet[_place_mark(place)] = int(np.clip(round(255 * size), 1, 255))
    return sheet


def place_face(place: int) -> tuple[slice, slice]:
    """Return the rows and columns of a sheet that show a face, counted from 0, the largest."""
    top = SCENE_SIZE[0] + place // _PER_ROW * FACE_SIZE[0]
    left = place % _PER_ROW * FACE_SIZE[1]
    return slice(top, top + FACE_SIZE[0]), slice(left, left + FACE_SIZE[1])


def _place_mark(place: int) -> tuple[slice, slice]:
    top = SCENE_SIZE[0] + place // _PER_ROW * FACE_SIZE[0] + place % _PER_ROW * _MARK
    left = _PER_ROW * FACE_SIZE[1]
    return slice(top, top + _MARK), slice(left, left + _MARK)


def cut_sheets(sheets: Any, xp: Any = np) -> SheetParts:
    """Cut sheets into photos, faces and the sizes of the faces.

    Args:
        sheets: uint8 RGB `(sheets, 320, 224, 3)`; or a tensor of Keras.
        xp: `numpy`, or `keras.ops` for a tensor.

    Returns:
        The parts.
    """
    faces, sizes = [], []
    for place in range(MAX_FACES):
        rows, columns = place_face(place)
        faces.append(sheets[:, rows, columns])
        rows, columns = _place_mark(place)
        middle = rows.start + _MARK // 2, columns.start + _MARK // 2
        sizes.append(sheets[:, middle[0], middle[1], 0])
    return SheetParts(
        sheets[:, : SCENE_SIZE[0]], xp.stack(faces, axis=1), xp.stack(sizes, axis=1) / 255
    )
