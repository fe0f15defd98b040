"""One file becomes one block of pixels: the whole photo, or the largest face cut out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from emoclf.config import Crop, ResizeMode, WithoutFace
from emoclf.images import load_image, load_resized, resize_image
from emoclf.images.faces import FaceDetector, crop_face, make_detector

CROP_FORMAT = 1
"""Raise it when the same face comes out of `crop_face` otherwise: old caches are then made anew."""


@dataclass(frozen=True)
class Preparation:
    """How every file of a data set is prepared.

    Attributes:
        image_size: `(height, width)` in pixels of the result.
        resize_mode: How a whole photo becomes that size.
        detector: What finds the faces to cut out; None keeps whole photos.
        without_face: What becomes of a photo without a face.
    """

    image_size: tuple[int, int]
    resize_mode: ResizeMode
    detector: FaceDetector | None
    without_face: WithoutFace

    @classmethod
    def choose(
        cls,
        crop: Crop,
        detector: FaceDetector | None,
        *,
        image_size: tuple[int, int],
        resize_mode: ResizeMode,
        without_face: WithoutFace,
    ) -> Preparation:
        """Check the choices and make a detector where one is needed and none is given.

        Raises:
            ValueError: If `crop` or `without_face` is unknown.
            FaceDetectorUnavailableError: If faces are asked for and there is no detector.
        """
        for name, value, choices in (
            ("crop", crop, get_args(Crop)),
            ("without_face", without_face, get_args(WithoutFace)),
        ):
            if value not in choices:
                raise ValueError(f"{name}={value!r} should be one of {choices}.")
        finder = (detector or make_detector()) if crop == "face" else None
        return cls(image_size, resize_mode, finder, without_face)

    def prepare(self, path: Path) -> tuple[np.ndarray, bool]:
        """Decode one file.

        Args:
            path: The file.

        Returns:
            uint8 RGB `(height, width, 3)`, 0 to 255, and whether it shows what was asked for: False
            for the whole photo in place of a face that was not found.
        """
        if self.detector is None:
            return load_resized(path, self.image_size, mode=self.resize_mode), True
        photo = load_image(path)
        faces = self.detector.find(photo)
        if faces:
            return crop_face(photo, faces[0], size=self.image_size), True
        return resize_image(photo, self.image_size, mode=self.resize_mode), False

    def list_facts(self) -> list[Any]:
        """Return all that decides about the pixels, to tell one cache on disk from another."""
        facts: list[Any] = [self.image_size, self.resize_mode]
        if self.detector is not None:
            facts += ["face", CROP_FORMAT, self.detector.description, self.without_face]
        return facts
