"""The baselines of the baselines, from the simplest rule to the network that has seen most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from emoclf.config import BaselineName
from emoclf.evaluation import Evaluation

BASELINE_NAMES: tuple[BaselineName, ...] = get_args(BaselineName)

LIGHT_BASELINES: tuple[BaselineName, ...] = ("brightness", "colours")
"""The baselines that know nothing but light and colour."""

FACE_BASELINES: tuple[BaselineName, ...] = ("face_features", "fine_tuned")
"""The baselines that look at faces, and at the whole photo where none is found."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one baseline answers, and what it took.

    Attributes:
        probabilities: float64 `(test photos, classes)`, rows sum to 1.
        seconds: How long it learned, decoding left out; None where that is not known, because it
            was trained before.
        note: What validation chose, and other things to know, in words.
        without_face: Test photos in which no face was found and the whole photo was shown; None
            for a baseline that looks at whole photos anyway.
    """

    probabilities: np.ndarray
    seconds: float | None
    note: str
    without_face: int | None = None


@dataclass(frozen=True, eq=False)
class Baseline:
    """One baseline: what it is and how it does on the test photos.

    Attributes:
        name: Which baseline.
        title: The same for readers, such as `"mean colours"`.
        evaluation: Its numbers.
        answers: What it answered and what that took.
    """

    name: BaselineName
    title: str
    evaluation: Evaluation
    answers: Answers
