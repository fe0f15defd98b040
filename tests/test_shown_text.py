"""Bypasses, found in the code: text from outside that is not shown or quoted by the one function.

What the terminal really gets is tested in `test_terminal.py`; here it is each line that writes.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "emoclf"
FILES = sorted(PACKAGE.rglob("*.py"))
PRINTING = PACKAGE / "apps" / "commands" / "terminal.py"

COMMAND = re.compile(r"(python -m emoclf|pip install|(?<![\w-])--[a-z][a-z-]*[ =])")
"""Begins what is copied into a shell."""

SENTENCE_END = re.compile(r"[.:;)\n]( |$|\n)|, |`")
"""Ends it."""

FROM_OUTSIDE = re.compile(r"(\w*_)?(path|folder|root|archive|source|table|output)|error")
"""Names of variables that hold a path, or an error of somebody else that may hold one."""


def find_f_strings(file):
    return [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
    ]


def find_unquoted(f_string):
    """Values that stand in a command without `quote_argument`."""
    text, found = "", []
    for part in f_string.values:
        if isinstance(part, ast.Constant):
            text += part.value
            continue
        begun = list(COMMAND.finditer(text))
        is_inside = begun and not SENTENCE_END.search(text, begun[-1].end())
        if is_inside and not calls(part, "quote_argument"):
            found.append(ast.unparse(part.value))
        text += "_"
    return found


def find_raw(f_string):
    """Values from outside that stand in a sentence as they are."""
    words = "".join(part.value for part in f_string.values if isinstance(part, ast.Constant))
    if " " not in words:  # the name of a file, a key
        return []
    values = [part for part in f_string.values if isinstance(part, ast.FormattedValue)]
    bare = [part.value for part in values if part.conversion == -1 and part.format_spec is None]
    return [ast.unparse(each) for each in bare if is_from_outside(each)]


def is_from_outside(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):  # a path and a name
        return True
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("str", "Path"):
        return any(map(is_from_outside, node.args))
    if isinstance(node, ast.BoolOp):
        return any(map(is_from_outside, node.values))
    if isinstance(node, ast.Attribute):  # `self.error` is a number
        return node.attr != "error" and FROM_OUTSIDE.fullmatch(node.attr) is not None
    return isinstance(node, ast.Name) and FROM_OUTSIDE.fullmatch(node.id) is not None


def calls(node, name):
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_text_goes_through_the_one_function(file):
    f_strings = find_f_strings(file)
    unquoted = {node.lineno: found for node in f_strings if (found := find_unquoted(node))}
    assert not unquoted, "in a line for a shell: wrap it in quote_argument()"
    raw = {node.lineno: found for node in f_strings if (found := find_raw(node))}
    assert not raw, "in a message: wrap it in show_text()"


@pytest.mark.parametrize("file", [file for file in FILES if file != PRINTING], ids=str)
def test_nothing_prints_but_the_one_function(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    printing = {"sys.stdout.write", "sys.stderr.write", "stream.write"}
    assert not names & printing
    assert "print" not in called
    echoed = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    echoed = [ast.unparse(node) for node in echoed if ast.unparse(node.func) == "echo"]
    assert not [each for each in echoed if "json.dumps" in each], "use echo_json()"
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {each for each in imported if each and each.split(".")[0] == "rich"}


@pytest.mark.parametrize(
    ("code", "unquoted", "raw"),
    [
        ('f"Next: python -m emoclf split {folder} --seed {seed}"', ["folder", "seed"], ["folder"]),
        ('f"Next: python -m emoclf split {quote_argument(folder)}"', [], []),
        ('f"Fix it: pip install {name}"', ["name"], []),
        ('f"Give --name {name}. {count} photos"', ["name"], []),
        ('f"{path} is gone (train --resume): {count}"', [], ["path"]),
        ('f"{path!r} is gone: {show_text(error)}"', [], []),
        ('f"written to {self.folder / name} and {str(error)}"', [], ["self.folder / name"]),
        ('f"{path}.npy"', [], []),
    ],
)
def test_the_search_finds_what_it_should(code, unquoted, raw):
    f_string = ast.parse(code).body[0].value
    assert find_unquoted(f_string) == unquoted
    assert find_raw(f_string)[:1] == raw
