"""How good one network is, with photos; whether it is calibrated; two networks photo by photo."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.display import count_noun
from emoclf.evaluation.comparing import check_same_photos
from emoclf.evaluation.estimates import TOO_FEW
from emoclf.inference.annotation import NEUTRAL_COLOUR
from emoclf.plots.style import (
    BAD_COLOUR,
    FEW_COLOUR,
    FRAME_COLOUR,
    GOOD_COLOUR,
    class_colour,
    make_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import Evaluation
    from emoclf.evaluation.reliability import Reliability, RiskCoverage


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
    figure, axes = _make_cells(len(names), has_photos=images is not None)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for truth, predicted in np.ndindex(*counts.shape):
        inside = (evaluation.labels == truth) & (evaluation.predicted_labels == predicted)
        order = np.argsort(-evaluation.probabilities[:, predicted], kind="stable")
        shown = None if images is None else images[order[inside[order]][:photos_per_cell]]
        _fill_cell(
            axes[truth, predicted],
            f"{count_noun(int(inside.sum()), 'photo')} ({fractions[truth, predicted]:.0%})",
            GOOD_COLOUR if truth == predicted else BAD_COLOUR,
            fraction=fractions[truth, predicted],
            images=shown,
        )
    _name_cells(axes, [f"true: {name}" for name in names], [f"predicted: {name}" for name in names])
    return figure


def plot_paired(
    first: Evaluation,
    second: Evaluation,
    images: np.ndarray | None = None,
    *,
    names: tuple[str, str] = ("first", "second"),
    photos_per_cell: int = 6,
) -> Figure:
    """Show on which of the same photos two networks are right, and which of them differ.

    Args:
        first: The evaluation of one network.
        second: That of the other, of the same photos in the same order.
        images: uint8 RGB `(photos, height, width, 3)`, in the order of the evaluations; without
            them the cells hold numbers only.
        names: Names of the two.
        photos_per_cell: Photos shown in a cell, those first of which the two are surest.

    Returns:
        The figure: both right, one alone right, both wrong. Every photo counts; for
        `compare_evaluations` duplicates have one vote together.

    Raises:
        ValueError: If the two are of different photos.
    """
    check_same_photos(first, second, names)
    figure, axes = _make_cells(2, has_photos=images is not None)
    titles = np.array(
        [["both right", f"only {names[0]} right"], [f"only {names[1]} right", "both wrong"]]
    )
    colours = np.array([[GOOD_COLOUR, NEUTRAL_COLOUR], [NEUTRAL_COLOUR, BAD_COLOUR]])
    order = np.argsort(-(first.confidence + second.confidence), kind="stable")
    for row, column in np.ndindex(2, 2):
        inside = (first.is_right == (row == 0)) & (second.is_right == (column == 0))
        shown = None if images is None else images[order[inside[order]][:photos_per_cell]]
        _fill_cell(
            axes[row, column],
            f"{count_noun(int(inside.sum()), 'photo')}: {titles[row, column]}",
            str(colours[row, column]),
            fraction=float(inside.mean()),
            images=shown,
        )
    rows, columns = ([f"{name} right", f"{name} wrong"] for name in names)
    _name_cells(axes, rows, columns)
    return figure


def _make_cells(side: int, *, has_photos: bool) -> tuple[Figure, Any]:
    """Return a figure with `side` by `side` axes, lower where they hold numbers alone."""
    figure = make_figure(3.1 * side + 0.6, (2.6 if has_photos else 0.7) * side + 0.7)
    return figure, figure.subplots(side, side, squeeze=False)


def _fill_cell(
    axis: Axes, title: str, colour: str, *, fraction: float, images: np.ndarray | None
) -> None:
    """Write a cell's title and show its photos; without any it has no frame."""
    axis.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    axis.set_facecolor(mpl.colors.to_rgba(colour, 0.06 + 0.3 * fraction))
    ink = FEW_COLOUR if colour == NEUTRAL_COLOUR else colour
    if images is None:
        axis.text(0.5, 0.5, title, ha="center", va="center", color=ink)
        return
    axis.set_title(title, fontsize=10, color=ink)
    if not len(images):
        axis.set_facecolor("white")
        axis.spines[:].set_visible(False)
        return
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        left, bottom = (column + 0.04) / columns, 1 - (row + 0.96) / rows
        inset = axis.inset_axes((left, bottom, 0.92 / columns, 0.92 / rows))
        inset.imshow(image)
        inset.set_axis_off()


def _name_cells(axes: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    for axis, name in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(name, fontsize=11)
    for axis, name in zip(axes[-1], columns, strict=True):
        axis.set_xlabel(name, fontsize=11)


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
        The figure: a dot per bin with its 95 % interval and its number of photos, across it a line
        as wide as the bin, and the dotted line of a calibrated network. Where there are fewer than
        `TOO_FEW` photos in all, their only dot is hollow and grey.
    """
    figure = make_figure(6, 4.2)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="calibrated")
    for each in reliability.bins:
        accuracy, is_few = each.accuracy, each.accuracy.count < TOO_FEW
        axis.errorbar(
            each.confidence,
            accuracy.value,
            xerr=[[each.confidence - each.low], [each.high - each.confidence]],
            yerr=[[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]],
            fmt="o",
            color=FEW_COLOUR if is_few else "black",
            markerfacecolor="white" if is_few else "black",
            ecolor=FRAME_COLOUR if is_few else NEUTRAL_COLOUR,
            label="accuracy, 95 % interval" if each is reliability.bins[0] else None,
        )
        place = (each.confidence, accuracy.low)
        text = f"{accuracy.count:,}" + (", too few" if is_few else "")
        axis.annotate(text, place, (0, -3), textcoords="offset points", ha="center", va="top")
    error = reliability.error
    title = f"calibration error {error.value:.3f} ({error.low:.3f} to {error.high:.3f})"
    axis.set_title(f"{title}, n = {reliability.photos:,}", fontsize=10)
    lowest = min(0.5, *(each.low for each in reliability.bins))
    axis.set(ylabel="accuracy", ylim=(-0.08, 1.02), xlim=(lowest - 0.02, 1.02))
    axis.set_xlabel("confidence (below each dot: its number of photos)")
    axis.legend(frameon=False, loc="lower right")
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
