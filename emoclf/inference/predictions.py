"""What is predicted for one face and for one photo, and when that is "uncertain"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from emoclf.display import Displayed
from emoclf.untrusted import show_text

UNCERTAIN = "uncertain"
"""Predicted for a face of which a network with an `UncertaintyRule` should not decide."""


@dataclass(frozen=True)
class UncertaintyRule:
    """When a network that may say so predicts "uncertain".

    Attributes:
        uncertain_below: The largest probability of a class must reach this, 0 to 1.
        neither_above: The probability of everything that is none of the classes must not be
            larger than this, 0 to 1; 1 where the network does not tell it.
    """

    uncertain_below: float
    neither_above: float = 1

    def decide(self, probabilities: Mapping[str, float], neither: float | None) -> str:
        """Return the most probable class of one face, or `UNCERTAIN`; `neither` may be unknown."""
        is_unclear = max(probabilities.values()) < self.uncertain_below
        is_neither = neither is not None and neither > self.neither_above
        return UNCERTAIN if is_unclear or is_neither else find_most_probable(probabilities)

    def describe(self) -> str:
        """Say in words when it is uncertain."""
        text = f"no probability reaches {self.uncertain_below:.0%}"
        if self.neither_above < 1:
            text += f", or that of neither is above {self.neither_above:.0%}"
        return text


@dataclass(frozen=True)
class FacePrediction:
    """What is predicted for one face.

    Attributes:
        box: `(left, top, width, height)` in pixels of the upright photo; it may reach past the
            border.
        probabilities: Class name to probability, 0 to 1; of the packaged network calibrated, and
            given that the face is one of the classes.
        answer: The prediction: the most probable class; `"uncertain"` where the network has an
            `UncertaintyRule` that says so. The packaged network has one: see `Predictor.rule`. A
            network of your own has none and always names a class.
        neither: Probability that the face is none of the classes, 0 to 1; None where the network
            does not tell.
        detection_score: How sure the detector is that this is a face, 0 to 1; None for a whole
            photo.
        is_whole_photo: Whether the network got the whole photo: because it learnt from whole
            photos, or because no face was found and whole photos are allowed.
    """

    box: tuple[float, float, float, float]
    probabilities: dict[str, float]
    answer: str
    neither: float | None = None
    detection_score: float | None = None
    is_whole_photo: bool = False

    @property
    def class_name(self) -> str:
        """The most probable class, however uncertain."""
        return find_most_probable(self.probabilities)

    def __str__(self) -> str:
        """Return for example `Happy (Sad 4%, Happy 96%, neither 1%)`."""
        shares = [f"{name} {value:.0%}" for name, value in self.probabilities.items()]
        if self.neither is not None:
            shares.append(f"neither {self.neither:.0%}")
        return f"{self.answer} ({', '.join(shares)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as a dictionary that JSON can hold."""
        names = ("left", "top", "width", "height")
        box = {name: round(value, 1) for name, value in zip(names, self.box, strict=True)}
        return {**asdict(self), "box": box}


@dataclass(frozen=True)
class Prediction(Displayed):
    """What is predicted for one photo.

    Attributes:
        file: The path of the photo; None for a picture without one.
        problem: Why the photo could not be read, else None.
        faces: The prediction for each face, the largest first. A network of whole photos gives
            one, whose box is the photo.
        photo: The prediction for the photo as a whole, by faces and scene, of a network that looks
            at both; else None.
        note: What to know about it, for example that no face was found and what to do; else None.
        detector: Which face detector looked at the photo; None when none did.
    """

    file: str | None = None
    problem: str | None = None
    faces: tuple[FacePrediction, ...] = ()
    photo: FacePrediction | None = None
    note: str | None = None
    detector: str | None = None

    @property
    def all(self) -> tuple[FacePrediction, ...]:
        """The prediction for the photo as a whole, where there is one, then those for its faces."""
        return (*([self.photo] if self.photo else []), *self.faces)

    def with_all(self, answers: Iterable[FacePrediction]) -> Prediction:
        """Return the same with other answers, as many as `all` holds and in its order."""
        found = list(answers)
        photo = found.pop(0) if self.photo else None
        return replace(self, photo=photo, faces=tuple(found))

    @property
    def main(self) -> FacePrediction | None:
        """The prediction for the photo as a whole, else for its largest face; None without any."""
        return next(iter(self.all), None)

    @property
    def class_name(self) -> str | None:
        """The most probable class of `main`, however uncertain; None without it."""
        return self.main.class_name if self.main else None

    @property
    def answer(self) -> str | None:
        """A class or "uncertain", of `main`; None without it."""
        return self.main.answer if self.main else None

    @property
    def probabilities(self) -> dict[str, float]:
        """Class name to probability, 0 to 1, of `main`; empty without it."""
        return self.main.probabilities if self.main else {}

    def blocks(self) -> list[str]:
        """Return one sentence, for example `sunny.jpg: Happy (Sad 4%, Happy 96%)`."""
        name = f"{show_text(self.file)}: " if self.file else ""
        if self.problem:
            return [f"{name}not read. {self.problem}"]
        if not self.main:
            return [f"{name}{self.note}"]
        whole = [f"{self.photo}"] if self.photo else []
        count = f"{len(self.faces)} faces, the largest first: " if len(self.faces) > 1 else ""
        note = f". {self.note}" if self.note else ""
        found = [f"{count}{'; '.join(map(str, self.faces))}"] if self.faces else []
        return [f"{name}{' | '.join([*whole, *found])}{note}"]

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as a dictionary that JSON can hold."""
        largest = {"answer": self.answer, "probabilities": self.probabilities}
        faces = [face.to_dict() for face in self.faces]
        photo = self.photo.to_dict() if self.photo else None
        return {"file": self.file, **largest, **asdict(self), "faces": faces, "photo": photo}


def find_most_probable(probabilities: Mapping[str, float]) -> str:
    """Return the class with the largest probability; of equal ones the first."""
    return max(probabilities, key=lambda name: probabilities[name])
