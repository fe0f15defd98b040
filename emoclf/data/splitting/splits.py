"""Who is trained on, who chooses the epoch, who is tested: one manifest, fixed once.

A split that is drawn again every epoch tests on photos it has trained on, and a split that
separates two copies of one photo does the same. So files are split once, groups of duplicates
stay together, and both are verified every time a manifest is made or loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from emoclf.config import CLASS_NAMES, PARTS, SEED
from emoclf.storage import check_keys, check_kind, read_json, write_json
from emoclf.untrusted import check_class_names, show_text

SMALL_SPLIT = 100
"""Below this many photos the 95 % interval of an accuracy is wider than about 15 points."""


@dataclass(frozen=True)
class SplitFile:
    """One photo of the manifest.

    Attributes:
        path: Path relative to the root of the data set, with forward slashes.
        label: Index into the class names.
        group: Photos with the same group are copies of each other and share a split.
        split: `"train"`, `"validation"` or `"test"`.
    """

    path: str
    label: int
    group: int
    split: str


@dataclass(frozen=True)
class SplitManifest:
    """Which photo belongs to which split.

    Attributes:
        root: The data set's folder.
        class_names: Names in label order.
        seed: Seed that drew the split.
        files: One entry per photo, in the order in which they were given.
    """

    root: str
    class_names: tuple[str, ...]
    seed: int
    files: tuple[SplitFile, ...]

    def select(self, split: str) -> tuple[SplitFile, ...]:
        """Return the photos of one split.

        Raises:
            ValueError: If `split` is not `"train"`, `"validation"` or `"test"`.
        """
        if split not in PARTS:
            raise ValueError(f"split={split!r} should be one of {', '.join(PARTS)}.")
        return tuple(file for file in self.files if file.split == split)

    def labels(self, split: str) -> np.ndarray:
        """Return the labels of one split, int64 `(photos,)`."""
        return np.array([file.label for file in self.select(split)], dtype=np.int64)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return split -> class name -> number of photos."""
        return {
            split: {
                name: sum(file.label == label for file in self.select(split))
                for label, name in enumerate(self.class_names)
            }
            for split in PARTS
        }

    def describe(self) -> str:
        """Return the counts as a table, followed by what is too small to mean much.

        The column "different" counts a photo and its copies once.
        """
        names = "".join(f"{name:>8}" for name in self.class_names)
        lines = [f"{'split':12}{names}{'photos':>8}{'different':>11}"]
        different = count_groups(self)
        for split, counts in self.counts().items():
            numbers = "".join(f"{count:8,}" for count in counts.values())
            total = f"{sum(counts.values()):8,}{different.get(split, 0):11,}"
            lines.append(f"{split:12}{numbers}{total}")
        return "\n".join(lines + find_small_splits(self))


def make_splits(
    paths: Sequence[str],
    labels: Sequence[int],
    *,
    groups: Sequence[int] | None = None,
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = SEED,
    root: str | Path = ".",
    class_names: tuple[str, ...] = CLASS_NAMES,
) -> SplitManifest:
    """Draw train, validation and test photos: stratified, seeded, duplicates kept together.

    Groups are visited in random order, large ones first, and each goes to the split that is
    furthest behind its share of that group's classes. The result depends on the seed and on the
    photos, not on the order in which they are given.

    Args:
        paths: Paths relative to `root`, each once.
        labels: One label per path, an index into `class_names`.
        groups: One duplicate group per path; -1 means "a group of its own". Default: no groups.
        validation_fraction: Share of the photos for validation, above 0.
        test_fraction: Share of the photos for the test, above 0.
        seed: Seed of the draw.
        root: The data set's folder, written into the manifest.
        class_names: Names in label order.

    Returns:
        The manifest, verified.

    Raises:
        ValueError: If lengths differ, a label or share is out of range, or a class has fewer than
            three groups, so that no split could hold it.
    """
    groups = [-1] * len(paths) if groups is None else groups
    if not len(paths) == len(labels) == len(groups):
        raise ValueError(
            f"Expected one label and one group per path, received {len(paths)} paths, "
            f"{len(labels)} labels and {len(groups)} groups."
        )
    shares = (1 - validation_fraction - test_fraction, validation_fraction, test_fraction)
    if min(shares) <= 0:
        raise ValueError(
            f"validation_fraction={validation_fraction} and test_fraction={test_fraction} should "
            "each be above "
            "0 and leave photos for training, for example 0.15 and 0.15."
        )
    own_groups = _number_groups(paths, groups)
    members = _collect_members(labels, own_groups, class_names)
    chosen = [PARTS[part] for part in assign_groups(members, shares, seed=seed)]
    files = tuple(
        SplitFile(str(path), int(label), group, chosen[group])
        for path, label, group in zip(paths, labels, own_groups, strict=True)
    )
    manifest = SplitManifest(str(root), tuple(class_names), int(seed), files)
    verify_manifest(manifest)
    return manifest


def _number_groups(paths: Sequence[str], groups: Sequence[int]) -> list[int]:
    """Number groups from 0 by their first path in sorted order; -1 becomes a group of its own."""
    numbers: dict[tuple[int, str], int] = {}
    result = [0] * len(paths)
    for index in sorted(range(len(paths)), key=lambda i: str(paths[i])):
        group = int(groups[index])
        key = (group, str(paths[index]) if group < 0 else "")
        result[index] = numbers.setdefault(key, len(numbers))
    return result


def _collect_members(
    labels: Sequence[int], groups: Sequence[int], class_names: Sequence[str]
) -> np.ndarray:
    """Count the photos of every class in every group, int64 `(groups, classes)`."""
    for label in labels:
        if not 0 <= int(label) < len(class_names):
            raise ValueError(
                f"label {label} should be 0 to {len(class_names) - 1}, an index into "
                f"{tuple(class_names)}."
            )
    members = np.zeros((max(groups, default=-1) + 1, len(class_names)), dtype=np.int64)
    np.add.at(members, (list(groups), [int(label) for label in labels]), 1)
    for name, count in zip(class_names, (members > 0).sum(axis=0), strict=True):
        if count < len(PARTS):
            raise ValueError(
                f"Class {name} has {count} different photos (copies counted once). At least "
                f"{len(PARTS)} are needed to train, validate and test: add photos of {name}."
            )
    return members


def assign_groups(
    members: np.ndarray, shares: Sequence[float], *, seed: int | Sequence[int] = SEED
) -> np.ndarray:
    """Give whole groups to parts, so that every part gets its share of every class.

    Args:
        members: Photos of every class in every group, int64 `(groups, classes)`; every class has
            some.
        shares: Share of the photos that each part is to get, above 0, summing to 1.
        seed: Seed of the draw.

    Returns:
        The part of every group, int64 `(groups,)`, counted from 0.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(members))
    order = shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]
    wanted = np.outer(shares, members.sum(axis=0)).astype(float)
    filled = np.zeros_like(wanted)
    chosen = np.zeros(len(members), dtype=np.int64)
    for group in order:
        lacking = np.where(members[group] > 0, (wanted - filled) / wanted, 0.0)
        part = int(np.argmax(lacking @ members[group]))
        filled[part] += members[group]
        chosen[group] = part
    return chosen


def verify_manifest(manifest: SplitManifest) -> None:
    """Check that no photo and no duplicate group stands in two splits.

    Raises:
        ValueError: If the manifest breaks a promise; the message names the first photo.
    """
    check_class_names(manifest.class_names)
    split_of_path: dict[str, str] = {}
    split_of_group: dict[int, str] = {}
    for file in manifest.files:
        if file.split not in PARTS or not 0 <= file.label < len(manifest.class_names):
            raise ValueError(
                f"{file.path!r} has split {file.split!r:.100} and label {file.label}: expected "
                f"one of {', '.join(PARTS)} and a label below {len(manifest.class_names)}. "
                "Make the split anew."
            )
        if file.path in split_of_path:
            raise ValueError(
                f"{file.path!r} stands twice in the split, in {split_of_path[file.path]} and "
                f"{file.split}: each photo may be used once. Make the split anew."
            )
        split_of_path[file.path] = file.split
        if split_of_group.setdefault(file.group, file.split) != file.split:
            raise ValueError(
                f"{file.path!r} is in {file.split}, but a copy of it (duplicate group "
                f"{file.group}) is in {split_of_group[file.group]}: the test would see training "
                "photos. Make the split anew."
            )


def find_small_splits(manifest: SplitManifest) -> list[str]:
    """Say which splits are too small to mean much.

    Returns:
        One sentence per split with fewer than `SMALL_SPLIT` photos or without one of the classes.
    """
    notes = []
    for split, counts in manifest.counts().items():
        total = sum(counts.values())
        missing = [name for name, count in counts.items() if count == 0]
        if missing:
            notes.append(f"{split} holds no photo of {', '.join(missing)}: add photos.")
        if total < SMALL_SPLIT:
            halfwidth = 98 / max(total, 1) ** 0.5
            notes.append(
                f"{split} holds only {total} photos: a share measured on it is uncertain by up to "
                f"{min(halfwidth, 50):.0f} points either way."
            )
    return notes


def save_manifest(manifest: SplitManifest, path: str | Path) -> Path:
    """Write a manifest as JSON, whole or not at all.

    Returns:
        The path of the file.
    """
    return write_json(path, asdict(manifest))


def load_manifest(path: str | Path) -> SplitManifest:
    """Read a manifest and verify that its splits are disjoint.

    Args:
        path: The file that `save_manifest` wrote.

    Returns:
        The manifest.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no manifest, or a photo or a duplicate group crosses splits.
    """
    what = "the split of a run"
    value = read_json(path, what=what)
    check_keys(value, [each.name for each in fields(SplitManifest)], name=path, what=what)
    manifest: SplitManifest = check_kind(value, SplitManifest, name=path, what=what)
    try:
        _verify_ranges(manifest)
        verify_manifest(manifest)
    except ValueError as error:
        raise ValueError(f"{show_text(path)}: {show_text(error)}") from error
    return manifest


def _verify_ranges(manifest: SplitManifest) -> None:
    """Refuse what is of the right type, and yet no name, no seed and no group."""
    paths = (manifest.root, *(file.path for file in manifest.files))
    groups = (abs(file.group) for file in manifest.files)
    checks = {
        "a path is empty, or too long for one": all(0 < len(path) <= 4096 for path in paths),
        "a path holds a null character": not any("\0" in path for path in paths),
        "the seed is below 0": manifest.seed >= 0,
        "there are no classes, or too long names": 0 < sum(map(len, manifest.class_names)) < 10_000,
        "two classes have one name": len(set(manifest.class_names)) == len(manifest.class_names),
        "a duplicate group is no 64-bit number": max(groups, default=0) < 2**63,
        "there are no photos": bool(manifest.files),
    }
    for wrong, is_right in checks.items():
        if not is_right:
            raise ValueError(f"{wrong}. Make the split anew.")


def count_groups(manifest: SplitManifest) -> dict[str, int]:
    """Count the different photos (duplicate groups) of every split.

    Returns:
        Split name to number of groups.
    """
    return dict(Counter({file.group: file.split for file in manifest.files}.values()))
