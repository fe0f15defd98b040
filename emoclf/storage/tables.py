"""CSV files: those from outside, each row with its line, and those that people open.

A quotation mark that is never closed swallows the rest of a file, and a file without line breaks
is one line: so a line has a largest length, and everything that Python's reader raises becomes one
kind of error. Every table that emoclf writes for a reader is written here, and every text in it
goes through `encode_cell`, so that no spreadsheet takes a name for a formula; `read_table` gives
the same texts back.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from emoclf.storage import open_regular, replacing
from emoclf.untrusted import decode_cell, encode_cell, show_text

MAX_LINE_CHARACTERS = 100_000
"""Longest line: that of a face of 48 x 48 pixels has at most 9,300."""

MAX_TABLE_BYTES = 128 * 2**20
MAX_ROWS = 500_000
"""Largest table that `read_table` reads."""

_SEPARATORS = ",;\t"


@contextmanager
def open_table(
    path: str | Path, *, what: str, max_bytes: int, separators: str = ","
) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Open a CSV file.

    Args:
        path: The file, in UTF-8, or in UTF-16 with a byte-order mark.
        what: What it is, for the error message.
        max_bytes: Largest file that is read.
        separators: Characters of which the one that is most often in the first line separates
            the cells.

    Yields:
        The rows with the number of the line where each ends, the first of them the head. Reading
        on raises a ValueError that names file and line where the file cannot be read as a table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, or too large.
    """
    with (
        open_regular(path, what=what, max_bytes=max_bytes) as content,
        io.TextIOWrapper(content, encoding=_find_encoding(content), newline="") as text,
    ):
        yield _read_rows(_read_lines(text), separators, show_text(path), what)


def _find_encoding(content: BinaryIO) -> str:
    """Return the encoding that the byte-order mark says, else UTF-8: spreadsheets write UTF-16."""
    mark = content.read(2)
    content.seek(0)
    return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _read_rows(
    lines: Iterator[str], separators: str, shown: str, what: str
) -> Iterator[tuple[int, list[str]]]:
    try:
        first = next(lines, "")
        separator = max(separators, key=first.count)
        rows = csv.reader(
            itertools.chain([first] if first else [], lines), delimiter=separator, strict=True
        )
    except ValueError as error:
        raise _make_error(error, f"{shown}, line 1", what) from error
    while True:
        try:
            row = next(rows, None)
        except (csv.Error, ValueError) as error:
            number = rows.line_num + (not isinstance(error, csv.Error))  # else it was counted
            raise _make_error(error, f"{shown}, line {number:,}", what) from error
        if row is None:
            return
        yield rows.line_num, row


def _make_error(error: Exception, place: str, what: str) -> ValueError:
    return ValueError(
        f"{place}: not a table in UTF-8 ({show_text(error)}). Expected {what}: get it again."
    )


def _read_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE_CHARACTERS + 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise ValueError(f"longer than {MAX_LINE_CHARACTERS:,} characters")
        yield line


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
    found: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    saved = f"{what} (save a spreadsheet as 'CSV UTF-8')"
    with open_table(path, what=saved, max_bytes=MAX_TABLE_BYTES, separators=_SEPARATORS) as rows:
        for number, row in rows:
            place = f"{show_text(path)}, line {number:,}"
            cells = [_decode(cell, place) for cell in row]
            if header is None:
                header = cells
                _check_header(header, columns, place, what)
            elif cells:
                found.append((number, _join(header, cells, place)))
            if len(found) > MAX_ROWS:
                raise ValueError(f"{place}: more than {MAX_ROWS:,} rows. Divide the table.")
    if header is None:
        _check_header([], columns, show_text(path), what)
    return found


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
