"""Which folder belongs to which class, in the words of whoever named the folders."""

from __future__ import annotations

from emoclf.config import CLASS_NAMES


def parse_class_map(text: str, *, class_names: tuple[str, ...] = CLASS_NAMES) -> dict[str, str]:
    """Read a class map as it stands on the command line.

    Args:
        text: `folder=class` pairs with commas between them. A folder may lie deeper
            (`train/joy=Happy`); an empty class leaves a folder out (`sad_drawings=`).
        class_names: Names in label order.

    Returns:
        Folder -> class name as it is spelt in `class_names`, or "" for a folder to leave out; for
        the argument `class_map` of `find_class_folders` and `find_problems`.

    Raises:
        ValueError: If a pair cannot be read, a folder is named twice, or a class is unknown.

    Example:
        >>> parse_class_map("joy=happy, gloom=Sad, sad_drawings=")
        {'joy': 'Happy', 'gloom': 'Sad', 'sad_drawings': ''}
    """
    spelling = {name.casefold(): name for name in (*class_names, "")}
    found: dict[str, str] = {}
    for pair in text.split(","):
        folder, sign, name = (part.strip() for part in pair.rpartition("="))
        if not (folder and sign):
            raise ValueError(
                f"{pair!r} is no pair folder=class. Expected for example: joy=Happy,gloom=Sad"
            )
        if folder in found:
            raise ValueError(f"The folder {folder!r} is named twice in {text!r}. Keep one pair.")
        if name.casefold() not in spelling:
            raise ValueError(
                f"{pair.strip()!r}: there is no class {name!r}. Expected one of "
                f"{', '.join(class_names)}, or nothing after the = to leave the folder out."
            )
        found[folder] = spelling[name.casefold()]
    return found
