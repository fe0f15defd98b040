"""The review sheet: one HTML page with likely label errors, which works offline, and a CSV.

Nothing on the page comes from elsewhere: pictures are embedded as small JPEGs that this program has
encoded itself, names are escaped text, and a Content-Security-Policy lets the browser run the one
script and the one style of the page, known by their hashes, and fetch nothing. So no file name can
become a script, and no picture leaves the machine.

The CSV, one line per photo, is for a spreadsheet, a text editor and back: no cell is a formula to a
spreadsheet, and every name comes back as it was (`write_table`).
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from PIL import Image

from emoclf.experiments.label_errors.finding import LabelError, LabelReview
from emoclf.images import ModelInfo, UnreadableImageError, prepare
from emoclf.storage import replacing
from emoclf.storage.tables import encode_cells, read_table, write_table
from emoclf.untrusted import show_text

PAGE_NAME, TABLE_NAME = "review.html", "decisions.csv"
"""The files of a review sheet."""

Action = Literal["", "keep", "move", "set_aside"]
"""Not decided; keep the photo where it is; move it to the suggested class; set it aside."""

COLUMNS: tuple[str, ...] = ("file", "class", "suggested_class", "decision", "reason", "sha256")
"""The columns of the CSV; `decision` is the one to fill in."""

_HERE = Path(__file__).parent
_JPEG_QUALITY = 80
_FRAME_HEIGHT_PX = 700


@dataclass(frozen=True)
class Decision:
    """What is to become of one photo.

    Attributes:
        path: Relative to the data set's folder, with forward slashes.
        sha256: Of the content that was looked at.
        class_name: The class of the folder it was in.
        suggested_class: The class that "move" takes it to.
        action: `"keep"`, `"move"`, `"set_aside"`, or `""` when nothing was decided.
        reason: Why it was looked at.
    """

    path: str
    sha256: str
    class_name: str
    suggested_class: str
    action: Action = ""
    reason: str = ""

    def list_cells(self) -> list[str]:
        """Return its texts in the order of `COLUMNS`."""
        facts = (self.path, self.class_name, self.suggested_class, self.action, self.reason)
        return [*facts, self.sha256]


@dataclass(frozen=True)
class ReviewSheet:
    """A review sheet on disk; as the last value of a notebook's cell, it is shown there.

    Attributes:
        page: The HTML page: open it in a browser.
        table: The CSV with one line per photo and nothing decided yet, for those who would rather
            fill in a table.
        photos: How many photos are on the sheet.
    """

    page: Path
    table: Path
    photos: int

    def _repr_html_(self) -> str:
        """Show the page in a frame of its own, which may run its script and save a file."""
        page = html.escape(self.page.read_text(encoding="utf-8"))
        return (
            f'<iframe title="Review sheet" srcdoc="{page}" sandbox="allow-scripts allow-downloads '
            f'allow-modals" style="width: 100%; height: {_FRAME_HEIGHT_PX}px; border: 0"></iframe>'
        )


def save_review_sheet(
    review: LabelReview, folder: str | Path, *, thumbnail_px: int = 224, limit: int | None = None
) -> ReviewSheet:
    """Write the page and the table for looking at likely label errors one by one.

    Args:
        review: From `rank_label_errors`.
        folder: Where the two files go. It must not hold them yet: they may hold decisions.
        thumbnail_px: Side of the pictures on the page, in pixels.
        limit: Show only so many photos, the first ones; None shows all.

    Returns:
        Where the page and the table are.

    Raises:
        FileExistsError: If the folder holds a sheet already.

    Example:
        >>> save_review_sheet(review, "logs/check/review")  # doctest: +SKIP
    """
    errors = review.label_errors[:limit]
    page, table = Path(folder) / PAGE_NAME, Path(folder) / TABLE_NAME
    for path in (page, table):
        _refuse_existing(path, "folder")
    decisions = [
        Decision(each.path, each.sha256, each.class_name, each.suggested_class, "", each.reason)
        for each in errors
    ]
    content = _write_page(review.root, errors, decisions, thumbnail_px)
    with replacing(page) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="\n")
    return ReviewSheet(page, save_decisions(decisions, table), len(errors))


def _write_page(
    root: Path, errors: Sequence[LabelError], decisions: Sequence[Decision], side: int
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style, script = (
        (_HERE / name).read_text(encoding="utf-8") for name in ("sheet.css", "sheet.js")
    )
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("sheet.html").render(
        policy=(
            f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
            f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        side=side,
        photos=[
            {"error": each, "name": show_text(each.path), **_load_picture(root / each.path, side)}
            for each in errors
        ],
        rows={"columns": COLUMNS, "rows": [encode_cells(each.list_cells()) for each in decisions]},
    )


def _load_picture(path: Path, side: int) -> dict[str, Any]:
    """Return a small picture of a photo, decoded like every other; or why there is none."""
    try:
        pixels = prepare(path, ModelInfo(image_size=(side, side))).crops[0]
    except UnreadableImageError as error:
        return {"jpeg": None, "problem": error.reason}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return {"jpeg": base64.b64encode(buffer.getvalue()).decode()}


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _refuse_existing(path: Path, what: str) -> None:
    if path.exists():
        raise FileExistsError(
            f"{show_text(path)} exists and may hold decisions. Give another {what}."
        )


def save_decisions(decisions: Iterable[Decision], path: str | Path) -> Path:
    """Write decisions as CSV, whole or not at all.

    Args:
        decisions: One per photo.
        path: A new file.

    Returns:
        The path.

    Raises:
        FileExistsError: If there is such a file: it may hold somebody's decisions.
    """
    path = Path(path)
    _refuse_existing(path, "name")
    rows = (decision.list_cells() for decision in decisions)
    return write_table(path, COLUMNS, rows, encoding="utf-8-sig")


def load_decisions(path: str | Path) -> tuple[Decision, ...]:
    """Read the CSV of decisions, as the sheet or a spreadsheet wrote it.

    Commas, semicolons or tabs may separate the cells. "Set aside", "set-aside" and "SET_ASIDE" are
    the same.

    Args:
        path: The CSV.

    Returns:
        One decision per photo.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such CSV, a decision is unknown, or a photo stands in it twice; the
            message names the line.
    """
    decisions: dict[str, Decision] = {}
    what = "the decisions that the review sheet saved"
    for line, row in read_table(path, what=what, columns=COLUMNS):
        place = f"{show_text(path)}, line {line:,}"
        decision = _read_row(row, place)
        if decision.path in decisions:
            raise ValueError(
                f"{place}: {show_text(decision.path)} stands in the file twice. Leave one."
            )
        decisions[decision.path] = decision
    return tuple(decisions.values())


def _read_row(row: dict[str, str], place: str) -> Decision:
    action = "_".join(row["decision"].lower().replace("-", " ").replace("_", " ").split())
    if action not in get_args(Action):
        raise ValueError(
            f"{place}: expected keep, move, set_aside or nothing as the decision. Received: "
            f"{row['decision']!r}."
        )
    return Decision(
        path=row["file"],
        sha256=row["sha256"].lower(),
        class_name=row["class"],
        suggested_class=row["suggested_class"],
        action=cast("Action", action),
        reason=row["reason"],
    )
