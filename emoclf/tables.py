"""Tables for people: CSV files that a spreadsheet opens without taking a name for a formula.

Every CSV that emoclf writes for a reader is written here, and every text in it goes through
`encode_cell`; `read_table` gives the same texts back.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from emoclf.storage import open_regular, replacing
from emoclf.untrusted import decode_cell, encode_cell, show_text

MAX_TABLE_BYTES = 128 * 2**20
MAX_ROWS = 500_000
"""Largest table that is read."""

_SEPARATORS = ",;\t"


def write_table(
    path: str | Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    encoding: str = "utf-8",
) -> Path:
    """Write a CSV, whole or not at all.

    Args:
        path: Where the file belongs.
        header: The names of the columns.
        rows: One sequence of cells per line; None becomes an empty cell.
        encoding: "utf-8-sig" for Excel, which else takes it for another encoding.

    Returns:
        The path of the file.

    Example:
        >>> write_table("photos.csv", ["file"], [["=sad/a.jpg"]])  # doctest: +SKIP
    """
    with replacing(path) as temporary, temporary.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(encode_cells(header))
        writer.writerows(encode_cells(row) for row in rows)
    return Path(path)


def encode_cells(values: Iterable[object]) -> list[str]:
    """Return the cells of a line: texts through `encode_cell`, numbers as Python writes them.

    Example:
        >>> encode_cells(["=sad/a.jpg", -0.5, None])
        ['"=sad/a.jpg"', '-0.5', '']
    """
    return [
        encode_cell(value) if isinstance(value, str) else "" if value is None else str(value)
        for value in values
    ]


def read_table(
    path: str | Path, *, what: str, columns: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV that `write_table` wrote, perhaps saved again by a spreadsheet.

    Commas, semicolons or tabs may separate the cells. Blanks around a cell do not count.

    Args:
        path: The CSV.
        what: What it is, for the error message ("the decisions that the review sheet saved").
        columns: Columns that must be there.

    Returns:
        For each line with cells, the number of its last line in the file and the text of each
        column; a cell that is missing is empty.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such table; the message names the line.

    Example:
        >>> read_table("photos.csv", what="photos")  # doctest: +SKIP
        [(2, {'file': '=sad/a.jpg'})]
    """
    shown = show_text(path)
    found: list[tuple[int, dict[str, str]]] = []
    with open_regular(path, what=what, max_bytes=MAX_TABLE_BYTES) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            for number, row in _read_rows(lines, shown, what=what, columns=columns):
                if len(found) == MAX_ROWS:
                    raise ValueError(f"{shown} has more than {MAX_ROWS:,} lines. Divide the table.")
                found.append((number, row))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{shown} is not UTF-8 ({error}). Save it again as 'CSV UTF-8' in the spreadsheet."
            ) from error
    return found


def _read_rows(
    lines: TextIO, shown: str, *, what: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a table after its header, each with its number."""
    first = lines.readline()
    separator = max(_SEPARATORS, key=first.count)
    rows = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    header: list[str] | None = None
    try:
        for row in rows:
            place = f"{shown} line {rows.line_num}"
            cells = [_decode(cell, place) for cell in row]
            if header is None:
                header = cells
                _check_header(header, columns, shown, what)
            elif cells:
                yield rows.line_num, _join(header, cells, place)
    except csv.Error as error:
        raise ValueError(
            f"{shown} line {rows.line_num}: the cells cannot be told apart ({error}): a quotation "
            "mark is missing, or a cell is too long. Take the line from the file as it was written."
        ) from error


def _check_header(header: Sequence[str], columns: Sequence[str], shown: str, what: str) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(
            f"{shown}: expected {what}, with the columns {', '.join(columns)}; "
            f"{', '.join(missing)} is missing. Leave the first line of the file as it was written."
        )


def _decode(cell: str, place: str) -> str:
    try:
        return decode_cell(cell.strip())
    except ValueError as error:
        raise ValueError(
            f"{place}: a cell that begins with a quotation mark was changed ({show_text(error)}). "
            "Take the line from the file as it was written."
        ) from error


def _join(header: Sequence[str], cells: Sequence[str], place: str) -> dict[str, str]:
    if any(cells[len(header) :]):
        raise ValueError(
            f"{place}: there are {len(cells)} cells and {len(header)} columns. Put a text that "
            "holds a separator into quotation marks."
        )
    row = dict.fromkeys(header, "")
    row.update(zip(header, cells, strict=False))
    return row
