import errno

import pytest

from emoclf.storage import building_folder, read_json, replacing, write_json


def test_the_file_appears_whole_at_the_end(tmp_path):
    path = tmp_path / "new folder" / "notes.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_json_round_trip_keeps_names_that_are_not_unicode(tmp_path):
    value = {"name": "caf\udce9.jpg", "numbers": [1, 2.5]}
    assert read_json(write_json(tmp_path / "value.json", value), what="a value") == value


def test_json_errors_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json.*a value"):
        read_json(tmp_path / "none.json", what="a value")
    (tmp_path / "cut.json").write_text('{"name": ')
    with pytest.raises(ValueError, match=r"cut\.json.*not valid JSON"):
        read_json(tmp_path / "cut.json", what="a value")


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    place = tmp_path / "deeper" / "place"
    with building_folder(place, replace=True) as temporary:
        (temporary / "one.txt").write_text("one")
    with (
        pytest.raises(OSError, match="disk full"),
        building_folder(place, replace=True) as temporary,
    ):
        (temporary / "two.txt").write_text("two")
        raise OSError("disk full")
    assert [each.name for each in place.iterdir()] == ["one.txt"]
    with building_folder(place, replace=True) as temporary:
        (temporary / "two.txt").write_text("two")
    assert [each.name for each in place.iterdir()] == ["two.txt"]
    assert [each.name for each in place.parent.iterdir()] == ["place"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_put_there_meanwhile_is_never_overwritten(tmp_path, is_there):
    place = tmp_path / "place"
    if is_there:
        place.mkdir()
    with (
        pytest.raises(FileExistsError, match=r"place is there already.*never overwritten"),
        building_folder(place) as temporary,
    ):
        (temporary / "one.txt").write_text("one")
        place.mkdir(exist_ok=True)
        (place / "mine.txt").write_text("mine")
    assert (place / "mine.txt").read_text() == "mine"
    assert [each.name for each in place.iterdir()] == ["mine.txt"]
    assert [each.name for each in tmp_path.iterdir()] == ["place"]


def test_a_link_to_an_empty_folder_stays_a_link(tmp_path):
    (tmp_path / "disk" / "place").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "place")
    with building_folder(tmp_path / "link") as temporary:
        (temporary / "one.txt").write_text("one")
    assert (tmp_path / "link").is_symlink()
    assert [each.name for each in (tmp_path / "disk" / "place").iterdir()] == ["one.txt"]
    assert [each.name for each in (tmp_path / "disk").iterdir()] == ["place"]


def test_errors_of_the_disk_name_the_file_of_the_user(tmp_path):
    path = tmp_path / "notes.txt"
    with pytest.raises(OSError, match=r"No space left on device: .*/notes\.txt'"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"/notes\.txt'"), replacing(path) as temporary:
        temporary.read_bytes()
