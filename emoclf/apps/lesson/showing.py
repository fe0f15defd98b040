"""Photos with what a network says of them, in a notebook: yours too, chosen with a button."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoclf.images import UnreadableImageError, load_image
from emoclf.inference.annotation import annotate_photo
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from emoclf.data.cleaning import CleaningReport
    from emoclf.inference import Predictor

NO_BUTTON = (
    "There is no upload button here (it needs ipywidgets, and a notebook that shows them): "
    'predict a file instead, with emoclf.predict("photo.jpg").'
)
NO_NETWORK = "Nothing can be predicted here: no face detector was found (see step 3)."


def show_predictions(
    predictor: Predictor | None, photos: Sequence[str | Path | np.ndarray], *, columns: int = 3
) -> Figure | str:
    """Draw photos with a box around each face and what is predicted.

    Args:
        predictor: What predicts; None where there is none.
        photos: Files, or uint8 RGB `(height, width, 3)`, 0 to 255.
        columns: Photos in a row.

    Returns:
        A figure; each title names the folder of a file and the prediction. Without a predictor or
        photos a sentence says so.
    """
    from emoclf.plots import plot_photo_grid

    if predictor is None:
        return NO_NETWORK
    if not len(photos):
        return "There are no photos to show."
    pictures, titles = [], []
    for photo in photos:
        pixels = load_image(photo)
        prediction, _ = predictor.predict_prepared(pixels, whole_photo=True)
        label = f"in {show_text(photo.parent.name)}: " if isinstance(photo, Path) else ""
        probability = prediction.probabilities.get("Happy", 0)
        pictures.append(annotate_photo(pixels, prediction))
        titles.append(f"{label}{prediction.answer} (Happy {probability:.0%})")
    return plot_photo_grid(pictures, titles, columns=columns, side_inches=9 / columns)


def show_flaws(report: CleaningReport, *, kinds: int = 9, duplicates: int = 9) -> Figure | str:
    """Draw an example of each flaw that can be shown, and some duplicates beside each other.

    Args:
        report: What `find_problems` has found.
        kinds: How many flaws.
        duplicates: How many files of groups of duplicates.

    Returns:
        A figure; a sentence where nothing was found.
    """
    from emoclf.plots import plot_photo_grid

    examples = [(kind.replace("_", " "), record) for kind, record in report.find_examples()]
    copies = [
        (f"duplicates {number}", record)
        for number, group in enumerate(report.duplicate_groups.values(), start=1)
        for record in group
    ]
    shown = examples[:kinds] + copies[:duplicates]
    if not shown:
        return "There is no flaw to show."
    pictures = [load_image(Path(report.root, record.path)) for _, record in shown]
    return plot_photo_grid(pictures, [title for title, _ in shown])


def upload_photos(predictor: Predictor | None) -> Any:
    """Return a button that predicts the photos you choose, and shows them below it.

    The photos go to the machine that runs the notebook, and are not kept.

    Args:
        predictor: What predicts them; None where there is none.

    Returns:
        A widget of ipywidgets; where there is none, a sentence that says what to do instead.

    Example:
        >>> upload_photos(emoclf.Predictor.packaged())  # doctest: +SKIP
    """
    if predictor is None:
        return NO_NETWORK
    try:
        import ipywidgets
    except ImportError:
        return NO_BUTTON
    button = ipywidgets.FileUpload(accept="image/*", multiple=True, description="Choose photos")
    shown = ipywidgets.Output()

    def show(change: dict[str, Any]) -> None:
        shown.clear_output()
        with shown:
            _show_uploads(predictor, change["new"])

    button.observe(show, names="value")
    return ipywidgets.VBox([button, shown])


def _show_uploads(predictor: Predictor, value: Any) -> None:
    """Display what is predicted for the chosen files, and which of them are no pictures."""
    from IPython.display import Pretty, display

    photos = []
    for name, content in _read_uploads(value):
        try:
            photos.append(load_image(content))
        except UnreadableImageError as error:
            display(Pretty(f"{show_text(name)}: {show_text(error)}"))
    if photos:
        display(show_predictions(predictor, photos, columns=min(3, len(photos))))


def _read_uploads(value: Any) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file, from what ipywidgets 7 (Colab) and 8 hand over."""
    if isinstance(value, dict):
        yield from ((name, bytes(file["content"])) for name, file in value.items())
    else:
        yield from ((file["name"], bytes(file["content"])) for file in value)
