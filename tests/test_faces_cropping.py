"""Crops with known answers: where things land, what is turned, what is refused."""

import math

import numpy as np
import pytest

from emoclf.images.faces import Face, crop_face, measure_roll
from emoclf.images.faces.cropping import _HAAR_SHARE, _YUNET_CENTRE, _YUNET_SHARE

RED, BLUE = (255, 0, 0), (0, 0, 255)


def make_noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_box(centre, side):
    return (centre[0] - side / 2, centre[1] - side / 2, side, side)


def make_haar_face(centre, crop_side):
    """A face without landmarks whose crop has this centre and side."""
    return Face(box=make_box(centre, crop_side * _HAAR_SHARE), score=0.9)


def turn(point, degrees, centre):
    angle = math.radians(degrees)
    x, y = point[0] - centre[0], point[1] - centre[1]
    return (
        centre[0] + x * math.cos(angle) - y * math.sin(angle),
        centre[1] + x * math.sin(angle) + y * math.cos(angle),
    )


def make_tilted_face(degrees, centre=(200.0, 150.0), side=100.0, eye_distance=0.4):
    """A face as YuNet reports it, tilted clockwise about the centre of its box."""
    upright = np.array([(-0.5, -0.14), (0.5, -0.14), (0, 0.1), (-0.4, 0.3), (0.4, 0.3)])
    upright = upright * (eye_distance * side, side) + centre
    landmarks = np.array([turn(point, degrees, centre) for point in upright], dtype=np.float32)
    return Face(box=make_box(centre, side), score=0.9, landmarks=landmarks)


def draw_eyes(face, height=300, width=400):
    """A grey photo with a red dot on the right eye and a blue one on the left."""
    image = np.full((height, width, 3), 100, dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for (x, y), colour in zip(face.landmarks, (RED, BLUE), strict=False):
        image[np.hypot(columns - x, rows - y) < 6] = colour
    return image


def find_dot(crop, colour):
    """Centre (x, y) of a dot as a fraction of the crop, by its distance from the other channels."""
    channel = colour.index(255)
    others = [i for i in range(3) if i != channel]
    weight = np.clip(
        crop[:, :, channel].astype(float) - crop[:, :, others].max(axis=2) - 30, 0, None
    )
    rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    return (
        (columns * weight).sum() / weight.sum() / crop.shape[1],
        (rows * weight).sum() / weight.sum() / crop.shape[0],
    )


def test_a_crop_at_full_size_is_the_photo_itself():
    image = make_noise(160, 200)
    crop = crop_face(image, make_haar_face((100, 80), 48))
    np.testing.assert_array_equal(crop, image[56:104, 76:124])


def test_a_crop_is_not_stretched():
    image = make_noise(160, 200)
    face = make_haar_face((100, 80), 48)
    wide = crop_face(image, face, size=(48, 80))
    np.testing.assert_array_equal(wide, image[56:104, 60:140])
    tall = crop_face(image, face, size=(64, 48))
    np.testing.assert_array_equal(tall, image[48:112, 76:124])


def test_margin_shows_more_or_less():
    image = make_noise(160, 200)
    face = make_haar_face((100, 80), 48)
    more = crop_face(image, face, size=(72, 72), margin=0.25)
    np.testing.assert_array_equal(more, image[44:116, 64:136])
    less = crop_face(image, face, size=(24, 24), margin=-0.25)
    np.testing.assert_array_equal(less, image[68:92, 88:112])


@pytest.mark.parametrize("factor", [2, 3, 5, 8, 13])
def test_shrinking_averages_over_every_pixel(factor):
    side = 48 * factor
    rows, columns = np.mgrid[:side, :side]
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    crop = crop_face(board, make_haar_face((side / 2, side / 2), side))
    assert crop.shape == (48, 48, 3)
    assert np.abs(crop.astype(int) - 128).max() <= 20
    blocks = np.zeros((side, side, 3), dtype=np.uint8)
    blocks[: side // 2, side // 2 :, 0] = 255
    quarter = crop_face(blocks, make_haar_face((side / 2, side / 2), side))
    assert (quarter[:23, 25:] == RED).all()
    assert not quarter[25:].any() and not quarter[:, :23].any()


def test_enlarging_keeps_the_place():
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[10:20, 20:30] = RED
    crop = crop_face(image, make_haar_face((20, 20), 20), size=(200, 200))
    np.testing.assert_allclose(find_dot(crop, RED), (0.75, 0.25), atol=0.005)


@pytest.mark.parametrize("degrees", [-100, -55, -30, -8, 0, 8, 30, 55, 88, 135, 180])
def test_the_eyes_are_level_and_where_they_belong(degrees):
    face = make_tilted_face(degrees)
    assert math.remainder(measure_roll(face) - degrees, 360) == pytest.approx(0, abs=0.01)
    crop = crop_face(draw_eyes(face), face, size=(96, 96))
    height = _YUNET_CENTRE - 0.14 * _YUNET_SHARE
    half = 0.2 * _YUNET_SHARE
    np.testing.assert_allclose(find_dot(crop, RED), (0.5 - half, height), atol=0.006)
    np.testing.assert_allclose(find_dot(crop, BLUE), (0.5 + half, height), atol=0.006)


def test_a_large_tilted_face_is_turned_as_well():
    face = make_tilted_face(25, centre=(350.0, 350.0), side=450.0)
    image = draw_eyes(Face(face.box, 0.9, face.landmarks), 700, 700)
    for row in range(-15, 16):
        for (x, y), colour in zip(face.landmarks.astype(int), (RED, BLUE), strict=False):
            image[y + row, x - 15 : x + 16] = colour
    crop = crop_face(image, face)
    red, blue = find_dot(crop, RED), find_dot(crop, BLUE)
    assert red[1] == pytest.approx(blue[1], abs=0.01)
    assert red[1] == pytest.approx(_YUNET_CENTRE - 0.14 * _YUNET_SHARE, abs=0.01)


def test_without_align_nothing_is_turned():
    face = make_tilted_face(30)
    crop = crop_face(draw_eyes(face), face, size=(96, 96), align=False)
    red, blue = find_dot(crop, RED), find_dot(crop, BLUE)
    assert math.degrees(math.atan2(blue[1] - red[1], blue[0] - red[0])) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_eyes_that_contradict_the_mouth_and_profiles_tell_whole_quarters(quarters):
    for face in (make_tilted_face(90 * quarters), make_tilted_face(90 * quarters + 8)):
        face.landmarks[[0, 1]] = face.landmarks[[1, 0]]
        assert math.remainder(measure_roll(face) - 90 * quarters, 360) == pytest.approx(0)
    profile = make_tilted_face(90 * quarters + 20, eye_distance=0.1)
    assert math.remainder(measure_roll(profile) - 90 * quarters, 360) == pytest.approx(0)


def test_a_profile_and_broken_landmarks_say_nothing_of_tilt():
    assert measure_roll(make_tilted_face(40, eye_distance=0.1)) == 0
    broken = make_tilted_face(20)
    broken.landmarks[0] = np.nan
    assert measure_roll(broken) == 0
    assert measure_roll(make_haar_face((50, 50), 40)) == 0


def test_beyond_the_border_the_last_pixels_are_repeated():
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    image[:, :30], image[:, 30:] = RED, BLUE
    crop = crop_face(image, make_haar_face((0, 30), 48))
    assert (crop == RED).all()
    crop = crop_face(image, make_haar_face((60, 0), 96), size=(96, 96))
    assert (crop[:, 20:] == BLUE).all()
    assert (crop[:, :16] == RED).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_a_tiny_photo_can_be_cropped(shape):
    image = np.full((*shape, 3), 7, dtype=np.uint8)
    for box in ((0.0, 0.0, 1.0, 1.0), (-50.0, -50.0, 100.0, 120.0), (-1e6, -1e6, 2e6, 2e6)):
        crop = crop_face(image, Face(box, 0.9))
        assert crop.shape == (48, 48, 3) and (crop == 7).all()


def test_the_photo_is_not_changed_and_may_be_a_view():
    image = make_noise(120, 160)
    before = image.copy()
    face = make_haar_face((60, 70), 48)
    expected = crop_face(image, face)
    view = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    view.flags.writeable = False
    np.testing.assert_array_equal(crop_face(view, face), expected)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (0, 48)}, "size"),
        ({"size": (48,)}, "size"),
        ({"size": (48.5, 48)}, "size"),
        ({"margin": -0.4}, "margin"),
        ({"margin": 5}, "margin"),
        ({"margin": math.nan}, "margin"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        crop_face(make_noise(50, 50), make_haar_face((25, 25), 20), **arguments)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 5), (0, 0, 5, -1), (0, 0, math.nan, 5), (math.inf, 0, 5, 5)]
)
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="width and a height above 0"):
        crop_face(make_noise(50, 50), Face(box, 0.9))


@pytest.mark.parametrize("box", [(50, 0, 9, 9), (0, 50, 9, 9), (-9, 0, 9, 9), (0, -20, 9, 9)])
def test_a_box_of_another_photo_is_refused(box):
    with pytest.raises(ValueError, match=r"outside of the photo of 50 x 50"):
        crop_face(make_noise(50, 50), Face(box, 0.9))


def test_what_is_no_photo_is_refused():
    face = make_haar_face((25, 25), 20)
    with pytest.raises(TypeError, match="float64"):
        crop_face(np.zeros((50, 50, 3)), face)
    with pytest.raises(TypeError, match="list"):
        crop_face([[0]], face)
    with pytest.raises(ValueError, match=r"\(50, 50\)"):
        crop_face(np.zeros((50, 50), dtype=np.uint8), face)
    with pytest.raises(ValueError, match=r"\(0, 50, 3\)"):
        crop_face(np.zeros((0, 50, 3), dtype=np.uint8), face)
