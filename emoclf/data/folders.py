"""What is on disk: which folders hold which class, and which files are in them.

Nothing is opened here. Symbolic links are never followed, so that a folder cannot pull in files
from elsewhere; pipes and sockets are only looked at; what is left out is listed with the reason.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emoclf.config import CLASS_NAMES
from emoclf.display import Displayed, Table
from emoclf.storage import describe_irregular
from emoclf.untrusted import quote_argument, show_text

if TYPE_CHECKING:
    from emoclf.data.synthetic.flaws import PlantedFlaw

DRAWN_FACES = "drawn faces"
"""Source of the photos that emoclf has drawn."""

_NAMED_FILES = 3

_REFUSED = ("folder that cannot be read", "cannot be looked at")

_NO_CLASS_NAME = "no class name"
_WORD = re.compile(r"[^\W\d_]+")
_WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a capital begins a new word inside a name: `HappyFaces` has two words."""

_OVERRULING_WORDS = frozenset({"not", "no", "non", "un", "never", "without", "quarantine"})
"""Words that keep a folder from being a class folder: `not happy` is not Happy."""


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
            yield f"{self.files:,} files{size}, {state}: {show_text(self.folder)}"
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
            yield f"{len(self.left_out):,} files left out: {named}{more}"


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
            (named[entry],) = _find_named_classes(entry.name, class_names)
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
    mapped = {root / name: class_name for name, class_name in class_map.items()}
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


def _check_apart(folders: list[ClassFolder]) -> None:
    """Refuse class folders inside each other: their photos would have two classes."""
    paths = {each.path for each in folders}
    for each in folders:
        for outer in paths.intersection(each.path.parents):
            raise ValueError(
                f"{str(each.path)!r} lies inside {str(outer)!r}, which is a class folder itself. "
                "Move it out, or leave one of the two out."
            )


def _split_words(name: str) -> str:
    """Return a name's words in lower case, each between spaces: ` happy faces `."""
    words = _WORD.findall(_WORD_BOUNDARY.sub(" ", name))
    return f" {' '.join(words).casefold()} "


def _find_named_classes(folder_name: str, class_names: tuple[str, ...]) -> list[str]:
    """Return the classes whose names stand in a folder's name as whole words."""
    words = _split_words(folder_name)
    return [name for name in class_names if _split_words(name) in words]


def _explain_unassigned(entry: Path, class_names: tuple[str, ...]) -> str | None:
    """Say why an entry of the root is in no class, or return None for a class folder."""
    kind = _describe_entry(entry)
    if kind == "file":
        return "loose file: move it into a class folder"
    if kind != "folder":
        return kind
    named = _find_named_classes(entry.name, class_names)
    if not named:
        return _NO_CLASS_NAME
    if len(named) > 1:
        return f"ambiguous: names {' and '.join(named)}"
    is_negated = not _OVERRULING_WORDS.isdisjoint(_split_words(entry.name).split())
    return "negated or set aside" if is_negated else None


def _explain_missing(found: ClassFolders, missing: list[str], class_names: tuple[str, ...]) -> str:
    """Say which classes have no folder, what is there, and where the user may have meant."""
    entries = [f"{each.path.name!r} ({each.class_name})" for each in found.folders]
    entries += [f"{path.name!r} ({reason})" for path, reason in found.unassigned]
    shown = ", ".join(entries[:10]) + (", ..." if len(entries) > 10 else "") or "nothing"
    inner = _find_inner_root(found, class_names)
    step = (
        f"Did you mean {str(inner)!r}? It holds the class folders."
        if inner
        else f"Create the missing folder and put its photos in: {str(found.root / missing[0])!r}."
    )
    unnamed = [path.name for path, reason in found.unassigned if reason == _NO_CLASS_NAME]
    if unnamed and not inner:
        pair = f"{unnamed[0]}={missing[0]}"
        step += f" Or name the class of a folder: --map {quote_argument(pair)} (class_map)."
    return (
        f"{str(found.root)!r}: expected a folder for each of {', '.join(class_names)}; "
        f"none for {', '.join(missing)}. Found: {shown}. {step}"
    )


def _find_inner_root(found: ClassFolders, class_names: tuple[str, ...]) -> Path | None:
    """Return the one sub-folder that holds all class folders, as unzipped archives have it."""
    inner = []
    for path, _ in found.unassigned:
        if _describe_entry(path) != "folder":
            continue
        try:
            below = find_class_folders(path, class_names=class_names, require_all=False)
        except PermissionError:
            continue
        if {each.class_name for each in below.folders} == set(class_names):
            inner.append(path)
    return inner[0] if len(inner) == 1 else None
