"""Rows of a CSV file from outside, each with its line; what is wrong is said with the place.

A quotation mark that is never closed swallows the rest of a file, and a file without line breaks
is one line: so a line has a largest length, and everything that Python's reader raises becomes one
kind of error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoclf.storage import open_regular
from emoclf.untrusted import show_text

MAX_LINE_CHARACTERS = 100_000
"""Longest line: that of a face of 48 x 48 pixels has at most 9,300."""


@contextmanager
def open_table(
    path: str | Path, *, what: str, max_bytes: int
) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Open a CSV file.

    Args:
        path: The file, in UTF-8.
        what: What it is, for the error message.
        max_bytes: Largest file that is read.

    Yields:
        The rows with the number of the line where each ends, the first of them the head. Reading
        on raises a ValueError that names file and line where the file cannot be read as a table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, or too large.
    """
    with (
        open_regular(path, what=what, max_bytes=max_bytes) as content,
        io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text,
    ):
        yield _read_rows(text, show_text(path), what)


def _read_rows(text: io.TextIOWrapper, shown: str, what: str) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(_read_lines(text))
    while True:
        try:
            row = next(rows, None)
        except (csv.Error, ValueError) as error:
            raise ValueError(
                f"{shown}, line {rows.line_num + 1:,}: not a table in UTF-8 ({show_text(error)}). "
                f"Expected {what}: get it again."
            ) from error
        if row is None:
            return
        yield rows.line_num, row


def _read_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE_CHARACTERS + 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise ValueError(f"longer than {MAX_LINE_CHARACTERS:,} characters")
        yield line
