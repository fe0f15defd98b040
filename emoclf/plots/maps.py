"""What a convolution sees and makes: its maps beside the photo, and its kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from emoclf.plots.style import make_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_maps(
    photo: np.ndarray,
    maps: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
) -> Figure:
    """Show a photo beside maps of it: the results of convolutions, pooled maps, feature maps.

    Args:
        photo: uint8 RGB `(height, width, 3)`, or grey `(height, width)`, 0 to 255.
        maps: Numbers, `(height, width)` each; sizes may differ. Of a layer's output
            `(height, width, channels)`: `np.moveaxis(output, -1, 0)`.
        titles: One text per map; default: none.
        columns: Pictures per row at most, the photo included.

    Returns:
        The figure, every pixel a square. A map with negative values goes from blue over white (0)
        to red, any other from black (0) to white, each on a scale of its own: its size, smallest
        and largest value stand below it.

    Raises:
        ValueError: If there is no map, one is not `(height, width)`, or titles are missing.

    Example:
        >>> photo = np.zeros((6, 6, 3), np.uint8)
        >>> figure = plot_maps(photo, [np.eye(4) - 0.5, np.eye(2)], ["edges", "pooled"])
        >>> [axis.get_xlabel() for axis in figure.axes]
        ['6 x 6', '4 x 4, -0.5 to 0.5', '2 x 2, 0 to 1']
    """
    found = [np.asarray(each) for each in maps]
    texts = [""] * len(found) if titles is None else list(titles)
    if not found or any(each.ndim != 2 for each in found) or len(texts) != len(found):
        raise ValueError(
            "Expected maps of shape (height, width) and one title for each. Received shapes: "
            f"{[each.shape for each in found]}, {len(texts)} titles. Of a batch of feature maps "
            "give np.moveaxis(output[0], -1, 0)."
        )
    figure, axes = _make_tiles(len(found) + 1, columns, most_inches=2.6)
    _show_tile(axes[0], photo, "photo", cmap="gray", vmin=0, vmax=255)
    for axis, values, text in zip(axes[1:], found, texts, strict=True):
        low, high = float(values.min()), float(values.max())
        most = max(abs(low), abs(high)) or 1.0
        scale = ("RdBu_r", -most) if low < 0 else ("gray", 0)
        _show_tile(axis, values, text, cmap=scale[0], vmin=scale[1], vmax=most)
        axis.set_xlabel(f"{axis.get_xlabel()}, {low:.3g} to {high:.3g}", fontsize=8)
    return figure


def plot_filters(kernels: np.ndarray, *, columns: int = 8) -> Figure:
    """Show the kernels of a first convolution as small colour pictures.

    Args:
        kernels: `(height, width, 3, kernels)`, or 1 in place of 3 for grey photos, as of
            `layer.kernel`.
        columns: Kernels per row at most.

    Returns:
        The figure: weights of 0 are grey, the largest of all kernels black or white in its colour.

    Raises:
        ValueError: If `kernels` has another shape.
    """
    weights = np.asarray(kernels, dtype=np.float64)
    if weights.ndim != 4 or weights.shape[2] not in (1, 3) or not weights.shape[3]:
        raise ValueError(
            f"Expected kernels (height, width, 3, kernels), received {weights.shape}. Only those "
            "of the first convolution look at colours."
        )
    most = float(np.abs(weights).max()) or 1.0
    pictures = np.moveaxis(0.5 + weights / (2 * most), -1, 0)
    figure, axes = _make_tiles(len(pictures), columns, most_inches=1.0)
    for number, (axis, picture) in enumerate(zip(axes, pictures, strict=True), 1):
        _show_tile(
            axis,
            picture.squeeze(axis=-1) if picture.shape[-1] == 1 else picture,
            str(number),
            cmap="gray",
            vmin=0,
            vmax=1,
        )
        axis.set_xlabel("")
    height, width, channels, _ = weights.shape
    figure.supxlabel(
        f"{len(pictures)} kernels of {height} x {width} x {channels} weights; grey is 0", fontsize=9
    )
    return figure


def _make_tiles(count: int, columns: int, *, most_inches: float) -> tuple[Figure, list[Axes]]:
    """Return a figure and its places for pictures, as few per row as make no more rows."""
    rows = -(-count // columns)
    columns = -(-count // rows)
    side_inches = min(most_inches, 10.5 / columns)
    figure = make_figure(side_inches * columns, (side_inches + 0.45) * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _show_tile(axis: Axes, picture: np.ndarray, title: str, **scale: Any) -> None:
    """Show every pixel as a square, with the size of the picture below it."""
    axis.imshow(picture, interpolation="nearest", **scale)
    axis.set(xticks=[], yticks=[])
    axis.set_title(shorten(title, 28), fontsize=9)
    axis.set_xlabel(f"{picture.shape[0]} x {picture.shape[1]}", fontsize=8)
