import shutil
from pathlib import Path

import pytest
from PIL import Image

from emoclf.data.folders import PhotoFolder, find_class_folders, list_files
from emoclf.data.sources import (
    DRIVE_DATA_FOLDER,
    extract_archive,
    find_data,
    finding,
    sample_photos,
    stage_data,
)
from emoclf.data.synthetic import make_drawn_faces


def put_photos(folder, names=("sad", "happy")):
    for name in names:
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (60, 60), "red").save(folder / name / "photo.jpg")
    return folder


def test_a_named_folder_is_used(tmp_path):
    folder = put_photos(tmp_path / "mine")
    source = find_data(folder, local_folder=tmp_path / "data")
    assert source.folder == folder
    assert not source.is_drawn
    assert str(folder) in str(source)


def test_a_named_folder_that_is_missing_or_wrong_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_data(tmp_path / "nowhere", local_folder=tmp_path / "data")
    with pytest.raises(ValueError, match="Happy"):
        find_data(put_photos(tmp_path / "half", ["sad"]), local_folder=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_data_is_used_when_there_is_no_drive(tmp_path):
    put_photos(tmp_path / "data", ["SAD people", "Happy_images"])
    source = find_data(local_folder=tmp_path / "data")
    assert source.folder == tmp_path / "data"
    assert DRIVE_DATA_FOLDER in str(source)


def test_drawn_faces_are_the_last_resort_and_are_drawn_once(tmp_path):
    put_photos(tmp_path / "data", ["sad"])
    (tmp_path / "data" / "happy").mkdir()
    arguments = {"local_folder": tmp_path / "data", "drawn_per_class": 3, "with_flaws": False}
    source = find_data(**arguments)
    assert source.is_drawn
    assert "built-in drawn faces" in str(source)
    entries = find_class_folders(source.folder).folders
    assert [len(list_files(entry.path).files) for entry in entries] == [3, 3]
    pictures = sorted(source.folder.rglob("*.jpg"))
    before = [path.stat().st_mtime_ns for path in pictures]
    assert find_data(**arguments) == source
    assert before == [path.stat().st_mtime_ns for path in pictures]


def test_in_colab_the_drive_is_mounted_before_it_is_looked_at(tmp_path, monkeypatch):
    mounted = []
    monkeypatch.setattr(finding, "in_colab", lambda: True)
    monkeypatch.setattr(finding, "mount_drive", lambda: mounted.append("drive"))
    put_photos(tmp_path / "data")
    assert find_data(local_folder=tmp_path / "data").folder == tmp_path / "data"
    assert mounted == ["drive"]
    find_data(tmp_path / "data")
    assert mounted == ["drive"]


def test_an_archive_is_staged_once(tmp_path):
    archive = shutil.make_archive(
        str(tmp_path / "photos"), "zip", put_photos(tmp_path / "mine"), "."
    )
    source = find_data(archive, local_folder=tmp_path / "data", progress=False)
    assert source.folder == tmp_path / "data" / "staged"
    assert [entry.class_name for entry in find_class_folders(source.folder).folders] == [
        "Sad",
        "Happy",
    ]
    assert "staged and verified" in str(source)
    again = find_data(archive, local_folder=tmp_path / "data", progress=False)
    assert again.folder == source.folder
    assert "were staged before" in str(again)


def test_in_colab_a_folder_on_drive_is_staged_and_only_read(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "in_colab", lambda: True)
    monkeypatch.setattr(finding, "mount_drive", lambda: None)
    monkeypatch.setattr(finding, "DRIVE_MOUNT_POINT", tmp_path / "drive")
    photos = put_photos(tmp_path / "drive" / "photos")
    before = sorted(photos.rglob("*"))
    source = find_data(photos, local_folder=tmp_path / "data", progress=False)
    assert source.folder == tmp_path / "data" / "staged"
    assert (source.folder / "sad" / "photo.jpg").is_file()
    assert sorted(photos.rglob("*")) == before
    with pytest.raises(ValueError, match="Happy"):
        half = put_photos(tmp_path / "drive" / "half", ["sad"])
        find_data(half, local_folder=tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


def test_none_means_look_locally(tmp_path):
    put_photos(tmp_path / "data")
    source = find_data(None, local_folder=tmp_path / "data")
    assert source.folder == Path(tmp_path / "data")
    assert "Drive" not in str(source)


def test_sample_photos_come_from_every_class_and_skip_what_is_no_photo(tmp_path):
    folder = put_photos(tmp_path / "mine")
    (folder / "sad" / "page.jpg").write_text("<html></html>")
    Image.new("RGB", (2000, 40), "blue").save(folder / "happy" / "wide.png")
    samples = sample_photos(folder, per_class=2)
    names = [(sample.class_name, sample.path.name) for sample in samples]
    assert sorted(names) == [("Happy", "photo.jpg"), ("Happy", "wide.png"), ("Sad", "photo.jpg")]
    assert samples[0].pixels.shape == (60, 60, 3)
    assert len(sample_photos(folder, per_class=1)) == 2


def test_a_folder_of_links_alone_has_no_photo_to_look_at(tmp_path, drawn_folder):
    for name in ("sad", "happy"):
        (tmp_path / name).mkdir()
        file = next(path for path in drawn_folder.glob(f"{name}/*"))
        (tmp_path / name / file.name).symlink_to(file)
    with pytest.raises(ValueError, match=r"no photo that can be opened.*links are not followed"):
        sample_photos(tmp_path)


def test_every_way_to_a_folder_of_photos_shows_itself_alike(tmp_path):
    mine = put_photos(tmp_path / "mine")
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", mine, ".")
    drawn = make_drawn_faces(tmp_path / "drawn", photos_per_class=2, wrong_labels=1)
    made = [
        find_data(mine, local_folder=tmp_path / "data"),
        stage_data(mine, tmp_path / "staged", progress=False),
        extract_archive(archive, tmp_path / "unpacked", progress=False),
        drawn,
    ]
    assert {type(each) for each in made} == {PhotoFolder}
    for each in made:
        assert str(each.folder) in str(each)
        assert "<p" in each._repr_html_()
    assert [each.files for each in made] == [None, 2, 2, None]
    assert [each.is_drawn for each in made] == [False, False, False, True]
    assert dict(drawn.counts) == {"Sad": 2, "Happy": 2}
    assert "2 flaws were planted" in str(drawn)
