"""The lesson's five exercises, checked: right, or what is missing and where to look.

A learner's answer may be anything. Whatever it is or does, it gets a sentence.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from emoclf.config import CLASS_NAMES
from emoclf.display import Displayed
from emoclf.untrusted import show_text

PHOTO_GROUPS = (0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7)
"""Exercise 1: the duplicate group of each photo."""

PHOTO_LABELS = (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1)
"""Exercise 1: the label of each photo."""

CONFUSION = ((52, 9), (14, 31))
"""Exercise 5: photos by true class (row) and prediction (column)."""

_PHOTO_SHAPE = (48, 48, 3)
_ROUNDING = 0.006
_WORDS = ("train", "test")


@dataclass(frozen=True, repr=False)
class ExerciseCheck(Displayed):
    """What is said of an answer; it shows itself as a sentence or two.

    Attributes:
        number: Number of the exercise.
        is_right: Whether the answer is right.
        text: Why that matters; or what is missing or wrong, without the solution.
    """

    number: int
    is_right: bool
    text: str

    def blocks(self) -> list[str]:
        """Return the verdict and its text."""
        verdict = "right" if self.is_right else "not yet"
        return [f"Exercise {self.number}: {verdict}. {self.text}"]

    __repr__ = Displayed.__str__


class _Exercise(NamedTuple):
    """The name of the answer, what is asked for, what finds a problem, and why it matters."""

    name: str
    task: str
    find_problem: Callable[[Any], str]
    lesson: str


def check_exercise(number: int, namespace: Mapping[str, object] | None = None) -> ExerciseCheck:
    """Check the answer to one of the lesson's exercises.

    Args:
        number: 1 split, 2 convolution, 3 number of weights, 4 regularisation, 5 recall.
        namespace: Where the answer is looked up by its name, such as `my_kernel`; default: the
            variables of the running notebook, or of the main program.

    Returns:
        Whether it is right, and a text that the notebook shows: why that matters, or what is
        missing.

    Raises:
        ValueError: If there is no such exercise.

    Example:
        >>> print(check_exercise(3, {"my_count": 24}))
        Exercise 3: not yet. 24 is the number of maps; count the weights that make them.
    """
    if number not in [*_EXERCISES]:
        raise ValueError(
            f"There is no exercise {show_text(number)}: give a number from 1 to {len(_EXERCISES)}."
        )
    name, task, find_problem, lesson = _EXERCISES[number]
    value = (_find_variables() if namespace is None else namespace).get(name)
    if value is None:
        return ExerciseCheck(number, False, f"There is no {name} yet: {task}")
    try:
        with warnings.catch_warnings(action="ignore"):
            problem = find_problem(value)
    except Exception as error:  # noqa: BLE001  what a learner wrote may raise anything
        problem = (
            f"{name} is {_name_type(value)}, and using it raised "
            f"{show_text(type(error).__name__)}. Asked for: {task}"
        )
    return ExerciseCheck(number, not problem, problem or lesson)


def _find_variables() -> Mapping[str, object]:
    """Return the notebook's variables; outside IPython, those of the main program."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return vars(sys.modules["__main__"]) if shell is None else shell.user_ns


def _name_type(value: object) -> str:
    return f"of type {show_text(type(value).__name__[:40])}"


def _find_problem_of_parts(parts: object) -> str:
    if not isinstance(parts, (list, tuple, np.ndarray)):
        return f"my_parts is {_name_type(parts)}; make it a list with a word for each photo."
    words = list(parts)
    if len(words) != len(PHOTO_GROUPS):
        return f"my_parts has {len(words)} entries, but there are {len(PHOTO_GROUPS)} photos."
    for word in words:
        if not isinstance(word, str) or word not in _WORDS:
            shown = repr(word[:20]) if isinstance(word, str) else f"something {_name_type(word)}"
            return f"my_parts holds {shown}; its words are 'train' and 'test'."
    return _find_problem_of_split(words)


def _find_problem_of_split(words: list[str]) -> str:
    tested = [photo for photo, word in enumerate(words) if word == "test"]
    if not tested:
        return "No photo is kept for the test, so nothing tells you what was learned."
    groups = [{PHOTO_GROUPS[row] for row, each in enumerate(words) if each == w} for w in _WORDS]
    if leaked := sorted(groups[0] & groups[1]):
        names = ", ".join(map(str, leaked))
        which = f"Group {names} lies" if len(leaked) == 1 else f"Groups {names} lie"
        return f"{which} in both parts: a leak. The test would show copies of trained photos."
    if len(tested) not in (3, 4):
        reason = "too few are left to learn from" if len(tested) > 4 else "too few to say anything"
        return f"The test gets {len(tested)} of 12 photos, {reason}; give it 3 or 4."
    classes = {PHOTO_LABELS[row] for row in tested}
    if len(classes) == 1:
        only = CLASS_NAMES[classes.pop()]
        return f"The test holds {only} photos only: always answering {only} would look perfect."
    return ""


def _find_problem_of_kernel(kernel: object) -> str:
    try:
        numbers = np.asarray(kernel)
    except ValueError:  # NumPy's word for rows of different lengths
        return "The rows of my_kernel differ in length; give three rows of three numbers."
    if numbers.shape != (3, 3):
        return f"my_kernel has the shape {numbers.shape}; give three rows of three numbers: (3, 3)."
    if numbers.dtype.kind not in "biuf":
        return "my_kernel holds something that is no number."
    numbers = numbers.astype(np.float64)
    if not np.isfinite(numbers).all():
        return "my_kernel holds nan or infinity; give ordinary numbers."
    if not numbers.any():
        return "my_kernel holds zeros only, so it answers 0 to everything."
    return _find_problem_of_answers(numbers / np.abs(numbers).max())


def _find_problem_of_answers(kernel: np.ndarray) -> str:
    """Lay the kernel on pictures that are even, bright above, and bright at the left."""
    bright_above = np.repeat([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], 6).reshape(6, 6)
    even, below, beside = (
        np.round(_convolve(picture, kernel), 6)
        for picture in (np.ones((3, 3)), bright_above, bright_above.T)
    )
    if even.any() and kernel.min() >= 0:
        return "This kernel blurs: it answers on even areas, too. Something has to be subtracted."
    if even.any():
        return "It answers on even areas, too. There, what it adds and subtracts should cancel out."
    if not below.any() and beside.any():
        return "It finds vertical edges, where left and right differ. Yours lie the other way."
    if not below.any():
        return "It answers on no straight edge. Compare what lies above with what lies below."
    if below.max() <= 0:
        return "It is upside down: its answer is negative where bright lies above dark."
    if below.min() < 0:
        return (
            "One edge gets positive and negative answers. Compare what lies above with what lies "
            "below, not the centre with its surroundings."
        )
    if np.abs(beside).max() > below.max() / 2:
        return "It answers to vertical edges, too. Treat left and right alike."
    return ""


def _convolve(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Slide a kernel over a picture, unturned and inside its borders, as Keras does."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, kernel.shape)
    return np.sum(windows * kernel, axis=(2, 3))


def _read_number(value: object) -> float | None:
    """Return a finite number of Python, of NumPy or of a tensor; None for anything else."""
    if isinstance(value, bool):
        return None
    number = np.asarray(float(value) if isinstance(value, Real) else value)
    is_ordinary = number.shape == () and number.dtype.kind in "iuf" and np.isfinite(number)
    return float(number) if is_ordinary else None


_WRONG_COUNTS = {
    648: "The biases are missing: beside its kernel, each filter learns one number that it adds.",
    649: "Only one bias is counted, and each filter has its own.",
    240: "The colours are missing: how many numbers does a filter read at one place?",
    216: "The colours are missing, and so are the biases.",
    28: "That is one filter; the layer has more.",
    27: "That is the kernel of one filter, without its bias; the layer has more.",
    51: "That is the kernel of one filter and the biases of all; each has a kernel of its own.",
    24: "24 is the number of maps; count the weights that make them.",
    720: "The batch normalisation is a layer of its own, and a filter has one bias, not three.",
    768: "The batch normalisation is counted, too, and that is a layer of its own.",
}


def _find_problem_of_count(count: object) -> str:
    number = _read_number(count)
    if number is None:
        return f"my_count is no ordinary number, but {_name_type(count)}; give a whole number."
    if number == 3 * 3 * 3 * 24 + 24:
        return ""
    side = "too small" if number < 672 else "too large"
    return _WRONG_COUNTS.get(
        int(number) if number == int(number) else -1,
        f"{number:,.6g} is {side}. How many numbers does one filter read at a place, what does it "
        "add to them, and how many filters are there?",
    )


def _find_problem_of_model(model: Any) -> str:
    keras = sys.modules.get("keras")  # whoever built a model has loaded it
    if keras is None or not isinstance(model, keras.Model):
        return f"my_model is {_name_type(model)}; give a keras.Model or a keras.Sequential."
    shape = getattr(model, "input_shape", None)
    if shape is None:
        return "my_model does not know its photos yet; let it begin with a keras.Input."
    sides = zip(shape[1:], _PHOTO_SHAPE, strict=False)
    if len(shape) != 4 or any(side not in (None, wanted) for side, wanted in sides):
        return f"my_model takes the shape {shape}; the photos are {_PHOTO_SHAPE}."
    return _find_problem_of_layers(model, keras.layers) or _find_problem_of_output(model, shape[0])


def _find_problem_of_layers(model: Any, layers: Any) -> str:
    from emoclf.models.layers import walk_layers

    found = list(walk_layers(model))
    if not any(
        isinstance(each, (layers.Conv2D, layers.SeparableConv2D, layers.DepthwiseConv2D))
        for each in found
    ):
        return "There is no convolution in my_model, so it cannot learn a pattern for all places."
    flips = [each.mode for each in found if isinstance(each, layers.RandomFlip)]
    if not flips:
        return "Nothing in my_model flips photos at random; keras.layers has a layer that does."
    if any("vertical" in mode for mode in flips):
        return f"The flip is {flips[0]}: upside down, a smile turns. Say which way it may go."
    dropouts = {
        place: each.rate for place, each in enumerate(found) if isinstance(each, layers.Dropout)
    }
    last = max(place for place, each in enumerate(found) if each.weights)
    if not dropouts:
        return "There is no dropout in my_model."
    if max(dropouts) > last:
        return (
            "Dropout stands after the last layer, where it switches off answers; let it switch "
            "off what that layer reads."
        )
    if not any(np.isclose(rate, 0.5) for rate in dropouts.values()):
        shown = ", ".join(f"{rate:g}" for rate in dropouts.values())
        return f"The dropout is {shown}; 0.5 is asked for: half of the values."
    return ""


def _find_problem_of_output(model: Any, batch: int | None) -> str:
    """Show the model noise, from dark to bright and in many colours; nothing about it changes.

    Two sigmoids that are sure of opposite things have a sum of 1, too, but not for all of these.
    """
    from keras import ops

    random, count = np.random.default_rng(0), batch or 8
    brightness = np.geomspace(1, 255, count)[:, None, None, None]
    colours = random.uniform(size=(count, 1, 1, 3))
    photos = brightness * colours * random.uniform(size=(count, *_PHOTO_SHAPE))
    answers = model(photos.astype(np.float32), training=False)
    if isinstance(answers, (list, tuple, dict)):
        return f"my_model has {len(answers)} outputs; give it one, with a number for each class."
    answers = ops.convert_to_numpy(answers).astype(np.float64)
    if answers.shape[1:] != (2,):
        return (
            f"Each photo gets an output of the shape {answers.shape[1:]}; give it two numbers, one "
            "for Sad and one for Happy."
        )
    if not np.all(answers >= 0) or not np.allclose(answers.sum(axis=1), 1, atol=2e-3):
        return "The two outputs are no probabilities yet: which activation makes their sum 1?"
    return ""


_MEASURES = {
    31 / 45: "",
    31 / 40: "the precision: of the photos called Happy, the fraction that is",
    83 / 106: "the accuracy: of all photos, the fraction that is right",
    (52 / 61 + 31 / 45) / 2: "the balanced accuracy, the mean of two recalls",
    52 / 61: "the recall of Sad; rows are the true classes, Sad first",
    52 / 66: "the precision of Sad",
    14 / 45: "the fraction of happy photos that is missed",
    31 / 106: "a fraction of all photos; divide by the happy ones alone",
}
"""What can be read from `CONFUSION`, and what it is; the recall of Happy needs no words."""


def _find_problem_of_recall(recall: object) -> str:
    number = _read_number(recall)
    if number is None:
        return f"my_recall is no ordinary number, but {_name_type(recall)}; give a fraction."
    if number in np.array(CONFUSION):
        return f"{number:g} is a number of photos. Which fraction of which photos is that?"
    if not 0 <= number <= 100:
        return f"my_recall is {number:g}; a fraction lies between 0 and 1."
    as_fraction = number / 100 if number > 1 else number
    nearest = min(_MEASURES, key=lambda measure: abs(measure - as_fraction))
    if abs(nearest - as_fraction) > _ROUNDING:
        return (
            f"{number:g} is not it, to two decimals. Recall asks of the photos of one class: how "
            "many were found?"
        )
    if name := _MEASURES[nearest]:
        return f"{number:g} is {name}."
    return "" if number <= 1 else f"{number:g} is in percent; give it as a fraction of 1."


_EXERCISES = {
    1: _Exercise(
        "my_parts",
        "a list with 'train' or 'test' for each of the 12 photos.",
        _find_problem_of_parts,
        "No copy of a tested photo is trained on, so the test rewards what was learned, not what "
        "was memorised.",
    ),
    2: _Exercise(
        "my_kernel",
        "three rows of three numbers, positive where bright lies above dark.",
        _find_problem_of_kernel,
        "It answers where bright lies above dark and is silent on even areas. A network finds "
        "numbers like these by itself.",
    ),
    3: _Exercise(
        "my_count",
        "the number of weights of one convolution, biases included.",
        _find_problem_of_count,
        "The same weights read every place of the photo, so their number does not depend on its "
        "size.",
    ),
    4: _Exercise(
        "my_model",
        "a Keras model for photos of (48, 48, 3) that ends in two probabilities.",
        _find_problem_of_model,
        "Flip and dropout make memorising harder. Both work while it trains; when it predicts, "
        "they do nothing.",
    ),
    5: _Exercise(
        "my_recall",
        "a fraction between 0 and 1, from the confusion matrix.",
        _find_problem_of_recall,
        "So many of the happy photos are found. The accuracy alone hides that more of them are "
        "missed than of the sad ones.",
    ),
}
