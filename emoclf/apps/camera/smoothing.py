"""Steady the answers: a face's probabilities are averaged over the last moments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emoclf.images.faces import measure_overlap
from emoclf.inference import FacePrediction, Prediction, UncertaintyRule, find_most_probable

_MIN_OVERLAP = 0.3
"""A face that covers less of a known one than this share is another face."""

_FORGET_AFTER_SECONDS = 0.7


@dataclass(frozen=True)
class _Track:
    face: FacePrediction
    seconds: float


class AnswerSmoother:
    """Averages the probabilities of each face over time, older moments counting less.

    Exponential smoothing: after one half-life, what was seen before counts half.

    Args:
        half_life_seconds: The half-life; 0 takes every answer as it is.
        rule: When an answer is "uncertain"; None answers with a class always.
    """

    def __init__(
        self, *, half_life_seconds: float = 0.3, rule: UncertaintyRule | None = None
    ) -> None:
        """Start without any known face."""
        if half_life_seconds < 0:
            raise ValueError(f"half_life_seconds={half_life_seconds} should be 0 or more.")
        self.half_life_seconds = half_life_seconds
        self.rule = rule
        self._tracks: list[_Track] = []

    def smooth(self, prediction: Prediction, *, seconds: float) -> Prediction:
        """Average an answer with what was answered for the same faces before.

        Args:
            prediction: The answer for one frame.
            seconds: When the frame was taken; may not fall.

        Returns:
            The answer with averaged probabilities, and answers that follow from them.
        """
        known = [t for t in self._tracks if seconds - t.seconds <= _FORGET_AFTER_SECONDS]
        tracks = []
        for face in prediction.faces:
            match = _find_match(face, known)
            if match is not None:
                known.remove(match)
                face = self._average(match, face, seconds)
            tracks.append(_Track(face, seconds))
        self._tracks = tracks + known
        faces = tuple(track.face for track in tracks)
        if not faces:
            return prediction
        return replace(prediction, faces=faces)

    def _average(self, track: _Track, face: FacePrediction, seconds: float) -> FacePrediction:
        weight = 1.0
        if self.half_life_seconds:
            weight = 1 - 0.5 ** ((seconds - track.seconds) / self.half_life_seconds)
        before = track.face
        shares = {
            name: (1 - weight) * before.probabilities[name] + weight * value
            for name, value in face.probabilities.items()
        }
        neither = face.neither
        if neither is not None and before.neither is not None:
            neither = (1 - weight) * before.neither + weight * neither
        answer = self.rule.decide(shares, neither) if self.rule else find_most_probable(shares)
        return replace(face, probabilities=shares, neither=neither, answer=answer)


def _find_match(face: FacePrediction, tracks: list[_Track]) -> _Track | None:
    """Return the known face that covers this one most, if it covers enough of it."""
    best = max(tracks, key=lambda t: measure_overlap(t.face.box, face.box), default=None)
    if best is None or measure_overlap(best.face.box, face.box) < _MIN_OVERLAP:
        return None
    return best
