"""The recipe of the packaged face detector: what it composes, learns and writes."""

import cv2
import keras
import numpy as np
import pytest

from emoclf.data.synthetic import draw_face
from emoclf.experiments.face_detector import composing, recipe
from emoclf.experiments.face_detector.composing import (
    SIDE,
    STRIDES,
    Teacher,
    compose_picture,
    cut_close_ups,
    mirror_answers,
    read_photos,
    spoil_and_mirror,
    write_lessons,
)
from emoclf.experiments.face_detector.network import build_detector, measure_loss, write_detector
from emoclf.experiments.face_detector.recipe import (
    DetectorSettings,
    compare_detectors,
    match_faces,
    train_face_detector,
)
from emoclf.images.faces import Face

CELLS = sum((SIDE // stride) ** 2 for stride in STRIDES)


@pytest.fixture(scope="module")
def photos():
    return [draw_face("Happy", seed=seed, size=(120, 90)) for seed in range(3)]


@pytest.fixture(scope="module")
def teacher_path(tmp_path_factory):
    """A network that answers something else everywhere, written as the teacher is."""
    keras.utils.set_random_seed(3)
    network = build_detector(16)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(np.random.uniform(0.5, 1.5, shape))
            layer.moving_mean.assign(np.random.normal(0, 0.2, shape))
            layer.moving_variance.assign(np.random.uniform(1, 2, shape))
    path = tmp_path_factory.mktemp("teacher") / "teacher.onnx"
    write_detector(network, path, shift=4.0)
    return path, network


def test_opencv_computes_what_keras_computes(teacher_path, photos):
    path, network = teacher_path
    picture = compose_picture(photos, np.random.default_rng(0))[:, :192]
    expected = network.predict_on_batch(picture[None].astype(np.float32))[0]
    answers = Teacher(path).answer(np.ascontiguousarray(picture))
    np.testing.assert_allclose(answers[:, 0], 1 / (1 + np.exp(-expected[:, 0] - 4)), atol=1e-4)
    seen = answers[:, 0] >= 0.2
    assert seen.any()
    np.testing.assert_allclose(answers[seen, 1:], expected[seen, 1:], atol=1e-3)


def test_opencvs_detector_reads_boxes_and_landmarks_where_they_are_meant(tmp_path):
    network = build_detector(16)
    for stride in STRIDES:
        layer = network.get_layer(f"answer_{stride}")
        bias = [3.0 if stride == 32 else -9.0, 0.5, 0.5, 0, 0, *np.linspace(0.1, 1.0, 10)]
        layer.set_weights([np.zeros(layer.kernel.shape), np.array(bias)])
    write_detector(network, tmp_path / "known.onnx")
    assert (tmp_path / "known.onnx").stat().st_size < 400_000
    detector = cv2.FaceDetectorYN.create(str(tmp_path / "known.onnx"), "", (96, 64), 0.7, 0.3)
    rows = detector.detect(np.zeros((64, 96, 3), np.uint8))[1]
    corners = {(column * 32.0, row * 32.0) for row in range(2) for column in range(3)}
    assert {tuple(row[:2].round(3).tolist()) for row in rows} == corners
    np.testing.assert_allclose(rows[:, 2:4], 32, atol=1e-3)
    marks = rows[:, 4:14].reshape(-1, 5, 2) - rows[:, None, :2]
    np.testing.assert_allclose(marks[0].ravel(), 32 * np.linspace(0.1, 1.0, 10), atol=1e-3)
    np.testing.assert_allclose(rows[:, 14], 1 / (1 + np.exp(-3)), atol=1e-4)


def test_the_full_network_has_yunets_size(tmp_path):
    network = build_detector()
    assert 70_000 < network.count_params() < 100_000
    write_detector(network, tmp_path / "full.onnx")
    assert (tmp_path / "full.onnx").stat().st_size <= 400_000


def test_pictures_are_composed_of_all_photos_and_are_the_same_again():
    plain = [np.full((60, 80, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 0, 250))]
    pictures = [compose_picture(plain, np.random.default_rng(seed)) for seed in range(8)]
    again = compose_picture(plain, np.random.default_rng(2))
    np.testing.assert_array_equal(again, pictures[2])
    for picture in pictures:
        assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    colours = {tuple(pixel) for picture in pictures for pixel in picture[::40, ::40].reshape(-1, 3)}
    assert {(0, 0, 250), (250, 0, 0)} <= colours  # BGR


def test_mirrored_answers_are_those_of_the_mirrored_picture():
    answers = np.zeros((1, CELLS, 15), np.float32)
    cell = (SIDE // 8) * 3 + 5  # of the grid of 8 pixels: row 3, column 5
    answers[0, cell] = [0.9, 0.2, 0.5, 1, 2, 0.1, 0, 0.6, 0, 0.3, 1, 0.2, 2, 0.7, 2]
    mirrored = np.asarray(mirror_answers(answers))[0]
    (place,) = np.flatnonzero(mirrored[:, 0])
    row, column = divmod(int(place), SIDE // 8)
    assert (row, column) == (3, SIDE // 8 - 1 - 5)
    assert (column + mirrored[place, 1]) * 8 == pytest.approx(SIDE - (5 + 0.2) * 8)
    assert (column + mirrored[place, 5]) * 8 == pytest.approx(SIDE - (5 + 0.6) * 8, abs=1e-4)
    np.testing.assert_allclose(mirrored[place, 2:5], [0.5, 1, 2])
    np.testing.assert_allclose(np.asarray(mirror_answers(mirrored[None]))[0], answers[0], atol=1e-6)


def test_spoiling_changes_the_light_and_not_what_is_taught():
    pictures = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    answers = np.zeros((3, CELLS, 15), np.float16)
    changed, taught = spoil_and_mirror(pictures, answers)
    assert changed.shape == pictures.shape and changed.dtype == "float32"
    assert float(np.min(changed)) >= 0 and float(np.max(changed)) <= 255
    assert float(np.abs(np.asarray(taught)[..., 0]).sum()) == 0


def test_the_loss_is_least_for_the_teachers_own_answer():
    taught = np.zeros((1, 4, 15), np.float32)
    taught[0, 1] = [0.9, 0.4, 0.6, 1.0, 1.2, *np.linspace(0, 1, 10)]
    logits = taught.copy()
    logits[..., 0] = np.log(np.clip(taught[..., 0], 1e-4, 1)) - np.log1p(-taught[..., 0])
    best = float(measure_loss(taught, logits))
    assert best < 0.01
    for column, change in ((0, -2.0), (1, 0.5), (3, 0.4), (6, 0.3)):
        worse = logits.copy()
        worse[0, 1, column] += change
        assert float(measure_loss(taught, worse)) > best + 0.01
    surprised = logits.copy()
    surprised[0, 2, 0] = 3.0
    assert float(measure_loss(taught, surprised)) > best + 1


def test_close_ups_show_a_face_and_half_its_side_around_it():
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[50:110, 100:160] = 255
    detector = Found((100.0, 50.0, 60.0, 60.0), (250.0, 10.0, 30.0, 30.0))
    (close_up,) = cut_close_ups([photo], detector)
    np.testing.assert_array_equal(close_up, photo[20:140, 70:190])
    assert cut_close_ups([photo], Found()) == []


def test_what_cannot_be_read_is_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((900, 30, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"none")
    (photo,) = read_photos([tmp_path / "a.png", tmp_path / "b.png"])
    assert photo.shape == (448, 15, 3)


def test_a_network_learns_its_teachers_answers(tmp_path, photos, teacher_path, monkeypatch):
    monkeypatch.setattr(recipe, "build_detector", lambda: build_detector(16))
    detector = Found((20.0, 20.0, 60.0, 60.0))
    monkeypatch.setattr(recipe, "make_detector", lambda *_, **__: detector)
    settings = DetectorSettings(
        files=2, per_file=6, steps=16, falling=4, batch_size=3, learning_rate=0.03
    )
    said = []
    network = train_face_detector(
        photos, tmp_path / "lessons", teacher=teacher_path[0], settings=settings, say=said.append
    )
    assert said[0].startswith("12 pictures")
    with np.load(tmp_path / "lessons" / "lessons_00001.npz") as lessons:
        pictures, answers = lessons["pictures"].astype(np.float32), lessons["answers"]
    fresh = build_detector(16)
    losses = [
        float(measure_loss(answers.astype(np.float32), each(pictures, training=True)))
        for each in (fresh, network)
    ]
    assert losses[1] < 0.7 * losses[0]
    written = tmp_path / "lessons" / recipe.DETECTOR_FILE_NAME
    picture = np.ascontiguousarray(pictures[0].astype(np.uint8))
    assert Teacher(written).answer(picture).shape == (CELLS, 15)


def test_lessons_hold_the_teachers_answers(tmp_path, photos, teacher_path):
    teacher = Teacher(teacher_path[0])
    write_lessons(photos, tmp_path / "some.npz", teacher=teacher, count=2, seed=4)
    with np.load(tmp_path / "some.npz") as lessons:
        expected = teacher.answer(lessons["pictures"][1])
        np.testing.assert_allclose(lessons["answers"][1], expected, atol=0.01, rtol=0.01)
        below = lessons["answers"][..., 0] < composing._MIN_TAUGHT_SCORE - 0.01
        assert not lessons["answers"][below][:, 1:].any()


class Found:
    """A detector with known answers."""

    def __init__(self, *boxes, shift=0.0):
        marks = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.3, 0.8), (0.7, 0.8)])
        self.faces = tuple(
            Face(box, 0.9, np.float32(marks * box[2:] + box[:2] + (shift, 0))) for box in boxes
        )

    def find(self, image):
        del image
        return self.faces


def test_detectors_are_compared_face_by_face():
    photo = np.zeros((300, 300, 3), np.uint8)
    large, small, odd = (
        (10.0, 10.0, 100.0, 100.0),
        (150.0, 10.0, 30.0, 30.0),
        (9.0, 200.0, 50.0, 50.0),
    )
    near = (14.0, 10.0, 100.0, 100.0)
    figures = compare_detectors(Found(near, odd), Found(large, small), [photo] * 10)
    assert figures["photos"] == 10 and figures["extra_boxes"] == 1.0
    assert (figures["found"]["value"], figures["found"]["count"]) == (1.0, 10)
    assert figures["largest_found"]["value"] == 1.0
    assert (figures["eyes"]["value"], figures["eyes"]["count"]) == (1.0, 20)
    apart = compare_detectors(Found(large, shift=12), Found(large), [photo])
    assert apart["eyes"]["value"] == 0.0
    missed = compare_detectors(Found(), Found(large, small), [photo], min_side=20)
    assert (missed["found"]["value"], missed["found"]["count"]) == (0.0, 2)


def test_each_face_is_paired_once():
    one, two = (
        Found((0.0, 0.0, 40.0, 40.0)).faces,
        Found((0.0, 0.0, 40.0, 38.0), (2.0, 0.0, 40.0, 40.0)),
    )
    assert match_faces(one, two.faces) == {0: 0}
    assert match_faces(two.faces, one) == {0: 0}
