"""YuNet, the small face detector of OpenCV's model zoo, through `cv2.FaceDetectorYN`.

YuNet finds faces of about 10 to 300 pixels, so a photo is looked at several times:

- At 640 pixels, for most faces, and at 192, for a face that fills the photo. Of 250 faces that
  fill it, 98 % are found at 192 pixels and 64 % at 640; of scraped sad photos, 66 % have a face at
  640 and 72 % at either.
- At 1280 pixels too where a small face was found, for the rest of the group (of 50 faces of 19
  pixels each, 99 % are found so, 85 % at 640), and in every large photo.
- At every found face, enlarged to 192 pixels, because YuNet sees the tilt of large faces only: for
  faces turned by 30 degrees it reports up to 3 at 16 to 90 pixels, but 17 to 25 from 160 on.

The packaged detector looks in the same way, but what it does not see again from close is dropped:
on 287 photos that takes two thirds of its boxes that YuNet has not, and 1 % of YuNet's faces.

A face that is upside down or on its side has a lower score and landmarks that look upright. So a
face that is not sure from close is looked at turned by quarters, and so is a photo without a sure
face. From close, upright faces score 0.93 in the median, the same faces upside down 0.88.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from emoclf.images.faces.cropping import cut_square, map_square, measure_roll
from emoclf.images.faces.face import (
    Box,
    Face,
    FaceDetectorUnavailableError,
    FaceModelError,
    check_image,
    import_opencv,
    measure_overlap,
    scale_to_side,
    silence_opencv,
    sort_faces,
)
from emoclf.images.faces.yunet_file import (
    PACKAGED_SHA256,
    PINNED_MODELS,
    YuNetFile,
    explain_remedy,
)
from emoclf.images.threads import Spares
from emoclf.untrusted import show_text

MIN_SCORE: float = 0.7
"""Boxes below this score are dropped: most of those show drawings, hands or nothing."""

_NEAR_SIDE, _NEAR_ENLARGEMENT = 640, 2.0
"""Longest side in pixels of the look from near, and how far it enlarges a small photo."""

_CROWD_SIDE, _SMALL_FACE = 1280, 32
"""Longest side of a further look, and below how many pixels at 640 a face calls for it."""

_FAR_SIDE = 192
"""Longest side in pixels of the look from afar, to which every photo is brought."""

_LARGE_SIDE = 2048
"""Above this longest side, a photo gets the further look in any case."""

_UPRIGHT_SCORE, _MAX_UNSURE = 0.91, 3
"""Below which score from close a face is looked at turned, too, and how many of one photo are."""

_TURNED_SCORE, _TURN_GAIN = 0.84, 0.02
"""How sure a turned look has to be, and how much surer than the upright one."""

_TURNED_SIDE = 320
"""Longest side in pixels of the turned looks at a photo in which no face is sure."""

_CLOSE_SIDE, _CLOSE_SHARE = 256, 0.75
"""Side in pixels of the square in which a found face is looked at again, and how much it fills."""

_MAX_OVERLAP = 0.3
"""Of two boxes that share more than this of their union, the one with the lower score goes."""

_STRIDE = 32
_MIN_CANVAS = 64
"""Below this, feature maps are one pixel high and OpenCV 4 reads past their end."""

_TRUSTED_SHA256 = frozenset({PACKAGED_SHA256, *(model.sha256 for model in PINNED_MODELS)})
"""Files that need no trial in another process."""

_PROBE = """
import sys
import cv2, numpy
content = numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8)
detector = cv2.FaceDetectorYN.create("onnx", content, content[:0], (64, 64))
detector.detect(numpy.zeros((64, 64, 3), numpy.uint8))
"""


class YuNetDetector:
    """Finds faces and five landmarks with YuNet; several threads may share it.

    Args:
        file: The model file, from `load_yunet_file`, or another of the same form.

    Attributes:
        file: As given.

    Raises:
        FaceDetectorUnavailableError: If this OpenCV is too old for it.
        FaceModelError: If the file is no YuNet model, is damaged, or is none for this OpenCV.
    """

    is_thread_safe = True

    def __init__(self, file: YuNetFile) -> None:
        """Load the network and try it once."""
        cv2 = import_opencv()
        if not hasattr(cv2, "FaceDetectorYN"):
            raise FaceDetectorUnavailableError(
                f"OpenCV {cv2.__version__} has no `FaceDetectorYN`. Install a newer one with "
                "`pip install --upgrade opencv-python`."
            )
        self.name, self.note = "emoclf's own detector" if file.is_packaged else "YuNet", file.note
        shown = show_text(file.path.name)
        self.description = f"{self.name} ({shown}) with OpenCV {cv2.__version__}."
        self.file = file
        if hashlib.sha256(file.content).hexdigest() not in _TRUSTED_SHA256:
            _try_in_another_process(file)
        self._networks = Spares(partial(_load_network, file))

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the faces in a photo.

        Args:
            image: uint8 RGB `(height, width, 3)`, 0 to 255.

        Returns:
            The faces with a score of at least `MIN_SCORE`, the largest first, with landmarks.

        Raises:
            FaceModelError: If OpenCV fails at this photo's size with this model file.
        """
        check_image(image)
        base = scale_to_side(image, _CROWD_SIDE, max_enlargement=1.0)
        rows = self._scan(base, image)
        look = cache(partial(self._look_close, image))
        faces = self._settle(rows, image, look)
        turns = {_count_turns(face) for face in faces[:1]} - {0}
        if not turns and all(face.score < _TURNED_SCORE for face in faces):
            turns = self._find_turns(base)
        if turns:
            scans = [self._scan(base, image, turns=each) for each in turns]
            faces = self._settle(np.concatenate([rows, *scans]), image, look)
        return faces

    def follow(self, face: Face, image: np.ndarray) -> Face | None:
        """Find a known face again near its place, in a small patch: in the next frame, say.

        Args:
            face: Where it was.
            image: As for `find`.

        Returns:
            The face where it is now, or None when it is not seen there.
        """
        return self._look_close(image, face.box, _count_turns(face))

    def _settle(
        self, rows: np.ndarray, image: np.ndarray, look: Callable[[Box, int], Face | None]
    ) -> tuple[Face, ...]:
        """Turn rows into faces seen from close, the largest first; look at some turned, too."""
        faces, unsure = [], 0
        for face in sort_faces(_drop_doubles(rows), image):
            turns = _count_turns(face)
            best = look(face.box, turns) or face
            if best.score < _UPRIGHT_SCORE and unsure < _MAX_UNSURE:
                unsure += 1
                needed = max(_TURNED_SCORE, best.score + _TURN_GAIN)
                others = [look(face.box, (turns + step) % 4) for step in (1, 2, 3)]
                surer = [each for each in others if each is not None and each.score > needed]
                best = max(surer, key=lambda each: each.score, default=best)
            if best is not face or not self.file.is_packaged:
                faces.append(replace(best, score=face.score))
        return sort_faces(faces, image)

    def _find_turns(self, base: np.ndarray) -> set[int]:
        """Return by how many quarters a photo without a sure face is turned, where that is sure."""
        small = scale_to_side(base, _TURNED_SIDE, max_enlargement=_NEAR_ENLARGEMENT)
        seen = {each: self._look(np.ascontiguousarray(np.rot90(small, each))) for each in (1, 2, 3)}
        scores = {each: rows[:, 14].max(initial=0) for each, rows in seen.items()}
        surest = max(scores, key=lambda each: scores[each])
        return {surest} if scores[surest] >= _TURNED_SCORE else set()

    def _look_close(self, image: np.ndarray, box: Box, turns: int) -> Face | None:
        """Find a known face in its patch, which is cut out turned by quarters clockwise."""
        left, top, width, height = box
        side = math.sqrt(width * height) / _CLOSE_SHARE
        centre = (left + width / 2, top + height / 2)
        size, roll = (_CLOSE_SIDE, _CLOSE_SIDE), turns * math.pi / 2
        patch = cut_square(image, centre, side=side, size=size, roll=roll)
        rows = _map_rows(self._look(patch), map_square(centre, side=side, size=size, roll=roll))
        seen = [each for each in map(_make_face, rows) if measure_overlap(each.box, box) > 0.5]
        return max(seen, key=lambda each: each.score, default=None)

    def _scan(self, base: np.ndarray, image: np.ndarray, *, turns: int = 0) -> np.ndarray:
        """Return rows (n, 15) of the whole photo, looked at after turning it by quarters."""
        turned = np.ascontiguousarray(np.rot90(base, turns))
        near = scale_to_side(turned, _NEAR_SIDE, max_enlargement=_NEAR_ENLARGEMENT)
        smaller = near if near.size < turned.size else turned
        views = [near, scale_to_side(smaller, _FAR_SIDE, max_enlargement=_FAR_SIDE)]
        found = [_map_rows(self._look(view), _map_view(view, image, turns)) for view in views]
        longest = max(image.shape)
        has_small = _has_small_faces(np.concatenate(found), longest)
        if longest > _LARGE_SIDE or (longest > _NEAR_SIDE and has_small):
            found.append(_map_rows(self._look(turned), _map_view(turned, image, turns)))
        return np.concatenate(found)

    def _look(self, picture: np.ndarray) -> np.ndarray:
        """Return YuNet's float32 rows (n, 15), box, landmarks, score, in pixels of `picture`."""
        cv2 = import_opencv()
        height, width = picture.shape[:2]
        canvas = cv2.copyMakeBorder(
            cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
            *(0, _pad_side(height) - height, 0, _pad_side(width) - width),
            cv2.BORDER_CONSTANT,
        )
        try:
            with self._networks.borrow() as network:
                found = _run(network, canvas)
        except cv2.error as error:
            raise _explain_unusable(self.file, _quote(error)) from error
        if found is None:
            return np.zeros((0, 15), dtype=np.float32)
        return found[np.isfinite(found).all(axis=1)]


def _map_view(view: np.ndarray, image: np.ndarray, turns: int) -> np.ndarray:
    """Return float64 `(2, 3)`: from a view, turned by `np.rot90`, to the photo, from the corner."""
    turn = map_square((0.5, 0.5), side=1, size=(1, 1), roll=turns * math.pi / 2)
    return np.diag(image.shape[1::-1]) @ turn / (*view.shape[1::-1], 1)


def _map_rows(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Bring YuNet's rows, found in a picture, to where `matrix` says that its points lie."""
    corners = np.stack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    marks = rows[:, 4:14].reshape(-1, 5, 2) @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    parts = [low, high - low, marks.reshape(-1, 10), rows[:, 14:]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _count_turns(face: Face) -> int:
    """Return by how many quarters clockwise a face is turned, 0 to 3."""
    return round(measure_roll(face) / 90) % 4


def _pad_side(side: int) -> int:
    """Return the next length that the network's strides divide."""
    return max(_MIN_CANVAS, -(-side // _STRIDE) * _STRIDE)


def _has_small_faces(rows: np.ndarray, longest_side: int) -> bool:
    """Tell whether a face is so small at 640 pixels that there may be more, not seen."""
    sides = np.sqrt(np.maximum(rows[:, 2] * rows[:, 3], 0)) * _NEAR_SIDE / longest_side
    return bool((sides < _SMALL_FACE).any())


def _drop_doubles(rows: np.ndarray) -> list[Face]:
    """Turn YuNet's rows into faces, of overlapping ones only the surest."""
    if not len(rows):
        return []
    cv2 = import_opencv()
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), MIN_SCORE, _MAX_OVERLAP)
    return [_make_face(row) for row in rows[np.asarray(kept, dtype=int).ravel()]]


def _make_face(row: np.ndarray) -> Face:
    """Turn one of YuNet's rows into a face."""
    score, landmarks = float(np.clip(row[14], 0, 1)), row[4:14].reshape(5, 2).copy()
    return Face(tuple(row[:4].tolist()), score, landmarks)


def _load_network(file: YuNetFile) -> Any:
    """Return OpenCV's detector for a model file, tried on black pictures of two sizes."""
    cv2 = import_opencv()
    content = np.frombuffer(file.content, dtype=np.uint8)
    try:
        with silence_opencv():
            network = cv2.FaceDetectorYN.create(
                "onnx", content, content[:0], (_MIN_CANVAS, _MIN_CANVAS), MIN_SCORE, _MAX_OVERLAP
            )
            for width in (_MIN_CANVAS, _MIN_CANVAS + _STRIDE):
                _run(network, np.zeros((_MIN_CANVAS, width, 3), dtype=np.uint8))
    except cv2.error as error:
        raise _explain_unusable(file, _quote(error)) from error
    return network


def _run(network: Any, canvas: np.ndarray) -> np.ndarray | None:
    """Return what OpenCV's detector finds in a BGR picture, float32 rows (n, 15)."""
    network.setInputSize(canvas.shape[1::-1])
    return network.detect(canvas)[1]


def _quote(error: Exception) -> str:
    """Return what OpenCV says, without the place in its source; `err` may be of an older error."""
    return str(error).rpartition("error: ")[2]


def _try_in_another_process(file: YuNetFile) -> None:
    """Refuse a damaged file before it can take this process with it: some end the interpreter."""
    import subprocess  # not needed for the pinned file

    try:
        tried = subprocess.run(
            [sys.executable, "-c", _PROBE],
            input=file.content,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _explain_unusable(file, "OpenCV did not load it within 60 seconds") from error
    if tried.returncode:
        lines = tried.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines and tried.returncode > 0 else f"crashed ({tried.returncode})"
        raise _explain_unusable(file, said)


def _explain_unusable(file: YuNetFile, said: str) -> FaceModelError:
    """Say that a file is no YuNet model for this OpenCV."""
    return FaceModelError(
        f"{str(file.path)!r} is no YuNet model that OpenCV {import_opencv().__version__} can use "
        f"({len(file.content):,} bytes; OpenCV says: {show_text(' '.join(said.split())[:200])}). "
        f"Expected an ONNX file such as {PINNED_MODELS[0].name}. {explain_remedy()}"
    )
