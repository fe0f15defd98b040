"""Baselines, slices and corruption: what a network adds, where it fails, what it bears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from emoclf.plots.style import (
    BAD_COLOUR,
    CLASS_COLOURS,
    FRAME_COLOUR,
    NEUTRAL_COLOUR,
    make_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import CorruptionCurve, Estimate, RobustnessReport, SliceReport
    from emoclf.experiments.baselines import BaselineComparison


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
        _draw_estimate(left, baseline.evaluation.accuracy, row, colour="black")
        _write_beside(left, row, f"{baseline.evaluation.accuracy.value:.3f}")
        area = baseline.evaluation.estimates.roc_auc
        if area is not None and baseline.name != "majority":  # which is the dotted line
            _draw_estimate(right, area, row, colour="black")
            _write_beside(right, row, f"{area.value:.3f}")
    first = baselines[0].evaluation
    majority = first.majority_accuracy.value
    left.axvline(majority, color=BAD_COLOUR, linestyle=":", label=f"always {first.majority_class}")
    right.axvline(0.5, color=BAD_COLOUR, linestyle=":", label="guessing")
    left.set_yticks(range(len(baselines)), [baseline.title for baseline in baselines])
    left.set(ylim=(len(baselines) - 0.5, -0.6), xlabel=f"accuracy, n = {len(first.labels)}")
    right.set(xlim=(None, 1.03), xlabel="area under ROC")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def plot_slices(report: SliceReport) -> Figure:
    """Show the accuracy of every slice with its interval; slices of few photos are grey.

    Args:
        report: From `slice_evaluation` or `evaluate_slices`.

    Returns:
        The figure: a row per slice, a line at the accuracy on all photos, a cross for what always
        giving the more frequent class reaches in the slice.
    """
    figure = make_figure(9, 1.4 + 0.3 * len(report.slices))
    axis, labels, previous = figure.subplots(), [], ""
    for row, each in enumerate(report.slices):
        colour = FRAME_COLOUR if each.is_small else "black"
        _draw_estimate(axis, each.accuracy, row, colour=colour)
        axis.plot(each.majority_accuracy, row, "x", color=BAD_COLOUR, markersize=5)
        if each.measure != previous and row:
            axis.axhline(row - 0.5, color=FRAME_COLOUR, linewidth=0.8)
        labels.append(f"{each.measure}: {each.name}")
        previous = each.measure
        text = f"n = {each.accuracy.count}" + (", few" if each.is_small else "")
        _write_beside(axis, row, text)
    share = report.overall.value
    axis.axvline(share, color=CLASS_COLOURS[0], linestyle=":", label=f"all photos, {share:.3f}")
    axis.plot([], [], "x", color=BAD_COLOUR, label=f"always {report.majority_class}")
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set(ylim=(len(labels) - 0.5, -0.5), xlim=(-0.02, 1.02), xlabel="accuracy")
    axis.legend(frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def plot_robustness(report: RobustnessReport) -> Figure:
    """Show how the accuracy falls with the severity of each corruption.

    Args:
        report: From `measure_robustness` or `evaluate_robustness`.

    Returns:
        The figure: a panel per corruption, the accuracy with its 95 % band, the balanced accuracy
        dashed, and lines for the clean accuracy and for always giving the more frequent class.
        Steps are drawn equally wide.
    """
    columns = min(3, len(report.curves))
    rows = -(-len(report.curves) // columns)
    figure = make_figure(3.4 * columns, 2.5 * rows + 0.5)
    axes: Any = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis, curve in zip(axes.flat, report.curves, strict=False):
        _draw_curve(axis, curve, report)
    for axis in axes.flat[len(report.curves) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw_curve(axis: Axes, curve: CorruptionCurve, report: RobustnessReport) -> None:
    shares = [report.clean, *curve.accuracy]
    places = range(len(shares))
    lows, highs = [share.low for share in shares], [share.high for share in shares]
    axis.fill_between(places, lows, highs, color=CLASS_COLOURS[0], alpha=0.2, linewidth=0)
    values = [share.value for share in shares]
    axis.plot(places, values, "o-", color=CLASS_COLOURS[0], markersize=4, label="accuracy")
    balanced = [report.clean_balanced.value, *(share.value for share in curve.balanced)]
    axis.plot(places, balanced, "--", color=CLASS_COLOURS[1], linewidth=1.2, label="balanced")
    clean, majority = report.clean.value, report.majority.value
    axis.axhline(clean, color="black", linewidth=0.9, label=f"clean, {clean:.3f}")
    axis.axhline(
        majority, color=BAD_COLOUR, linestyle=":", label=f"always one class, {majority:.3f}"
    )
    axis.set_xticks(places, ["0", *(f"{severity:g}" for severity in curve.corruption.severities)])
    axis.set_ylim(0, 1.02)
    axis.set_xlabel(curve.corruption.title, fontsize=9)


def _draw_estimate(axis: Axes, share: Estimate, row: int, *, colour: str) -> None:
    line = NEUTRAL_COLOUR if colour == "black" else colour
    axis.plot([share.low, share.high], [row, row], color=line, linewidth=3)
    axis.plot(share.value, row, "o", color=colour, markersize=6)


def _write_beside(axis: Axes, row: int, text: str) -> None:
    """Write a row's number into the right margin."""
    axis.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
