"""Choices are made on validation photos: what makes sure of it."""

from __future__ import annotations

from emoclf.evaluation import Evaluation


def check_is_validation(evaluation: Evaluation, what: str) -> None:
    """Refuse to choose anything on photos other than those of the validation split.

    Args:
        evaluation: The numbers that something is to be chosen on.
        what: What is to be chosen, for the message.

    Raises:
        ValueError: If `evaluation.split` is not `"validation"`.
    """
    if evaluation.split == "validation":
        return
    origin = "photos of no split" if evaluation.split is None else f"{evaluation.split} photos"
    raise ValueError(
        f"A {what} is chosen on validation photos, received {origin}: a figure of photos that a "
        "choice was made on is too good. Give the numbers of the validation photos: "
        'evaluate(run, "validation").evaluation, or '
        'evaluate_predictions(..., split="validation").'
    )
