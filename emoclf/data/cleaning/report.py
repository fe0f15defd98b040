"""What is wrong with the files of a data set: the records and the report made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from emoclf.display import Displayed, Table, count_noun
from emoclf.photos import Photos
from emoclf.storage import check_keys, check_kind, read_json, write_json
from emoclf.storage.tables import write_table
from emoclf.untrusted import show_text

Severity = Literal["reject", "advice"]
"""A rejected file must not be trained on; advice is for you to judge."""

PROBLEM_KINDS: tuple[str, ...] = (
    *("unreadable", "empty", "not_an_image", "unsupported_format", "truncated", "damaged"),
    *("too_large", "too_small", "blank", "unfinished_move", "in_both_classes"),
    *("exact_duplicate", "near_duplicate", "wrong_extension", "extreme_aspect"),
    *("very_dark", "very_blurred"),
)
"""Everything that `find_problems` can find, in the order in which it is reported."""

UNFINISHED_KIND = "unfinished_move"
"""Of a file that an interrupted call was to move, or had begun to bring back with others."""

_Format = Literal["emoclf cleaning report 1"]


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
class CleaningReport(Displayed):
    """Every file of a data set's class folders and what is wrong with it.

    Attributes:
        root: The data set's folder.
        class_names: The classes in label order.
        records: One per file, sorted by path.
        unassigned: Entries of the root that are in no class, each with the reason.
        skipped: Entries below the class folders that are no plain files, each with the reason.
    """

    root: str
    class_names: tuple[str, ...]
    records: tuple[FileRecord, ...]
    unassigned: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a file whose label is not that of its class."""
        names = dict(enumerate(self.class_names))
        for record in self.records:
            if names.get(record.label) != record.class_name:
                raise ValueError(
                    f"{show_text(record.path)}: the label is not that of {record.class_name}"
                )

    @property
    def rejects(self) -> tuple[FileRecord, ...]:
        """The files that must not be trained on."""
        return tuple(record for record in self.records if record.rejected)

    @cached_property
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
        counts = Counter(kind for r in self.records for kind in {p.kind for p in r.problems})
        return {kind: counts[kind] for kind in PROBLEM_KINDS if counts[kind]}

    def blocks(self) -> Iterable[str | Table]:
        """Return how many files are kept by class, and what is wrong, with two examples of each."""
        kept, advice = len(self.records) - len(self.rejects), len(self.advice)
        yield (
            f"{count_noun(len(self.records), 'file')}: {kept:,} kept ({advice:,} of them with "
            f"advice), {len(self.rejects):,} rejected"
        )
        files = Counter(record.class_name for record in self.records)
        rejected = Counter(record.class_name for record in self.rejects)
        rows = [(n, files[n], files[n] - rejected[n], rejected[n]) for n in self.class_names]
        yield Table(("class", "files", "kept", "rejected"), rows)
        if self.count_by_kind() or self.unassigned or self.skipped:
            yield self.make_table()

    def make_table(self, *, examples: int = 2) -> Table:
        """Return what is wrong by kind, with a row for each example, so many of each kind."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {
            (kind, severity): [] for kind in PROBLEM_KINDS for severity in ("reject", "advice")
        }
        for record in self.records:
            for each in record.problems:
                found.setdefault((each.kind, each.severity), []).append((record.path, each.reason))
        found["in no class folder", ""] = list(self.unassigned)
        found["skipped", ""] = list(self.skipped)
        rows: list[tuple[object, ...]] = []
        for (kind, severity), entries in found.items():
            shown = [f"{show_text(path)}: {reason}" for path, reason in entries[:examples]]
            heads = [(severity, kind, len(entries)), *[(None, None, None)] * (len(shown) - 1)]
            rows += [(*head, text) for head, text in zip(heads, shown or [""], strict=True)]
        return Table(("", "problem", "files", "for example"), [row for row in rows if row[2] != 0])

    def save(self, path: str | Path) -> Path:
        """Write the whole report as JSON, and return the path."""
        (format_name,) = get_args(_Format)
        return write_json(path, {"format": format_name, **asdict(self)})

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
        value = read_json(path, what=what, kind=dict[str, Any])
        check_keys(value, ["format", *(each.name for each in fields(cls))], name=path, what=what)
        check_kind(value.pop("format"), _Format, name=path, what=what)
        report: CleaningReport = check_kind(value, cls, name=path, what=what)
        return report

    def to_csv(self, path: str | Path) -> Path:
        """Write one line per file, for a spreadsheet, and return the path.

        No cell is a formula to a spreadsheet; `storage.tables.read_table` gives every name back.
        """
        names = [field.name for field in fields(FileRecord)]
        rows = []
        for record in self.records:
            problems = "; ".join(f"{each.kind}: {each.reason}" for each in record.problems)
            values = {**vars(record), "problems": problems}
            rows.append([*(values[name] for name in names), record.rejected])
        return write_table(path, [*names, "rejected"], rows)


def make_photos(report: CleaningReport, records: Iterable[FileRecord]) -> Photos:
    """Make photos of some of a report's records, in no part."""
    chosen = list(records)
    return Photos.make(
        [record.path for record in chosen],
        [record.label for record in chosen],
        groups=[record.duplicate_group for record in chosen],
        contents=[record.sha256 for record in chosen],
        root=report.root,
        class_names=report.class_names,
    )
