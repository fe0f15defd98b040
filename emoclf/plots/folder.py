"""What is in a folder: photos per class, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.config import CLASS_NAMES
from emoclf.plots.style import BAD_COLOUR, NEUTRAL_COLOUR, class_colour, make_figure


def plot_class_balance(
    counts: Mapping[str, Mapping[str, int]], *, class_names: Sequence[str] = CLASS_NAMES
) -> Figure:
    """Show how many photos of each class stand in each part.

    Args:
        counts: Part (a row of bars) -> class name -> number of photos.
        class_names: Names in label order.

    Returns:
        The figure.
    """
    figure = make_figure(7, 0.7 + 0.55 * len(counts) * len(class_names) / 2, "Photos per class")
    axis = figure.subplots()
    height = 0.8 / len(class_names)
    for label, name in enumerate(class_names):
        values = [part[name] for part in counts.values()]
        places = np.arange(len(counts)) + height * (label - (len(class_names) - 1) / 2)
        bars = axis.barh(places, values, height, color=class_colour(label), label=name)
        axis.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=9)
    axis.set_yticks(range(len(counts)), list(counts))
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("photos")
    axis.legend(frameon=False, loc="lower right")
    return figure


def plot_problem_counts(counts: Mapping[str, int], *, rejects: Sequence[str] = ()) -> Figure:
    """Show how often each flaw was found in a folder.

    Args:
        counts: Kind of flaw to number of files.
        rejects: The kinds that set a file aside; the others are advice.

    Returns:
        The figure; it says so when nothing was found.
    """
    figure = make_figure(7, 1.2 + 0.32 * max(1, len(counts)), "What was found in the folder")
    axis = figure.subplots()
    if not counts:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "No flaw found", ha="center", fontsize=12)
        return figure
    kinds = sorted(counts, key=lambda kind: (kind not in rejects, -counts[kind]))
    colours = [BAD_COLOUR if kind in rejects else NEUTRAL_COLOUR for kind in kinds]
    bars = axis.barh([kind.replace("_", " ") for kind in kinds], [counts[k] for k in kinds])
    for bar, colour in zip(bars, colours, strict=True):
        bar.set_color(colour)
    axis.bar_label(bars, padding=3, fontsize=9)
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("files")
    handles = [mpl.patches.Patch(color=c) for c in (BAD_COLOUR, NEUTRAL_COLOUR)]
    axis.legend(handles, ["set aside", "keep, but know"], frameon=False, loc="lower right")
    return figure
