"""How FER2013 is laid out where people keep it: what names and numbers mean, where parts lie."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from emoclf.data.sources.copying import is_debris
from emoclf.display import count_noun
from emoclf.untrusted import show_text

CSV_LABELS: tuple[str, ...] = (
    *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
)
"""Meaning of the numbers 0 to 6 in the CSV. The alphabetical order of the folders differs."""

_EMOTION_OF_NAME = {
    **{name: name for name in CSV_LABELS},
    **{"angry": "anger", "happy": "happiness", "sad": "sadness"},
    **{"disgusted": "disgust", "fearful": "fear", "surprised": "surprise"},
}
TEST = "test"
"""A part of this name is `PublicTest` where there is no other, else `PrivateTest`."""

_USAGE_OF_NAME = {
    **dict.fromkeys(("training", "train"), "Training"),
    **dict.fromkeys(("publictest", "public", "validation", "valid", "val", "dev"), "PublicTest"),
    **dict.fromkeys(("privatetest", "private"), "PrivateTest"),
    **dict.fromkeys((TEST, "testing"), TEST),
}

_MAX_DEPTH = 4
_NAMED = 8


def find_emotion(name: str) -> str | None:
    """Return the emotion that a name or a number of FER2013 means: `Happy`, `3`, `3_happy`."""
    text = name.strip().lower()
    if text.isascii() and text.isdigit():
        return CSV_LABELS[int(text)] if len(text) <= 3 and int(text) < len(CSV_LABELS) else None
    return _EMOTION_OF_NAME.get(text.strip("0123456789 ._-"))


def find_usage(name: str) -> str | None:
    """Return the usage that the name of a part means, or `TEST`."""
    words = re.findall(r"[a-z]+", name.lower())
    joined = _USAGE_OF_NAME.get("".join(words))
    found = {_USAGE_OF_NAME[word] for word in words if word in _USAGE_OF_NAME}
    return joined or (found.pop() if len(found) == 1 else None)


def name_unused(root: Path, files: Collection[Path], used: Collection[Path]) -> list[str]:
    """Say in a sentence what was not used, by folder, with the counts."""
    homes = {parent for each in used for parent in each.parents}
    unused = [each for each in files if each not in used]
    loose = [show_text(each.name) for each in unused if each.parent == root]
    places = Counter(_find_place(root, each, homes) for each in unused if each.parent != root)
    if len(loose) > _NAMED:
        loose = [f"{count_noun(len(loose), 'file')} beside them"]
    named = [f"{show_text(place)}/ ({n:,} file{'s' * (n != 1)})" for place, n in places.items()]
    more = [f"{len(named) - _NAMED:,} more folders"] if len(named) > _NAMED else []
    everything = [*named[:_NAMED], *more, *loose]
    return [f"Not used: {', '.join(everything)}."] if everything else []


def _find_place(root: Path, file: Path, homes: Collection[Path]) -> str:
    """Return the highest folder around an unused file in which nothing was used, or its own."""
    below = [root / each for each in reversed(file.relative_to(root).parents)][1:]
    place = next((each for each in below if each not in homes), below[-1])
    return place.relative_to(root).as_posix()


def take_shallowest(files: Sequence[Path]) -> list[Path]:
    """Return the files of the folder that lies highest: downloads hold things twice."""
    home = min((each.parent for each in files), key=lambda each: len(each.parts), default=None)
    return sorted(each for each in files if each.parent == home)


def find_parts(path: Path) -> list[tuple[Path, str]]:
    """Find the folders of the parts, at the highest place where there are some.

    Class folders that lie in no part are one part.
    """
    waiting = [path]
    for folder in waiting:  # it grows meanwhile
        inner = _list_folders(folder)
        named = [(_go_down(each), usage) for each in inner if (usage := find_usage(each.name))]
        if parts := [(each, usage) for each, usage in named if find_classes(each)]:
            return parts
        if len(find_classes(folder)) > 1:
            return [(folder, "Training")]
        if len(folder.relative_to(path).parts) < _MAX_DEPTH:
            waiting += inner
    return []


def _go_down(folder: Path) -> Path:
    """Return the folder inside those that only wrap another one."""
    while not find_classes(folder) and len(inner := _list_folders(folder)) == 1:
        (folder,) = inner
    return folder


def find_classes(folder: Path) -> list[tuple[Path, str]]:
    """Return the class folders of a part, each with its emotion.

    Raises:
        ValueError: If folders have numbers that are not FER2013's.
    """
    inner = _list_folders(folder)
    found = [(each, emotion) for each in inner if (emotion := find_emotion(each.name))]
    other = [each.name for each in inner if each.name.isdigit() and not find_emotion(each.name)]
    if found and other:
        raise ValueError(
            f"{show_text(folder)}: expected folders with the numbers 0 to 6 of fer2013.csv. "
            f"Received: {show_text(', '.join(other[:6]))}. They are numbered in another way: give "
            "them the names of the emotions."
        )
    return found


def _list_folders(folder: Path) -> list[Path]:
    try:
        inner = sorted(each for each in folder.iterdir() if each.is_dir())
    except PermissionError:
        return []
    return [each for each in inner if not is_debris(PurePosixPath(each.name))]
