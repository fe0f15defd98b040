"""Results that show themselves: aligned, at most 80 columns wide, and harmless as HTML."""

from dataclasses import dataclass

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from emoclf.display import WIDTH, Displayed, Table


@dataclass(frozen=True)
class Result(Displayed):
    items: tuple = ()

    def blocks(self):
        yield from self.items


def test_numbers_stand_right_and_words_left():
    table = Table(("class", "photos", "recall"), [("Sad", 1200, 0.95), ("Happy", 80, 0.5)])
    assert str(table).splitlines() == [
        "class  photos  recall",
        "Sad     1,200   0.950",
        "Happy      80   0.500",
    ]


def test_ipython_shows_the_text_and_not_the_fields():
    table = Table(("class", "photos"), [("Sad", 1200)])
    for shown in (table, Result(("One sentence.", table))):
        bundle, _ = DisplayFormatter().format(shown)
        assert bundle["text/plain"] == str(shown)
        assert bundle["text/html"] == shown._repr_html_()


def test_cells_are_written_by_their_type():
    table = Table(("text", "number", "float", "bool", "none"), [("1e5", 1234567, 2.0, True, None)])
    assert str(table).splitlines()[1].split() == ["1e5", "1,234,567", "2.000", "yes"]
    assert str(Table(("x",), [(False,)])).splitlines()[1] == "no"


def test_a_column_with_gaps_is_still_one_of_numbers():
    lines = str(Table(("name", "count"), [("a", None), ("b", 12)])).splitlines()
    assert lines[2].index("12") + 2 == lines[0].index("count") + 5
    assert lines[1].rstrip() == "a"


def test_numbers_of_numpy_are_numbers():
    row = ("a", np.int64(1200), np.float64(0.25), np.float32(0.5), np.bool_(True))
    lines = str(Table(("name", "count", "ratio", "small", "is"), [row])).splitlines()
    assert lines[1].split() == ["a", "1,200", "0.250", "0.500", "yes"]
    assert lines[1].index("1,200") + 5 == lines[0].index("count") + 5


@pytest.mark.parametrize("text", ["1e5", "007", "1_000", "nan", "-", "=1+1", "1,5"])
def test_a_text_is_no_number_and_stays_as_it_is(text):
    lines = str(Table(("name", "count"), [(text, 1), ("longer than it", 2)])).splitlines()
    assert lines[1].startswith(text)
    assert text.strip() in Table(("name",), [(text,)])._repr_html_()


@pytest.mark.parametrize("text", ["word " * 60, "no-gap-in-it/" * 20])
def test_the_widest_column_of_words_is_wrapped(text):
    table = Table(("photo", "reason", "count"), [("a.jpg", text, 7), ("b.jpg", "short", 8)])
    lines = str(table).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= WIDTH == 80
    assert "".join(str(table).split()).count("".join(text.split())[:10]) >= 1
    assert lines[1].split()[-1] == "7"


def test_a_narrow_table_is_not_wrapped():
    text = "x" * 60
    assert str(Table(("a", "b"), [(text, 1)])).splitlines()[1].split() == [text, "1"]


def test_a_table_without_rows_is_its_headers():
    assert str(Table(("part", "photos"), [])).split() == ["part", "photos"]
    assert "photos" in Table(("part", "photos"), [])._repr_html_()


def test_blocks_are_lines_in_order():
    result = Result(("Found 2.", Table(("a",), [(1,)]), "Next: clean."))
    assert str(result).splitlines() == ["Found 2.", "a", "1", "Next: clean."]
    html = result._repr_html_()
    assert html.index("Found 2.") < html.index("<table") < html.index("Next: clean.")


def test_html_is_escaped():
    evil = "<script>alert('x')</script>&"
    result = Result((evil, f"{evil}\nsecond line", Table((evil, "n"), [(evil, 1)])))
    html = result._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4
    assert "<pre" in html


def test_dollars_and_backslashes_begin_no_formula():
    text = r"a$x^2$b \(y\) \[z\]"
    for shown in (Result((text,)), Result((f"{text}\n2",)), Result((Table((text,), [(text,)]),))):
        assert "tex2jax_ignore" in shown._repr_html_()
        assert "mathjax_ignore" in shown._repr_html_()
    assert "tex2jax_ignore" in Table((text,), [(text,)])._repr_html_()


def test_a_result_must_say_what_it_shows():
    with pytest.raises(NotImplementedError):
        str(Displayed())
