"""Photos in a grid: as they are, augmented, or with the answers of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from emoclf.config import CLASS_NAMES
from emoclf.plots.style import BAD_COLOUR, FRAME_COLOUR, class_colour, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        columns: Photos per row.
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
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = make_figure(
        side_inches * columns, (side_inches + 0.2) * rows + (0.4 if title else 0), title
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    for position, (axis, image, text) in enumerate(zip(axes, images, texts, strict=False)):
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color(FRAME_COLOUR)  # so that a white picture can be seen
        colour = colours[position] if colours else "black"
        axis.set_title(_shorten(text, 26), fontsize=8, color=colour)
    return figure


def plot_augmentation(
    images: np.ndarray,
    augment: Callable[[np.ndarray], np.ndarray],
    *,
    versions: int = 6,
) -> Figure:
    """Show each photo beside several augmented versions of it.

    Args:
        images: uint8 RGB `(photos, height, width, 3)`, 0 to 255; a handful.
        augment: Maps such an array to another, differently on every call; values 0 to 255.
        versions: Augmented versions per photo.

    Returns:
        The figure: one row per photo, the photo itself on the left.
    """
    columns = [images] + [np.asarray(augment(images)) for _ in range(versions)]
    titles = ["the photo"] + ["what an epoch sees"] * versions
    pictures = [
        np.clip(column[row], 0, 255).astype(np.uint8)
        for row in range(len(images))
        for column in columns
    ]
    texts = [title if row == 0 else "" for row in range(len(images)) for title in titles]
    return plot_photo_grid(pictures, texts, columns=versions + 1)


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
        labels: True labels; with them a wrong answer is marked. Default: unknown.
        class_names: Names in label order.
        columns: Photos per row.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no photo, or not one row of probabilities per photo.
    """
    probabilities = np.asarray(probabilities)
    if not len(images) or probabilities.shape != (len(images), len(class_names)):
        expected = (len(images), len(class_names))
        raise ValueError(
            f"Expected at least one photo and probabilities of shape {expected}, received "
            f"{probabilities.shape}."
        )
    answers = probabilities.argmax(axis=1)
    texts = [
        f"{class_names[a]} {row[a]:.0%}" for a, row in zip(answers, probabilities, strict=True)
    ]
    colours = [class_colour(int(answer)) for answer in answers]
    if labels is not None:
        right = np.asarray(labels) == answers
        texts = [t if ok else f"{t} (wrong)" for t, ok in zip(texts, right, strict=True)]
        colours = ["black" if ok else BAD_COLOUR for ok in right]
    figure = plot_photo_grid(images, texts, columns=columns, title=title, colours=colours)
    figure.set_layout_engine("constrained", h_pad=0.12)
    for axis, row in zip(figure.axes, probabilities, strict=False):
        _draw_probability_bar(axis, row)
    return figure


def _draw_probability_bar(axis: Axes, probabilities: np.ndarray) -> None:
    bar, start = axis.inset_axes((0, -0.11, 1, 0.07)), 0.0
    for label, share in enumerate(probabilities):
        bar.barh(0, share, left=start, height=1, color=class_colour(label))
        start += float(share)
    bar.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    bar.set_axis_off()


def _shorten(text: str, length: int) -> str:
    """Keep a title on one line, whatever a file is called."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= length else f"{line[: length - 9]}…{line[-8:]}"
