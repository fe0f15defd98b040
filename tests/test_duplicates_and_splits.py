"""From planted copies to the split: a test photo must have no twin in training."""

import pytest

from emoclf.config import Settings
from emoclf.data.cleaning import find_problems
from emoclf.data.splitting import split_photos
from emoclf.data.synthetic import make_drawn_faces


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    return make_drawn_faces(
        tmp_path_factory.mktemp("flawed"), photos_per_class=60, seed=3, with_flaws=True
    )


@pytest.fixture(scope="module")
def report(flawed):
    return find_problems(flawed.folder, progress=False)


def planted(flawed, *kinds):
    return [flaw for flaw in flawed.planted_flaws if flaw.kind in kinds]


@pytest.mark.parametrize("seed", range(10))
def test_planted_duplicates_never_cross_the_split(flawed, report, seed):
    split = split_photos(report.kept, Settings(seed=seed))
    part_of = {row.path: row.part for row in split.rows}
    copies = planted(flawed, "exact_copy", "resized_copy", "mirrored_copy")
    assert len(copies) >= 12
    for flaw in copies:
        parts = {part_of[path] for path in flaw.paths if path in part_of}
        assert len(parts) == 1, flaw


def test_every_kind_of_copy_is_found(flawed, report):
    group_of = {record.path: record.duplicate_group for record in report.records}
    for flaw in planted(flawed, "exact_copy", "resized_copy", "mirrored_copy", "in_both_classes"):
        groups = {group_of[path] for path in flaw.paths}
        assert len(groups) == 1, flaw
        assert groups != {-1}, flaw


def test_of_exact_duplicates_one_is_kept(flawed, report):
    rejected = {record.path for record in report.rejects}
    for flaw in planted(flawed, "exact_copy"):
        assert len(rejected & set(flaw.paths)) == 1, flaw


def test_a_picture_in_both_classes_is_reported_and_not_used(flawed, report):
    rejected = {record.path: record for record in report.rejects}
    flaws = planted(flawed, "in_both_classes")
    assert flaws
    for flaw in flaws:
        for path in flaw.paths:
            assert rejected[path].has_problem("in_both_classes")
    assert "in_both_classes" in str(report)
