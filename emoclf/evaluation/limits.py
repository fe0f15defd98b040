"""What cannot be concluded from few photos, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoclf.evaluation.bootstrap import count_different
from emoclf.evaluation.estimates import Estimate

FEW_PHOTOS = 30
"""With fewer different photos of a class than this, its share is known to about 18 points."""

WIDE_INTERVAL = 0.1
"""An accuracy whose interval is wider than this hides most differences between networks."""


def find_limits(
    labels: np.ndarray,
    accuracy: Estimate,
    majority_accuracy: Estimate,
    *,
    class_names: Sequence[str],
    majority_class: str,
    groups: np.ndarray | None = None,
) -> list[str]:
    """Say what the photos are too few to tell.

    Args:
        labels: True labels, int64 `(photos,)`.
        accuracy: Share of right answers.
        majority_accuracy: What always giving the more frequent answer reaches.
        class_names: Names in label order.
        majority_class: The more frequent class.
        groups: int64 `(photos,)`, equal for copies; None when there are none.

    Returns:
        One sentence for each thing that cannot be concluded.
    """
    different = count_different(labels, groups)
    notes = []
    for label, name in enumerate(class_names):
        count = different.get(label, 0)
        if count == 0:
            notes.append(f"No photo of {name}: how well {name} is recognised is not known.")
        elif count == 1:
            notes.append(f"One different photo of {name} only: no interval means anything.")
        elif count < FEW_PHOTOS:
            notes.append(
                f"Only {count} different photos of {name}: each is worth {100 / count:.0f} points "
                f"of what is found of {name}."
            )
    width = accuracy.high - accuracy.low
    if width > WIDE_INTERVAL:
        notes.append(
            f"The accuracy is known to within {100 * width:.0f} points: networks that lie closer "
            "together than that cannot be told apart by it."
        )
    if len(different) > 1 and accuracy.low <= majority_accuracy.value:
        notes.append(
            f"These photos do not show that the accuracy is above that of always {majority_class}."
        )
    return notes
