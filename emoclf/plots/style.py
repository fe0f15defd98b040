"""Colours, and a figure that a notebook shows by itself."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

CLASS_COLOURS: tuple[str, ...] = ("#3B6FB6", "#E8871E")
NEUTRAL_COLOUR = "#8A8F98"
FRAME_COLOUR = "#D0D3D8"
GOOD_COLOUR, BAD_COLOUR = "#2E8B57", "#B03A48"


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot is in use.

    The picture is stored with 256 colours, so that a notebook full of photos stays small. A dollar
    sign in a name is one, and begins no formula.
    """

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        axes = [axis for each in self.axes for axis in (each.xaxis, each.yaxis)]
        for axis in axes:
            if axis.get_scale() == "log":  # matplotlib writes powers of ten as formulas
                for label in axis.get_ticklabels(which="both"):
                    label.set_parse_math(True)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        buffer = io.BytesIO()
        picture.quantize(256, method=Image.Quantize.MEDIANCUT).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


def make_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure.

    Args:
        width: Width in inches.
        height: Height in inches.
        title: Title of the figure.

    Returns:
        The figure.
    """
    figure = NotebookFigure(figsize=(width, height), layout="constrained", dpi=80)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def class_colour(label: int) -> str:
    """Return the colour of a class, by its label."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]
