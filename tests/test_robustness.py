"""Corruptions: severity 0 changes nothing, more changes more, and the accuracy is counted."""

import json

import numpy as np
import pytest

from emoclf.data.synthetic import draw_face
from emoclf.evaluation import measure_robustness
from emoclf.images import PADDING_GREY
from emoclf.images.corruptions import (
    CORRUPTIONS,
    Corruption,
    corrupt_photo,
    load_at_working_size,
)
from emoclf.photos import Photos


@pytest.fixture(scope="module")
def photo():
    return draw_face("Happy", seed=3, size=(120, 160))


def find_psnr(first, second):
    error = np.mean((first.astype(float) - second) ** 2)
    return 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_severity_0_changes_nothing_and_more_severity_changes_more(corruption, photo):
    np.testing.assert_array_equal(corrupt_photo(photo, corruption.name, severity=0), photo)
    before = photo.copy()
    corrupted = [
        corrupt_photo(photo, corruption.name, severity=each, seed=1)
        for each in corruption.severities
    ]
    np.testing.assert_array_equal(photo, before)
    assert len(corruption.severities) == 5
    assert all(each.shape == photo.shape and each.dtype == np.uint8 for each in corrupted)
    ratios = [find_psnr(photo, each) for each in corrupted]
    if corruption.name == "rotation":  # turned further, a photo may come to look more like itself
        assert max(ratios) < 25
    else:
        assert ratios == sorted(ratios, reverse=True)
        assert len(set(ratios)) == 5


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_the_seed_decides(corruption, photo):
    severity = corruption.severities[2]
    first = corrupt_photo(photo, corruption.name, severity=severity, seed=5)
    np.testing.assert_array_equal(
        first, corrupt_photo(photo, corruption.name, severity=severity, seed=5)
    )
    others = [
        corrupt_photo(photo, corruption.name, severity=severity, seed=seed) for seed in range(6, 14)
    ]
    is_random = any((each != first).any() for each in others)
    assert is_random == (corruption.name in ("noise", "rotation", "cover"))


def test_known_effects():
    photo = np.full((60, 80, 3), 200, dtype=np.uint8)
    assert (corrupt_photo(photo, "darkness", severity=40) == 120).all()
    assert (corrupt_photo(photo, "blur", severity=4) == 200).all()
    covered = corrupt_photo(photo, "cover", severity=25)
    assert (covered == PADDING_GREY).all(axis=2).sum() == 60 * 80 / 4
    noise = corrupt_photo(np.full((200, 200, 3), 128, np.uint8), "noise", severity=16)
    assert noise.std() == pytest.approx(16, abs=0.2)
    point = np.zeros((101, 101, 3), dtype=np.uint8)
    point[50, 80] = 255
    turned = corrupt_photo(point, "rotation", severity=90, seed=0)
    row, column = np.unravel_index(turned[..., 0].argmax(), (101, 101))
    assert (abs(row - 50), column) == (30, 50)


def test_a_small_and_a_large_photo_come_to_one_size():
    for shape in ((30, 20, 3), (1200, 800, 3)):
        assert load_at_working_size(np.zeros(shape, np.uint8), 96).shape == (96, 64, 3)


def predict_brightness(corrupted):
    bright = np.array([photo.pixels.mean() / 255 for photo in corrupted])
    return np.stack([1 - bright, bright], axis=1)


def measure(predict, images, labels, *, groups=None, **options):
    """Robustness on images in memory."""
    photos = Photos.make(map(str, range(len(labels))), labels, groups=groups)
    return measure_robustness(predict, photos, images=images, **options)


def make_photos(count=40):
    """Bright photos are Happy; every brightness occurs once."""
    values = np.linspace(5, 250, count).astype(np.uint8)
    photos = [np.full((20, 30, 3), value, dtype=np.uint8) for value in values]
    return photos, (values > 127).astype(int)


def test_a_rule_of_brightness_bears_all_but_darkness():
    photos, labels = make_photos()
    report = measure(predict_brightness, photos, labels, working_side_px=48)
    accuracy = {curve.corruption.name: [e.value for e in curve.accuracy] for curve in report.curves}
    assert report.clean.value == 1
    assert report.clean.count == 40
    assert report.most_damaging.corruption.name == "darkness"
    assert accuracy["darkness"] == sorted(accuracy["darkness"], reverse=True)
    assert accuracy["darkness"][-1] == 0.5  # nothing is bright any more: all are called Sad
    assert accuracy["blur"] == [1] * 5
    assert "Most damaging: darkness" in str(report)
    assert "the intervals lie apart" in report.conclusion


def test_a_rule_that_sees_nothing_bears_everything():
    photos, labels = make_photos(10)
    report = measure(lambda corrupted: np.tile([0.4, 0.6], (len(corrupted), 1)), photos, labels)
    shares = {each.value for curve in report.curves for each in curve.accuracy}
    assert shares == {report.clean.value}
    assert "no corruption is shown to matter" in str(report)
    assert "better than by guessing" in report.conclusion


def test_no_corruption_is_called_damaging_where_the_photos_are_too_few():
    photos, labels = make_photos(8)
    report = measure(predict_brightness, photos, labels, working_side_px=48)
    assert report.most_damaging.mean < 0.9
    assert "Most damaging" not in report.conclusion
    assert "with 8 photos no corruption is shown to matter" in report.conclusion


def test_every_corruption_sees_the_same_photos_and_batches_do_not_matter():
    photos, labels = make_photos(37)
    seen = []

    def answer(corrupted):
        seen.extend((each.corruption, each.index) for each in corrupted)
        assert all(each.pixels.shape == each.clean.shape for each in corrupted)
        return predict_brightness(corrupted)

    corruptions = (Corruption("noise", "noise", (10,)), Corruption("rotation", "rotation", (30,)))
    report = measure(answer, photos, labels, corruptions=corruptions, working_side_px=32)
    assert sorted(i for corruption, i in seen if corruption is None) == list(range(37))
    assert sorted(i for corruption, i in seen if corruption == "noise") == list(range(37))
    assert len(seen) == 3 * 37
    alone = measure(answer, photos[:5], labels[:5], corruptions=corruptions, working_side_px=32)
    assert alone.clean.count == 5
    assert report.curves[0].accuracy[0].count == 37


def test_one_prediction_for_everything_is_seen_where_classes_are_uneven():
    """In the dark all are called Sad, which is right for four in five and knows nothing."""
    photos = [np.full((20, 30, 3), level, dtype=np.uint8) for level in [90] * 16 + [250] * 4]
    labels = [0] * 16 + [1] * 4
    corruptions = (Corruption("darkness", "darkness", (50,)), Corruption("blur", "blur", (1,)))
    report = measure(predict_brightness, photos, labels, corruptions=corruptions)
    dark, blurred = report.curves
    assert (report.clean.value, report.clean_balanced.value) == (1, 1)
    assert (dark.accuracy[0].value, dark.balanced[0].value) == (0.8, 0.5)
    assert blurred.balanced[0].value == 1
    assert report.majority.value == 0.8
    assert report.most_damaging is dark


def test_duplicates_widen_the_intervals():
    photos, labels = make_photos(20)
    named = {"images": photos * 3, "labels": [*labels] * 3, "corruptions": CORRUPTIONS[:1]}
    alone = measure(predict_brightness, **named)
    copies = measure(predict_brightness, **named, groups=[*range(20)] * 3)
    assert alone.clean.value == copies.clean.value == 1
    assert copies.clean.low < alone.clean.low


def test_a_photo_without_a_prediction_counts_as_wrong():
    photos, labels = make_photos(4)

    def answer(corrupted):
        rows = predict_brightness(corrupted)
        if corrupted[0].corruption:
            rows[1] = np.nan
        return rows

    corruptions = (Corruption("blur", "blur", (1, 2)),)
    report = measure(answer, photos, labels, corruptions=corruptions)
    assert report.clean.value == 1
    assert report.curves[0].unanswered == (1, 1)
    assert report.curves[0].accuracy[0].value == 0.75


def test_json_holds_the_report():
    photos, labels = make_photos(6)
    report = measure(predict_brightness, photos, labels, corruptions=CORRUPTIONS[:1])
    numbers = json.loads(json.dumps(report.to_dict()))
    assert numbers["curves"][0]["corruption"]["name"] == "blur"
    assert len(numbers["curves"][0]["accuracy"]) == 5


def test_bad_arguments_are_named(photo):
    with pytest.raises(ValueError, match="name='rain'"):
        corrupt_photo(photo, "rain", severity=1)
    with pytest.raises(ValueError, match="0 to 100"):
        corrupt_photo(photo, "darkness", severity=101)
    with pytest.raises(ValueError, match="1 photos, 2 images"):
        measure(predict_brightness, [photo, photo], [0])
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        measure(lambda _: np.zeros(1), [photo], [0])
