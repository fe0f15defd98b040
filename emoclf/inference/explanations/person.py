"""Does the network use the person? How much of a map lies on faces and bodies, against chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emoclf.display import Displayed, count_noun
from emoclf.evaluation import Estimate, wilson_interval
from emoclf.images.faces import Face

Box = tuple[float, float, float, float]

BODY_BOX: tuple[float, float, float] = (3.0, 0.5, 5.0)
"""The body box: this many face widths wide, from this many face heights above the face's box to
this many below its upper edge."""

_FILLED = 0.95
"""Boxes that take more of the picture than this cannot be missed."""

MIN_PHOTOS = 10
"""Fewer photos than this say nothing of a network."""


class BoxFraction(NamedTuple):
    """How much of a map lies in some boxes.

    Attributes:
        marked: Fraction of the map in the boxes, 0 to 1.
        area: Fraction of the area that the boxes take, 0 to 1: what a map reaches that marks
            everywhere alike, which is chance.
    """

    marked: float
    area: float

    @property
    def lead(self) -> float:
        """How much more is marked than the area explains, -1 to 1."""
        return self.marked - self.area


class PersonFraction(NamedTuple):
    """How much of one photo's map lies on the people.

    Attributes:
        face: In the boxes of the faces.
        body: In the boxes of the bodies, faces included.
    """

    face: BoxFraction
    body: BoxFraction


class BoxSummary(NamedTuple):
    """What the fractions of many photos add up to, for one kind of box.

    Attributes:
        marked: Mean fraction of the map, 0 to 1.
        area: Mean fraction of the area, 0 to 1.
        lead: Mean of their difference.
        low: Lower end of its 95 % interval (Student's t over the photos); nan for one photo.
        high: Upper end.
        above: Fraction of the photos in which more is marked than the area explains.
    """

    marked: float
    area: float
    lead: float
    low: float
    high: float
    above: Estimate

    @property
    def fills(self) -> bool:
        """Whether the boxes fill the pictures, so that the map says nothing of them."""
        return self.area > _FILLED


@dataclass(frozen=True)
class PersonSummary(Displayed):
    """Whether a network looks at the person, over many photos.

    Attributes:
        face: The boxes of the faces.
        body: The boxes of the bodies.
        count: Number of photos.
    """

    face: BoxSummary
    body: BoxSummary
    count: int

    def blocks(self) -> list[str]:
        """Return the numbers and what they say, in words."""
        face, body = self._say("face", self.face), self._say("body", self.body)
        return [f"{face} {body} {self._conclude()}"]

    def _say(self, name: str, box: BoxSummary) -> str:
        if box.fills:
            return f"The {name} fills the picture, which says nothing."
        interval = f" ({box.low:+.2f} to {box.high:+.2f})" if self.count > 1 else ""
        return (
            f"The {name} takes {box.area:.0%} of the picture and {box.marked:.0%} of the map, "
            f"{box.lead:+.2f}{interval} against chance; it is marked more than its area in "
            f"{box.above.value:.0%} of {count_noun(self.count, 'photo')}."
        )

    def _conclude(self) -> str:
        if self.count < MIN_PHOTOS:
            photos = count_noun(self.count, "photo")
            return f"From {photos} nothing can be concluded: give {MIN_PHOTOS} or more."
        if self.face.low > 0:
            return "The network looks at faces more than chance would."
        if self.body.low > 0:
            return "The network looks at the person more than chance would, not at the face."
        if self.face.high < 0:
            return "The network looks past the faces: at something else in the photos."
        return "The network is not shown to look at faces more than chance would."


def find_body_box(face: Face) -> Box:
    """Guess where the body of a face is.

    A rule of drawing, not a measurement: shoulders are about three face widths wide, and from the
    hair to the hips there are four heads. The box is three face widths wide around the face; it
    begins half a face height above the face's box, which has no hair in it, and ends five below
    its upper edge. Arms held out, people who lie down and turned heads are missed, and some of what
    is behind the person is in it.

    Args:
        face: Where the face is.

    Returns:
        `(left, top, width, height)` in pixels of the photo; it may reach past its border.

    Example:
        >>> find_body_box(Face(box=(100.0, 50.0, 20.0, 30.0), score=0.9))
        (80.0, 35.0, 60.0, 165.0)
    """
    widths, above, below = BODY_BOX
    left, top, width, height = face.box
    return (
        left - (widths - 1) / 2 * width,
        top - above * height,
        widths * width,
        (above + below) * height,
    )


def find_fraction_on_person(
    marks: np.ndarray, faces: Sequence[Face], *, seen: Box | None = None
) -> PersonFraction | None:
    """Measure how much of a map lies on the faces and bodies in a photo.

    It says something of networks that look at whole photos. A network that was shown a face that
    was cut out marks that face in any case.

    Args:
        marks: float `(height, width)`, 0 or more: the map of an `Explanation`.
        faces: The faces found in the photo, as `find_faces` returns them.
        seen: `(left, top, width, height)` in pixels of the photo: what the network was shown of
            it, `Explanation.seen`; default: all of it.

    Returns:
        The fractions; None when no face was found or nothing is marked, so that there is nothing to
        measure.

    Raises:
        ValueError: If `marks` is no map.
    """
    marks = np.asarray(marks)
    if marks.ndim != 2 or not np.isfinite(marks).all() or (marks < 0).any():
        raise ValueError(
            "marks: expected a map of shape (height, width) with values of 0 or more, received "
            f"{marks.dtype} {marks.shape}. Give the attribute `map` of an Explanation."
        )
    height, width = marks.shape
    looked_at = _cover(marks.shape, [seen or (0.0, 0.0, float(width), float(height))])
    total = float(marks[looked_at].sum(dtype=np.float64))
    if not faces or total == 0:
        return None

    def measure(boxes: list[Box]) -> BoxFraction:
        inside = _cover(marks.shape, boxes) & looked_at
        marked = float(marks[inside].sum(dtype=np.float64)) / total
        return BoxFraction(marked, float(inside.sum() / looked_at.sum()))

    boxes = [face.box for face in faces]
    return PersonFraction(measure(boxes), measure([*map(find_body_box, faces), *boxes]))


def summarise_fractions_on_person(fractions: Sequence[PersonFraction | None]) -> PersonSummary:
    """Add up the fractions of many photos.

    Args:
        fractions: From `find_fraction_on_person`; photos without a face, None, are left out.

    Returns:
        Means, intervals and a sentence.

    Raises:
        ValueError: If no photo has a fraction.
    """
    found = [fraction for fraction in fractions if fraction is not None]
    if not found:
        raise ValueError(
            "fractions: expected at least one photo with a face and a map, received "
            f"{len(fractions)} photos without. Give photos in which faces can be found."
        )
    face = _summarise([fraction.face for fraction in found])
    return PersonSummary(face, _summarise([fraction.body for fraction in found]), len(found))


def _cover(size: tuple[int, int], boxes: Sequence[Box]) -> np.ndarray:
    """Return bool `(height, width)`: which pixels lie in any of the boxes."""
    covered = np.zeros(size, dtype=bool)
    for left, top, width, height in boxes:
        rows = slice(max(0, round(top)), max(0, round(top + height)))
        covered[rows, max(0, round(left)) : max(0, round(left + width))] = True
    return covered


def _summarise(fractions: Sequence[BoxFraction]) -> BoxSummary:
    from scipy import stats

    leads = np.round([fraction.lead for fraction in fractions], 9)
    lead, low, high = float(leads.mean()), float("nan"), float("nan")
    if len(leads) > 1:
        reach = float(stats.t.ppf(0.975, len(leads) - 1) * stats.sem(leads))
        low, high = lead - reach, lead + reach
    marked, area = np.mean(fractions, axis=0).tolist()
    above = wilson_interval(int((leads > 0).sum()), len(leads))
    return BoxSummary(marked, area, lead, low, high, above)
