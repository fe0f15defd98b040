"""Folders in folders, deeper than Python's functions call themselves: they work, or have a row."""

import os
import shutil
import sys

import pytest

from emoclf.data.cleaning import find_problems, quarantine, restore
from emoclf.data.folders import list_files
from emoclf.data.sources import stage_data
from emoclf.data.sources.fer2013_folders import make_fer2013_folders
from emoclf.storage import building_folder, make_folder
from emoclf.storage.temporary import remove_folder
from tests.archives import draw_picture
from tests.calls import call

LEVELS = 1_050

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shorter paths elsewhere")


@pytest.fixture
def place(tmp_path):
    """An empty folder, removed in the end: pytest's own way fails in deep ones."""
    folder = tmp_path / "place"
    folder.mkdir()
    yield folder
    remove_folder(folder)
    assert not folder.exists()


@pytest.fixture
def photos(place):
    """A data set with a photo and a damaged file 1,050 folders deep."""
    root = place / "photos"
    make_folder(root.joinpath("happy", *"d" * LEVELS))
    for number, name in enumerate(("happy", "sad")):
        (root / name).mkdir(exist_ok=True)
        (root / name / "a.png").write_bytes(draw_picture(number, side=64))
    deepest = root.joinpath("happy", *"d" * LEVELS)
    (deepest / "deep.png").write_bytes(draw_picture(3, side=64))
    (deepest / "broken.jpg").write_text("no photo")
    return root


def test_folders_are_made_and_removed(place):
    deep = place.joinpath(*"d" * LEVELS)
    make_folder(deep)
    make_folder(deep)
    assert deep.is_dir()
    (place / "link").symlink_to(place.parent)
    (place / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make_folder(place / "file" / "inside")
    (place.parent / "kept").write_text("")
    remove_folder(place / "d")
    remove_folder(place / "d")
    assert not (place / "d").exists()
    assert (place.parent / "kept").exists()


def test_a_deep_folder_that_was_begun_is_removed(place):
    with pytest.raises(ValueError, match="stop"), building_folder(place / "new") as temporary:
        make_folder(temporary.joinpath(*"d" * LEVELS))
        raise ValueError("stop")
    assert list(place.iterdir()) == []


def test_deep_photos_are_examined_and_moved_and_come_back(photos):
    report = find_problems(photos, progress=False)
    assert len(report.records) == 4
    moved = quarantine(report, dry_run=False).moved
    assert [path.rpartition("/")[2] for path in moved] == ["broken.jpg"]
    restore(photos)
    assert photos.joinpath(moved[0]).read_text() == "no photo"


def test_deep_photos_are_staged(photos, place):
    staged = stage_data(photos, place / "staged", progress=False)
    assert staged.files == 4
    again = stage_data(photos, place / "staged", progress=False)
    assert again.was_there


def test_where_a_path_would_be_too_long_the_others_are_staged(photos, place):
    target = place.joinpath(*["y" * 200] * 10, "new")
    staged = stage_data(photos, target, progress=False)
    assert staged.files == 2
    assert "its path would be too long here" in dict(staged.left_out).values()


def test_a_deep_folder_is_no_fer2013(photos, place):
    with pytest.raises(ValueError, match="not the counts of FER2013"):
        make_fer2013_folders(photos, place / "faces", progress=False)


def test_what_lies_deeper_than_a_path_is_long_has_a_row(tmp_path):
    here, names = os.open(tmp_path, os.O_RDONLY), ["x" * 250] * 20
    for name in names:
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    ((_, reason),) = list_files(tmp_path).skipped
    assert "name too long" in reason
    shutil.rmtree(tmp_path / names[0])


@pytest.mark.parametrize("command", ["clean", "predict"])
def test_commands_work_in_deep_folders(photos, command):
    options = ["--whole-photo", "--no-download"] if command == "predict" else []
    result = call(command, photos, *options)
    assert "recursion" not in result.output
    assert result.exit_code == (0 if command == "clean" else 1), result.output  # a damaged file
