"""The learning curves, read in words."""

from __future__ import annotations

from collections.abc import Mapping

OVERFITTING_GAP = 0.08
"""A larger lead of the training accuracy over the validation accuracy is called overfitting."""


def describe_history(history: Mapping[str, list[float]]) -> str:
    """Read the learning curves in words.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy`, one value per epoch each.

    Returns:
        Two or three sentences: which epoch was kept and why, whether the network learns the
        training photos by heart, and whether more epochs could help.
    """
    losses = history["val_loss"]
    best = losses.index(min(losses))
    trained, validated = history["accuracy"][best], history["val_accuracy"][best]
    sentences = [
        f"Epoch {best + 1} of {len(losses)} is kept: its validation loss, {losses[best]:.3f}, is "
        f"the lowest. It gets {trained:.1%} of the (augmented) training photos and "
        f"{validated:.1%} of the validation photos right."
    ]
    if trained - validated > OVERFITTING_GAP:
        sentences.append(
            f"The gap of {100 * (trained - validated):.0f} points means that it learns training "
            "photos by heart (overfitting): more photos, more dropout or a smaller network help."
        )
    else:
        sentences.append("Validation keeps up with training: no sign of learning by heart.")
    if best == len(losses) - 1:
        sentences.append("The last epoch is the best one, so more epochs may help.")
    return " ".join(sentences)
