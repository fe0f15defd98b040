"""Text from outside: shown on one line, quoted for a shell, put into a table.

The names of files, folders, classes and runs, the members of archives, the cells of tables and
what a model's file says of itself were written by somebody else. Raw, they could move a
terminal's cursor, add a command to a line that is copied, or be a formula in a spreadsheet.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import PurePath

_JOINERS = "\u200c\u200d"
"""Invisible, but part of words and of emoji, and harmless."""

_PLAIN_ON_WINDOWS = re.compile(r"[\w.:\\/+-]+")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,6}){1,3}((a|b|rc|\.post|\.dev)\d{1,4})?", re.ASCII)


def show_text(text: object) -> str:
    r"""Return text from outside as it can be shown on one line of a terminal or of a message.

    Args:
        text: A name, a path, or an error that may hold one.

    Returns:
        The text itself; or, where it holds control characters, line breaks, marks that turn the
        direction of writing, or broken encodings, the text in quotation marks with those escaped.

    Example:
        >>> show_text("happy/a.jpg")
        'happy/a.jpg'
        >>> print(show_text("red\x1b[31m.jpg"))
        'red\x1b[31m.jpg'
    """
    shown = str(text)
    return shown if all(map(_is_harmless, shown)) else repr(shown)


def show_lines(text: object) -> str:
    r"""Return a text of several lines as a terminal can show it: last, where it is printed.

    The names in it should have gone through `show_text` when it was made, since a line break in a
    name begins a line here.

    Args:
        text: What is to be printed.

    Returns:
        The text with its line breaks and tabs, and everything else that moves a cursor, turns the
        direction of writing or is no character escaped.

    Example:
        >>> print(show_lines("first\nsecond \x1b[31mred"))
        first
        second \x1b[31mred
    """
    return "".join(map(_escape_control, str(text)))


def _escape_control(character: str) -> str:
    return character if character in "\n\t" or _is_harmless(character) else repr(character)[1:-1]


def _is_harmless(character: str) -> bool:
    is_blank = character.isspace() and character not in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
    return character.isprintable() or is_blank or character in _JOINERS


def quote_argument(argument: str | PurePath) -> str:
    r"""Return an argument as it is typed into the shell of this system.

    Args:
        argument: For example a path with spaces. A relative path that begins with a dash gets a
            `./`, so that it is not taken for an option.

    Returns:
        The same, in quotation marks where it needs them, in printable characters: for bash and zsh,
        on Windows for PowerShell, and for cmd where that has a way to say it.

    Example:
        >>> quote_argument("photos")
        'photos'
    """
    text = str(argument)
    if isinstance(argument, PurePath) and text.startswith("-"):
        text = f"./{text}"
    if sys.platform == "win32":
        return _quote_for_windows(text)
    if show_text(text) == text:
        return shlex.quote(text)
    pieces = [_escape_for_bash(character) for character in text]
    return f"$'{''.join(pieces)}'"


def _escape_for_bash(character: str) -> str:
    """Return a character inside `$'...'`, which bash, zsh and ksh read."""
    if character in "\\'":
        return f"\\{character}"
    if _is_harmless(character):
        return character
    is_byte = "\udc80" <= character <= "\udcff"  # of a name that is no UTF-8
    content = character.encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in content)


def _quote_for_windows(text: str) -> str:
    if _PLAIN_ON_WINDOWS.fullmatch(text):
        return text
    if "$" in text or "`" in text:  # PowerShell looks at these inside double quotation marks
        escaped = text.replace("'", "''")
        return f"'{escaped}'"
    return f'"{text}"'


def is_version(text: object) -> bool:
    """Tell whether a text is a version and nothing else, so that it may stand in a command.

    Args:
        text: What a file says, such as "3.15.1".

    Returns:
        True for two to four numbers with dots between them, and perhaps "rc1" or the like.

    Example:
        >>> is_version("3.15.1"), is_version("3.15.1 --index-url http://evil.example")
        (True, False)
    """
    return isinstance(text, str) and _VERSION.fullmatch(text) is not None


def normalise_name(name: str) -> str:
    r"""Return a name as names are compared: macOS writes accents as characters of their own.

    Example:
        >>> normalise_name("cafe\u0301") == "caf\u00e9"
        True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def match_names(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    r"""Find which known name each name means: itself, or one whose accents are written otherwise.

    Args:
        names: For example the paths in a table.
        known: For example the paths on the disk.

    Returns:
        Name -> the known one, or the name itself where there is none.

    Example:
        >>> match_names(["cafe\u0301"], ["caf\u00e9"]) == {"cafe\u0301": "caf\u00e9"}
        True
    """
    own = {normalise_name(name): name for name in known}
    exact = set(known)
    return {name: name if name in exact else own.get(normalise_name(name), name) for name in names}


def check_class_names(names: Iterable[str]) -> None:
    """Refuse names of classes that could not stand in a row, a table or a picture.

    Args:
        names: What a model or a split says that its classes are called.

    Raises:
        ValueError: If one holds line breaks or control characters, or is no text at all.

    Example:
        >>> check_class_names(["Sad", "Happy"])
    """
    for name in names:
        if not isinstance(name, str) or show_text(name) != name:
            raise ValueError(f"class_names: expected plain names on one line, received {name!r}.")


def encode_cell(text: str) -> str:
    """Return a text as the cell of a table that people open in a spreadsheet.

    The cell begins with a letter, a digit or a quotation mark, never with = + - @, a tab or a
    blank, so that no spreadsheet takes a name for a formula. A text that is not plain is written
    as JSON text, in quotation marks; a plain one never begins with one, so nothing is ambiguous,
    and names with line breaks, quotes or broken encodings come back as they were.

    Args:
        text: Any text, such as a path.

    Returns:
        Itself when it is plain, else JSON text, which UTF-8 can hold.

    Example:
        >>> encode_cell("sad/a.jpg"), encode_cell("=sad/a.jpg")
        ('sad/a.jpg', '"=sad/a.jpg"')
    """
    is_plain = text.isprintable() and (text[:1].isalnum() or not text) and text == text.strip()
    return text if is_plain else json.dumps(text)


def decode_cell(cell: str) -> str:
    r"""Return the text of a cell that `encode_cell` made.

    Raises:
        ValueError: If it begins with a quotation mark and is no JSON text.

    Example:
        >>> decode_cell(encode_cell("sad/a\nb.jpg")) == "sad/a\nb.jpg"
        True
    """
    if not cell.startswith('"'):
        return cell
    text = json.loads(cell)
    if not isinstance(text, str):
        raise ValueError(f"{cell!r} is no text")
    return text
