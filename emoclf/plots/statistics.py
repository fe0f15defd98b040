"""How calibrated the probabilities are, and what "uncertain" would bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from emoclf.plots.style import BAD_COLOUR, FRAME_COLOUR, NEUTRAL_COLOUR, make_figure

if TYPE_CHECKING:
    from emoclf.evaluation.calibration import Reliability, RiskCoverage

_LINES = ("-", "--", "-.", ":")


def plot_reliability(reliability: Reliability) -> Figure:
    """Show how often predictions of each confidence are right.

    Args:
        reliability: From `measure_reliability`.

    Returns:
        The figure: a dot per bin with its 95 % interval, the dotted line of a calibrated network,
        and below it how many photos each bin holds.
    """
    figure = make_figure(5.6, 4.6)
    axis, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    confidence = [each.confidence for each in reliability.bins]
    shares = [each.accuracy for each in reliability.bins]
    values = [share.value for share in shares]
    distances = (
        [share.value - share.low for share in shares],
        [share.high - share.value for share in shares],
    )
    axis.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="calibrated")
    axis.errorbar(
        confidence,
        values,
        yerr=distances,
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
    lowest = min(0.5, min(each.low for each in reliability.bins))
    widths = [each.high - each.low for each in reliability.bins]
    counts = [share.count for share in shares]
    starts = [each.low for each in reliability.bins]
    below.bar(starts, counts, width=widths, align="edge", color=FRAME_COLOUR, edgecolor="white")
    below.set(xlabel="confidence", ylabel="photos", xlim=(lowest - 0.02, 1.02))
    return figure


def plot_risk_coverage(curves: Mapping[str, RiskCoverage]) -> Figure:
    """Show how many predictions are wrong when the unsure ones are left out.

    Args:
        curves: Name of the network to its curve, from `measure_risk_coverage`; at least one.

    Returns:
        The figure: one line per network, with its area and interval, and a dotted line for the
        fraction of mistakes when all photos are predicted.

    Raises:
        ValueError: If there is no curve.
    """
    if not curves:
        raise ValueError(
            'Expected at least one curve, such as {"mine": measure_risk_coverage(evaluation)}.'
        )
    figure = make_figure(8, 3.6)
    axis = figure.subplots()
    colours = ("black", BAD_COLOUR, NEUTRAL_COLOUR)
    for number, (name, curve) in enumerate(curves.items()):
        colour, area = colours[number % len(colours)], curve.area
        axis.plot(
            curve.coverage,
            curve.risk,
            color=colour,
            linestyle=_LINES[number // len(colours) % len(_LINES)],
            drawstyle="steps-post" if len(curve.coverage) < 30 else "default",
            label=f"{name}: area {area.value:.3f} ({area.low:.3f} to {area.high:.3f})",
        )
        axis.axhline(curve.whole_risk.value, color=colour, linestyle=":", linewidth=0.8)
    first = next(iter(curves.values()))
    axis.set(xlabel=f"fraction of the photos that is predicted, n = {first.area.count:,}")
    axis.set(ylabel="fraction of these that is wrong", xlim=(0, 1.02), ylim=(0, None))
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure
