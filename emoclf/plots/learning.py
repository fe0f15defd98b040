"""How a network learns and how good it is: curves, the confusion matrix, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.plots.style import (
    BAD_COLOUR,
    CLASS_COLOURS,
    FRAME_COLOUR,
    GOOD_COLOUR,
    NEUTRAL_COLOUR,
    make_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import Evaluation
    from emoclf.training import LearningRateCurve


def plot_learning_curves(
    history: Mapping[str, Sequence[float]], *, best_epoch: int | None = None
) -> Figure:
    """Show loss and accuracy of training and validation per epoch.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy`, one value per epoch each.
        best_epoch: The epoch whose weights were kept, counted from 1; marked when given.

    Returns:
        The figure: loss on the left, accuracy on the right.
    """
    figure = make_figure(9, 3.4)
    for axis, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        epochs = np.arange(1, len(history[name]) + 1)
        axis.plot(epochs, history[name], color=NEUTRAL_COLOUR, label="training")
        axis.plot(epochs, history[f"val_{name}"], color=BAD_COLOUR, label="validation")
        if best_epoch is not None:
            axis.axvline(best_epoch, color="black", linewidth=0.8, linestyle=":")
            height, place = (0.97, "top") if name == "loss" else (0.03, "bottom")
            axis.annotate(
                f"kept: epoch {best_epoch}",
                (best_epoch, height),
                xycoords=("data", "axes fraction"),
                ha="right" if best_epoch > len(epochs) / 2 else "left",
                va=place,
                fontsize=8,
                xytext=(-3 if best_epoch > len(epochs) / 2 else 3, 0),
                textcoords="offset points",
            )
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    return figure


def plot_learning_rate_curve(curve: LearningRateCurve) -> Figure:
    """Show the loss at ever larger learning rates, and which one is suggested.

    Args:
        curve: From `find_learning_rate`.

    Returns:
        The figure: the loss of each batch in grey, averaged in black, and a line at
        the suggestion where there is one.
    """
    figure = make_figure(8, 3.4)
    axis = figure.subplots()
    axis.plot(curve.rates, curve.losses, color=FRAME_COLOUR, label="each batch")
    axis.plot(curve.rates, curve.smoothed_losses, color="black", label="averaged")
    if curve.suggestion is not None:
        label = f"suggested: {curve.suggestion:.1e}"
        axis.axvline(curve.suggestion, color=GOOD_COLOUR, linestyle="--", label=label)
    top = 1.3 * max(curve.smoothed_losses[0], np.median(curve.smoothed_losses))
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, top))
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_confusion_matrix(
    evaluation: Evaluation, images: np.ndarray | None = None, *, photos_per_cell: int = 6
) -> Figure:
    """Show how often each true class got each answer, with some of the photos in each cell.

    Args:
        evaluation: The numbers and the per-file table.
        images: uint8 RGB `(photos, height, width, 3)`, in the order of the evaluation; without
            them the cells hold numbers only.
        photos_per_cell: Photos shown in a cell, the most confident answers first.

    Returns:
        The figure: rows are true classes, columns are answers.
    """
    names = evaluation.photos.class_names
    figure = make_figure(3.1 * len(names) + 0.6, 2.6 * len(names) + 0.7)
    axes: Any = figure.subplots(len(names), len(names), squeeze=False)
    shares = evaluation.confusion / np.maximum(evaluation.confusion.sum(axis=1, keepdims=True), 1)
    for truth, answer in np.ndindex(len(names), len(names)):
        axis: Axes = axes[truth, answer]
        count = evaluation.confusion[truth, answer]
        colour = GOOD_COLOUR if truth == answer else BAD_COLOUR
        noun = "photo" if count == 1 else "photos"
        axis.set_facecolor(mpl.colors.to_rgba(colour, 0.06 + 0.3 * shares[truth, answer]))
        axis.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        axis.set_title(f"{count} {noun} ({shares[truth, answer]:.0%})", fontsize=10, color=colour)
        if images is not None:
            _fill_cell(axis, evaluation, images, truth, answer, photos_per_cell)
        if answer == 0:
            axis.set_ylabel(f"truly {names[truth]}", fontsize=11)
        if truth == len(names) - 1:
            axis.set_xlabel(f"called {names[answer]}", fontsize=11)
    return figure


def _fill_cell(
    axis: Axes, evaluation: Evaluation, images: np.ndarray, truth: int, answer: int, most: int
) -> None:
    inside = (evaluation.labels == truth) & (evaluation.predicted_labels == answer)
    found = np.flatnonzero(inside)
    chosen = found[np.argsort(-evaluation.probabilities[found, answer], kind="stable")][:most]
    columns = 3
    rows = max(2, -(-most // columns))
    for place, index in enumerate(chosen):
        row, column = divmod(place, columns)
        left, bottom = (column + 0.04) / columns, 1 - (row + 0.96) / rows
        inset = axis.inset_axes((left, bottom, 0.92 / columns, 0.92 / rows))
        inset.imshow(images[index])
        inset.set_axis_off()


def plot_roc_and_precision_recall(evaluation: Evaluation) -> Figure:
    """Show the ROC curve and the precision-recall curve, each with what guessing gives.

    Args:
        evaluation: Numbers of photos of both classes.

    Returns:
        The figure.

    Raises:
        ValueError: If the photos hold one class only, so that there are no curves.
    """
    curves = evaluation.curves
    if curves is None:
        raise ValueError(
            "The evaluated photos hold one class only, so there is no ROC curve. Evaluate photos "
            "of both classes."
        )
    name, figure = evaluation.photos.class_names[-1], make_figure(9, 3.9)
    left, right = figure.subplots(1, 2)
    left.plot(curves.false_positive_rate, curves.true_positive_rate, color=CLASS_COLOURS[-1])
    left.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    left.set_title(f"ROC, area {curves.roc_auc:.3f}", fontsize=10)
    left.set(xlabel="false positive rate", ylabel=f"recall of {name}")
    right.plot(curves.recall, curves.precision, color=CLASS_COLOURS[-1])
    right.axhline(curves.prevalence, color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    right.set_title(f"Precision-recall, average {curves.average_precision:.3f}", fontsize=10)
    right.set(xlabel=f"recall of {name}", ylabel=f"precision of {name}")
    for axis in (left, right):
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axis.legend(frameon=False, loc="lower right" if axis is left else "lower left")
    return figure


def plot_comparison(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Show how often several networks are right about the same photos, with intervals.

    Args:
        evaluations: Name of the network to its numbers, all of the same photos in the same order.

    Returns:
        The figure: one row per network, a dot for the accuracy, a line for its 95 % interval, and
        a dotted line for what always giving the more frequent answer reaches.

    Raises:
        ValueError: If there is no network, or they were evaluated on different photos.
    """
    numbers = list(evaluations.values())
    if not numbers or any(other.photos.paths != numbers[0].photos.paths for other in numbers):
        raise ValueError(
            "Expected at least one network, and all evaluated on the same photos in the same "
            f"order. Received: {', '.join(f'{k}: {len(e.photos)}' for k, e in evaluations.items())}"
        )
    figure = make_figure(8, 1.1 + 0.45 * len(numbers))
    axis, majority = figure.subplots(), numbers[0].majority_accuracy.value
    for row, evaluation in enumerate(numbers):
        share = evaluation.accuracy
        axis.plot([share.low, share.high], [row, row], color=NEUTRAL_COLOUR, linewidth=3)
        axis.plot(share.value, row, "o", color="black", markersize=7)
        text = f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"
        axis.annotate(
            text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=9
        )
    label = f"always {numbers[0].majority_class}"
    axis.axvline(majority, color=BAD_COLOUR, linestyle=":", label=label)
    axis.set_yticks(range(len(numbers)), list(evaluations))
    axis.set(ylim=(len(numbers) - 0.5, -0.5), xlim=(None, 1.01))
    axis.set_xlabel(f"accuracy, n = {numbers[0].accuracy.count}")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 0.0), fontsize=9)
    return figure
