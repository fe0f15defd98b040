"""What is on disk: which folders hold which class, and which files are in them.

Nothing is opened here. Symbolic links are never followed, so that a folder cannot pull in files
from elsewhere; pipes and sockets are only looked at; what is left out is listed with the reason.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emoclf.config import CLASS_NAMES
from emoclf.data.class_words import find_named_classes, is_negated
from emoclf.display import Displayed, Table, count_noun
from emoclf.storage import describe_irregular, find_path
from emoclf.untrusted import normalise_name, quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.synthetic.flaws import PlantedFlaw

DRAWN_FACES = "drawn faces"
"""Source of the photos that emoclf has drawn."""

_NAMED_FILES = 3
_BETWEEN_PAIRS = ","

_REFUSED = ("folder that cannot be read", "cannot be looked at")

QUARANTINE_NAME = "quarantine"
"""The folder, beside the class folders, to which rejected files are moved."""

_NO_CLASS_NAME = "no class name"
_SET_ASIDE = "what was set aside, and how to restore it"
_LOOSE_FILE = "loose file: move it into a class folder"
_SEARCHED_LEVELS = 3
_SHOWN_MAP = 8
_SHOWN_ENTRIES = 10
_PLACEHOLDERS = ("FOLDER", "OTHER")


class ClassFolder(NamedTuple):
    """A folder whose photos belong to one class.

    Attributes:
        path: The folder.
        class_name: One of the class names, spelt as in the configuration.
        label: Its position among the class names.
    """

    path: Path
    class_name: str
    label: int


class ClassFolders(NamedTuple):
    """The class folders of a data set and what lies beside them.

    Attributes:
        root: The data set's folder.
        folders: The class folders by label, then by name; a class may have several.
        unassigned: Other entries of the root, hidden ones left out, each with the reason why it
            is in no class.
    """

    root: Path
    folders: tuple[ClassFolder, ...]
    unassigned: tuple[tuple[Path, str], ...]


class FileList(NamedTuple):
    """The files below a folder.

    Attributes:
        files: Regular files, sorted by their path.
        skipped: Everything else, each with the reason: hidden, a symbolic link, a pipe, ...
    """

    files: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]

    @property
    def refused(self) -> tuple[tuple[Path, str], ...]:
        """Of what was skipped: what the system did not let us look at; photos may be in there."""
        return tuple(each for each in self.skipped if is_refused(each[1]))


@dataclass(frozen=True)
class PhotoFolder(Displayed):
    """A folder of photos that is there now: found, drawn, copied, unpacked or fetched.

    Attributes:
        folder: Holds the class folders.
        source: Where the photos come from: a path, a link, or `DRAWN_FACES`.
        notes: How it came to be, in sentences.
        files: How many files there are; None where nobody counted.
        bytes: Their size together; 0 where nobody counted.
        sha256: Of all paths and contents together, in hexadecimal digits, after staging.
        counts: Photos by class, such as `"Happy"`, and by published part, as in
            `"Happy/Training"`.
        left_out: What was not taken, each with the reason.
        was_there: Whether all of it had been there before, and nothing was written now.
        gone: Files that were put there and have been moved or deleted since.
        planted_flaws: What is wrong with drawn faces on purpose.
    """

    folder: Path
    source: str
    notes: tuple[str, ...] = ()
    files: int | None = None
    bytes: int = 0
    sha256: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    was_there: bool = False
    gone: tuple[str, ...] = ()
    planted_flaws: tuple[PlantedFlaw, ...] = ()

    @property
    def is_drawn(self) -> bool:
        """Whether it holds drawn faces."""
        return self.source == DRAWN_FACES

    def blocks(self) -> Iterable[str | Table]:
        """Return how it came to be, how much there is, and what is missing."""
        yield from self.notes
        if self.files is not None:
            size = f", {self.bytes / 2**20:,.1f} MiB" if self.bytes else ""
            verb = "staged and verified" if self.sha256 else "written"
            state = "were staged before" if self.sha256 and self.was_there else verb
            yield f"{count_noun(self.files, 'file')}{size}, {state}: {show_text(self.folder)}"
        if self.sha256:
            yield f"SHA-256 of all of them: {self.sha256}"
        if self.counts:
            yield Table(("class", "photos"), list(self.counts.items()))
        if self.planted_flaws:
            yield f"{len(self.planted_flaws):,} flaws were planted to be found."
        if self.gone:
            yield f"{len(self.gone):,} of them were moved or deleted here since."
        if self.left_out:
            named = ", ".join(f"{n!r} ({why})" for n, why in self.left_out[:_NAMED_FILES])
            more = ", ..." if len(self.left_out) > _NAMED_FILES else ""
            yield f"{count_noun(len(self.left_out), 'file')} left out: {named}{more}"


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
    for pair in text.split(_BETWEEN_PAIRS):
        folder, sign, name = (part.strip() for part in pair.rpartition("="))
        if not (folder and sign):
            raise ValueError(
                f"{pair!r} is no pair folder=class. Expected for example: joy=Happy,gloom=Sad"
            )
        if normalise_name(folder) in map(normalise_name, found):
            raise ValueError(f"The folder {folder!r} is named twice in {text!r}. Keep one pair.")
        if name.casefold() not in spelling:
            raise ValueError(
                f"{pair.strip()!r}: there is no class {name!r}. Expected one of "
                f"{', '.join(class_names)}, or nothing after the = to leave the folder out."
            )
        found[folder] = spelling[name.casefold()]
    return found


def find_class_folders(
    folder: str | Path,
    *,
    class_names: tuple[str, ...] = CLASS_NAMES,
    require_all: bool = True,
    class_map: Mapping[str, str] | None = None,
) -> ClassFolders:
    """Find the folders of each class directly below a data set's folder.

    Args:
        folder: The data set's folder, for example `data`.
        class_names: The classes in label order.
        require_all: Whether every class must have a folder.
        class_map: Folder, relative to the data set's -> class name, or "" to leave it out, for
            folders whose names do not say their class: `{"joy": "Happy", "train/gloom": "Sad"}`.
            The other folders are recognised by their names.

    Returns:
        The class folders, and the other entries with the reason why they are in no class.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If a class has no folder; the message lists what was found. If a folder of
            `class_map` does not exist, lies outside, or its class is unknown.
    """
    root = _check_folder(folder)
    named = _find_mapped(root, class_map or {}, class_names)
    unassigned: list[tuple[Path, str]] = []
    for entry in sorted(root.iterdir(), key=lambda path: path.name):
        if entry.name.startswith(".") or named.get(entry):
            continue
        if entry in named:
            unassigned.append((entry, "left out by the class map"))
        elif reason := _explain_unassigned(entry, class_names):
            unassigned.append((entry, reason))
        else:
            (named[entry],) = find_named_classes(entry.name, class_names)
    folders = [ClassFolder(path, n, class_names.index(n)) for path, n in named.items() if n]
    folders.sort(key=lambda found: (found.label, found.path.as_posix()))
    _check_apart(folders)
    found = ClassFolders(root, tuple(folders), tuple(unassigned))
    missing = [name for name in class_names if name not in {each.class_name for each in folders}]
    if require_all and missing:
        raise ValueError(_explain_missing(found, missing, class_names))
    return found


def list_files(folder: str | Path) -> FileList:
    """List the regular files below a folder, sub-folders included.

    Args:
        folder: Where to look.

    Returns:
        The files sorted by path, and what was skipped, with the reason. Hidden entries and
        symbolic links are skipped; a sub-folder that may not be read is skipped as a whole.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
    """
    files: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    waiting = [_check_folder(folder)]
    while waiting:
        current = waiting.pop()
        try:
            entries = list(current.iterdir())
        except OSError as error:
            skipped.append((current, f"{_REFUSED[0]}: {error.strerror}"))
            continue
        for entry in entries:
            kind = _describe_entry(entry)
            if kind == "file":
                files.append(entry)
            elif kind == "folder":
                waiting.append(entry)
            else:
                skipped.append((entry, kind))
    return FileList(
        tuple(sorted(files, key=Path.as_posix)),
        tuple(sorted(skipped, key=lambda found: found[0].as_posix())),
    )


def is_refused(reason: str) -> bool:
    """Tell whether this is why `list_files` skips what the system did not let it look at."""
    return reason.startswith(_REFUSED)


def _check_folder(folder: str | Path) -> Path:
    """Return the folder as a path, or say that it is none."""
    path = Path(folder)
    if path.is_dir():
        return path
    if path.exists():
        kind = describe_irregular(path.stat().st_mode) or "the file"
        raise NotADirectoryError(
            f"folder: expected a folder, received {kind} {str(path)!r}. Pass the folder it is in."
        )
    raise FileNotFoundError(
        f"folder: expected a folder, but {str(path)!r} does not exist (looked for it in "
        f"{str(Path.cwd())!r}). Check the spelling, or create the folder and put the photos in."
    )


def _describe_entry(path: Path) -> str:
    """Return "file", "folder", or why an entry is skipped."""
    if path.name.startswith("."):
        return "hidden"
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return f"{_REFUSED[1]}: {error.strerror}"
    if stat.S_ISLNK(mode):
        return "symbolic link, not followed"
    if stat.S_ISDIR(mode):
        return "folder"
    return (describe_irregular(mode) or "file").removeprefix("a ")


def _find_mapped(
    root: Path, class_map: Mapping[str, str], class_names: tuple[str, ...]
) -> dict[Path, str]:
    """Return the folders of a class map with their class, "" for those to leave out."""
    mapped = {find_path(root, name): class_name for name, class_name in class_map.items()}
    for path, class_name in mapped.items():
        if ".." in path.parts or root not in path.parents or _describe_entry(path) != "folder":
            there = sorted(show_text(p.name) for p in root.iterdir() if p.is_dir())
            raise ValueError(
                f"class_map: there is no folder {str(path)!r}. Folders: "
                f"{', '.join(there) or 'none'}."
            )
        if class_name not in (*class_names, ""):
            raise ValueError(f"class_map: expected {class_names} or '', received {class_name!r}.")
    return mapped


def _list_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name; nothing where that cannot be listed."""
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError:
        return []


def _check_apart(folders: list[ClassFolder]) -> None:
    """Refuse class folders inside each other: their photos would have two classes."""
    paths = {each.path for each in folders}
    for each in folders:
        for outer in paths.intersection(each.path.parents):
            raise ValueError(
                f"{str(each.path)!r} lies inside {str(outer)!r}, which is a class folder itself. "
                "Move it out, or leave one of the two out."
            )


def _explain_unassigned(entry: Path, class_names: tuple[str, ...]) -> str | None:
    """Say why an entry of the root is in no class, or return None for a class folder."""
    kind = _describe_entry(entry)
    if kind == "file":
        return _LOOSE_FILE
    if kind != "folder":
        return kind
    if entry.name == QUARANTINE_NAME:
        return _SET_ASIDE
    named = find_named_classes(entry.name, class_names)
    if not named:
        return _NO_CLASS_NAME
    if len(named) > 1:
        return f"ambiguous: names {' and '.join(named)}"
    return "negated or set aside" if is_negated(entry.name) else None


def _explain_missing(found: ClassFolders, missing: list[str], class_names: tuple[str, ...]) -> str:
    """Say which classes have no folder, what is there, and what to do."""
    entries = [f"{each.path.name!r} ({each.class_name})" for each in found.folders]
    loose = [path for path, reason in found.unassigned if reason == _LOOSE_FILE]
    entries += [
        f"{path.name!r} ({reason}{_show_inside(path)})"
        for path, reason in found.unassigned
        if path not in loose
    ]
    entries[_SHOWN_ENTRIES:] = ["..."] * (len(entries) > _SHOWN_ENTRIES)
    if loose:
        more = ", ..." * (len(loose) > _NAMED_FILES)
        named = ", ".join(repr(path.name) for path in loose[:_NAMED_FILES])
        entries.append(
            f"{count_noun(len(loose), 'loose file')} (move them into a class folder: {named}{more})"
        )
    shown = ", ".join(entries) or "nothing"
    return (
        f"{str(found.root)!r}: expected a folder for each of {', '.join(class_names)}; "
        f"none for {', '.join(missing)}. Found: {shown}. "
        f"{_propose_deeper(found, missing, class_names) or _propose_map(found, missing)}"
    )


def _show_inside(path: Path) -> str:
    """Say which folders lie in one that is no class folder; nothing where there are none."""
    is_folder = _describe_entry(path) == "folder"
    names = [p.name for p in _list_folder(path) if _describe_entry(p) == "folder"] * is_folder
    more = ", ..." if len(names) > _NAMED_FILES else ""
    return f"; holds {', '.join(map(repr, names[:_NAMED_FILES]))}{more}" if names else ""


def _propose_deeper(
    found: ClassFolders, missing: list[str], class_names: tuple[str, ...]
) -> str | None:
    """Say what to do where folders that are named after the missing classes lie deeper."""
    deeper = [
        each
        for path, _ in found.unassigned
        for each in _find_deeper(path, class_names, _SEARCHED_LEVELS)
    ]
    classes: dict[Path, set[str]] = {}
    for each in deeper:
        classes.setdefault(each.path.parent, set()).add(each.class_name)
    homes = [path for path, held in classes.items() if held == set(class_names)]
    if len(homes) == 1:
        return f"Did you mean {str(homes[0])!r}? It holds the class folders."
    if not set(missing) <= {each.class_name for each in deeper}:
        return None
    together = _write_map(found.root, deeper)
    if not homes:
        return f"The class folders lie deeper. Take them from there: {together}"
    train = [f", such as {str(path)!r}" for path in homes if "train" in path.name.casefold()]
    example = train[0] if train else ""
    names = [show_text(path.relative_to(found.root).as_posix()) for path in homes]
    return (
        f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''} each hold the classes. "
        f"Pass one of them{example}, to train on, and evaluate the run on another. Or take all "
        f"together, to be split anew, or by `split --as-published` as they are: {together}"
    )


def _find_deeper(folder: Path, class_names: tuple[str, ...], levels: int) -> list[ClassFolder]:
    """Return the class folders below a folder that is none, and may be no folder at all."""
    if _describe_entry(folder) != "folder" or is_negated(folder.name) or not levels:
        return []
    found: list[ClassFolder] = []
    for entry in _list_folder(folder):
        if _explain_unassigned(entry, class_names) is None and not entry.name.startswith("."):
            (name,) = find_named_classes(entry.name, class_names)
            found.append(ClassFolder(entry, name, class_names.index(name)))
        else:
            found += _find_deeper(entry, class_names, levels - 1)
    return found


def _write_map(root: Path, folders: list[ClassFolder]) -> str:
    """Return the option that takes folders for the classes which they are named after."""
    pairs = {each.path.relative_to(root).as_posix(): each.class_name for each in folders}
    if len(pairs) > _SHOWN_MAP or any("," in name or name != name.strip() for name in pairs):
        return "--map FOLDER/NAME=CLASS,... with a pair for each of them (class_map in Python)."
    text = _BETWEEN_PAIRS.join(f"{name}={class_name}" for name, class_name in pairs.items())
    return f"--map {quote_argument(text)} (class_map in Python)."


def _propose_map(found: ClassFolders, missing: list[str]) -> str:
    """Show how to name the folders' classes, the choice left open: a guess could turn them."""
    step = f"Create the missing folder and put its photos in: {str(found.root / missing[0])!r}."
    if not any(_describe_entry(path) == "folder" for path, _ in found.unassigned):
        return step
    numbered = tuple(f"FOLDER_{number}" for number in range(1, len(missing) + 1))
    words = _PLACEHOLDERS if len(missing) <= len(_PLACEHOLDERS) else numbered
    form = _BETWEEN_PAIRS.join(f"{word}={name}" for word, name in zip(words, missing, strict=False))
    return (
        f"Look into the folders and say which of them holds which class: --map "
        f"{quote_argument(form)} (class_map in Python), with a folder's name in place of "
        f"{' and '.join(words[: len(missing)])}; a folder may lie deeper (train/NAME). Or "
        f"{step[0].lower()}{step[1:]}"
    )
