"""Keep hold of faces between two searches of the whole frame."""

from __future__ import annotations

import numpy as np

from emoclf.images.faces import Face, FaceDetector, YuNetDetector


class FaceFollower:
    """A face detector for moving pictures: searches all of every k-th frame only.

    In between it looks for each known face near its last place, which YuNet does in a small
    patch for a fraction of the time. A face that is lost makes it search the whole frame again.
    Other detectors than YuNet search every frame.

    Args:
        detector: What searches.
        every: Search the whole frame at least this often, counted in frames.

    Attributes:
        name: The detector's name.
        description: The detector's description.
        note: The detector's note.
    """

    def __init__(self, detector: FaceDetector, *, every: int = 5) -> None:
        """Keep the detector; nothing is searched yet."""
        if every < 1:
            raise ValueError(f"every={every} should be 1 or more frames.")
        self.name = detector.name
        self.description = detector.description
        self.note = detector.note
        self.detector = detector
        self.every = every
        self._known: tuple[Face, ...] = ()
        self._age = 0

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the faces in the next frame.

        Args:
            image: uint8 RGB `(height, width, 3)`, 0 to 255.

        Returns:
            The faces, the largest first.
        """
        followed = self._follow(image)
        if followed is None:
            self._known, self._age = self.detector.find(image), 1
        else:
            self._known, self._age = followed, self._age + 1
        return self._known

    def _follow(self, image: np.ndarray) -> tuple[Face, ...] | None:
        """Return the known faces in their new places; None where all has to be searched."""
        if not self._known or self._age >= self.every:
            return None
        if not isinstance(self.detector, YuNetDetector):
            return None
        found = [self.detector.follow(face, image) for face in self._known]
        return None if None in found else tuple(face for face in found if face)
