"""Work that is done once: its result is kept, and refused where it was made otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emoclf.storage.reading import check_kind, read_json
from emoclf.storage.writing import write_json
from emoclf.untrusted import show_text

_MOST_TOLD = 20
_LONGEST_VALUE = 200


class ResumeRefusedError(ValueError):
    """What was kept is of another training; the message names what differs."""


def keep_work(
    path: str | Path,
    work: Callable[[], Mapping[str, Any]],
    *,
    facts: Mapping[str, Any],
    what: str,
    kind: Any,
) -> Any:
    """Return what a file keeps of finished work; where there is no file, do the work and keep it.

    Args:
        path: The JSON file.
        work: Does the work; what it returns is written, with the facts, when all of it is done.
        facts: What decides about the result; a file that was made from others is refused.
        what: What the file is, for the error message ("baseline of a baselines").
        kind: The type of the result, as for `read_json`: a `TypedDict`, `dict[str, float]`...

    Returns:
        The result as the file holds it, of type `kind`.

    Raises:
        ResumeRefusedError: If the file was made from other facts.
        ValueError: If it is damaged.

    Example:
        >>> def count_photos():
        ...     return {"photos": 3}
        >>> keep_work(
        ...     "count.json", count_photos, facts={"seed": 1}, what="count", kind=dict[str, int]
        ... )  # doctest: +SKIP
        {'photos': 3}
    """
    path = Path(path)
    if not path.is_file():
        write_json(path, {"facts": facts, **work()})
    try:
        value = read_json(path, what=f"a {what}", kind=dict[str, Any])
        before = check_kind(value.pop("facts", None), dict[str, Any], name=path, what="its facts")
        result = check_kind(value, kind, name=path, what=f"a {what}")
    except ValueError as error:
        raise ValueError(
            f"{show_text(path)} is no {what} that emoclf wrote ({show_text(error)}). Move it away: "
            "the same call then makes it again."
        ) from error
    refuse_another(before, facts, path)
    return result


def refuse_another(before: Mapping[str, Any], now: Mapping[str, Any], place: Path) -> None:
    """Refuse to go on with a training that was another one.

    Args:
        before: What the training was made from.
        now: What it is made from now.
        place: Its folder, or the file of its result, for the message.

    Raises:
        ResumeRefusedError: If they differ as JSON; the message says in what.
    """
    before, now = (json.loads(json.dumps(dict(each))) for each in (before, now))
    names = [*before, *(name for name in now if name not in before)]
    unlike = [name for name in names if before.get(name) != now.get(name)]
    if unlike:
        told = "; ".join(
            f"{show_text(name)} was {_shorten(before.get(name))} and is {_shorten(now.get(name))}"
            for name in unlike[:_MOST_TOLD]
        )
        raise ResumeRefusedError(
            f"{show_text(place)} is another training: {told}. Go on with what it was started "
            "with, or give the new training another name."
        )


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."
