"""What is wrong with the files of a data set: the records and the report made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from emoclf.photos import Photos
from emoclf.storage import read_json, write_json
from emoclf.storage.tables import write_table
from emoclf.untrusted import show_text

Severity = Literal["reject", "advice"]
"""A rejected file must not be trained on; advice is for you to judge."""

PROBLEM_KINDS: tuple[str, ...] = (
    "unreadable",
    "empty",
    "not_an_image",
    "unsupported_format",
    "truncated",
    "damaged",
    "too_large",
    "too_small",
    "blank",
    "unfinished_move",
    "in_both_classes",
    "exact_duplicate",
    "near_duplicate",
    "wrong_extension",
    "extreme_aspect",
    "very_dark",
    "very_blurred",
)
"""Everything that `find_problems` can find, in the order in which it is reported."""

UNFINISHED_KIND = "unfinished_move"
"""Of a file that an interrupted call was to move, or had begun to bring back with others."""

_JSON_FORMAT: Literal["emoclf cleaning report 1"] = "emoclf cleaning report 1"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one file.

    Attributes:
        kind: One of `PROBLEM_KINDS`.
        severity: "reject" or "advice".
        reason: A sentence for the reader.
    """

    kind: str
    severity: Severity
    reason: str


@dataclass(frozen=True)
class FileRecord:
    """One file of a class folder.

    Attributes:
        path: Relative to the data set's folder, with forward slashes.
        class_name: The class of the folder it is in.
        label: The class's number.
        bytes: Size of the file, 0 when it could not be read.
        format: "JPEG", "PNG", ... by its content, or "" when it is no picture that we read.
        height: Of the upright picture in pixels, 0 when not decoded.
        width: Of the upright picture in pixels, 0 when not decoded.
        sha256: Of the content, in hexadecimal digits, or "" when it could not be read.
        perceptual_hash: 16 hexadecimal digits that hardly change when a picture is re-encoded
            or resized, or "" when not decoded.
        brightness: Mean grey value, 0 to 255, or None when not decoded.
        contrast: Standard deviation of the grey values, or None.
        sharpness: Standard deviation of the Laplacian over the contrast, on the picture
            shrunk to a short side of 128 pixels, or None.
        problems: What is wrong, in the order of `PROBLEM_KINDS`.
        duplicate_group: Files with the same number show the same picture; -1 for none.
    """

    path: str
    class_name: str
    label: int
    bytes: int = 0
    format: str = ""
    height: int = 0
    width: int = 0
    sha256: str = ""
    perceptual_hash: str = ""
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    problems: tuple[Problem, ...] = ()
    duplicate_group: int = -1

    @property
    def rejected(self) -> bool:
        """Whether the file must not be trained on."""
        return any(problem.severity == "reject" for problem in self.problems)

    def has_problem(self, kind: str) -> bool:
        """Return whether the file has a problem of this kind."""
        return any(problem.kind == kind for problem in self.problems)


@dataclass(frozen=True)
class CleaningReport:
    """Every file of a data set's class folders and what is wrong with it.

    Attributes:
        root: The data set's folder.
        class_names: The classes in label order.
        records: One per file, sorted by path.
        unassigned: Entries of the root that are in no class, each with the reason.
        skipped: Entries below the class folders that are no plain files, each with the reason.
    """

    root: Path
    class_names: tuple[str, ...]
    records: tuple[FileRecord, ...]
    unassigned: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def rejects(self) -> tuple[FileRecord, ...]:
        """The files that must not be trained on."""
        return tuple(record for record in self.records if record.rejected)

    @property
    def kept(self) -> Photos:
        """The photos to train on: all but the rejected files, in no part yet."""
        return make_photos(self, [record for record in self.records if not record.rejected])

    @property
    def advice(self) -> tuple[FileRecord, ...]:
        """The kept files that deserve a look."""
        return tuple(each for each in self.records if each.problems and not each.rejected)

    @property
    def duplicate_groups(self) -> dict[int, tuple[FileRecord, ...]]:
        """The files that show the same picture, by group number."""
        groups: defaultdict[int, list[FileRecord]] = defaultdict(list)
        for record in self.records:
            if record.duplicate_group >= 0:
                groups[record.duplicate_group].append(record)
        return {number: tuple(groups[number]) for number in sorted(groups)}

    @property
    def reject_kinds(self) -> tuple[str, ...]:
        """The kinds of problem for which a file was rejected, in the order of `PROBLEM_KINDS`."""
        problems = [problem for record in self.records for problem in record.problems]
        found = {problem.kind for problem in problems if problem.severity == "reject"}
        return tuple(kind for kind in PROBLEM_KINDS if kind in found)

    def find_examples(self) -> tuple[tuple[str, FileRecord], ...]:
        """Return for each kind of problem the first file that can be shown as a picture."""
        shown = [record for record in self.records if record.perceptual_hash]
        examples = (
            (kind, next((record for record in shown if record.has_problem(kind)), None))
            for kind in self.count_by_kind()
        )
        return tuple((kind, record) for kind, record in examples if record is not None)

    def count_by_kind(self) -> dict[str, int]:
        """Return how many files have each kind of problem, in the order of `PROBLEM_KINDS`."""
        counts = Counter(kind for record in self.records for kind in _list_kinds(record))
        return {kind: counts[kind] for kind in PROBLEM_KINDS if counts[kind]}

    def describe(self, *, examples: int = 2) -> str:
        """Return the report as a table for reading.

        Args:
            examples: How many files to name for each kind of problem.

        Returns:
            Several lines of text.
        """
        lines = [
            f"{len(self.records):,} files: {len(self.kept):,} kept "
            f"({len(self.advice):,} of them with advice), {len(self.rejects):,} rejected"
        ]
        for name in self.class_names:
            own = [record for record in self.records if record.class_name == name]
            kept = sum(not record.rejected for record in own)
            lines.append(f"  {name}: {len(own):,} files, {kept:,} kept")
        for kind in self.count_by_kind():
            lines += self._describe_kind(kind, examples)
        lines += _describe_entries("in no class folder", self.unassigned, examples)
        lines += _describe_entries("skipped", self.skipped, examples)
        return "\n".join(lines)

    def _describe_kind(self, kind: str, examples: int) -> list[str]:
        """Return the lines of the table about one kind of problem."""
        lines = []
        for severity in ("reject", "advice"):
            found = [
                (record, problem)
                for record in self.records
                for problem in record.problems
                if problem.kind == kind and problem.severity == severity
            ]
            if found:
                lines.append(f"{severity}  {kind:<18} {len(found):>6,}")
            for record, problem in found[:examples]:
                lines.append(f"          {show_text(record.path)}: {problem.reason}")
        return lines

    def save(self, path: str | Path) -> Path:
        """Write the whole report as JSON.

        Args:
            path: Where to write it.

        Returns:
            The path.
        """
        return write_json(path, {"format": _JSON_FORMAT, **asdict(self), "root": str(self.root)})

    @classmethod
    def load(cls, path: str | Path) -> CleaningReport:
        """Read a report that `save` wrote.

        Args:
            path: The JSON file.

        Returns:
            A report equal to the one that was saved.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds anything else.
        """
        what = "a cleaning report that `find_problems` made and `save` wrote"
        value = read_json(path, what=what, kind=_Document)
        return cls(
            Path(value.root), value.class_names, value.records, value.unassigned, value.skipped
        )

    def to_csv(self, path: str | Path) -> Path:
        """Write one line per file, for a spreadsheet.

        No cell is a formula to a spreadsheet; `storage.tables.read_table` gives every name back.

        Args:
            path: Where to write it.

        Returns:
            The path.
        """
        names = [field.name for field in fields(FileRecord)]
        rows = (_list_cells(record, names) for record in self.records)
        return write_table(path, [*names, "rejected"], rows)


@dataclass(frozen=True)
class _Document:
    """What `CleaningReport.save` writes."""

    format: Literal["emoclf cleaning report 1"]
    root: str
    class_names: tuple[str, ...]
    records: tuple[FileRecord, ...]
    unassigned: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        names = dict(enumerate(self.class_names))
        for record in self.records:
            if names.get(record.label) != record.class_name:
                raise ValueError(
                    f"{show_text(record.path)}: the label is not that of {record.class_name}"
                )


def make_photos(report: CleaningReport, records: Iterable[FileRecord]) -> Photos:
    """Make photos of some records of a report, in no part.

    Args:
        report: The report, for its folder and classes.
        records: Which of its records.

    Returns:
        The photos.
    """
    chosen = list(records)
    return Photos.make(
        [record.path for record in chosen],
        [record.label for record in chosen],
        groups=[record.duplicate_group for record in chosen],
        root=report.root,
        class_names=report.class_names,
    )


def _list_cells(record: FileRecord, names: Sequence[str]) -> list[object]:
    """Return a record's line of the table, its problems as one text."""
    problems = "; ".join(f"{each.kind}: {each.reason}" for each in record.problems)
    values = [problems if name == "problems" else getattr(record, name) for name in names]
    return [*values, record.rejected]


def _list_kinds(record: FileRecord) -> set[str]:
    """Return the kinds of a file's problems, each once."""
    return {problem.kind for problem in record.problems}


def _describe_entries(
    heading: str, entries: tuple[tuple[str, str], ...], examples: int
) -> list[str]:
    """Return the lines of the table about entries that are no files of a class."""
    if not entries:
        return []
    shown = [f"          {show_text(entry)}: {reason}" for entry, reason in entries[:examples]]
    return [f"{heading}: {len(entries):,}", *shown]
