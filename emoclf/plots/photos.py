"""Photos in a grid, the maps over them, and what is in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emoclf.config import CLASS_NAMES
from emoclf.inference.annotation import NEUTRAL_COLOUR
from emoclf.inference.explanations import blend_map, draw_ramp, summarise_fractions_on_person
from emoclf.plots.style import BAD_COLOUR, FRAME_COLOUR, class_colour, make_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.inference.explanations import BoxFraction, BoxSummary, Explanation, PersonFraction

_LEGEND_INCHES = 0.55


def plot_photo_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    title: str = "",
    colours: Sequence[str] | None = None,
    side_inches: float = 1.75,
) -> Figure:
    """Show photos in a grid, each with a short title.

    Args:
        images: uint8 RGB `(height, width, 3)` each, 0 to 255; sizes may differ.
        titles: One text per photo; long ones are shortened.
        columns: Photos per row at most; as few as make no more rows, so that no places stay empty.
        title: Title of the figure.
        colours: One colour per title.
        side_inches: Width of the place for one photo.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no photo, or not one title per photo.
    """
    texts = [""] * len(images) if titles is None else list(titles)
    if not len(images) or len(texts) != len(images):
        raise ValueError(
            f"Expected at least one photo and one title per photo, received {len(images)} photos "
            f"and {len(texts)} titles."
        )
    rows = -(-len(images) // columns)
    columns = -(-len(images) // rows)
    height = (side_inches + 0.2) * rows + (0.4 if title else 0)
    figure = make_figure(side_inches * columns, height, title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(images) :]:
        axis.remove()
    inks = colours or ["black"] * len(images)
    for axis, image, text, colour in zip(axes, images, texts, inks, strict=False):
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color(FRAME_COLOUR)  # so that a white picture can be seen
        axis.set_title(shorten(text, int(13 * side_inches)), fontsize=8, color=colour)
    return figure


def plot_augmentation(
    images: np.ndarray, augment: Callable[[np.ndarray], np.ndarray], *, versions: int = 6
) -> Figure:
    """Show each photo beside several augmented versions of it.

    Args:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255; a handful.
        augment: Maps such an array to another, differently on every call; values 0 to 255.
        versions: Augmented versions per photo.

    Returns:
        The figure: one row per photo, the photo itself on the left.
    """
    columns = [images, *(np.asarray(augment(images)) for _ in range(versions))]
    pictures = np.clip(np.stack(columns, axis=1), 0, 255).astype(np.uint8)
    titles = ["original"] + ["augmented"] * versions
    titles += [""] * (len(titles) * (len(images) - 1))
    return plot_photo_grid(pictures.reshape(-1, *images.shape[1:]), titles, columns=versions + 1)


def plot_predictions(
    images: Sequence[np.ndarray],
    probabilities: np.ndarray,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    class_names: Sequence[str] = CLASS_NAMES,
    columns: int = 6,
    title: str = "",
) -> Figure:
    """Show photos with a bar under each for the probabilities of the classes.

    Args:
        images: uint8 RGB `(height, width, 3)` each, 0 to 255.
        probabilities: `(photos, classes)`, each row from 0 to 1 and summing to 1.
        labels: True labels; with them a wrong prediction is marked. Default: unknown.
        class_names: Names in label order.
        columns: Photos per row.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no photo, or not one row of probabilities per photo.
    """
    probabilities, expected = np.asarray(probabilities), (len(images), len(class_names))
    if not len(images) or probabilities.shape != expected:
        raise ValueError(
            f"Expected at least one photo and probabilities of shape {expected}, received "
            f"{probabilities.shape}."
        )
    predicted = probabilities.argmax(axis=1)
    texts = [
        f"{class_names[k]} {row[k]:.0%}" for k, row in zip(predicted, probabilities, strict=True)
    ]
    colours = [class_colour(int(label)) for label in predicted]
    if labels is not None:
        right = np.asarray(labels) == predicted
        texts = [t if ok else f"{t} (wrong)" for t, ok in zip(texts, right, strict=True)]
        colours = ["black" if ok else BAD_COLOUR for ok in right]
    figure = plot_photo_grid(images, texts, columns=columns, title=title, colours=colours)
    figure.set_layout_engine("constrained", h_pad=0.12)
    for axis, row in zip(figure.axes, probabilities, strict=False):
        _draw_probability_bar(axis, row)
    return figure


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
    scale = mpl.cm.ScalarMappable(cmap=mpl.colors.ListedColormap(draw_ramp((1, 256))[0] / 255))
    bar = figure.colorbar(
        scale, ax=figure.axes, location="bottom", shrink=0.5, aspect=30, ticks=[0, 1]
    )
    bar.ax.set_xticklabels(["little", "much"], fontsize=8)
    bar.set_label("what speaks for the class", fontsize=8)
    return figure


def plot_fractions_on_person(fractions: Sequence[PersonFraction | None]) -> Figure:
    """Show for each photo how much of its map lies on the faces and bodies, against chance.

    Args:
        fractions: From `find_fraction_on_person`; photos without a face, None, are left out.

    Returns:
        The figure: one dot per photo, the fraction of the area against the fraction of the map; a
        dot on the line is what a map reaches that marks everywhere alike. Boxes that fill the
        pictures are left out. Below it the sentence that the numbers say.

    Raises:
        ValueError: If no photo has a fraction.
    """
    summary = summarise_fractions_on_person(fractions)
    found = [fraction for fraction in fractions if fraction is not None]
    boxes = {
        "faces": ([fraction.face for fraction in found], summary.face),
        "bodies": ([fraction.body for fraction in found], summary.body),
    }
    shown = {name: pair for name, pair in boxes.items() if not pair[1].fills} or boxes
    figure = make_figure(8, 4.4)
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, (name, pair) in zip(axes, shown.items(), strict=True):
        _draw_boxes(axis, name, *pair)
    figure.supxlabel(str(summary), fontsize=9, wrap=True)
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
    names, values = [kind.replace("_", " ") for kind in kinds], [counts[kind] for kind in kinds]
    colours = [BAD_COLOUR if kind in rejects else NEUTRAL_COLOUR for kind in kinds]
    axis.bar_label(
        axis.barh(names, values, color=colours, edgecolor=colours), padding=3, fontsize=9
    )
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("files")
    handles = [mpl.patches.Patch(color=colour) for colour in (BAD_COLOUR, NEUTRAL_COLOUR)]
    axis.legend(handles, ["set aside", "keep, but know"], frameon=False, loc="lower right")
    return figure


def _draw_boxes(axis: Axes, name: str, fractions: Sequence[BoxFraction], mean: BoxSummary) -> None:
    areas = [fraction.area for fraction in fractions]
    marked = [fraction.marked for fraction in fractions]
    axis.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="marked everywhere alike")
    axis.plot(areas, marked, "o", color=class_colour(0), alpha=0.6, markersize=5, label="a photo")
    axis.plot(mean.area, mean.marked, "D", color=BAD_COLOUR, markersize=9, label="mean")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set(xlabel=f"fraction of the area in {name}", ylabel=f"fraction of the map in {name}")
    axis.legend(frameon=False, fontsize=8, loc="upper left" if mean.lead < 0 else "lower right")


def _draw_probability_bar(axis: Axes, probabilities: np.ndarray) -> None:
    bar, start = axis.inset_axes((0, -0.11, 1, 0.07)), 0.0
    for label, probability in enumerate(probabilities):
        bar.barh(0, probability, left=start, height=1, color=class_colour(label))
        start += float(probability)
    bar.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    bar.set_axis_off()
