"""What `predict` shows to people: which photos, a row per face, aligned, what they add up to."""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclf.apps.commands.terminal import echo
from emoclf.display import count_noun
from emoclf.storage import is_folder
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.inference import FacePrediction, Prediction

Layout = tuple[int, int, int | None]
"""Columns of the names, of the predictions, and of the terminal where there is one."""

_MAX_NAME_COLUMNS = 72
_FEWEST_NAME_COLUMNS = 16
_GAP = "..."
_MOST_FACES = 5


def list_photos(paths: Sequence[Path]) -> tuple[list[Path], list[Prediction]]:
    """Find the files that are meant, whether they exist or not, searching folders deeply.

    Returns:
        The files, in the order of the arguments; and a prediction that states the problem for
        every folder without a file, or that cannot be read.
    """
    from emoclf.data.folders import list_files
    from emoclf.inference import Prediction

    photos: list[Path] = []
    problems: list[Prediction] = []
    for path in paths:
        if not is_folder(path):
            photos.append(path)
            continue
        found = list_files(path)
        photos += found.files
        skipped = sorted({reason for _, reason in set(found.skipped) - set(found.refused)})
        problems += [Prediction(str(place), f"{reason}.") for place, reason in found.refused]
        if not (found.files or found.refused):
            held = f"only what is skipped ({'; '.join(skipped)})" if skipped else "no file"
            problem = f"The folder holds {held}. Put photos into it, or give another."
            problems.append(Prediction(str(path), problem))
        elif set(skipped) - {"hidden"}:
            echo(f"Skipped in {str(path)!r}: {'; '.join(skipped)}.", err=True)
    return photos, problems


def choose_layout(
    names: Sequence[str],
    predictions: Sequence[str],
    *,
    values: Sequence[str] = (),
    columns: int | None = None,
) -> Layout:
    """Choose how wide the columns are, before the first row is shown.

    Args:
        names: The files, as they will be shown; all but very long ones fit.
        predictions: Everything that can stand in the column of the prediction.
        values: The names of the probabilities in a row.
        columns: Width of the terminal, in which longer names are shortened; None for a file or a
            pipe, which take rows of any length.

    Returns:
        Columns of the names, of the predictions, and of the terminal.
    """
    widest = max((count_columns(name) for name in names), default=0)
    answer = max(map(len, predictions))
    if columns is None:
        return min(widest, _MAX_NAME_COLUMNS), answer, None
    room = columns - len("  ") - answer - sum(len(f"  {each} 100%") for each in values)
    return min(widest, max(room, _FEWEST_NAME_COLUMNS)), answer, columns


def format_rows(prediction: Prediction, layout: Layout) -> Iterator[str]:
    """Yield a line for the photo as a whole, where there is an answer, and for each of its faces.

    Without any, one line says why. Under a line for the whole photo, faces stand without its name,
    and in a terminal only the first few. Where a face lies is left out if it would not fit.
    """
    name_columns, answer_columns, columns = layout
    name = show_text(prediction.file or "")
    if columns:
        name = _shorten(name, name_columns)
    start = name + " " * (name_columns - count_columns(name))
    if prediction.problem:
        reason = prediction.problem.removeprefix(f"{prediction.file!r}: ")
        row = f"{start}  {'not read':<{answer_columns}}  "
        yield row + _indent(show_text(reason), count_columns(row), columns)
    elif not prediction.all:
        yield f"{start}  no face"
    shown = prediction.all
    if prediction.photo and columns:
        shown = shown[: 1 + _MOST_FACES]
    for number, face in enumerate(shown):
        if prediction.photo and number and columns:
            start = f"{'  face':<{name_columns}}"
        row = f"{start}  {face.answer:<{answer_columns}}  "
        text = _format_face(face)
        if columns and count_columns(row) + len(text) > columns and not face.is_whole_photo:
            text = text.rpartition("  ")[0]
        yield row + _indent(text, count_columns(row), columns)
    if len(shown) < len(prediction.all):
        more = count_noun(len(prediction.all) - len(shown), "face")
        yield f"{' ' * name_columns}  and {more} more (--json)"


def _shorten(name: str, columns: int) -> str:
    """Leave out the middle of a name that is too wide; its end tells files apart."""
    if count_columns(name) <= columns:
        return name
    first, last = (columns - len(_GAP)) // 3, columns - len(_GAP) - (columns - len(_GAP)) // 3
    start = next(n for n in range(len(name), -1, -1) if count_columns(name[:n]) <= first)
    end = next(n for n in range(len(name) + 1) if count_columns(name[n:]) <= last)
    return f"{name[:start]}{_GAP}{name[end:]}"


def _indent(text: str, column: int, columns: int | None) -> str:
    """Break a text between words so that it stays right of a column."""
    if columns is None:
        return text
    lines = textwrap.wrap(text, max(columns - column, _FEWEST_NAME_COLUMNS))
    return f"\n{' ' * column}".join(lines)


def _format_face(face: FacePrediction) -> str:
    values = [f"{name} {value:>4.0%}" for name, value in face.probabilities.items()]
    if face.neither is not None:
        values.append(f"neither {face.neither:>4.0%}")
    left, top, width, height = (round(value) for value in face.box)
    where = "whole photo" if face.is_whole_photo else f"face {width}x{height} at {left},{top}"
    return "  ".join([*values, where])


def count_columns(text: str) -> int:
    """Count the columns of a terminal that a line takes: wide characters take two.

    Example:
        >>> count_columns("笑.jpg")
        6
    """
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def summarise(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Count photos, faces, whole photos, those without a prediction, and each prediction."""
    faces = [face for each in predictions for face in each.all[: 1 if each.photo else None]]
    whole = sum(face.is_whole_photo for face in faces)
    return {
        "photos": len(predictions),
        "faces": sum(not face.is_whole_photo for each in predictions for face in each.faces),
        "whole_photos": whole,
        "without_face": sum(not (each.all or each.problem) for each in predictions),
        "not_read": sum(each.problem is not None for each in predictions),
        "answers": dict(Counter(face.answer for face in faces).most_common()),
    }


def describe_summary(summary: dict[str, Any]) -> str:
    """Return for example `3 photos, 4 faces: 3 Happy, 1 Sad; 1 not read` as a sentence."""
    counts = [count_noun(summary["photos"], "photo")]
    is_all = summary["whole_photos"] == summary["photos"] - summary["not_read"]
    if summary["faces"] or not summary["whole_photos"]:
        counts.append(count_noun(summary["faces"], "face"))
    if summary["whole_photos"] and not (is_all and summary["faces"]):
        counts.append(f"{summary['whole_photos']:,} predicted as a whole")
    said = ", ".join(f"{count:,} {answer}" for answer, count in summary["answers"].items())
    parts = [f"{', '.join(counts)}{f': {said}' if said else ''}"]
    if summary["without_face"]:
        parts.append(f"{summary['without_face']:,} without a face")
    if summary["not_read"]:
        parts.append(f"{summary['not_read']:,} not read")
    return f"{'; '.join(parts)}."
