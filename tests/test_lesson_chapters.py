"""The lesson's own runs: what the next is called, and the newest opened for a chapter."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from emoclf import Run, Settings, evaluate_model, make_drawn_faces, save_evaluation
from emoclf.apps.lesson import (
    compare_elsewhere,
    next_lesson_name,
    open_lesson,
    open_review,
    take_with_face,
    try_detector,
)
from emoclf.apps.lesson import runs as lesson_runs
from emoclf.apps.lesson.runs import load_test
from emoclf.data.cleaning import find_problems
from emoclf.data.loading import cache_photos, make_dataset
from emoclf.data.loading.photo_cache import FaceSearchReport
from emoclf.data.splitting import split_photos
from emoclf.images.faces import FaceDetectorUnavailableError, make_detector
from emoclf.models.model_file import load_model, save_model
from emoclf.training import finish_run, start_run

SIZE = (32, 32)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = make_drawn_faces(tmp_path_factory.mktemp("faces"), photos_per_class=12).folder
    return split_photos(find_problems(folder, progress=False).kept, Settings(image_size=SIZE))


@pytest.fixture(autouse=True)
def _forget_opened():
    lesson_runs._open.cache_clear()


def train_lesson(photos, logs, name, *, seed=0, tested=True):
    """Make a run as steps 8 and 9 of the lesson do, with a network that has learned nothing."""
    cache = cache_photos(photos, image_size=SIZE, progress=False)
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((*SIZE, 3), dtype="uint8"), keras.layers.Rescaling(1 / 255)]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential([*layers, *head])
    run = start_run(Settings(image_size=SIZE), cache.photos, logs=logs, name=name)
    history = {key: [0.5] for key in ("loss", "val_loss", "accuracy", "val_accuracy")}
    finish_run(model, history, make_dataset(cache, "validation"), run=run)
    evaluation = evaluate_model(model, make_dataset(cache, "test"), cache.photos.part("test"))
    if tested:
        save_evaluation(evaluation, run)
    return run, evaluation


def test_the_next_name_follows_the_last_and_leaves_other_runs_alone(tmp_path):
    assert next_lesson_name(tmp_path / "not there") == "lesson-1"
    for name in ("lesson-1", "lesson-9", "lesson-10", "lesson-11-joint", "lesson-x", "first"):
        (tmp_path / name).mkdir()
    assert next_lesson_name(tmp_path) == "lesson-11"


def test_the_newest_finished_run_is_opened_with_the_predictions_that_it_kept(photos, tmp_path):
    train_lesson(photos, tmp_path, "lesson-9", seed=1)
    run, tested = train_lesson(photos, tmp_path, "lesson-10", seed=2)
    start_run(Settings(image_size=SIZE), photos, logs=tmp_path, name="lesson-11")  # cut off
    log = (run.folder / "test_access_log.json").read_bytes()
    said = []
    lesson = open_lesson(tmp_path, say=said.append)
    assert lesson.run.folder == tmp_path / "lesson-10"
    np.testing.assert_array_equal(lesson.evaluation.probabilities, tested.probabilities)
    assert lesson.evaluation.photos.paths == photos.part("test").paths
    assert lesson.evaluation.photos.groups.tolist() == photos.part("test").groups.tolist()
    assert lesson.validation.photos.only_part == "validation"
    assert lesson.cache.images.shape == (len(photos), *SIZE, 3)
    assert len(said) == 1
    assert "lesson-10" in said[0]
    assert (run.folder / "test_access_log.json").read_bytes() == log
    assert len(json.loads(log)) == 1


def test_a_run_is_decoded_once_until_it_changes(photos, tmp_path, monkeypatch):
    train_lesson(photos, tmp_path, "lesson-1")
    decoded = []
    decode = lesson_runs.cache_for
    monkeypatch.setattr(
        lesson_runs, "cache_for", lambda *a, **k: decoded.append(1) or decode(*a, **k)
    )
    first, second = (open_lesson(tmp_path, say=list) for _ in range(2))
    assert first is second
    train_lesson(photos, tmp_path, "lesson-2", seed=3)
    assert open_lesson(tmp_path, say=list).run.folder.name == "lesson-2"
    assert len(decoded) == 2


def test_what_is_missing_is_said_with_the_steps_to_run(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Run steps 1 to 9 first"):
        open_lesson(tmp_path)
    train_lesson(photos, tmp_path, "lesson-1", tested=False)
    with pytest.raises(FileNotFoundError, match=r"lesson-1.*not tested.*Run step 9"):
        open_lesson(tmp_path)


@pytest.mark.parametrize("damage", ["fewer", "no number", "another photo"])
def test_damaged_predictions_are_named(photos, tmp_path, damage):
    run, _ = train_lesson(photos, tmp_path, "lesson-1")
    path = run.folder / "predictions.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    changed = {
        "fewer": lines[:-1],
        "no number": [lines[0], ",".join([*cells[:-1], "much"]), *lines[2:]],
        "another photo": [lines[0], ",".join(["sad/x.jpg", *cells[1:]]), *lines[2:]],
    }
    path.write_text("\n".join(changed[damage]))
    with pytest.raises(ValueError, match=r"predictions\.csv.*Move it away and run step 9 again"):
        load_test(run)


def test_without_a_face_detector_the_lesson_opens_and_says_why(photos, tmp_path, monkeypatch):
    def refuse():
        raise FaceDetectorUnavailableError("OpenCV is missing.")

    monkeypatch.setattr(lesson_runs, "make_detector", refuse)
    train_lesson(photos, tmp_path, "lesson-1")
    said = []
    assert open_lesson(tmp_path, say=said.append).detector is None
    assert said[-1] == "Whole photos stand in for faces everywhere below. OpenCV is missing."
    assert try_detector(say=said.append) is None
    assert said[-1] == said[-2]


def test_photos_that_were_moved_to_the_other_class_are_found_again(tmp_path):
    folder = make_drawn_faces(tmp_path / "faces", photos_per_class=12).folder
    report = find_problems(folder, progress=False)
    photos = split_photos(report.kept, Settings(image_size=SIZE))
    _, tested = train_lesson(photos, tmp_path, "lesson-1")
    moved = photos.part("train").files[0]
    moved.rename(folder / ("sad" if moved.parent.name == "happy" else "happy") / "moved.jpg")
    lesson = open_lesson(tmp_path, say=list)
    assert len(lesson.photos) == len(photos)
    np.testing.assert_array_equal(lesson.photos.labels, photos.labels)
    np.testing.assert_array_equal(lesson.evaluation.probabilities, tested.probabilities)


def test_every_network_of_the_lesson_has_a_row(photos, tmp_path):
    run, tested = train_lesson(photos, tmp_path, "lesson-1")
    train_lesson(photos, tmp_path, "lesson-1-deep", seed=4)
    train_lesson(photos, tmp_path, "lesson-1-whole", tested=False)
    for name in ("lesson-10", "lesson-2-deep"):
        train_lesson(photos, tmp_path, name)
    (tmp_path / "lesson-1-folds").mkdir()
    face = Run(tmp_path / "lesson-1-face")  # it finds none in noise
    face.save(replace(run.settings, crop="face"), run.photos)
    save_model(load_model(run.model_file)[0], face.model_file, info=face.info)
    for name in ("sad", "happy"):
        folder = tmp_path / "noise" / name
        folder.mkdir(parents=True)
        for number in range(12):
            noise = np.random.default_rng([number, name == "sad"]).integers(0, 90, (64, 64, 3))
            Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number}.png")
    table = compare_elsewhere(run, tmp_path / "noise", detector=make_detector("packaged"))
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["lesson-1", "lesson-1-deep", "lesson-1-face", "lesson-1-whole"]
    assert rows["lesson-1"][0] == tested.accuracy.value
    assert rows["lesson-1"][3] == 24
    assert rows["lesson-1-whole"][0] is None
    assert rows["lesson-1-whole"][-1] == "not tested"
    assert rows["lesson-1-face"][1] is None
    assert "face" in rows["lesson-1-face"][-1]


def test_photos_without_a_face_are_left_out_where_some_have_one(photos):
    cache = cache_photos(photos, image_size=SIZE, progress=False)
    assert take_with_face(photos, cache).paths == photos.paths
    for rows in ([0, 3], range(len(photos))):
        search = FaceSearchReport("", "", len(photos), photos.take(list(rows)), "whole_photo")
        left = take_with_face(photos, replace(cache, faces=search))
        assert len(left) == (len(photos) - 2 if len(rows) == 2 else len(photos))


def test_for_drawn_faces_others_are_reviewed_of_which_every_twentieth_is_wrong(tmp_path):
    folder = make_drawn_faces(tmp_path / "faces", photos_per_class=12).folder
    drawn = split_photos(find_problems(folder, progress=False).kept, Settings(image_size=SIZE))
    run, _ = train_lesson(drawn, tmp_path / "logs", "lesson-1")
    before = sorted(tmp_path.joinpath("faces").rglob("*"))
    review = open_review(run, drawn, count=40, seed=5)
    assert len(review.photos) == 80
    assert len(review.planted) == 4
    assert review.planted <= set(review.photos.paths)
    assert review.report.root != str(folder)
    assert sorted(tmp_path.joinpath("faces").rglob("*")) == before
    assert open_review(run, drawn, count=40, seed=5) == review


def test_photos_of_your_own_are_reviewed_where_they_lie(tmp_path):
    folder = make_drawn_faces(tmp_path / "mine", photos_per_class=12).folder
    next(folder.glob(".drawn*")).unlink()
    own = split_photos(find_problems(folder, progress=False).kept, Settings(image_size=SIZE))
    run, _ = train_lesson(own, tmp_path / "logs", "lesson-1")
    review = open_review(run, own)
    assert review.photos is own
    assert review.report.root == str(folder)
    assert not review.planted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "mine"]
