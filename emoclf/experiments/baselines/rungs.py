"""The rungs of the ladder, from the simplest rule to the network that has seen most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from emoclf.evaluation import Evaluation

RungName = Literal[
    "majority", "brightness", "colours", "pixels", "network", "face_features", "fine_tuned"
]
"""Every rung, from the lowest to the highest."""

RUNG_NAMES: tuple[RungName, ...] = get_args(RungName)

LIGHT_RUNGS: tuple[RungName, ...] = ("brightness", "colours")
"""The rungs that know nothing but light and colour."""

FACE_RUNGS: tuple[RungName, ...] = ("face_features", "fine_tuned")
"""The rungs that look at faces, and at the whole photo where none is found."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one rung answers, and what it took.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        seconds: How long it learned, decoding left out; None where that is not known, because it
            was trained before.
        note: What validation chose, and other things to know, in words.
        without_face: Test photos in which no face was found and the whole photo was shown; None
            for a rung that looks at whole photos anyway.
    """

    probabilities: np.ndarray
    seconds: float | None
    note: str
    without_face: int | None = None


@dataclass(frozen=True, eq=False)
class Rung:
    """One rung: what it is and how it does on the test photos.

    Attributes:
        name: Which rung.
        title: The same for readers, such as `"mean colours"`.
        evaluation: Its numbers.
        answers: What it answered and what that took.
    """

    name: RungName
    title: str
    evaluation: Evaluation
    answers: Answers
