"""One sitting before a camera: every frame gets a smoothed answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from emoclf.apps.camera.following import FaceFollower
from emoclf.apps.camera.frames import Frame
from emoclf.apps.camera.smoothing import AnswerSmoother
from emoclf.inference import Prediction, Predictor
from emoclf.inference.annotation import annotate_photo

CONSENT = (
    "Show your own face, or one whose owner agrees. The pictures are processed on this machine "
    "and not kept. An expression is not a feeling."
)
"""What is said wherever a camera opens."""

_RATE_FRAMES = 30


@dataclass(frozen=True, eq=False)
class LiveAnswer:
    """What was answered for one frame.

    Attributes:
        frame: The frame.
        prediction: The smoothed answer.
        frames_per_second: How many frames per second are answered, over the last 30.
        milliseconds: What finding the faces and answering took.
    """

    frame: Frame
    prediction: Prediction
    frames_per_second: float
    milliseconds: float

    def draw(self) -> np.ndarray:
        """Draw the answer onto the frame.

        Returns:
            uint8 RGB `(height, width, 3)`, 0 to 255; a new picture.
        """
        return annotate_photo(self.frame.pixels, self.prediction)


class LiveSession:
    """Answers frame after frame, following faces and smoothing their probabilities.

    Args:
        predictor: Who answers: the packaged network, or one of yours.
        detect_every: Search the whole frame for faces at least this often, in frames.
        half_life_seconds: How slowly the shown probabilities follow; 0 not smoothed.

    Raises:
        FaceDetectorUnavailableError: If faces have to be found and there is no detector here.
    """

    def __init__(
        self, predictor: Predictor, *, detect_every: int = 5, half_life_seconds: float = 0.3
    ) -> None:
        """Prepare everything that the first frame would have to wait for."""
        self.detector: FaceFollower | None = None
        if predictor.info.crop == "face":
            self.detector = FaceFollower(predictor.detector, every=detect_every)
        self._predictor = Predictor(
            predictor.model, predictor.info, detector=self.detector, rule=predictor.rule
        )
        self._smoother = AnswerSmoother(half_life_seconds=half_life_seconds, rule=predictor.rule)
        self._ends: deque[float] = deque(maxlen=_RATE_FRAMES + 1)

    def answer(self, frame: Frame) -> LiveAnswer:
        """Answer the next frame.

        Args:
            frame: Taken after all frames before it.

        Returns:
            The answer.
        """
        start = time.perf_counter()
        found = self._predictor.predict(frame.pixels)
        smoothed = self._smoother.smooth(found, seconds=frame.seconds)  # type: ignore[arg-type]
        end = time.perf_counter()
        self._ends.append(end)
        span = self._ends[-1] - self._ends[0]
        rate = (len(self._ends) - 1) / span if span > 0 else 0.0
        return LiveAnswer(frame, smoothed, rate, 1000 * (end - start))

    def answer_each(self, frames: Iterable[Frame]) -> Iterator[LiveAnswer]:
        """Answer frames as they come.

        Args:
            frames: From `open_camera` or `read_video`, or a list for a test.

        Yields:
            One answer per frame.
        """
        for frame in frames:
            yield self.answer(frame)
