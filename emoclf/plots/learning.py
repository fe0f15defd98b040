"""How one network learns, how good it is, and whether it is calibrated."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.inference.annotation import NEUTRAL_COLOUR
from emoclf.plots.style import BAD_COLOUR, FRAME_COLOUR, GOOD_COLOUR, class_colour, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import Evaluation
    from emoclf.evaluation.reliability import Reliability, RiskCoverage
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
            is_late = best_epoch > len(epochs) / 2
            axis.annotate(
                f"kept: epoch {best_epoch}",
                (best_epoch, 0.97 if name == "loss" else 0.03),
                xycoords=("data", "axes fraction"),
                xytext=(-3 if is_late else 3, 0),
                textcoords="offset points",
                ha="right" if is_late else "left",
                va="top" if name == "loss" else "bottom",
                fontsize=8,
            )
        axis.set(xlabel="epoch", ylabel=name)
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
    """Show how often each class was predicted as each, with some of the photos in each cell.

    Args:
        evaluation: The numbers and the per-file table.
        images: uint8 RGB `(photos, height, width, 3)`, in the order of the evaluation; without
            them the cells hold numbers only.
        photos_per_cell: Photos shown in a cell, the most confident predictions first.

    Returns:
        The figure: rows are true classes, columns are predictions.
    """
    names, counts = evaluation.photos.class_names, evaluation.confusion
    figure = make_figure(3.1 * len(names) + 0.6, 2.6 * len(names) + 0.7)
    axes: Any = figure.subplots(len(names), len(names), squeeze=False)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for truth, predicted in np.ndindex(*counts.shape):
        axis: Axes = axes[truth, predicted]
        count, fraction = counts[truth, predicted], fractions[truth, predicted]
        colour = GOOD_COLOUR if truth == predicted else BAD_COLOUR
        axis.set_facecolor(mpl.colors.to_rgba(colour, 0.06 + 0.3 * fraction))
        axis.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        noun = "photo" if count == 1 else "photos"
        axis.set_title(f"{count} {noun} ({fraction:.0%})", fontsize=10, color=colour)
        if images is not None:
            inside = (evaluation.labels == truth) & (evaluation.predicted_labels == predicted)
            found = np.flatnonzero(inside)
            order = np.argsort(-evaluation.probabilities[found, predicted], kind="stable")
            _fill_cell(axis, images[found[order[:photos_per_cell]]], photos_per_cell)
        if predicted == 0:
            axis.set_ylabel(f"true: {names[truth]}", fontsize=11)
        if truth == len(names) - 1:
            axis.set_xlabel(f"predicted: {names[predicted]}", fontsize=11)
    return figure


def _fill_cell(axis: Axes, images: np.ndarray, most: int) -> None:
    columns = 3
    rows = max(2, -(-most // columns))
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        left, bottom = (column + 0.04) / columns, 1 - (row + 0.96) / rows
        inset = axis.inset_axes((left, bottom, 0.92 / columns, 0.92 / rows))
        inset.imshow(image)
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
    left.plot(curves.false_positive_rate, curves.true_positive_rate, color=class_colour(1))
    left.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    left.set_title(f"ROC, area {curves.roc_auc:.3f}", fontsize=10)
    left.set(xlabel=f"false positive rate: others called {name}", ylabel=f"recall of {name}")
    right.plot(curves.recall, curves.precision, color=class_colour(1))
    right.axhline(curves.prevalence, color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    right.set_title(f"Precision-recall, average {curves.average_precision:.3f}", fontsize=10)
    right.set(xlabel=f"recall of {name}", ylabel=f"precision of {name}")
    for axis in (left, right):
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axis.legend(frameon=False, loc="lower right" if axis is left else "lower left")
    return figure


def plot_reliability(reliability: Reliability) -> Figure:
    """Show how accurate predictions of each confidence are.

    Args:
        reliability: From `measure_reliability`.

    Returns:
        The figure: a dot per bin with its 95 % interval, the dotted line of a calibrated network,
        and below it how many photos each bin holds.
    """
    figure, bins = make_figure(5.6, 4.6), reliability.bins
    axis, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    accuracies = [each.accuracy for each in bins]
    axis.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="calibrated")
    axis.errorbar(
        [each.confidence for each in bins],
        [each.value for each in accuracies],
        yerr=np.transpose([(each.value - each.low, each.high - each.value) for each in accuracies]),
        fmt="o",
        color="black",
        ecolor=NEUTRAL_COLOUR,
        label="accuracy, 95 % interval",
    )
    error = reliability.error
    title = f"calibration error {error.value:.3f} ({error.low:.3f} to {error.high:.3f})"
    axis.set_title(f"{title}, n = {reliability.photos:,}", fontsize=10)
    axis.set(ylabel="accuracy", ylim=(-0.02, 1.02))
    axis.legend(frameon=False, loc="lower right")
    below.bar(
        [each.low for each in bins],
        [each.count for each in accuracies],
        width=[each.high - each.low for each in bins],
        align="edge",
        color=FRAME_COLOUR,
        edgecolor="white",
    )
    lowest = min(0.5, *(each.low for each in bins))
    below.set(xlabel="confidence", ylabel="photos", xlim=(lowest - 0.02, 1.02))
    return figure


def plot_risk_coverage(curves: Mapping[str, RiskCoverage]) -> Figure:
    """Show how many predictions are wrong when those of low confidence are left out.

    Args:
        curves: Name of the network to its curve, from `measure_risk_coverage`; at least one.

    Returns:
        The figure: one line per network, with its area and interval, and a dotted line for the
        fraction that is wrong of all photos.

    Raises:
        ValueError: If there is no curve.
    """
    if not curves:
        raise ValueError(
            'Expected at least one curve, such as {"mine": measure_risk_coverage(evaluation)}.'
        )
    figure = make_figure(8, 3.6)
    axis = figure.subplots()
    styles = itertools.product(("-", "--", "-.", ":"), ("black", BAD_COLOUR, NEUTRAL_COLOUR))
    for (name, curve), (line, colour) in zip(curves.items(), itertools.cycle(styles), strict=False):
        axis.plot(
            curve.coverage,
            curve.risk,
            color=colour,
            linestyle=line,
            drawstyle="steps-post" if len(curve.coverage) < 30 else "default",
            label=f"{name}: area {curve.area.value:.3f} "
            f"({curve.area.low:.3f} to {curve.area.high:.3f})",
        )
        axis.axhline(curve.whole_risk.value, color=colour, linestyle=":", linewidth=0.8)
    count = next(iter(curves.values())).area.count
    axis.set(xlabel=f"coverage: fraction of the photos that is predicted, n = {count:,}")
    axis.set(ylabel="risk: fraction of these that is wrong", xlim=(0, 1.02), ylim=(0, None))
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure
