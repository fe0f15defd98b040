"""Staging from a pretended Drive: checked, once, and the source is only read."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from emoclf.data.sources import ArchiveLimits, ArchiveRefusedError, copying, stage_data, staging
from emoclf.storage import building_folder
from tests.archives import (
    change_byte,
    draw_picture,
    name_pictures,
    write_archive,
    write_folder,
    write_zip,
)

FORMS = ("folder", ".zip", ".tar.gz")


@pytest.fixture
def drive(tmp_path):
    """What Colab shows as a mounted Drive."""
    folder = tmp_path / "drive" / "MyDrive"
    folder.mkdir(parents=True)
    return folder


def make_source(drive, form, contents):
    if form == "folder":
        return write_folder(drive / "photos", contents)
    return write_archive(drive / f"photos{form}", contents)


def read_tree(folder):
    """Path -> content and time of everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def find_photos(folder):
    return {name: data for name, (data, _) in read_tree(folder).items() if name[0] != "."}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_brings_the_same_photos(tmp_path, drive, form):
    contents = name_pictures(30)
    source = make_source(drive, form, {**contents, "notes.txt": b"remember"})
    before = read_tree(drive)
    staged = stage_data(source, tmp_path / "data", progress=False)
    assert find_photos(tmp_path / "data") == contents
    assert read_tree(drive) == before
    assert (staged.files, staged.bytes) == (30, sum(map(len, contents.values())))
    assert staged.left_out == (("notes.txt", "no picture"),)
    assert not staged.was_there
    assert "30 files" in str(staged)
    assert "notes.txt" in str(staged)


def test_the_checksum_does_not_depend_on_the_form(tmp_path, drive):
    contents = name_pictures(5)
    found = {
        stage_data(make_source(drive, form, contents), tmp_path / form, progress=False).sha256
        for form in FORMS
    }
    lines = "".join(
        f"{name}\0{hashlib.sha256(data).hexdigest()}\n" for name, data in sorted(contents.items())
    )
    assert found == {hashlib.sha256(lines.encode()).hexdigest()}


@pytest.mark.parametrize("form", FORMS)
def test_a_second_call_opens_nothing(tmp_path, drive, form, monkeypatch):
    source = make_source(drive, form, name_pictures())
    first = stage_data(source, tmp_path / "data", progress=False)

    def refuse(*_arguments, **_options):
        raise AssertionError("copied again")

    monkeypatch.setattr(staging, "copy_folder", refuse)
    monkeypatch.setattr(staging, "_copy_archive", refuse)
    monkeypatch.setattr(staging, "verify_copies", refuse)
    second = stage_data(source, tmp_path / "data", progress=False)
    assert second.was_there
    assert (second.files, second.sha256, second.folder) == (6, first.sha256, first.folder)
    assert "staged before" in str(second)


def test_a_second_call_says_what_is_gone(tmp_path, drive):
    source = make_source(drive, "folder", name_pictures())
    stage_data(source, tmp_path / "data", progress=False)
    (tmp_path / "data" / "sad" / "0002.png").unlink()
    second = stage_data(source, tmp_path / "data", progress=False)
    assert second.gone == ("sad/0002.png",)
    assert "1 of them were moved or deleted" in str(second)


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_source_is_not_taken_for_the_staged_one(tmp_path, drive, form):
    source = make_source(drive, form, name_pictures())
    stage_data(source, tmp_path / "data", progress=False)
    make_source(drive, form, name_pictures(8))
    with pytest.raises(FileExistsError, match="an earlier state of it"):
        stage_data(source, tmp_path / "data", progress=False)
    other = write_folder(drive / "other", name_pictures())
    with pytest.raises(FileExistsError, match="photos"):
        stage_data(other, tmp_path / "data", progress=False)


def test_what_is_in_the_folder_stays(tmp_path, drive):
    source = make_source(drive, ".zip", name_pictures())
    write_folder(tmp_path / "data", {"mine.txt": b"keep"})
    with pytest.raises(FileExistsError, match="never overwritten"):
        stage_data(source, tmp_path / "data", progress=False)
    assert find_photos(tmp_path / "data") == {"mine.txt": b"keep"}


def test_a_folder_that_wraps_the_classes_is_gone_through(tmp_path, drive):
    contents = {f"photos 2019/all/{name}": data for name, data in name_pictures().items()}
    staged = stage_data(make_source(drive, ".zip", contents), tmp_path / "data", progress=False)
    assert staged.folder == tmp_path / "data" / "photos 2019" / "all"
    again = stage_data(drive / "photos.zip", tmp_path / "data", progress=False)
    assert again.folder == staged.folder


def test_links_in_a_folder_are_not_followed(tmp_path, drive):
    source = make_source(drive, "folder", name_pictures())
    secret = tmp_path / "secret.png"
    secret.write_bytes(draw_picture(9))
    (source / "sad" / "link.png").symlink_to(secret)
    staged = stage_data(source, tmp_path / "data", progress=False)
    assert dict(staged.left_out) == {"sad/link.png": "symbolic link, not followed"}
    assert len(find_photos(tmp_path / "data")) == 6


def assert_nothing_left(tmp_path, source):
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drive"]
    assert source.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_that_reads_differently_is_not_kept(tmp_path, drive, form, monkeypatch):
    source = make_source(drive, form, name_pictures())
    monkeypatch.setattr(copying, "find_sha256", lambda _path: "0" * 64)
    with pytest.raises(OSError, match="reads differently"):
        stage_data(source, tmp_path / "data", progress=False)
    assert_nothing_left(tmp_path, source)


@pytest.mark.parametrize("form", FORMS)
def test_a_source_without_pictures_is_refused(tmp_path, drive, form):
    source = make_source(drive, form, {"notes.txt": b"remember"})
    with pytest.raises(ValueError, match="picture"):
        stage_data(source, tmp_path / "data", progress=False)
    assert_nothing_left(tmp_path, source)


def test_a_bad_archive_leaves_nothing_and_is_named(tmp_path, drive):
    source = change_byte(make_source(drive, ".tar.gz", name_pictures()), -6)
    with pytest.raises(ArchiveRefusedError, match=r"photos\.tar\.gz is not unpacked"):
        stage_data(source, tmp_path / "data", progress=False)
    assert_nothing_left(tmp_path, source)
    source = write_zip(drive / "a.zip", {"../a.png": draw_picture()})
    with pytest.raises(ArchiveRefusedError, match="leads outside"):
        stage_data(source, tmp_path / "data", progress=False)
    assert_nothing_left(tmp_path, source)


def test_an_expected_checksum_is_compared(tmp_path, drive):
    source = make_source(drive, ".zip", name_pictures())
    with pytest.raises(ValueError, match="cut off: copy it again"):
        stage_data(source, tmp_path / "data", sha256="0" * 64, progress=False)
    assert_nothing_left(tmp_path, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert stage_data(source, tmp_path / "data", sha256=digest.upper(), progress=False).files == 6


def test_what_cannot_be_staged_is_explained(tmp_path, drive):
    with pytest.raises(FileNotFoundError, match="mount Drive"):
        stage_data(drive / "nowhere", tmp_path / "data")
    source = make_source(drive, "folder", name_pictures())
    with pytest.raises(ValueError, match="inside each other"):
        stage_data(source, source / "data")
    with pytest.raises(ValueError, match="more than 5"):
        stage_data(source, tmp_path / "data", limits=ArchiveLimits(entries=5), progress=False)
    with pytest.raises(ValueError, match="only an archive"):
        stage_data(source, tmp_path / "data", sha256="0" * 64, progress=False)
    assert_nothing_left(tmp_path, source)


def test_a_record_that_was_changed_is_refused(tmp_path, drive):
    source = make_source(drive, "folder", name_pictures())
    stage_data(source, tmp_path / "data", progress=False)
    record = tmp_path / "data" / ".staged.json"
    assert len(json.loads(record.read_text())["files"]) == 6
    record.write_text("[]")
    with pytest.raises(ValueError, match="not written by this emoclf"):
        stage_data(source, tmp_path / "data", progress=False)


def test_the_rest_of_a_killed_run_is_removed_by_the_next(tmp_path, drive):
    source = make_source(drive, "folder", name_pictures())
    killed = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    with building_folder(tmp_path / "data") as unfinished:
        name = unfinished.name
    gone = name.replace(str(os.getpid()), killed.stdout.strip())
    rest = write_folder(tmp_path / gone, name_pictures(2))
    running = write_folder(
        tmp_path / name.replace(str(os.getpid()), str(os.getppid())), name_pictures(2)
    )
    own = write_folder(tmp_path / ".data.4711.partial", name_pictures(2))
    stage_data(source, tmp_path / "data", progress=False)
    assert not rest.exists()
    assert running.exists()
    assert own.exists()  # no name that emoclf gives: somebody's own


def test_a_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), building_folder(tmp_path / "a" / "b") as temporary:
        (temporary / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())
    with building_folder(tmp_path / "a" / "b") as temporary:
        (temporary / "whole.txt").write_text("whole")
        assert not (tmp_path / "a" / "b").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
