"""Figures as files, beside the numbers that they show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 110


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all.

    Args:
        figure: From `emoclf.plots`.
        path: Where the file belongs.

    Returns:
        The path of the file.
    """
    from emoclf.storage import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)
    return path
