"""How a network learns: its curves, those of several trainings, and the learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emoclf.display import count_noun
from emoclf.plots.style import BAD_COLOUR, FRAME_COLOUR, GOOD_COLOUR, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.training import LearningRateCurve

History = Mapping[str, Sequence[float]]

_SPIKE = 3
"""A loss so many times above the median of its neighbours is cut off."""

_WINDOW = 5


def plot_learning_curves(
    history: History, *, best_epoch: int | None = None, epochs: int | None = None
) -> Figure:
    """Show loss and accuracy of training and validation per epoch.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy`, one value per epoch each.
        best_epoch: The epoch whose weights were kept, counted from 1; marked when given.
        epochs: How many epochs were planned; where fewer were trained, the last one is marked.

    Returns:
        The figure: loss on the left, accuracy on the right. What validation lags behind is shaded.
        A spike of a loss leaves the picture at an arrow with its value.
    """
    figure = make_figure(9, 3.6)
    for axis, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw_curves(axis, history, name)
        _set_limits(axis, [history], name)
        if best_epoch is not None:
            _mark_epoch(axis, best_epoch, f"kept: epoch {best_epoch}")
        _mark_stop(axis, history, epochs)
    _add_legend(figure)
    return figure


def plot_trainings(
    histories: Mapping[str, History], *, planned: Mapping[str, int] | None = None
) -> Figure:
    """Show the curves of several trainings side by side, on the same axes.

    Args:
        histories: Name of the training to its history, as for `plot_learning_curves`.
        planned: Name of a training to its planned epochs; where fewer were trained, the last one
            is marked.

    Returns:
        The figure: a column per training, the loss above, the accuracy below. What validation lags
        behind is shaded, and written down for the last epochs; the epoch with the lowest validation
        loss is marked.

    Raises:
        ValueError: If there is no training.
    """
    if not histories:
        raise ValueError('Expected at least one training, such as {"bare": history.history}.')
    count, planned = len(histories), planned or {}
    longest = max(*planned.values(), *(len(h["loss"]) for h in histories.values()), 1)
    figure = make_figure(min(4.5 * count, 11), 6)
    axes: Any = figure.subplots(2, count, sharex=True, sharey="row", squeeze=False)
    for column, (title, history) in zip(axes.T, histories.items(), strict=True):
        best = int(np.nanargmin(history["val_loss"])) + 1
        for axis, name in zip(column, ("loss", "accuracy"), strict=True):
            _draw_curves(axis, history, name)
            _set_limits(axis, histories.values(), name)
            _mark_epoch(axis, best, f"best: epoch {best}" if name == "loss" else "")
            _mark_stop(axis, history, planned.get(title))
        column[0].set_title(title, fontsize=11, pad=18)
        column[0].set_xlabel("")
        column[0].set_xlim(0.5, longest + 0.5)
    for axis in axes[:, 1:].flat:
        axis.set_ylabel("")
    _add_legend(figure)
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


def _draw_curves(axis: Axes, history: History, name: str) -> None:
    """Draw both curves and what lies between them; write down what the accuracy lags behind."""
    trained, validated = np.asarray(history[name]), np.asarray(history[f"val_{name}"])
    epochs = np.arange(1, len(trained) + 1)
    is_behind = validated > trained if name == "loss" else validated < trained
    axis.plot(epochs, trained, "-", color="black", label="training")
    axis.plot(
        epochs, validated, "--", color=BAD_COLOUR, marker="s", markersize=3, label="validation"
    )
    axis.fill_between(
        epochs,
        trained,
        validated,
        where=is_behind,
        interpolate=True,
        color=BAD_COLOUR,
        alpha=0.15,
        linewidth=0,
        label="what validation lags behind",
    )
    axis.set(xlabel="epoch", ylabel=name, xlim=(0.5, None))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if name == "accuracy":
        last = (trained - validated)[-_WINDOW:]
        points = round(100 * float(np.median(last)))
        lead = f"training leads by {count_noun(points, 'point')}"
        verdict = lead if points > 0 else "validation keeps up"
        axis.set_xlabel(f"epoch\n{verdict} (last {count_noun(len(last), 'epoch')})")


def _set_limits(axis: Axes, histories: Iterable[History], name: str) -> None:
    """Set the same limits for all trainings; a spike of a loss becomes an arrow with its value."""
    curves = [np.asarray(each[key], float) for each in histories for key in (name, f"val_{name}")]
    if name == "accuracy":
        axis.set_ylim(min(0.3, min(curve.min() for curve in curves) - 0.15), 1.02)
        return
    top = 1.08 * max(map(_find_usual_top, curves))
    axis.set_ylim(0, top)
    for line in list(axis.lines):
        for epoch, value in np.asarray(line.get_xydata()).tolist():
            if value <= top:
                continue
            axis.plot(epoch, top, "^", color=line.get_color(), markersize=9, clip_on=False)
            place, text = (epoch, top), f"{value:.3g}"
            axis.annotate(text, place, (7, -2), textcoords="offset points", va="top", fontsize=8)


def _find_usual_top(losses: np.ndarray) -> float:
    """Return the largest loss that is no spike; 1 where there is none."""
    usual = [
        loss
        for place, loss in enumerate(losses)
        if loss <= _SPIKE * np.nanmedian(_find_neighbours(losses, place))
    ]
    return float(max(usual, default=1.0))


def _find_neighbours(losses: np.ndarray, place: int) -> np.ndarray:
    start = max(0, min(place - _WINDOW // 2, len(losses) - _WINDOW))
    return losses[start : start + _WINDOW]


def _mark_epoch(axis: Axes, epoch: int, text: str) -> None:
    """Draw a line at an epoch, named above the picture."""
    axis.axvline(epoch, color=GOOD_COLOUR, linewidth=1.2, linestyle=":")
    place = ("data", "axes fraction")
    axis.annotate(
        text,
        (epoch, 1),
        (0, 2),
        xycoords=place,
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )


def _mark_stop(axis: Axes, history: History, epochs: int | None) -> None:
    """Where a training ended before the planned number of epochs, draw its end."""
    last = len(history["loss"])
    if epochs is None or last >= epochs:
        return
    axis.set_xlim(0.5, epochs + 0.5)
    axis.axvspan(last + 0.2, epochs + 0.5, facecolor=FRAME_COLOUR, alpha=0.5, linewidth=0)
    axis.text(
        (last + epochs) / 2 + 0.35,
        0.5,
        f"stopped early: epoch {last} of {epochs}",
        transform=axis.get_xaxis_transform(),
        ha="center",
        va="center",
        rotation=90,
        fontsize=9,
    )


def _add_legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
