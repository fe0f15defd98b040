"""Arrays and results in, matplotlib figures out. Nothing is shown: a notebook shows what it gets.

The two classes keep their colours in every figure: Sad blue, Happy orange. Both can be told apart
by readers who are colour-blind, and every bar and every line carries its name as well.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from emoclf.config import CLASS_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import Evaluation

CLASS_COLOURS: tuple[str, ...] = ("#3B6FB6", "#E8871E")
NEUTRAL_COLOUR = "#8A8F98"
FRAME_COLOUR = "#D0D3D8"
GOOD_COLOUR, BAD_COLOUR = "#2E8B57", "#B03A48"


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot is in use.

    The picture is stored with 256 colours, so that a notebook full of photos stays small.
    """

    def _repr_png_(self) -> bytes:
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        buffer = io.BytesIO()
        picture.quantize(256, method=Image.Quantize.MEDIANCUT).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


def plot_photo_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    title: str = "",
    colours: Sequence[str] | None = None,
) -> Figure:
    """Show photos in a grid, each with a short title.

    Args:
        images: uint8 RGB `(height, width, 3)` each, 0 to 255; sizes may differ.
        titles: One text per photo; long ones are shortened.
        columns: Photos per row.
        title: Title of the figure.
        colours: One colour per title.

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
    figure = _make_figure(1.75 * columns, 1.95 * rows + (0.4 if title else 0), title)
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
    figure = _make_figure(7, 0.7 + 0.55 * len(counts) * len(class_names) / 2, "Photos per class")
    axis = figure.subplots()
    height = 0.8 / len(class_names)
    for label, name in enumerate(class_names):
        values = [part[name] for part in counts.values()]
        places = np.arange(len(counts)) + height * (label - (len(class_names) - 1) / 2)
        bars = axis.barh(places, values, height, color=_class_colour(label), label=name)
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
    figure = _make_figure(7, 1.2 + 0.32 * max(1, len(counts)), "What was found in the folder")
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
    figure = _make_figure(9, 3.4)
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
    names = evaluation.class_names
    figure = _make_figure(3.1 * len(names) + 0.6, 2.6 * len(names) + 0.7)
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
    name, figure = evaluation.class_names[-1], _make_figure(9, 3.9)
    left, right = figure.subplots(1, 2)
    left.plot(curves.false_positive_rate, curves.true_positive_rate, color=CLASS_COLOURS[-1])
    left.plot([0, 1], [0, 1], color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    left.set_title(f"ROC, area {curves.roc_auc:.3f}", fontsize=10)
    left.set(xlabel=f"share of others called {name}", ylabel=f"share of {name} found")
    right.plot(curves.recall, curves.precision, color=CLASS_COLOURS[-1])
    right.axhline(curves.prevalence, color=NEUTRAL_COLOUR, linestyle=":", label="guessing")
    right.set_title(f"Precision-recall, average {curves.average_precision:.3f}", fontsize=10)
    right.set(xlabel=f"share of {name} found (recall)", ylabel="share that is right (precision)")
    for axis in (left, right):
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axis.legend(frameon=False, loc="lower right" if axis is left else "lower left")
    return figure


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
    colours = [_class_colour(int(answer)) for answer in answers]
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
        bar.barh(0, share, left=start, height=1, color=_class_colour(label))
        start += float(share)
    bar.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    bar.set_axis_off()


def _class_colour(label: int) -> str:
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def _shorten(text: str, length: int) -> str:
    """Keep a title on one line, whatever a file is called."""
    line = "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
    return line if len(line) <= length else f"{line[: length - 9]}…{line[-8:]}"


def _make_figure(width: float, height: float, title: str = "") -> Figure:
    figure = NotebookFigure(figsize=(width, height), layout="constrained", dpi=80)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
