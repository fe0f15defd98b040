"""Why an answer: maps over their photos, and how much of them lies on the people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.inference.explanations import blend_map, draw_ramp, summarise_shares_on_person
from emoclf.plots.photos import plot_photo_grid
from emoclf.plots.style import BAD_COLOUR, NEUTRAL_COLOUR, class_colour, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.inference.explanations import BoxShare, BoxSummary, Explanation, PersonShare

_LEGEND_INCHES = 0.55


def plot_explanations(
    photos: Sequence[np.ndarray],
    explanations: Sequence[Explanation],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    title: str = "",
) -> Figure:
    """Show photos with the maps of what speaks for a class, and one legend for all.

    Args:
        photos: uint8 RGB `(height, width, 3)` each, 0 to 255: the photos that were explained.
        explanations: From `explain`, in the same order.
        titles: One text per photo; default: the class that is explained, and its probability.
        columns: Photos per row.
        title: Title of the figure.

    Returns:
        The figure. Every map has its own scale: yellow is what speaks most for the class in this
        photo, whether that is much or little.

    Raises:
        ValueError: If there is no photo, or not one explanation of its size per photo.
    """
    if len(photos) != len(explanations):
        raise ValueError(
            f"Expected one explanation per photo, received {len(photos)} photos and "
            f"{len(explanations)} explanations."
        )
    texts = titles or [f"{each.class_name} {each.probability:.0%}" for each in explanations]
    pictures = [blend_map(*pair) for pair in zip(photos, explanations, strict=True)]
    figure = plot_photo_grid(pictures, texts, columns=columns, title=title, side_inches=2.2)
    width, height = figure.get_size_inches()
    figure.set_size_inches(max(width, 3.0), height + _LEGEND_INCHES)
    colours = mpl.colors.ListedColormap(draw_ramp((1, 256))[0] / 255)
    scale = mpl.cm.ScalarMappable(cmap=colours)
    bar = figure.colorbar(
        scale, ax=figure.axes, location="bottom", shrink=0.5, aspect=30, ticks=[0, 1]
    )
    bar.ax.set_xticklabels(["little", "much"], fontsize=8)
    bar.set_label("what speaks for the class", fontsize=8)
    return figure


def plot_shares_on_person(shares: Sequence[PersonShare | None]) -> Figure:
    """Show for each photo how much of its map lies on the faces and bodies, against chance.

    Args:
        shares: From `find_share_on_person`; photos without a face, None, are left out.

    Returns:
        The figure: one dot per photo, the share of the area against the share of the map; a dot on
        the line is what a map reaches that marks everywhere alike. Below it the sentence that the
        numbers say.

    Raises:
        ValueError: If no photo has a share.
    """
    summary = summarise_shares_on_person(shares)
    found = [share for share in shares if share is not None]
    figure = make_figure(8, 4.4)
    left, right = figure.subplots(1, 2)
    _plot_box(left, "faces", [share.face for share in found], summary.face)
    _plot_box(right, "bodies", [share.body for share in found], summary.body)
    figure.supxlabel(str(summary), fontsize=9, wrap=True)
    return figure


def _plot_box(axis: Axes, name: str, shares: Sequence[BoxShare], summary: BoxSummary) -> None:
    areas, marked = [share.area for share in shares], [share.marked for share in shares]
    colour = class_colour(0)
    axis.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="marked everywhere alike")
    axis.plot(areas, marked, "o", color=colour, alpha=0.6, markersize=5, label="a photo")
    axis.plot(summary.area, summary.marked, "D", color=BAD_COLOUR, markersize=9, label="mean")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set(xlabel=f"share of the area in {name}", ylabel=f"share of the map in {name}")
    axis.legend(frameon=False, fontsize=8, loc="upper left" if summary.lead < 0 else "lower right")
