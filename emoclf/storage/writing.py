"""Files and folders that are whole or not there: written under a temporary name, then moved.

Keras writes models in place: a copy taken during the save is unreadable, and a process that is
killed leaves an empty file. Everything emoclf writes for keeps goes through `replacing`, and work
that takes long through `keep_work`: done once, skipped when its result is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from emoclf.storage.reading import check_kind, read_json
from emoclf.storage.temporary import (
    make_folder,
    name_temporary,
    naming_place,
    remove_folder,
    remove_leftovers,
    sweep_once,
)
from emoclf.untrusted import show_text

_numbers = count()

_MOST_TOLD = 20
_LONGEST_VALUE = 200


@contextmanager
def replacing(path: str | Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` when the block ends well.

    The temporary file lies in the same folder and keeps the suffix of `path`. When the block
    raises, the temporary file is removed and `path` is what it was before. What a killed process
    has left in that folder is removed first.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.
        flush: Whether to wait until the disk has the content, so that the file also survives a
            power cut. Turn it off for many small files that can be made again.

    Yields:
        The temporary path, which does not exist yet.

    Example:
        >>> with replacing(folder / "notes.txt") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("whole or not at all")
    """
    path = Path(path)
    with _writing(path) as temporary:
        yield temporary
        if flush:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)


def add_file(paths: Iterable[Path], write: Callable[[Path], Any]) -> Path:
    """Write a file under the first of several names that is free, whole or not at all.

    Args:
        paths: The names in order, all in one folder, which is made when it is missing.
        write: Called with a temporary path, to write the file there.

    Returns:
        Where it is. What had that name before is never overwritten.

    Raises:
        FileExistsError: If no name is free.

    Example:
        >>> add_file([Path("a.txt"), Path("a-2.txt")], make_text)  # doctest: +SKIP
    """
    names = iter(paths)
    first = next(names)
    with _writing(first, number=next(_numbers)) as temporary:
        write(temporary)
        for path in chain([first], names):
            with suppress(FileExistsError):
                _put_under_free_name(temporary, path)
                return path
    raise FileExistsError(f"No name is free beside {show_text(first)}: give another folder.")


def _put_under_free_name(temporary: Path, path: Path) -> None:
    """Give a file its name, unless that is taken, with no empty file in between."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a disk where a file cannot have two names
        if os.name != "nt":
            path.open("xb").close()
        temporary.rename(path)  # on Windows, this never overwrites


@contextmanager
def _writing(path: Path, *, number: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`, and remove what is there in the end.

    A number keeps two threads apart that write under the same name.
    """
    make_folder(path.parent)
    sweep_once(path.parent)
    own = path if number is None else path.with_name(f"{number}-{path.name}")
    temporary = name_temporary(own)
    try:
        with naming_place(path, temporary):
            yield temporary
    finally:
        with suppress(OSError):  # a read-only disk has refused to make it, too
            temporary.unlink(missing_ok=True)


@contextmanager
def building_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty temporary folder to fill, and move it to `path` when the block ends well.

    It lies beside `path`, on the same disk. When the block raises, it is removed with all that is
    in it, and so are the parent folders that were made for it. What a killed process has left
    there is removed by the next call for the same `path`.

    Args:
        path: Where the finished folder belongs: nothing, or an empty folder. Missing parent
            folders are made.
        replace: Whether a folder at `path` gives way to the finished one, with all that is in it:
            only for what emoclf has made itself.

    Yields:
        The temporary folder.

    Raises:
        FileExistsError: If there is something at `path`, from the beginning or put there meanwhile,
            and it is not to be replaced.

    Example:
        >>> with building_folder(folder / "photos") as temporary:  # doctest: +SKIP
        ...     (temporary / "notes.txt").write_text("whole or not at all")
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()
    is_taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if is_taken and not (replace and path.is_dir()):
        raise _make_taken(path)
    made = [parent for parent in path.parents if not parent.exists()]
    make_folder(path.parent)
    remove_leftovers(path.parent)
    temporary = name_temporary(path)
    with naming_place(path, temporary):
        temporary.mkdir()
    try:
        with naming_place(path, temporary):
            yield temporary
            if replace:
                _put_in_place(temporary, path)
            else:
                _put_in_empty_place(temporary, path)
    finally:
        remove_folder(temporary)
        for parent in made:
            with suppress(OSError):  # not empty: the folder was finished, or others use it
                parent.rmdir()


def _make_taken(path: Path) -> FileExistsError:
    return FileExistsError(
        f"{show_text(path)} is there already and is never overwritten. Give another "
        "folder, or move it away."
    )


def _put_in_empty_place(temporary: Path, path: Path) -> None:
    """Move a folder to where nothing or an empty folder is, also if that has changed meanwhile."""
    try:
        with suppress(FileNotFoundError):
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        if path.exists():
            raise _make_taken(path) from error
        raise


def _put_in_place(temporary: Path, path: Path) -> None:
    """Move a folder; the one that is there goes when the new one is in its place."""
    if not path.exists():
        temporary.rename(path)
        return
    aside = name_temporary(path.with_name(f"{path.name}.old"))
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    remove_folder(aside)


def write_json(path: str | Path, value: Any) -> Path:
    """Write what JSON can hold, indented, whole or not at all; return the path."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return Path(path)


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
        what: What the file is, for the error message ("fold of a cross-validation").
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
