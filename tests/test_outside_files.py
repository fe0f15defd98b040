"""Files from outside that are no pictures: pipes, bombs, wrong types. An error line, never more."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.apps.camera import read_video
from emoclf.data.folders import find_class_folders
from emoclf.data.sources import (
    ArchiveLimits,
    extract_archive,
    make_fer2013_folders,
    stage_data,
    staging,
)
from emoclf.data.sources.fer2013 import VOTE_COLUMNS, load_fer2013
from emoclf.data.sources.fetching import check_votes_file
from emoclf.data.synthetic import make_drawn_faces
from emoclf.images import UnreadableImageError, load_image
from emoclf.images.faces import FaceModelError, load_yunet_file, make_detector, yunet_file
from emoclf.models.packaged import (
    FACE_MODEL_FOLDER,
    DamagedModelError,
    ModelCard,
    PackagedNetwork,
    load_face_network,
)
from emoclf.storage.tables import MAX_LINE_CHARACTERS, open_table
from tests.calls import PATIENCE_SECONDS

from .model_files import spoil

FACE = " ".join(["7"] * 2304)


@pytest.fixture
def strange_files(tmp_path):
    """What a name may lead to that is no file, with the words for it."""
    folder, pipe = tmp_path / "a.folder", tmp_path / "a.pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    link = tmp_path / "a.link"
    link.symlink_to(pipe)
    return {
        folder: "folder",
        pipe: "named pipe",
        link: "named pipe",
        Path("/dev/zero"): "device",
        tmp_path / "none": "(there is no|does not exist|no such file)",
        tmp_path / "nul\0.x": "(there is no|does not exist|no such file|can be called)",
        tmp_path / ("x" * 300): "(there is no|does not exist|no such file|too long)",
    }


READERS = {
    "archive": lambda path, folder: extract_archive(path, folder / "out", progress=False),
    "stage": lambda path, folder: stage_data(path, folder / "out", progress=False),
    "votes": lambda path, _: check_votes_file(path),
    "table": lambda path, _: open_table(path, what="x", max_bytes=10).__enter__(),
    "video": lambda path, _: read_video(path),
    "yunet": lambda path, _: load_yunet_file(path),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_at_once(strange_files, tmp_path, reader):
    for path, words in strange_files.items():
        if words == "folder" and reader == "stage":
            continue
        with pytest.raises((ValueError, OSError)) as caught:
            READERS[reader](path, tmp_path)
        if not isinstance(caught.value, OSError) or caught.value.errno is None:
            assert re.search(words, str(caught.value), re.IGNORECASE), caught.value
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".zip", ""])
def test_fer2013_is_a_file_or_a_folder(tmp_path, suffix):
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"(named pipe|is no FER2013)"):
        make_fer2013_folders(path, tmp_path / "out", progress=False)


def test_folders_and_photos_say_what_they_are_instead(strange_files):
    for path, words in strange_files.items():
        if words == "folder" or "there is no" in words:
            continue
        with pytest.raises(NotADirectoryError, match=words):
            find_class_folders(path)
        with pytest.raises(UnreadableImageError, match=words):
            load_image(path)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_files_that_deliver_more_than_they_say_deliver_nothing(tmp_path):
    with pytest.raises(UnreadableImageError, match="0 bytes"):
        load_image("/proc/self/environ")
    with pytest.raises(ValueError, match="none of"):
        stage_data("/proc/self/environ", tmp_path / "out", progress=False)


def make_zip(path, count=1):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            picture = path.with_name("picture.png")
            Image.new("RGB", (8, 8), (number, 0, 0)).save(picture)
            archive.write(picture, f"sad/{number}.png")
    return path


def test_a_source_that_grows_is_copied_as_it_was(tmp_path, monkeypatch):
    source = make_zip(tmp_path / "photos.zip")
    size, copy = source.stat().st_size, staging.fill_from_archive

    class Growing:
        """A file that somebody writes to while it is read."""

        def __init__(self, file):
            self.file, self.seek = file, file.seek

        def read(self, count):
            with source.open("ab") as end:
                end.write(b"more" * 1000)
            return self.file.read(count)

    stream = staging._copy_stream
    monkeypatch.setattr(
        staging,
        "_copy_stream",
        lambda file, local, *, progress: stream(Growing(file), local, progress=progress),
    )
    sizes = []

    def fill(file, *arguments, **options):
        sizes.append(file.seek(0, 2))
        return copy(file, *arguments, **options)

    monkeypatch.setattr(staging, "fill_from_archive", fill)
    assert stage_data(source, tmp_path / "out", progress=False).files == 1
    assert sizes == [size]


def test_sizes_are_bounded_before_anything_is_copied(tmp_path):
    source = make_zip(tmp_path / "photos.zip")
    with pytest.raises(ValueError, match="too large"):
        stage_data(source, tmp_path / "out", limits=ArchiveLimits(bytes=100), progress=False)
    folder = tmp_path / "photos" / "sad"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "small.png")
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 32)
    staged = stage_data(folder.parent, tmp_path / "out", progress=False)
    assert staged.files == 1
    assert dict(staged.left_out) == {
        "sad/sparse.jpg": "4,294,967,296 bytes, more than 1,073,741,824"
    }


def try_spoilt(path, value, use):
    """Use a file with each value of each wrong kind; return how many were tried and refused."""
    tried = refused = 0
    for text in spoil(value):
        tried += 1
        path.write_text(text, encoding="utf-8")
        try:
            use()
        except (ValueError, FileNotFoundError, FileExistsError) as error:
            refused += 1
            assert type(error) is not UnicodeEncodeError
            assert path.name in str(error) or str(path.parent) in str(error)
            assert "\n" not in str(error)
    return tried, refused


def test_a_changed_record_of_staging_is_an_error_line(tmp_path):
    make_zip(tmp_path / "photos.zip", 2)
    target = tmp_path / "here"
    stage_data(tmp_path / "photos.zip", target, progress=False)
    record = target / ".staged.json"
    value = json.loads(record.read_text())
    tried, refused = try_spoilt(
        record, value, lambda: stage_data(tmp_path / "photos.zip", target, progress=False)
    )
    assert tried > 200
    assert refused > 0.7 * tried


def test_an_impossible_path_in_a_record_is_that_files_matter(tmp_path):
    make_zip(tmp_path / "photos.zip", 2)
    target = tmp_path / "here"
    stage_data(tmp_path / "photos.zip", target, progress=False)
    record = target / ".staged.json"
    value = json.loads(record.read_text())
    for path in ("x" * 5000, "nul\0.png", "../../etc/passwd", ""):
        value["files"][0]["path"] = path
        record.write_text(json.dumps(value))
        staged = stage_data(tmp_path / "photos.zip", target, progress=False)
        assert len(staged.gone) <= 1


def test_a_changed_record_of_drawn_faces_is_an_error_line(tmp_path):
    folder = tmp_path / "drawn"
    make_drawn_faces(folder, photos_per_class=1, size=(32, 32), wrong_labels=1)
    record = folder / ".drawn_faces.json"
    value = json.loads(record.read_text())
    tried, _ = try_spoilt(
        record,
        value,
        lambda: make_drawn_faces(folder, photos_per_class=1, size=(32, 32), wrong_labels=1),
    )
    assert tried > 100
    record.unlink()
    os.mkfifo(record)
    with pytest.raises(FileExistsError):
        make_drawn_faces(folder, photos_per_class=1, size=(32, 32), wrong_labels=1)


def test_a_changed_card_is_a_damaged_model(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(FACE_MODEL_FOLDER, folder)
    value = json.loads((folder / "card.json").read_text())
    small = {**value, "figures": {}}
    tried = 0
    for text in spoil(small):
        tried += 1
        (folder / "card.json").write_text(text, encoding="utf-8")
        try:
            ModelCard.load(folder)
        except DamagedModelError as error:
            assert "card.json" in str(error)
    assert tried > 300
    for key, wrong in (("filters", [24, 48, 96, 8]), ("blocks", [1, 1]), ("filters", [])):
        (folder / "card.json").write_text(json.dumps({**value, key: wrong}))
        with pytest.raises(DamagedModelError):
            load_face_network(folder=folder)
    (folder / "card.json").write_text(json.dumps({**value, "image_size": [47, 9]}))
    with pytest.raises(DamagedModelError):
        PackagedNetwork(folder)


def test_a_changed_memory_of_a_failed_download_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "failed.json"
    for text in spoil({"time": 1e12, "reason": "no network"}):
        path.write_text(text, encoding="utf-8")
        said = yunet_file._recall_failure(path)
        assert said is None or said.isprintable()


def write_faces(path, rows, head="emotion,pixels,Usage"):
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else r.encode() for r in (head, *rows)))
    return path


GOOD_ROW = f"3,{FACE},Training"
BAD_ROWS = {
    "a field that is too large": f"3,{'7 ' * 200_000},Training",
    "a quotation mark that is never closed": f'3,"{FACE},Training\n' + f"{GOOD_ROW}\n" * 40,
    "a byte that is not UTF-8": b"3,\xff\xfe,Training",
    "NUL": f"3,{FACE[:-1]}\0,Training",
    "too few pixels": "3,1 2 3,Training",
    "no numbers": f"3,{FACE[:-1]}x,Training",
    "a pixel that is a formula": f"3,{FACE[:-1]}=1,Training",
    "a huge pixel": f"3,{FACE}{'9' * 5000},Training",
    "a pixel of 256": f"3,{FACE[:-1]}256,Training",
    "a negative pixel": f"3,{FACE[:-1]}-1,Training",
    "digits of another alphabet": f"\u0663,{FACE},Training",
    "a raised digit": f"\u00b2,{FACE},Training",
    "a huge label": f"{'9' * 5000},{FACE},Training",
    "no label": f",{FACE},Training",
    "too few cells": "3",
    "a usage that is a path": f"3,{FACE},../../x",
    "a usage with escapes": f"3,{FACE},\x1b[2J",
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_with_file_and_line(tmp_path, name):
    path = write_faces(tmp_path / "fer2013.csv", [GOOD_ROW, BAD_ROWS[name], GOOD_ROW])
    with pytest.raises(ValueError, match=r"fer2013\.csv, line \d+: ") as caught:
        load_fer2013(path)
    assert type(caught.value) is ValueError
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_good_rows_with_unusual_ends_are_read(tmp_path):
    path = write_faces(tmp_path / "fer2013.csv", [GOOD_ROW, GOOD_ROW + ",more", "", ""])
    assert len(load_fer2013(path)) == 2
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(load_fer2013(path)) == 2
    for content in (b"", b"\n\n", b"\0", b"\xff\xfe", b"emotion", b'"' * 300_000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"fer2013\.csv"):
            load_fer2013(path)


VOTES = ",".join(["1"] * len(VOTE_COLUMNS))
BAD_VOTES = (
    b"Training,x," + b"9" * 200_000,
    b'Training,"x,' + VOTES.encode(),
    b"Training,\xff," + VOTES.encode(),
    b"Training,x",
    b"",
    b"Training,x," + VOTES.encode()[:-1] + b"-3",
    b"Training,x," + VOTES.encode()[:-1] + b"300",
    b"Training,x," + VOTES.encode()[:-1] + b"nan",
    b"Training,x," + VOTES.encode()[:-1] + b"9" * 5000,
)


@pytest.mark.parametrize("row", BAD_VOTES)
def test_bad_votes_are_an_error_line(tmp_path, row):
    faces = write_faces(tmp_path / "fer2013.csv", [GOOD_ROW])
    votes = tmp_path / "fer2013new.csv"
    votes.write_bytes(b"Usage,Image name\n" + row + b"\n")
    for use in (lambda: load_fer2013(faces, votes=votes), lambda: check_votes_file(votes)):
        with pytest.raises(ValueError, match=r"fer2013new\.csv") as caught:
            use()
        assert type(caught.value) is ValueError
        assert len(str(caught.value)) < 600


def test_a_file_without_line_breaks_is_not_read_into_memory(tmp_path):
    path = tmp_path / "line.csv"
    path.write_bytes(b"x" * (3 * MAX_LINE_CHARACTERS))
    with (
        open_table(path, what="a table", max_bytes=10**9) as rows,
        pytest.raises(ValueError, match=r"line\.csv, line 1: .*longer than 100,000"),
    ):
        next(rows)


ARRAYS = {
    "pixels": np.zeros((2, 48, 48), np.uint8),
    "label": np.array(["happy", "sad"]),
    "usage": np.array(["Training", "Training"]),
    "votes": np.zeros((2, 10), np.uint8),
    "name": np.array(["a.png", "b.png"]),
}
BAD_ARRAYS = (
    {"pixels": None},
    {"pixels": np.zeros((2, 48, 48))},
    {"pixels": np.zeros((2, 48), np.uint8)},
    {"pixels": np.uint8(3)},
    {"label": np.array([1, 2])},
    {"label": np.uint8(3)},
    {"label": np.array([None, {}], dtype=object)},
    {"usage": np.array(["../x", "Training"])},
    {"usage": np.zeros((2, 2))},
    {"votes": np.zeros((2, 10))},
    {"name": np.array("a")},
)


@pytest.mark.parametrize("change", BAD_ARRAYS)
def test_arrays_of_another_kind_are_an_error_line(tmp_path, change):
    path = tmp_path / "faces.npz"
    arrays = {name: value for name, value in {**ARRAYS, **change}.items() if value is not None}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"faces\.npz"):
        load_fer2013(path)


def test_damaged_files_of_arrays_are_an_error_line(tmp_path):
    path = tmp_path / "faces.npz"
    np.savez(path, **ARRAYS)
    content = path.read_bytes()
    assert len(load_fer2013(path)) == 2
    header = (
        b"\x93NUMPY\x01\x00\x76\x00"
        + (b"{'descr': '|u1', 'fortran_order': False, 'shape': (900000000000, 48, 48), }").ljust(
            117
        )
        + b"\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pixels.npy", header)
        archive.writestr("label.npy", header)
    damaged = [path.read_bytes(), b"", b"\x93NUMPY", b"PK\x03\x04", content[:-9], content[:900]]
    generator = np.random.default_rng(0)
    for _ in range(100):
        changed = bytearray(content)
        for place in generator.integers(0, len(content), 30):
            changed[place] = generator.integers(0, 256)
        damaged.append(bytes(changed))
    for each in damaged:
        path.write_bytes(each)
        try:
            load_fer2013(path)
        except ValueError as error:
            assert "faces.npz" in str(error)


@pytest.mark.parametrize("name", ["/evil", "../../evil", "", "nul\0", "x" * 300, "C:\\evil"])
def test_names_of_faces_lead_nowhere_else(tmp_path, name):
    np.savez(tmp_path / "faces.npz", **{**ARRAYS, "name": np.array([name, "b.png"])})
    target = tmp_path / "deep" / "out"
    if name == "nul\0":  # NumPy cuts it off, and nothing is wrong then
        name = "nul"
    try:
        made = make_fer2013_folders(tmp_path / "faces.npz", target, whole=False, progress=False)
    except ValueError:
        assert not target.exists()
    else:
        assert sum(made.counts.values()) == len(list(target.rglob("*.png"))) == 2
    assert not Path("/evil.png").exists()
    assert not Path("/_evil.png").exists()


def test_two_faces_of_one_name_are_not_one(tmp_path):
    np.savez(tmp_path / "f.npz", **{**ARRAYS, "label": np.array(["sad"] * 2), "name": ["a", "a"]})
    with pytest.raises(FileExistsError):
        make_fer2013_folders(tmp_path / "f.npz", tmp_path / "out", whole=False, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" + bytes(400), b"\x00" * 5000])
def test_a_file_that_is_no_detector_is_refused(tmp_path, content):
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    with pytest.raises(FaceModelError, match=r"junk\.onnx"):
        make_detector("yunet", model_path=path)


def test_a_network_that_is_no_detector_is_refused():
    with pytest.raises(FaceModelError, match=r"network\.onnx"):
        make_detector("yunet", model_path=FACE_MODEL_FOLDER / "network.onnx")


def test_a_named_detector_that_is_not_there_is_an_error_line(tmp_path):
    """Whoever catches what is wrong with a named file catches that it is missing, too."""
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    for name in (tmp_path / "none.onnx", tmp_path, pipe, Path("/dev/zero")):
        with pytest.raises(FaceModelError):
            load_yunet_file(name)
        done = subprocess.run(
            [sys.executable, "-m", "emoclf", "predict", str(tmp_path / "photo.png")],
            env={**os.environ, "EMOCLF_YUNET": str(name)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "EMOCLF_YUNET" in done.stderr


def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    folder = tmp_path / "emoclf"
    folder.mkdir()
    for model in yunet_file.PINNED_MODELS:
        os.mkfifo(folder / model.name)
    answers = []

    def load():
        try:
            load_yunet_file(download=False)
        except RuntimeError as error:
            answers.append(str(error))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert len(answers) == 1
    assert "damaged" in answers[0]
