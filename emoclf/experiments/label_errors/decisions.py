"""What a person decided about each suspect: one CSV, for a spreadsheet, a text editor and back.

No cell is a formula to a spreadsheet, and every name comes back as it was (`write_table`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from emoclf.storage.tables import encode_cells, read_table, write_table
from emoclf.untrusted import show_text

Action = Literal["", "keep", "move", "set_aside"]
"""Not decided; keep the photo where it is; move it to the suggested class; set it aside."""

COLUMNS: tuple[str, ...] = ("file", "class", "suggested_class", "decision", "reason", "sha256")
"""The columns of the CSV; `decision` is the one to fill in."""

_WHAT = "the decisions that the review sheet saved"


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
    rows = (_list_texts(decision) for decision in decisions)
    return write_table(path, COLUMNS, rows, encoding="utf-8-sig")


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
    return encode_cells(_list_texts(decision))


def _list_texts(decision: Decision) -> list[str]:
    return [
        decision.path,
        decision.class_name,
        decision.suggested_class,
        decision.action,
        decision.reason,
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
    decisions: dict[str, Decision] = {}
    for line, row in read_table(path, what=_WHAT, columns=COLUMNS):
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
        row["file"],
        row["sha256"].lower(),
        row["class"],
        row["suggested_class"],
        cast("Action", action),
        row["reason"],
    )
