"""Faces cut out on the way into the cache: who is in it, who is left out, and who said so."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.data.loading import cache_photos, make_dataset, photo_cache
from emoclf.images import UnreadableImageError, decode_image, load_image, preparing, resize_image
from emoclf.images.faces import Face, FaceDetectorUnavailableError, crop_face, make_detector
from emoclf.photos import PhotoRow, Photos

SIZE = (24, 24)
FACELESS = (2, 5, 9)


class LeftHalfDetector:
    """Finds two faces in a photo whose corner is not black; the larger one is its left half."""

    name = "fake"
    note = "a note"

    def __init__(self, description="A fake detector."):
        self.description = description
        self.lock, self.asked = threading.Lock(), 0

    def find(self, image):
        with self.lock:
            self.asked += 1
        if not image[0, 0].any():
            return ()
        large = Face((2.0, 3.0, 30.0, 30.0), 0.7)
        return large, Face((60.0, 5.0, 8.0, 8.0), 0.9)


@pytest.fixture
def photos(tmp_path):
    """Twelve photos of 80 x 50 noise, three of them without a face."""
    random, rows = np.random.default_rng(4), []
    for number in range(12):
        pixels = random.integers(1, 256, (50, 80, 3), dtype=np.uint8)
        if number in FACELESS:
            pixels[0, 0] = 0
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        part = ("train", "train", "validation", "test")[number % 4]
        rows.append(PhotoRow(f"{number}.png", number % 2, number, part))
    return Photos(str(tmp_path), ("Sad", "Happy"), tuple(rows))


def cache_faces(photos, detector=None, **arguments):
    detector = detector or LeftHalfDetector()
    return cache_photos(
        photos,
        image_size=SIZE,
        crop="face",
        detector=detector,
        progress=False,
        **arguments,
    )


def cut_by_hand(photos, name):
    photo = load_image(Path(photos.root) / name)
    return crop_face(photo, Face((2.0, 3.0, 30.0, 30.0), 0.7), size=SIZE)


def test_the_largest_face_of_each_photo_is_cut_out_and_labels_stay_with_it(photos):
    cache = cache_faces(photos)
    expected = [row for number, row in enumerate(photos.rows) if number not in FACELESS]
    assert cache.photos.rows == tuple(expected)
    assert cache.crop == "face"
    assert cache.images.shape == (9, *SIZE, 3)
    for image, path in zip(cache.images, cache.photos.paths, strict=True):
        np.testing.assert_array_equal(image, cut_by_hand(photos, path))
    images, labels = next(make_dataset(cache, "test", batch_size=9).as_numpy_iterator())
    assert cache.photos.part("test").paths == ("3.png", "7.png", "11.png")
    np.testing.assert_array_equal(images[2], cut_by_hand(photos, "11.png"))
    assert labels.tolist() == [1, 1, 1]


def test_a_detector_that_bears_one_thread_gets_one_at_a_time(photos):
    class LonelyDetector(LeftHalfDetector):
        def find(self, image):
            assert self.lock.acquire(blocking=False), "two threads at once"
            time.sleep(0.005)
            self.lock.release()
            return super().find(image)

    assert len(cache_faces(photos, LonelyDetector(), workers=4).images) == 9


def test_photos_without_a_face_are_counted_per_part_and_class(photos):
    cache = cache_faces(photos)
    search = cache.faces
    assert search.without_face.paths == ("2.png", "5.png", "9.png")
    assert search.without_face.count()["train"] == {"Sad": 0, "Happy": 2}
    assert search.without_face.count()["validation"] == {"Sad": 1, "Happy": 0}
    assert (search.detector, search.note, search.photo_count) == ("A fake detector.", "a note", 12)
    text = str(cache)
    assert "9 faces of 24 x 24 pixels" in text
    assert "A fake detector." in text
    assert "a face in 9 of 12 photos" in text
    assert [line.split() for line in text.splitlines()[-3:]] == [
        ["train", "0", "2"],
        ["validation", "1", "0"],
        ["test", "0", "0"],
    ]


def test_photos_without_a_face_can_be_taken_whole(photos):
    cache = cache_faces(photos, without_face="whole_photo")
    assert cache.photos.rows == photos.rows
    for number in FACELESS:
        whole = resize_image(load_image(Path(photos.root) / f"{number}.png"), SIZE)
        np.testing.assert_array_equal(cache.images[number], whole)
    np.testing.assert_array_equal(cache.images[11], cut_by_hand(photos, "11.png"))
    assert len(cache.faces.without_face) == 3
    assert "12 faces or whole photos" in str(cache)
    assert "no face, taken whole" in str(cache)


def test_what_was_left_out_is_not_in_the_split_of_the_run(photos, tmp_path):
    cache = cache_faces(photos)
    loaded = Photos.load(cache.photos.save(tmp_path / "split.json"))
    assert loaded == cache.photos
    assert (
        loaded.part("train").labels.tolist()
        == cache.photos.part("train").labels.tolist()
        == [0, 1, 0, 0]
    )


def test_each_photo_is_decoded_and_searched_once(photos, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        preparing,
        "decode_image",
        lambda path, **options: (loaded.append(path.name), decode_image(path, **options))[1],
    )
    detector = LeftHalfDetector()
    cache_faces(photos, detector)
    assert sorted(loaded) == sorted(photos.paths)
    assert detector.asked == 12


@pytest.mark.parametrize("without_face", ["leave_out", "whole_photo"])
def test_the_file_on_disk_holds_the_same_and_is_used_again(photos, tmp_path, without_face):
    arguments = {"without_face": without_face, "cache_folder": tmp_path / "cache"}
    memory = cache_faces(photos, without_face=without_face)
    disk = cache_faces(photos, memory_limit_mib=0, **arguments)
    np.testing.assert_array_equal(memory.images, disk.images)
    assert memory.photos == disk.photos
    assert Path(disk.location).is_file()
    detector = LeftHalfDetector()
    again = cache_faces(photos, detector, memory_limit_mib=0, **arguments)
    assert detector.asked == 0
    assert again.location == disk.location
    assert again.faces == memory.faces
    np.testing.assert_array_equal(memory.images, again.images)
    batch, _ = next(make_dataset(again, "validation").as_numpy_iterator())
    np.testing.assert_array_equal(batch, memory.images[memory.photos.find_part("validation")])


def test_no_cache_on_disk_is_taken_for_another(photos, tmp_path):
    arguments = {"memory_limit_mib": 0, "cache_folder": tmp_path / "cache"}
    whole = cache_photos(photos, image_size=SIZE, progress=False, **arguments)
    faces = cache_faces(photos, **arguments)
    other = cache_faces(photos, LeftHalfDetector("Another detector."), **arguments)
    kept = cache_faces(photos, without_face="whole_photo", **arguments)
    assert len({cache.location for cache in (whole, faces, other, kept)}) == 4
    assert whole.crop == "none"
    assert whole.faces is None
    assert len(whole.images) == 12


def test_an_array_without_its_list_of_faces_is_made_anew(photos, tmp_path):
    arguments = {"memory_limit_mib": 0, "cache_folder": tmp_path / "cache"}
    location = Path(cache_faces(photos, **arguments).location)
    found = location.with_suffix(".json")
    assert json.loads(found.read_text()) == [int(i not in FACELESS) for i in range(12)]
    found.unlink()
    detector = LeftHalfDetector()
    assert len(cache_faces(photos, detector, **arguments).images) == 9
    assert detector.asked == 12


def test_a_data_set_without_any_face_says_what_to_do(photos):
    class Blind(LeftHalfDetector):
        def find(self, image):  # noqa: ARG002
            return ()

    with pytest.raises(ValueError, match=r"any of the 12 photos.*crop='none'"):
        cache_faces(photos, Blind())
    assert len(cache_faces(photos, Blind(), without_face="whole_photo").images) == 12


def test_no_detector_is_an_error_for_faces_only(photos, monkeypatch):
    def refuse():
        raise FaceDetectorUnavailableError("no detector, do this")

    monkeypatch.setattr(photo_cache, "make_detector", refuse)
    with pytest.raises(FaceDetectorUnavailableError, match="do this"):
        cache_photos(photos, crop="face", progress=False)
    assert len(cache_photos(photos, image_size=SIZE, progress=False).images) == 12


def test_an_unreadable_photo_is_named(photos):
    (Path(photos.root) / "3.png").write_bytes(b"<html>not a photo</html>")
    with pytest.raises(UnreadableImageError, match=r"3\.png"):
        cache_faces(photos)


@pytest.mark.parametrize("wrong", [{"crop": "cat"}, {"without_face": "guess"}])
def test_unknown_choices_are_named(photos, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}="):
        cache_photos(photos, progress=False, **wrong)


def test_yunet_finds_the_built_in_faces(real_data, drawn_folder):
    """At 64 pixels a side; at the data set's own 128 it finds 97 of 100."""
    files = sorted(drawn_folder.rglob("*.jpg")) + sorted(drawn_folder.rglob("*.jpeg"))
    paths = [path.relative_to(drawn_folder) for path in files[:30]]
    split = Photos.make(paths, [0] * 30, parts=["train"] * 30, root=drawn_folder)
    (model,) = real_data.glob("face_detection_yunet*.onnx")
    cache = cache_faces(split, make_detector("yunet", model_path=model, download=False))
    assert len(cache.images) >= 24
    assert "YuNet" in str(cache)
