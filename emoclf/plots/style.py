"""Colours, a figure that a notebook shows by itself, and rows of estimates."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image, ImageColor

from emoclf.inference.annotation import COLOURS, NEUTRAL_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emoclf.evaluation import Estimate

FRAME_COLOUR = "#D0D3D8"
FEW_COLOUR = "#5F6570"
"""Of what is said in words because too few photos show it."""

GOOD_COLOUR, BAD_COLOUR = "#2E8B57", "#B03A48"

_KEPT_COLOURS = (*COLOURS, NEUTRAL_COLOUR, FRAME_COLOUR, FEW_COLOUR, GOOD_COLOUR, "black", "white")

_LARGEST_ERROR = 12
"""What 95 % of a figure's pixels may differ by, of 255, where fewer colours are stored."""


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot is in use.

    The picture is stored with as few colours as do not show, so that a notebook full of photos
    stays small. A dollar sign in a name is one, and begins no formula.
    """

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        for axis in (axis for each in self.axes for axis in (each.xaxis, each.yaxis)):
            if axis.get_scale() == "log":  # matplotlib writes powers of ten as formulas
                for label in axis.get_ticklabels(which="both"):
                    label.set_parse_math(True)
        super().draw(renderer)

    def _repr_mimebundle_(self, **_asked: object) -> dict[str, bytes]:
        return {"image/png": self._repr_png_()}  # or pyplot's larger picture would be shown

    def _repr_png_(self) -> bytes:
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        buffer = io.BytesIO()
        _reduce_colours(picture).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


def _reduce_colours(picture: Image.Image) -> Image.Image:
    """Return a picture of as few colours as keep nearly all pixels; our own colours are kept."""
    packed = np.asarray(picture, dtype=np.int32) @ (65536, 256, 1)
    values, place = np.unique(packed.ravel(), return_inverse=True)
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.float32)
    size = (picture.width // 2 or 1, picture.height // 2 or 1)
    thin = picture.resize(size, Image.Resampling.NEAREST)
    own = [ImageColor.getrgb(colour) for colour in _KEPT_COLOURS]
    for count in (64, 128, 256):
        found = thin.quantize(count - len(own), kmeans=packed.size // 400).getpalette() or []
        palette = np.array([*own, *np.reshape(found, (-1, 3))][:count], dtype=np.float32)
        nearest = np.argmin((palette**2).sum(axis=1) - 2 * colours @ palette.T, axis=1)
        errors = np.abs(palette[nearest] - colours).max(axis=1)[place]
        if np.quantile(errors, 0.95) <= _LARGEST_ERROR:
            break
    reduced = Image.fromarray(nearest[place].reshape(packed.shape).astype(np.uint8), "P")
    reduced.putpalette(palette.astype(np.uint8).tobytes())
    return reduced


def make_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure, its size in inches."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained", dpi=80)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def class_colour(label: int) -> str:
    """Return the colour of a class, by its label."""
    return COLOURS[label % len(COLOURS)]


def draw_estimate(
    axis: Axes, estimate: Estimate, row: int, text: str, *, colour: str = "black", fontsize: int = 8
) -> None:
    """Draw a dot for a value, a line for its interval, and a text into the right margin."""
    line = NEUTRAL_COLOUR if colour == "black" else colour
    axis.plot([estimate.low, estimate.high], [row, row], color=line, linewidth=3)
    axis.plot(estimate.value, row, "o", color=colour, markersize=fontsize - 2)
    place = ("axes fraction", "data")
    axis.annotate(text, (1.02, row), xycoords=place, va="center", fontsize=fontsize)


def name_rows(axis: Axes, names: Iterable[str], *, fontsize: int | None = None) -> None:
    """Write the rows' names to the left; the first row is at the top."""
    names = list(names)
    axis.set_yticks(range(len(names)), names, fontsize=fontsize)
    axis.set_ylim(len(names) - 0.5, -0.5)


def shorten(text: str, length: int) -> str:
    """Keep a title on one line, whatever a file is called."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= length else f"{line[: length - 9]}…{line[-8:]}"
