"""Photos: where they lie, what they show, which are duplicates, and in which part they are.

Everything that works on a data set takes `Photos` and returns `Photos` or numbers about them, so
that labels and duplicate groups go wherever the photos go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from emoclf.config import CLASS_NAMES, PARTS, SEED
from emoclf.display import Displayed, Table, count_noun
from emoclf.storage import check_keys, check_kind, find_path, read_json, write_json
from emoclf.untrusted import check_class_names, show_text

SMALL_PART = 100
"""Below this many photos the 95 % interval of an accuracy is wider than about 15 points."""

UNASSIGNED = ""
"""The part of a photo that is in none."""


@dataclass(frozen=True)
class PhotoRow:
    """One photo.

    Attributes:
        path: Path relative to the root of the data set, with forward slashes.
        label: Index into the class names.
        group: Photos with the same group are duplicates of each other and share a part.
        part: `"train"`, `"validation"`, `"test"`, or `""` for none.
        sha256: Of the file's content, by which it is known again elsewhere; `""` for unknown.
    """

    path: str
    label: int
    group: int
    part: str = UNASSIGNED
    sha256: str = ""


@dataclass(frozen=True)
class Photos(Displayed):
    """Photos of a data set, one row for each.

    Attributes:
        root: The data set's folder.
        class_names: Names in label order.
        rows: The photos, in order.
        seed: Seed that drew the parts.

    Example:
        >>> photos = Photos.make(["sad/a.jpg", "happy/b.jpg"], [0, 1], parts=["train", "test"])
        >>> photos.part("test").paths
        ('happy/b.jpg',)
    """

    root: str
    class_names: tuple[str, ...]
    rows: tuple[PhotoRow, ...]
    seed: int = SEED

    @classmethod
    def make(
        cls,
        paths: Iterable[str | Path],
        labels: Iterable[int],
        *,
        groups: Iterable[int] | None = None,
        parts: Iterable[str] | None = None,
        contents: Iterable[str] | None = None,
        root: str | Path = ".",
        class_names: Sequence[str] = CLASS_NAMES,
        seed: int = SEED,
    ) -> Photos:
        """Put columns together.

        Args:
            paths: Paths relative to `root`, each once.
            labels: One label per path, an index into `class_names`.
            groups: One duplicate group per path; -1 for a photo without duplicates. Default: no
                photo has any.
            parts: One part per path; default: none.
            contents: The SHA-256 of every file; default: unknown.
            root: The data set's folder.
            class_names: Names in label order.
            seed: Seed that drew the parts.

        Returns:
            The photos, verified.

        Raises:
            ValueError: If lengths differ, or `verify` refuses them.
        """
        names = [Path(path).as_posix() if isinstance(path, Path) else str(path) for path in paths]
        marks = _list_whole(labels)
        own = [-1] * len(names) if groups is None else _list_whole(groups)
        places = [UNASSIGNED] * len(names) if parts is None else [str(part) for part in parts]
        hashes = [""] * len(names) if contents is None else list(contents)
        if not len(names) == len(marks) == len(own) == len(places) == len(hashes):
            raise ValueError(
                f"Expected one label, one group and one part per path. Received: {len(names)} "
                f"paths, {len(marks)} labels, {len(own)} groups and {len(places)} parts."
            )
        rows = zip(names, marks, number_groups(own).tolist(), places, hashes, strict=True)
        photos = cls(str(root), tuple(class_names), tuple(PhotoRow(*row) for row in rows), seed)
        photos.verify()
        return photos

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.rows)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths, relative to `root`."""
        return tuple(row.path for row in self.rows)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Where the photos lie."""
        return tuple(find_path(self.root, row.path) for row in self.rows)

    @cached_property
    def labels(self) -> np.ndarray:
        """The labels, int64 `(photos,)`."""
        return np.array([row.label for row in self.rows], dtype=np.int64)

    @cached_property
    def groups(self) -> np.ndarray:
        """One number per photo, equal for duplicates, int64 `(photos,)`."""
        return np.array([row.group for row in self.rows], dtype=np.int64)

    @property
    def only_part(self) -> str | None:
        """The part that all photos are in; None when there are several, or none."""
        parts = {row.part for row in self.rows}
        return parts.pop() or None if len(parts) == 1 else None

    def find_part(self, part: str) -> np.ndarray:
        """Return the positions of one part's photos, int64, rising.

        Raises:
            ValueError: If `part` is not `"train"`, `"validation"` or `"test"`.
        """
        if part not in PARTS:
            raise ValueError(f"part={part!r} should be one of {', '.join(PARTS)}.")
        return np.flatnonzero([row.part == part for row in self.rows])

    def part(self, part: str) -> Photos:
        """Return the photos of one part.

        Raises:
            ValueError: If `part` is not `"train"`, `"validation"` or `"test"`.
        """
        return self.take(self.find_part(part))

    def take(self, chosen: np.ndarray | Sequence[int] | Sequence[bool]) -> Photos:
        """Return some of the photos.

        Args:
            chosen: Their positions, or a bool per photo.

        Returns:
            The photos, in the order of `chosen`.
        """
        positions = np.arange(len(self.rows))[
            np.asarray(chosen, dtype=None if len(chosen) else int)
        ]
        return replace(self, rows=tuple(self.rows[position] for position in positions.tolist()))

    def with_parts(self, parts: Iterable[str], *, seed: int | None = None) -> Photos:
        """Return the same photos in other parts, verified.

        Args:
            parts: One part per photo.
            seed: Seed that drew them; default: as before.

        Raises:
            ValueError: If duplicates would be in two parts.
        """
        rows = tuple(replace(row, part=part) for row, part in zip(self.rows, parts, strict=True))
        photos = replace(self, rows=rows, seed=self.seed if seed is None else seed)
        photos.verify()
        return photos

    def count(self) -> dict[str, dict[str, int]]:
        """Return part -> class name -> number of photos."""
        found = Counter((row.part, row.label) for row in self.rows)
        return {
            part: {name: found[part, label] for label, name in enumerate(self.class_names)}
            for part in PARTS
        }

    def blocks(self) -> Iterable[str | Table]:
        """Return the number of photos by part and class; duplicates count once as "different"."""
        different = Counter(row.part for row in {row.group: row for row in self.rows}.values())
        counts = self.count()
        if any(row.part == UNASSIGNED for row in self.rows):
            labels = Counter(row.label for row in self.rows if row.part == UNASSIGNED)
            counts["no part"] = {name: labels[i] for i, name in enumerate(self.class_names)}
            different["no part"] = different[UNASSIGNED]
        rows = [
            (part, *numbers.values(), sum(numbers.values()), different[part])
            for part, numbers in counts.items()
            if part in different or any(each.part for each in self.rows)
        ]
        yield Table(("part", *self.class_names, "photos", "different"), rows)
        yield from self.find_limits()

    def find_limits(self) -> list[str]:
        """Say in sentences which parts are too small to mean much; empty when none is."""
        notes = []
        is_split = any(row.part for row in self.rows)
        for part, counts in self.count().items() if is_split else ():
            total = sum(counts.values())
            missing = [name for name, count in counts.items() if count == 0]
            if missing:
                notes.append(f"{part} holds no photo of {', '.join(missing)}: add photos.")
            if total < SMALL_PART:
                halfwidth = 98 / max(total, 1) ** 0.5
                notes.append(
                    f"{part} holds only {count_noun(total, 'photo')}: an accuracy measured on it "
                    f"is uncertain by up to {min(halfwidth, 50):.0f} points either way."
                )
        return notes

    def verify(self) -> None:
        """Check that no photo stands twice and no duplicate group in two parts.

        Raises:
            ValueError: If one does, or a label, a part, a path or a name is none; the message names
                the photo.
        """
        check_class_names(self.class_names)
        self._verify_ranges()
        part_of_path: dict[str, str] = {}
        part_of_group: dict[int, str] = {}
        for row in self.rows:
            known = row.part == UNASSIGNED or row.part in PARTS
            if not known or not 0 <= row.label < len(self.class_names):
                raise ValueError(
                    f"{row.path!r} has part {row.part!r:.100} and label {row.label}: expected one "
                    f"of {', '.join(PARTS)} and a label below {len(self.class_names)}, an index "
                    f"into {self.class_names}. Make the split anew."
                )
            if row.path in part_of_path:
                raise ValueError(
                    f"{row.path!r} stands twice in the split, in {part_of_path[row.path]} and "
                    f"{row.part}: each photo may be used once. Make the split anew."
                )
            part_of_path[row.path] = row.part
            if part_of_group.setdefault(row.group, row.part) != row.part:
                raise ValueError(
                    f"{row.path!r} is in {row.part}, but a duplicate of it (group {row.group}) is "
                    f"in {part_of_group[row.group]}: the test would see training photos. Make the "
                    "split anew."
                )

    def _verify_ranges(self) -> None:
        """Refuse what is of the right type, and yet no name, no seed and no group."""
        paths, names = (self.root, *self.paths), self.class_names
        checks = {
            "a path is empty, or too long for one": all(0 < len(path) <= 4096 for path in paths),
            "a path holds a null character": not any("\0" in path for path in paths),
            "the seed is below 0": self.seed >= 0,
            "there are no classes, or too long names": 0 < sum(map(len, names)) < 10_000,
            "two classes have one name": len(set(names)) == len(names),
            "a duplicate group is no 64-bit number": all(abs(r.group) < 2**63 for r in self.rows),
        }
        for wrong, is_right in checks.items():
            if not is_right:
                raise ValueError(f"{wrong}. Make the split anew.")

    def save(self, path: str | Path) -> Path:
        """Write the photos as JSON, whole or not at all.

        The root is written as an absolute path, so that the file says where the photos are from
        any folder.

        Returns:
            The path of the file.
        """
        return write_json(path, {**asdict(self), "root": str(Path(self.root).absolute())})

    @classmethod
    def load(cls, path: str | Path) -> Photos:
        """Read what `save` wrote, and verify it.

        Args:
            path: The file.

        Returns:
            The photos.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds anything else, or a photo or a duplicate group is in two parts.
        """
        what = "the split of a run"
        value = read_json(path, what=what)
        check_keys(value, [each.name for each in fields(cls)], name=path, what=what)
        photos: Photos = check_kind(value, cls, name=path, what=what)
        try:
            if not photos.rows:
                raise ValueError("there are no photos. Make the split anew.")
            photos.verify()
        except ValueError as error:
            raise ValueError(f"{show_text(path)}: {show_text(error)}") from error
        return photos


def number_groups(groups: Iterable[int]) -> np.ndarray:
    """Give every photo without duplicates a group of its own.

    Args:
        groups: One number per photo, equal for duplicates; -1 for a photo without any.

    Returns:
        int64 `(photos,)`, 0 or more, equal for duplicates alone.

    Example:
        >>> number_groups([4, -1, 4, -1]).tolist()
        [4, 5, 4, 6]
    """
    numbers = np.array(list(groups), dtype=np.int64)
    is_alone = numbers < 0
    numbers[is_alone] = numbers.max(initial=-1) + 1 + np.arange(is_alone.sum())
    return numbers


def _list_whole(values: Iterable[int]) -> list[int]:
    """Return labels or groups as Python's own numbers, and refuse what is none."""
    found = list(values)
    for value in found:
        if int(value) != value or abs(int(value)) >= 2**63:
            raise ValueError(f"Labels and groups should be whole 64-bit numbers, not {value!r}.")
    return list(map(int, found))
