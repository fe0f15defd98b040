"""One sitting before a camera: faces are tracked, every frame gets a smoothed prediction."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from emoclf.apps.camera.frames import Frame
from emoclf.images.faces import Face, FaceDetector, YuNetDetector, import_opencv, measure_overlap
from emoclf.inference import (
    FacePrediction,
    Prediction,
    Predictor,
    UncertaintyRule,
    find_most_probable,
)
from emoclf.inference.annotation import annotate_photo

CONSENT = (
    "Show your own face, or one whose owner agrees. The pictures are processed on this machine "
    "and not kept. An expression is not a feeling."
)
"""What is said wherever a camera opens."""

_RATE_FRAMES = 30
_INK, _EDGE = (255, 255, 255), (0, 0, 0)
_MIN_OVERLAP = 0.3
"""A face that covers less of a known one than this is another face."""

_FORGET_AFTER_SECONDS = 0.7


class FaceTracker:
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
        self.name, self.description, self.note = detector.name, detector.description, detector.note
        self._detector, self._every = detector, every
        self._known: tuple[Face, ...] = ()
        self._age = 0

    def find(self, image: np.ndarray) -> tuple[Face, ...]:
        """Find the faces in the next frame, uint8 RGB `(height, width, 3)`; the largest first."""
        tracked = self._track(image)
        self._age = 1 if tracked is None else self._age + 1
        self._known = self._detector.find(image) if tracked is None else tracked
        return self._known

    def _track(self, image: np.ndarray) -> tuple[Face, ...] | None:
        """Return the known faces in their new places; None where all has to be searched."""
        detector = self._detector
        if not (self._known and self._age < self._every and isinstance(detector, YuNetDetector)):
            return None
        found = [detector.follow(face, image) for face in self._known]
        return None if None in found else tuple(face for face in found if face)


class PredictionSmoother:
    """Averages the probabilities of each face over time, older moments counting less.

    Exponential smoothing: after one half-life, what was predicted before counts half.

    Args:
        half_life_seconds: The half-life; 0 takes every prediction as it is.
        rule: When the prediction for a whole photo is "uncertain"; None predicts a class always.
        face_rule: Likewise for a face.
    """

    def __init__(
        self,
        *,
        half_life_seconds: float = 0.3,
        rule: UncertaintyRule | None = None,
        face_rule: UncertaintyRule | None = None,
    ) -> None:
        """Start without any known face."""
        if half_life_seconds < 0:
            raise ValueError(f"half_life_seconds={half_life_seconds} should be 0 or more.")
        self._half_life_seconds = half_life_seconds
        self._rule, self._face_rule = rule, face_rule
        self._known: list[tuple[FacePrediction, float]] = []

    def smooth(self, prediction: Prediction, *, seconds: float) -> Prediction:
        """Average a prediction with what was predicted for the same faces before.

        Args:
            prediction: For one frame.
            seconds: When the frame was taken; may not fall.

        Returns:
            The prediction with averaged probabilities, and classes that follow from them.
        """
        known = [each for each in self._known if seconds - each[1] <= _FORGET_AFTER_SECONDS]
        faces = []
        for face in prediction.all:
            alike = [each for each in known if each[0].is_whole_photo == face.is_whole_photo]
            match = max(alike, key=lambda k: measure_overlap(k[0].box, face.box), default=None)
            if match is not None and measure_overlap(match[0].box, face.box) >= _MIN_OVERLAP:
                known.remove(match)
                face = self._average(match[0], face, seconds - match[1])
            faces.append(face)
        self._known = [(face, seconds) for face in faces] + known
        return prediction.with_all(faces) if faces else prediction

    def _average(self, old: FacePrediction, now: FacePrediction, seconds: float) -> FacePrediction:
        half_life = self._half_life_seconds
        weight = 1 - 0.5 ** (seconds / half_life) if half_life else 1.0
        probabilities = {
            name: (1 - weight) * old.probabilities[name] + weight * value
            for name, value in now.probabilities.items()
        }
        neither = now.neither
        if neither is not None and old.neither is not None:
            neither = (1 - weight) * old.neither + weight * neither
        rule = self._rule if now.is_whole_photo else self._face_rule
        answer = rule.decide(probabilities, neither) if rule else find_most_probable(probabilities)
        return replace(now, probabilities=probabilities, neither=neither, answer=answer)


class LivePrediction(NamedTuple):
    """What was predicted for one frame.

    Attributes:
        frame: The frame.
        prediction: The smoothed prediction.
        frames_per_second: How many frames per second are predicted, over the last 30.
        milliseconds: What finding the faces and predicting took.
    """

    frame: Frame
    prediction: Prediction
    frames_per_second: float
    milliseconds: float

    def draw(self) -> np.ndarray:
        """Draw the prediction and the frames per second onto a copy of the frame, uint8 RGB."""
        cv2, picture = import_opencv(), annotate_photo(self.frame.pixels, self.prediction)
        text, place = f"{self.frames_per_second:.0f} frames/s", (8, picture.shape[0] - 10)
        for colour, thickness in ((_EDGE, 3), (_INK, 1)):
            cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness)
        return picture


class LiveSession:
    """Predicts frame after frame, tracking faces and smoothing their probabilities.

    Args:
        predictor: What predicts: the packaged network, or one of yours.
        detect_every: Search the whole frame for faces at least this often, in frames.
        half_life_seconds: How slowly the shown probabilities follow; 0 not smoothed.

    Attributes:
        detector: What finds the faces; None where the network takes whole photos.

    Raises:
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
    """

    def __init__(
        self, predictor: Predictor, *, detect_every: int = 5, half_life_seconds: float = 0.3
    ) -> None:
        """Prepare everything that the first frame would have to wait for."""
        model, info, rule = predictor.model, predictor.info, predictor.rule
        self.detector: FaceTracker | None = None
        if info.crop != "none":
            self.detector = FaceTracker(predictor.detector, every=detect_every)
        self._predictor = Predictor(model, info, detector=self.detector, rule=rule)
        self._smoother = PredictionSmoother(
            half_life_seconds=half_life_seconds, rule=rule, face_rule=predictor.face_rule
        )
        self._ends: deque[float] = deque(maxlen=_RATE_FRAMES + 1)

    def predict(self, frame: Frame) -> LivePrediction:
        """Predict the next frame, taken after all frames before it."""
        start = time.perf_counter()
        found = self._predictor.predict(frame.pixels)
        smoothed = self._smoother.smooth(found, seconds=frame.seconds)  # type: ignore[arg-type]
        self._ends.append(time.perf_counter())
        span = self._ends[-1] - self._ends[0]
        rate = (len(self._ends) - 1) / span if span > 0 else 0.0
        return LivePrediction(frame, smoothed, rate, 1000 * (self._ends[-1] - start))
