"""What `predict` shows to people: a row per face, aligned, and what they add up to."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.inference import FacePrediction, Prediction

_MAX_NAME_COLUMNS = 72


@dataclass(frozen=True)
class Layout:
    """How wide the columns are, known before the first row is shown.

    Attributes:
        name_columns: Columns of a terminal for the name of the file.
        answer_columns: Columns for the answer.
    """

    name_columns: int
    answer_columns: int


@dataclass(frozen=True)
class Summary:
    """What many answers add up to.

    Attributes:
        photos: How many there are.
        faces: How many faces were answered, whole photos left out.
        whole_photos: How many were answered as a whole.
        without_face: How many photos have no answer, because no face was found.
        not_read: How many could not be read.
        answers: Answer to how often it was given.
    """

    photos: int
    faces: int
    whole_photos: int
    without_face: int
    not_read: int
    answers: dict[str, int]

    def describe(self) -> str:
        """Return for example `3 photos, 4 faces: 3 Happy, 1 Sad; 1 not read` as a sentence."""
        counts = [f"{self.photos} photo{_plural(self.photos)}"]
        if self.faces or not self.whole_photos:
            counts.append(f"{self.faces} face{_plural(self.faces)}")
        if self.whole_photos:
            counts.append(f"{self.whole_photos} answered as a whole")
        said = ", ".join(f"{count} {answer}" for answer, count in self.answers.items())
        parts = [f"{', '.join(counts)}{f': {said}' if said else ''}"]
        if self.without_face:
            parts.append(f"{self.without_face} without a face")
        if self.not_read:
            parts.append(f"{self.not_read} not read")
        return f"{'; '.join(parts)}."


def choose_layout(names: Sequence[str], answers: Sequence[str]) -> Layout:
    """Choose the columns.

    Args:
        names: The files, as they will be shown.
        answers: Everything that can stand in the column of the answer.

    Returns:
        Columns that fit all answers, and all names but very long ones.
    """
    widest = max((count_columns(name) for name in names), default=0)
    return Layout(min(widest, _MAX_NAME_COLUMNS), max(map(len, answers)))


def format_rows(prediction: Prediction, layout: Layout) -> Iterator[str]:
    """Yield a row for each face of a photo, or one that says why there is none.

    Args:
        prediction: The answer for one photo that has a file.
        layout: The columns.

    Yields:
        One line of text each, whatever the file is called.
    """
    name = show_text(prediction.file or "")
    start = name + " " * (layout.name_columns - count_columns(name))
    if prediction.problem:
        reason = prediction.problem.removeprefix(f"{prediction.file!r}: ")
        yield f"{start}  {'not read':<{layout.answer_columns}}  {show_text(reason)}"
    elif not prediction.faces:
        yield f"{start}  no face"
    for face in prediction.faces:
        yield f"{start}  {face.answer:<{layout.answer_columns}}  {_format_face(face)}"


def summarise(predictions: Sequence[Prediction]) -> Summary:
    """Count answers.

    Args:
        predictions: The answers for some photos.

    Returns:
        The counts.
    """
    faces = [face for prediction in predictions for face in prediction.faces]
    whole = sum(face.is_whole_photo for face in faces)
    return Summary(
        photos=len(predictions),
        faces=len(faces) - whole,
        whole_photos=whole,
        without_face=sum(not (each.faces or each.problem) for each in predictions),
        not_read=sum(each.problem is not None for each in predictions),
        answers=dict(Counter(face.answer for face in faces).most_common()),
    )


def count_columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: wide characters take two.

    Args:
        text: A line of text.

    Returns:
        The number of columns.

    Example:
        >>> count_columns("笑.jpg")
        6
    """
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _format_face(face: FacePrediction) -> str:
    """Return the probabilities and where the face is."""
    shares = [f"{name} {value:>4.0%}" for name, value in face.probabilities.items()]
    if face.neither is not None:
        shares.append(f"neither {face.neither:>4.0%}")
    left, top, width, height = (round(value) for value in face.box)
    where = "whole photo" if face.is_whole_photo else f"face {width}x{height} at {left},{top}"
    return "  ".join([*shares, where])


def _plural(count: int) -> str:
    return "" if count == 1 else "s"
