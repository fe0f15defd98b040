"""Several networks, slices or corruptions beside each other, each with its interval."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from emoclf.evaluation.estimates import TOO_FEW
from emoclf.plots.style import (
    BAD_COLOUR,
    FEW_COLOUR,
    FRAME_COLOUR,
    class_colour,
    draw_estimate,
    make_figure,
    name_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import CorruptionCurve, Evaluation, RobustnessReport, SliceReport
    from emoclf.experiments.baselines import BaselineComparison

_GUESSING: dict[str, Any] = {"color": BAD_COLOUR, "linestyle": ":"}
_LEGEND_ABOVE: dict[str, Any] = {
    "frameon": False,
    "fontsize": 8,
    "loc": "lower left",
    "bbox_to_anchor": (0, 1.0),
}


def plot_comparison(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Show the accuracy of several networks on the same photos.

    Args:
        evaluations: Name of the network to its numbers, all of the same photos in the same order.

    Returns:
        The figure: one row per network, a dot for the accuracy, a line for its 95 % interval, and
        a dotted line for the accuracy of always predicting the more frequent class.

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
    axis, first = figure.subplots(), numbers[0]
    for row, evaluation in enumerate(numbers):
        accuracy = evaluation.accuracy
        text = f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})"
        draw_estimate(axis, accuracy, row, text, fontsize=9)
    axis.axvline(first.majority_accuracy.value, **_GUESSING, label=f"always {first.majority_class}")
    name_rows(axis, evaluations)
    axis.set(xlim=(None, 1.01), xlabel=f"accuracy, n = {first.accuracy.count}")
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 0.0), fontsize=9)
    return figure


def plot_baselines(comparison: BaselineComparison) -> Figure:
    """Show the accuracy and the area under ROC of every baseline, the simplest at the top.

    Args:
        comparison: From `train_baselines`.

    Returns:
        The figure: on the left the accuracy, on the right the area, a dot each and a line for
        its 95 % interval; dotted lines show what guessing reaches.
    """
    baselines = comparison.baselines
    figure = make_figure(10, 1.3 + 0.42 * len(baselines))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for row, baseline in enumerate(baselines):
        accuracy, area = baseline.evaluation.accuracy, baseline.evaluation.estimates.roc_auc
        draw_estimate(left, accuracy, row, f"{accuracy.value:.3f}")
        if area is not None and baseline.name != "majority":  # which is the dotted line
            draw_estimate(right, area, row, f"{area.value:.3f}")
    first = baselines[0].evaluation
    left.axvline(first.majority_accuracy.value, **_GUESSING, label=f"always {first.majority_class}")
    right.axvline(0.5, **_GUESSING, label="guessing")
    name_rows(left, [baseline.title for baseline in baselines])
    left.set(ylim=(None, -0.6), xlabel=f"accuracy, n = {len(first.labels)}")
    right.set(xlim=(None, 1.03), xlabel="area under ROC")
    for axis in (left, right):
        axis.legend(**_LEGEND_ABOVE)
    return figure


def plot_slices(report: SliceReport) -> Figure:
    """Show the accuracy of every slice with its interval; slices of few photos are grey.

    Args:
        report: From `slice_evaluation` or `evaluate_slices`.

    Returns:
        The figure: a row per slice, a line at the accuracy on all photos, a cross for the accuracy
        of always predicting the more frequent class in the slice. Slices of fewer than `TOO_FEW`
        photos are named below it, and nothing of them is drawn.
    """
    slices = [each for each in report.slices if not each.is_tiny]
    tiny = [each for each in report.slices if each.is_tiny]
    figure = make_figure(9, 1.4 + 0.3 * len(slices) + 0.25 * bool(tiny))
    axis, overall = figure.subplots(), report.overall.value
    for row, each in enumerate(slices):
        text = f"n = {each.accuracy.count}" + (", few" if each.is_small else "")
        colour = FRAME_COLOUR if each.is_small else "black"
        draw_estimate(axis, each.accuracy, row, text, colour=colour)
        axis.plot(each.majority_accuracy, row, "x", color=BAD_COLOUR, markersize=5)
        if row and each.measure != slices[row - 1].measure:
            axis.axhline(row - 0.5, color=FRAME_COLOUR, linewidth=0.8)
    axis.axvline(overall, color=class_colour(0), linestyle=":", label=f"all photos, {overall:.3f}")
    axis.plot([], [], "x", color=BAD_COLOUR, label=f"always {report.majority_class}")
    name_rows(axis, [f"{each.measure}: {each.name}" for each in slices], fontsize=8)
    axis.set(xlim=(-0.02, 1.02), xlabel="accuracy")
    axis.legend(ncols=2, **_LEGEND_ABOVE)
    if tiny:
        names = "; ".join(f"{e.measure}: {e.name} ({e.accuracy.count})" for e in tiny)
        text = textwrap.fill(f"Fewer than {TOO_FEW} photos, not drawn: {names}", 115)
        figure.supxlabel(text, fontsize=8, color=FEW_COLOUR)
    return figure


def plot_robustness(report: RobustnessReport) -> Figure:
    """Show how the balanced accuracy falls with the severity of each corruption.

    Args:
        report: From `measure_robustness` or `evaluate_robustness`.

    Returns:
        The figure: a panel per corruption, that which hurts most first, with the balanced accuracy
        (a network that predicts one class for everything has 0.5 of it) and its 95 % band; full
        red squares where it is shown to be below that of the clean photos. Severities are drawn
        equally far apart.
    """
    curves = sorted(report.curves, key=lambda curve: curve.mean)
    rows = -(-len(curves) // 3)
    columns = -(-len(curves) // rows)
    figure = make_figure(3.4 * columns, 2.6 * rows + 0.5)
    axes: Any = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis, curve in zip(axes.flat, curves, strict=False):
        _draw_curve(axis, curve, report)
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel("balanced accuracy", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw_curve(axis: Axes, curve: CorruptionCurve, report: RobustnessReport) -> None:
    points, severities = [report.clean_balanced, *curve.balanced], curve.corruption.severities
    places, values = range(len(points)), [each.value for each in points]
    lows, highs = [each.low for each in points], [each.high for each in points]
    axis.fill_between(places, lows, highs, color=class_colour(0), alpha=0.2, linewidth=0)
    axis.plot(places, values, "o-", color=class_colour(0), markersize=4, label="with 95 % interval")
    apart = report.find_apart(curve)
    below = [place for place, severity in enumerate(severities, 1) if severity in apart]
    axis.plot(
        below,
        [values[place] for place in below],
        "s",
        color=BAD_COLOUR,
        markersize=8,
        label="shown to be below the clean photos",
    )
    clean = report.clean_balanced.value
    axis.axhline(clean, color="black", linewidth=0.9, label=f"clean, {clean:.3f}")
    axis.axhline(0.5, **_GUESSING, label="guessing, 0.500")
    axis.set_xticks(places, ["0", *(f"{severity:g}" for severity in severities)])
    axis.set_ylim(0, 1.02)
    name, _, unit = curve.corruption.title.partition(": ")
    verdict = f"down to {min(values):.2f}" if below else "not shown to matter"
    axis.set_title(f"{name}: {verdict}", fontsize=10, color=BAD_COLOUR if below else "black")
    axis.set_xlabel(unit, fontsize=9)
