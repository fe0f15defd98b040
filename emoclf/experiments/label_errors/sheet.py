"""The review sheet: one HTML page with the suspects, which works offline, and a CSV beside it.

Nothing on the page comes from elsewhere: pictures are embedded as small JPEGs that this program has
encoded itself, names are escaped text, and a Content-Security-Policy lets the browser run the one
script and the one style of the page, known by their hashes, and fetch nothing. So no file name can
become a script, and no picture leaves the machine.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from emoclf.experiments.label_errors.decisions import COLUMNS, Decision, list_cells, save_decisions
from emoclf.experiments.label_errors.finding import LabelError, LabelReview
from emoclf.images import ModelInfo, UnreadableImageError, prepare
from emoclf.storage import replacing
from emoclf.untrusted import show_text

PAGE_NAME, TABLE_NAME = "review.html", "decisions.csv"
"""The files of a review sheet."""

_HERE = Path(__file__).parent
_JPEG_QUALITY = 80
_FRAME_HEIGHT_PX = 700


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
    """Write the page and the table for looking at the suspects one by one.

    Args:
        review: From `rank_label_errors`.
        folder: Where the two files go. It must not hold them yet: they may hold decisions.
        thumbnail_px: Side of the pictures on the page, in pixels.
        limit: Show only this many suspects, the first ones; None shows all.

    Returns:
        Where the page and the table are.

    Raises:
        FileExistsError: If the folder holds a sheet already.

    Example:
        >>> save_review_sheet(review, "logs/check/review")  # doctest: +SKIP
    """
    folder, shown = Path(folder), review.suspects[:limit]
    page, table = folder / PAGE_NAME, folder / TABLE_NAME
    for path in (page, table):
        if path.exists():
            raise FileExistsError(
                f"{show_text(path)} exists, and there may be decisions in it. Choose "
                "another folder."
            )
    decisions = [_make_decision(suspect) for suspect in shown]
    content = _write_page(review, shown, decisions, thumbnail_px)
    with replacing(page) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="\n")
    return ReviewSheet(page, save_decisions(decisions, table), len(shown))


def _make_decision(suspect: LabelError) -> Decision:
    return Decision(
        suspect.path,
        suspect.sha256,
        suspect.class_name,
        suspect.suggested_class,
        reason=suspect.reason,
    )


def _write_page(
    review: LabelReview,
    suspects: Sequence[LabelError],
    decisions: Sequence[Decision],
    thumbnail_px: int,
) -> str:
    """Put the page together."""
    style, script = (
        (_HERE / name).read_text(encoding="utf-8") for name in ("sheet.css", "sheet.js")
    )
    rows = {"columns": COLUMNS, "rows": [list_cells(decision) for decision in decisions]}
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    cards = [
        _write_card(review.root, suspect, number, thumbnail_px)
        for number, suspect in enumerate(suspects, start=1)
    ]
    return _PAGE.format(
        policy=html.escape(policy),
        style=style,
        script=script,
        cards="\n".join(cards),
        count=len(cards),
        # Inside a script element, only "<" could end it or open a comment.
        rows=json.dumps(rows).replace("<", "\\u003c"),
    )


def _write_card(root: Path, suspect: LabelError, number: int, thumbnail_px: int) -> str:
    """Return the part of the page about one photo."""
    own, suggested = html.escape(suspect.class_name), html.escape(suspect.suggested_class)
    choices = (
        ("", "Not decided"),
        ("keep", f"Keep in {own} <kbd>K</kbd>"),
        ("move", f"Move to {suggested} <kbd>M</kbd>"),
        ("set_aside", "Set aside <kbd>S</kbd>"),
    )
    buttons = "\n".join(
        f'<label><input type="radio" name="decision-{number}" value="{value}"'
        f"{'' if value else ' checked'}> {text}</label>"
        for value, text in choices
    )
    return _CARD.format(
        number=number,
        name=html.escape(show_text(suspect.path)),
        own=own,
        suggested=suggested,
        picture=_write_picture(root / suspect.path, suspect, number, thumbnail_px),
        reason=html.escape(suspect.reason),
        buttons=buttons,
    )


def _write_picture(path: Path, suspect: LabelError, number: int, side: int) -> str:
    """Return a small picture of a photo, decoded like every other; or why there is none."""
    try:
        pixels = prepare(path, ModelInfo(image_size=(side, side))).crops[0]
    except UnreadableImageError as error:
        return f'<p class="missing">No picture: {html.escape(error.reason)}</p>'
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    label = html.escape(suspect.class_name)
    return (
        f'<img src="data:image/jpeg;base64,{data}" width="{side}" height="{side}" '
        f'alt="Photo {number}, which lies in {label}">'
    )


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


_CARD = """<li><fieldset>
<legend>{number}. <bdi>{name}</bdi></legend>
{picture}
<p>Lies in <b>{own}</b>. Suggested: <b>{suggested}</b>.</p>
<p class="reason"><bdi>{reason}</bdi></p>
{buttons}
</fieldset></li>"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Review sheet: {count} photos</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Is the label right?</h1>
<p>Look at each photo, decide, and save. Inside a photo the keys <kbd>K</kbd> keep, <kbd>M</kbd>
move and <kbd>S</kbd> set aside decide and go on to the next one. Nothing is moved until the saved
table is applied: <code>python -m emoclf apply-decisions DATA decisions.csv</code></p>
<p><button type="button" id="save">Save decisions.csv</button>
<button type="button" id="show">Show as text</button>
<span id="count" role="status"></span> <span id="said" role="status"></span></p>
<noscript><p>This browser runs no script here: fill in the column "decision" of the decisions.csv
that lies beside this page.</p></noscript>
<textarea id="text" rows="6" readonly hidden aria-label="The table of decisions as text"></textarea>
</header>
<main>
<ol>
{cards}
</ol>
</main>
<script type="application/json" id="rows">{rows}</script>
<script>{script}</script>
</body>
</html>
"""
