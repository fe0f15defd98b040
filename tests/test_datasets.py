from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.data.loading import balanced_class_weights, cache_photos, make_dataset, photo_cache
from emoclf.images import UnreadableImageError, load_image, resize_image
from emoclf.photos import PhotoRow, Photos


def collect(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def write_photos(folder, count=12):
    """Photos of one colour each, so that every batch shows which photos are in it."""
    rows = []
    for number in range(count):
        name = f"{number}.png"
        Image.new("RGB", (40, 30), (number * 20, 0, 255 - number * 20)).save(folder / name)
        part = "train" if number < 8 else "test"
        rows.append(PhotoRow(name, number % 2, number, part))
    return Photos(str(folder), ("Sad", "Happy"), tuple(rows))


def test_every_photo_goes_through_the_one_preprocessing(photos, cache):
    assert cache.images.dtype == np.uint8
    assert cache.images.shape == (len(photos), 32, 48, 3)
    for index in (0, 7, 41):
        photo = resize_image(load_image(photos.files[index]), (32, 48))
        np.testing.assert_array_equal(cache.images[index], photo)


def test_channels_stay_red_green_blue(tmp_path):
    photos = write_photos(tmp_path, 12)
    images, _ = collect(make_dataset(cache_photos(photos, image_size=(30, 40)), "test"))
    assert images[-1, 0, 0].tolist() == [220, 0, 35]


def test_batches_keep_photos_and_labels_together_in_order(cache):
    images, labels = collect(make_dataset(cache, "validation", batch_size=5))
    np.testing.assert_array_equal(images, cache.images[cache.photos.find_part("validation")])
    assert labels.tolist() == cache.photos.part("validation").labels.tolist()
    assert labels.dtype == np.int64


def test_shuffling_changes_the_order_only_and_never_the_members(tmp_path):
    cache = cache_photos(write_photos(tmp_path), image_size=(16, 16), progress=False)
    dataset = make_dataset(cache, "train", batch_size=3, shuffle=True, seed=5)
    epochs = [collect(dataset) for _ in range(5)]
    reds = [images[:, 8, 8, 0].tolist() for images, _ in epochs]
    assert all(sorted(red) == [number * 20 for number in range(8)] for red in reds)
    assert len({tuple(red) for red in reds}) > 1
    for red, (_, labels) in zip(reds, epochs, strict=True):
        assert labels.tolist() == [value // 20 % 2 for value in red]
    again = make_dataset(cache, "train", batch_size=3, shuffle=True, seed=5)
    assert collect(again)[0][:, 8, 8, 0].tolist() == reds[0]


def test_disk_cache_holds_the_same_photos_and_is_used_again(tmp_path, monkeypatch):
    photos = write_photos(tmp_path)
    memory = cache_photos(photos, image_size=(16, 16), progress=False)
    arguments = {"image_size": (16, 16), "memory_limit_mib": 0, "progress": False}
    disk = cache_photos(photos, cache_folder=tmp_path / "cache", **arguments)
    assert memory.location == "memory"
    assert "kept in memory" in str(memory)
    assert Path(disk.location).is_file()
    assert disk.location in str(disk)
    np.testing.assert_array_equal(memory.images, disk.images)
    np.testing.assert_array_equal(
        collect(make_dataset(memory, "test"))[0], collect(make_dataset(disk, "test"))[0]
    )
    monkeypatch.setattr(photo_cache, "prepare", None)
    again = cache_photos(photos, cache_folder=tmp_path / "cache", **arguments)
    assert again.location == disk.location


def test_disk_cache_is_made_anew_when_a_photo_changes(tmp_path):
    photos = write_photos(tmp_path)
    arguments = {"image_size": (16, 16), "memory_limit_mib": 0, "progress": False}
    before = cache_photos(photos, cache_folder=tmp_path / "cache", **arguments)
    Image.new("RGB", (41, 30), "white").save(tmp_path / "0.png")
    after = cache_photos(photos, cache_folder=tmp_path / "cache", **arguments)
    assert after.location != before.location
    assert after.images[0][8, 8].tolist() == [255, 255, 255]


def test_an_unreadable_photo_is_named_and_leaves_no_half_cache(tmp_path):
    photos = write_photos(tmp_path)
    (tmp_path / "3.png").write_bytes(b"<html>not a photo</html>")
    with pytest.raises(UnreadableImageError, match=r"3\.png"):
        cache_photos(photos, memory_limit_mib=0, cache_folder=tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_empty_and_unknown_parts_are_refused(tmp_path):
    cache = cache_photos(write_photos(tmp_path), image_size=(16, 16), progress=False)
    with pytest.raises(ValueError, match="'validation' holds no photo"):
        make_dataset(cache, "validation")
    with pytest.raises(ValueError, match="'dev'"):
        make_dataset(cache, "dev")


def test_class_weights_make_the_classes_count_the_same():
    labels = np.array([0] * 30 + [1] * 10)
    weights = balanced_class_weights(labels, 2)
    assert weights == {0: 40 / 60, 1: 40 / 20}
    assert 30 * weights[0] == pytest.approx(10 * weights[1])
    with pytest.raises(ValueError, match=r"\[3, 0\]"):
        balanced_class_weights([0, 0, 0], 2)


def test_stored_photos_read_like_an_array(tmp_path):
    from emoclf.data.loading.stored import StoredPhotos

    photos = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
    stored = StoredPhotos.create(tmp_path / "photos.npy", photos.shape)
    assert not np.asarray(stored).any()
    for number, photo in enumerate(photos):
        stored[number] = photo
    np.testing.assert_array_equal(np.load(tmp_path / "photos.npy"), photos)
    again = StoredPhotos(tmp_path / "photos.npy")
    assert (again.shape, again.nbytes, len(again)) == (photos.shape, photos.nbytes, 7)
    for chosen in (3, -1, slice(1, 6, 2), np.array([5, 0, 5]), np.arange(7) % 2 == 0):
        np.testing.assert_array_equal(again[chosen], photos[chosen])
    np.testing.assert_array_equal(list(again), photos)
    assert len(again.first(3)) == 3
    np.testing.assert_array_equal(again.first(3)[:], photos[:3])
    with pytest.raises(IndexError):
        again.first(3)[4]
    with pytest.raises(ValueError, match=r"Expected a photo of \(4, 5, 3\)"):
        stored[0] = photos[0, :2]
    content = (tmp_path / "photos.npy").read_bytes()
    (tmp_path / "photos.npy").write_bytes(content[:-1])
    with pytest.raises(ValueError, match="cut off"):
        again[6]
