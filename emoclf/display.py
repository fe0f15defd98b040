"""Results that show themselves: text of 80 columns in a terminal, tables in a notebook.

A result lists what it has to say in `blocks()`: sentences and tables, in order. `print(result)`
writes them as text, and a notebook shows them as HTML; both come from the same list.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emoclf.untrusted import show_text

WIDTH = 80
"""Columns of the terminal that a table is made for."""

_NARROWEST = 12
_GAP = 2
_NO_FORMULA = 'class="tex2jax_ignore mathjax_ignore"'  # a $ in a name begins none in a notebook


def count_noun(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one of it.

    Example:
        >>> count_noun(1, "photo"), count_noun(1200, "photo")
        ('1 photo', '1,200 photos')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Table:
    """A table of results.

    Attributes:
        headers: The names of the columns.
        rows: Their cells: a text or a name (through `show_text`), a whole number
            with thousands separated, a float with three decimals, yes or no, None as an empty cell.

    Example:
        >>> print(Table(("class", "photos", "recall"), [("Sad", 1200, 0.95), ("Happy", 80, 0.5)]))
        class  photos  recall
        Sad     1,200   0.950
        Happy      80   0.500
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]

    def __str__(self) -> str:
        """Return the table as text; its widest column of words is wrapped to fit `WIDTH`."""
        rows = [[show_text(header) for header in self.headers], *self._list_cells()]
        numeric, lines = self._find_numeric(), []
        widths = self._find_widths(rows, numeric)
        for row in rows:
            pairs = zip(row, widths, strict=True)
            wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in pairs]
            for cells in itertools.zip_longest(*wrapped, fillvalue=""):
                aligned = [
                    cell.rjust(width) if is_numeric else cell.ljust(width)
                    for cell, width, is_numeric in zip(cells, widths, numeric, strict=True)
                ]
                lines.append((_GAP * " ").join(aligned).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as HTML, every cell escaped."""
        import html  # for notebooks

        aligned = [' align="right"' if each else "" for each in self._find_numeric()]

        def write(cells: Sequence[str], tag: str) -> str:
            pairs = zip(aligned, cells, strict=True)
            inner = (f"<{tag}{align}>{html.escape(cell)}</{tag}>" for align, cell in pairs)
            return f"<tr>{''.join(inner)}</tr>"

        head = write([show_text(header) for header in self.headers], "th")
        body = "\n".join(write(cells, "td") for cells in self._list_cells())
        return f"<table {_NO_FORMULA}>\n{head}\n{body}\n</table>"

    def _repr_mimebundle_(self, **_asked: object) -> dict[str, str]:
        return _show(self)

    def _list_cells(self) -> list[list[str]]:
        return [[_write_cell(value) for value in row] for row in self.rows]

    def _find_numeric(self) -> list[bool]:
        """Say of each column whether it holds numbers alone; they stand at the right."""
        return [
            any(row[column] is not None for row in self.rows)
            and all(row[column] is None or _is_number(row[column]) for row in self.rows)
            for column in range(len(self.headers))
        ]

    def _find_widths(self, rows: list[list[str]], numeric: list[bool]) -> list[int]:
        widths = [max(1, *map(len, column)) for column in zip(*rows, strict=True)]
        over = sum(widths) + _GAP * (len(widths) - 1) - WIDTH
        words = [column for column, is_numeric in enumerate(numeric) if not is_numeric]
        if over > 0 and words:
            widest = max(words, key=widths.__getitem__)
            widths[widest] = max(widths[widest] - over, _NARROWEST)
        return widths


class Displayed:
    """A result that shows itself, as text and as HTML; it says what in `blocks`."""

    def blocks(self) -> Iterable[str | Table]:
        """Return sentences and tables, in the order in which they are read."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Return all blocks as text, each on lines of its own."""
        return "\n".join(map(str, self.blocks()))

    def _repr_html_(self) -> str:
        """Return all blocks as HTML, for a notebook."""
        return "\n".join(
            block._repr_html_() if isinstance(block, Table) else _write_paragraph(block)
            for block in self.blocks()
            if block
        )

    def _repr_mimebundle_(self, **_asked: object) -> dict[str, str]:
        return _show(self)


def _show(result: Table | Displayed) -> dict[str, str]:
    """Return both forms, or IPython would take a dataclass' fields for the text."""
    return {"text/plain": str(result), "text/html": result._repr_html_()}


def _unpack(value: object) -> object:
    """Return Python's own number for one of NumPy."""
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: object) -> bool:
    value = _unpack(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _write_cell(value: object) -> str:
    value = _unpack(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else show_text(value)


def _write_paragraph(text: str) -> str:
    import html  # for notebooks

    tag = "pre" if "\n" in text else "p"
    return f"<{tag} {_NO_FORMULA}>{html.escape(text)}</{tag}>"
