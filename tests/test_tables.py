"""Tables for people: no cell is a formula, every name comes back, nothing writes one elsewhere."""

import ast
import csv
import os

import numpy as np
import pytest

from emoclf.data.cleaning import CleaningReport, FileRecord, Problem
from emoclf.storage.tables import read_table, write_table
from emoclf.untrusted import show_text
from tests.evaluations import make_evaluation

NAMES = (
    '=HYPERLINK("http://evil.example","Click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    "\u3000=1",
    "\uff1d1+1",
    "%0A=1",
    "|x",
    '"=1"',
    "line\nbreak",
    "a\r\n=1",
    "nul\0",
    "esc\x1b[31m",
    "right\u202eto-left",
    os.fsdecode(b"no utf-8 \xff"),
    "\ud83d\ude00"[0],
    "x" * 250,
    "comma, semicolon; 'quotes'",
    "plain.jpg",
    "\u05e9\u05dc\u05d5\u05dd",
    "",
)


def check_cells(path, encoding="utf-8"):
    """Return the raw lines of a table, none of which a spreadsheet takes for a formula."""
    with path.open(encoding=encoding, newline="") as file:
        rows = list(csv.reader(file))
    for row in rows:
        for cell in row:
            number = cell.lstrip("-").replace(".", "", 1).replace("e-", "", 1)
            assert cell[:1].isalnum() or cell[:1] in ('"', "") or number.isdigit(), cell
            assert cell.isprintable(), cell
    return rows


def test_every_text_comes_back_and_no_cell_is_a_formula(tmp_path):
    rows = [[name, -0.5, None, name] for name in NAMES]
    path = write_table(tmp_path / "a.csv", ["=file", "number", "none", "again"], rows)
    check_cells(path)
    found = [row for _, row in read_table(path, what="a table")]
    assert [row["=file"] for row in found] == [row["again"] for row in found] == list(NAMES)
    assert {row["number"] for row in found} == {"-0.5"}


def test_the_table_of_clean_holds_no_formula_and_gives_the_names_back(tmp_path):
    records = tuple(
        FileRecord(
            f"{name}/{name}.jpg",
            name,
            number,
            format=name,
            problems=(Problem(name, "reject", name),),
            contrast=-1.5,
        )
        for number, name in enumerate(NAMES)
    )
    report = CleaningReport(str(tmp_path), NAMES, records)
    rows = read_table(report.to_csv(tmp_path / "a.csv"), what="a report")
    check_cells(tmp_path / "a.csv")
    for (_, row), record in zip(rows, records, strict=True):
        assert (row["path"], row["class_name"]) == (record.path, record.class_name)
        assert row["format"] == record.format
        assert row["rejected"] == "True"


def test_the_table_of_answers_holds_no_formula_and_gives_the_names_back(tmp_path):
    names = tuple(name for name in dict.fromkeys(NAMES) if name and "\0" not in name)
    classes = tuple(name for name in names if show_text(name) == name)
    labels = np.arange(len(names)) % len(classes)
    answers = np.full((len(names), len(classes)), 1 / len(classes))
    found = make_evaluation(labels, answers, paths=names, class_names=classes)
    path = found.save_table(tmp_path / "predictions.csv")
    check_cells(path)
    rows = [row for _, row in read_table(path, what="answers")]
    assert [row["file"] for row in rows] == list(names)
    assert [row["true_class"] for row in rows] == [classes[label] for label in labels]
    assert {row["predicted_class"] for row in rows} == {classes[0]}
    assert len(classes) > 4 and any(name[0] in "=+-@" for name in classes)
    for name in classes:
        assert float(rows[0][f"probability_{name}"]) == answers[0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('file,why\nsad/a.jpg,"open\nsad/b.jpg,x\n', r"line \d: not a table"),
        ('file,why\n"a"b,x\n', "line 2: not a table"),
        (f"file,why\na,{'x' * 200_000}\n", r"line \d: not a table"),
        ('file,why\n"""a",x\n', "line 2: .* was changed"),
        ("file,why\na,b,c\n", "line 2: there are 3 cells and 2 columns"),
        ("file\na\n", "why is missing"),
    ],
)
def test_a_damaged_table_is_refused_with_the_line(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.csv", what="a table", columns=("file", "why"))


def test_a_table_is_a_file_of_a_size_that_is_read(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="a folder, not a file"):
        read_table(tmp_path, what="a table")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(ValueError, match="a named pipe"):
            read_table(tmp_path / "pipe.csv", what="a table")
    path = write_table(tmp_path / "a.csv", ["file"], [["a long name.jpg"], ["b"], ["c"]])
    monkeypatch.setattr("emoclf.storage.tables.MAX_ROWS", 2)
    with pytest.raises(ValueError, match="more than 2 rows"):
        read_table(path, what="a table")
    monkeypatch.setattr("emoclf.storage.tables.MAX_TABLE_BYTES", 10)
    with pytest.raises(ValueError, match="too large"):
        read_table(path, what="a table")


WRITERS = {"writer", "DictWriter", "savetxt", "to_string"}
MAY_WRITE = {
    "storage/tables.py": "for everybody",
    "training/callbacks.py": "history.csv: numbers under names of metrics",
}


def find_table_writers(path):
    """Names of what writes a table in a file, whatever it was imported as."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in ("csv", "pandas"):
            yield from (alias.name for alias in node.names if alias.name in WRITERS)
        elif isinstance(node, ast.Attribute) and node.attr in WRITERS:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            joined = node.func.value
            if node.func.attr == "join" and isinstance(joined, ast.Constant):
                yield from (f"{mark!r}.join" for mark in ",;\t" if joined.value == mark)


def test_nothing_else_writes_a_table(repository):
    package = repository / "emoclf"
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).as_posix() not in MAY_WRITE:
            assert list(find_table_writers(path)) == [], path
