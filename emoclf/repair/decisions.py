"""What a person decided about each suspect: one CSV, for a spreadsheet, a text editor and back.

No cell is a formula to a spreadsheet, and every name comes back as it was (`encode_cell`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from emoclf.storage import replacing
from emoclf.untrusted import decode_cell, encode_cell, show_text

Action = Literal["", "keep", "move", "set_aside"]
"""Not decided; keep the photo where it is; move it to the suggested class; set it aside."""

COLUMNS: tuple[str, ...] = ("file", "class", "suggested_class", "decision", "reason", "sha256")
"""The columns of the CSV; `decision` is the one to fill in."""

_SEPARATORS = ",;\t"


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
    if path.exists():
        raise FileExistsError(
            f"{show_text(path)} exists and may hold decisions. Give another name."
        )
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(list_cells(decision) for decision in decisions)
    return path


def list_cells(decision: Decision) -> list[str]:
    """Return a decision's cells, in the order of `COLUMNS`, each safe for a spreadsheet.

    Args:
        decision: The decision.

    Returns:
        Text that UTF-8 can hold.

    Example:
        >>> list_cells(Decision("=sad/a.jpg", "12ab", "Sad", "Happy"))[0]
        '"=sad/a.jpg"'
    """
    return [
        encode_cell(decision.path),
        encode_cell(decision.class_name),
        encode_cell(decision.suggested_class),
        decision.action,
        encode_cell(decision.reason),
        decision.sha256,
    ]


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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{show_text(path)} does not exist. Expected the decisions that the review sheet saved."
        )
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{show_text(path)} is not UTF-8 ({show_text(error)}). Save it again as 'CSV "
            "UTF-8' in the spreadsheet."
        ) from error
    header = content.partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(
            f"{show_text(path)}: expected the columns {', '.join(COLUMNS)}; {', '.join(missing)} "
            "is missing. Fill in the CSV that lies beside the review sheet, and leave its first "
            "line as it is."
        )
    decisions: dict[str, Decision] = {}
    for row in rows:
        decision = _read_row(row, f"{show_text(path)} line {rows.line_num}")
        if decision.path in decisions:
            raise ValueError(
                f"{show_text(path)} line {rows.line_num}: {show_text(row['file'])} stands "
                "in the file twice. Leave one."
            )
        decisions[decision.path] = decision
    return tuple(decisions.values())


def _read_row(row: dict[str, str | None], place: str) -> Decision:
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    action = "_".join(cells["decision"].lower().replace("-", " ").replace("_", " ").split())
    if action not in get_args(Action):
        raise ValueError(
            f"{place}: expected keep, move, set_aside or nothing as the decision. Received: "
            f"{cells['decision']!r}."
        )
    try:
        path, own, suggested, reason = (
            decode_cell(cells[name]) for name in ("file", "class", "suggested_class", "reason")
        )
    except ValueError as error:
        raise ValueError(
            f"{place}: a cell that begins with a quotation mark was changed ({show_text(error)}). "
            "Take the line from the CSV that lies beside the review sheet."
        ) from error
    return Decision(path, cells["sha256"].lower(), own, suggested, cast("Action", action), reason)
