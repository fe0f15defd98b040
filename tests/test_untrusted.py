"""Text from outside: shown, quoted for a real shell, put into a table and read back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emoclf.images import ModelInfo
from emoclf.photos import Photos
from emoclf.untrusted import (
    check_class_names,
    decode_cell,
    encode_cell,
    is_version,
    quote_argument,
    show_lines,
    show_text,
)

HOSTILE = (
    "red\x1b[31m.jpg",
    "title\x1b]0;owned\x07.jpg",
    "c1\x9b2J.jpg",
    "two\nlines.jpg",
    "back\rto the start.jpg",
    "turned \u202egpj.exe",
    "line\u2028separator.jpg",
    os.fsdecode(b"latin \xe9\xff.jpg"),
    "half a pair \ud83d.jpg",
    "tab\t.jpg",
    "nul\x00.jpg",
    "delete\x7f.jpg",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_shown_is_one_printable_line(name):
    shown = show_text(name)
    assert shown.isprintable()
    assert shown.isascii() or name.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_lines_stay_lines_and_nothing_else_passes(name):
    shown = show_lines(f"{name}\n\tsecond")
    assert all(each.isprintable() for each in shown.replace("\t", "").split("\n"))
    assert shown.endswith("\n\tsecond")


@pytest.mark.parametrize("name", [*HOSTILE, 7, None])
def test_classes_have_names_that_can_be_shown(name):
    with pytest.raises(ValueError, match="class_names"):
        check_class_names(["Sad", name])
    with pytest.raises(ValueError, match="class_names"):
        ModelInfo(class_names=("Sad", name))
    with pytest.raises(ValueError, match="class_names"):
        Photos.make([f"{n}.jpg" for n in range(20)], [0, 1] * 10, class_names=("Sad", name))
    check_class_names(["traurig", "glücklich", "幸せ"])


@pytest.mark.parametrize(
    "name",
    ["happy/a.jpg", "幸せ.jpg", "Screenshot 3.04\u202fPM.png", "\U0001f468\u200d\U0001f467.jpg"],
)
def test_plain_names_of_all_languages_are_shown_as_they_are(name):
    assert show_text(name) == name


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    "name",
    [
        *(each for each in HOSTILE if "\x00" not in each and "\ud83d" not in each),
        "$(touch owned)",
        "`touch owned`",
        "it's; touch owned",
        "a & b | c > d",
        "!history",
        '"double"',
        "",
        "glob*?[a]",
        "~root",
        "back\\slash\x1b",
        "quote'\x1b",
    ],
)
def test_a_shell_reads_back_what_was_quoted(name, tmp_path):
    quoted = quote_argument(name)
    assert quoted.isprintable()
    script = f"printf '%s\\0' {quoted} end"
    found = subprocess.run(["bash", "-c", script], capture_output=True, check=True, cwd=tmp_path)
    assert found.stdout == os.fsencode(name) + b"\0end\0"
    assert not list(tmp_path.iterdir())


def test_a_path_is_never_taken_for_an_option():
    assert quote_argument(Path("-rf")) == "./-rf"
    assert quote_argument(Path("photos")) == "photos"


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("C:\\photos\\a.jpg", "C:\\photos\\a.jpg"),
        ("my photos", '"my photos"'),
        ("a & calc", '"a & calc"'),
        ("$(calc)'s", "'$(calc)''s'"),
    ],
)
def test_on_windows(monkeypatch, name, quoted):
    monkeypatch.setattr(sys, "platform", "win32")
    assert quote_argument(name) == quoted


@pytest.mark.parametrize("text", ["3.15.1", "2.21", "3.0.0rc1"])
def test_versions(text):
    assert is_version(text)


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "",
        None,
        3.15,
        "3.15.1 --index-url http://evil.example",
        "3.15.1\x1b[31m",
        "3.15.1\n",
        "3.15.1; touch owned",
        "\u0663.\u0661\u0665",
        "9" * 400,
        ["3.15.1"],
    ],
)
def test_what_is_no_version(text):
    assert not is_version(text)


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE,
        "=HYPERLINK(0)",
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        " =1",
        '"quoted"',
        "\uff1dSUM(1)",
        "plain.jpg",
        "",
        "'=1",
        "|calc",
        "%0a=1",
    ],
)
def test_a_cell_is_no_formula_and_comes_back(name):
    cell = encode_cell(name)
    assert not cell or cell[0].isalnum() or cell[0] == '"'
    assert cell.isprintable()
    assert decode_cell(cell.encode("utf-8").decode("utf-8")) == name
