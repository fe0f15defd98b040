"""Cross-validation: no photo is predicted by who learned from it, and nothing finished is lost."""

import csv
import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.loading import cache_photos
from emoclf.evaluation import Evaluation
from emoclf.experiments import cross_validation as training
from emoclf.experiments.cross_validation import cross_validate
from emoclf.experiments.kept_folds import load_cross_validation
from emoclf.experiments.label_errors import load_decisions
from emoclf.images.faces import Face
from emoclf.storage import ResumeRefusedError
from emoclf.training import start_run
from tests.calls import call

TINY = Settings(image_size=(32, 32), epochs=1, batch_size=8, augment=False)


class WholePhoto:
    """A detector to which every photo is a face."""

    name, description, note = "whole", "Finds a face in every photo.", ""

    def find(self, image):
        return (Face((0.0, 0.0, float(image.shape[1]), float(image.shape[0])), 0.9),)


@pytest.fixture
def parts(photos):
    """What of the forty drawn faces of each class is no test photo."""
    return photos.take([row.part != "test" for row in photos.rows])


@pytest.fixture
def fake(monkeypatch):
    """In place of a training: remember who learned, predict with the photo's own mean."""
    seen = []

    def train_and_test(cache, settings, *, folder):
        seen.append((cache.photos, settings.seed, folder))
        light = cache.images[cache.photos.find_part("test")].mean(axis=(1, 2, 3)) / 255
        probabilities = np.stack([1 - light, light], axis=1)
        result = SimpleNamespace(best_epoch=1, collapse=None)
        return result, Evaluation(cache.photos.part("test"), probabilities)

    monkeypatch.setattr(training, "train_and_test", train_and_test)
    monkeypatch.setattr(training, "time_training", lambda *_, **__: (1.0, 2.0))
    return seen


def test_every_photo_is_predicted_by_folds_that_were_not_trained_on_it(
    photos, parts, fake, tmp_path
):
    said = []
    result = cross_validate(
        photos, TINY, fold_count=4, repeats=2, logs=tmp_path, name="a", say=said.append
    )
    assert result.photos.paths == parts.paths
    assert result.probabilities.shape == (2, len(parts), 2)
    assert not np.isnan(result.probabilities).any()
    np.testing.assert_allclose(result.probabilities[0], result.probabilities[1])
    for number, (split, _, _) in enumerate(fake):
        expected = result.folds.find_tested(number // 4, number % 4)
        assert split.part("test").paths == parts.take(expected).paths
        learned = {row.group for row in split.rows if row.part != "test"}
        assert not learned & set(split.part("test").groups.tolist())
    assert len({seed for _, seed, _ in fake}) == 8
    cache = cache_photos(result.photos.take([0]), image_size=(32, 32), progress=False)
    assert result.probabilities[0, 0, 1] == pytest.approx(cache.images.mean() / 255)
    assert any("about 24 seconds in all, measured on 3 steps" in line for line in said)
    assert any("left" in line for line in said)
    with (tmp_path / "a/cross_validation_predictions.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(parts)


@pytest.mark.usefixtures("fake")
def test_photos_in_no_part_are_divided_into_folds(parts, tmp_path):
    unassigned = parts.with_parts([""] * len(parts))
    result = cross_validate(unassigned, TINY, fold_count=4, logs=tmp_path, name="a")
    assert result.photos.paths == unassigned.paths
    assert len(result.scores) == 4


@pytest.mark.usefixtures("fake")
def test_the_numbers_are_pooled_and_the_caveats_are_said(photos, tmp_path):
    result = cross_validate(photos, TINY, fold_count=4, repeats=2, logs=tmp_path, name="a")
    right = result.probabilities[0].argmax(axis=1) == result.photos.labels
    assert result.repeat_accuracies[0].value == pytest.approx(right.mean())
    assert result.repeat_accuracies[0].count == len(result.photos.labels)
    own = [score for score in result.scores if score.repeat == 1]
    pooled = sum(score.accuracy.value * score.accuracy.count for score in own)
    assert pooled == pytest.approx(right.sum())
    text = str(result)
    assert "fold 4" in text and "repeat 2" in text
    assert "The folds are not independent" in text
    assert "cannot be concluded" in text
    again = load_cross_validation(tmp_path / "a")
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    assert str(again) == text


def test_a_run_of_a_training_is_told_what_predicts_every_photo(photos, tmp_path):
    run = start_run(TINY, photos, logs=tmp_path, name="first")
    with pytest.raises(FileNotFoundError, match="emoclf cross-validate") as caught:
        load_cross_validation(run)
    assert shlex.quote(photos.root) in str(caught.value)


def test_one_that_was_stopped_goes_on_after_the_last_finished_fold(
    photos, fake, tmp_path, monkeypatch
):
    whole = cross_validate(photos, TINY, fold_count=3, logs=tmp_path, name="whole")
    keep_fold = training.keep_fold
    finished = []

    def stop_in_the_third(run, folds, place, work):
        if len(finished) == 2:
            work()
            raise KeyboardInterrupt
        finished.append(place)
        return keep_fold(run, folds, place, work)

    monkeypatch.setattr(training, "keep_fold", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(photos, TINY, fold_count=3, logs=tmp_path, name="a")
    with pytest.raises(FileNotFoundError, match="finished fold"):
        load_cross_validation(tmp_path / "a")
    monkeypatch.setattr(training, "keep_fold", keep_fold)
    fake.clear()
    said = []
    result = cross_validate(
        photos, TINY, fold_count=3, logs=tmp_path, name="a", resume=True, say=said.append
    )
    assert "2 of 3 folds were finished before." in said
    assert len(fake) == 1
    np.testing.assert_array_equal(result.probabilities, whole.probabilities)


@pytest.mark.usefixtures("fake")
def test_another_cross_validation_is_not_gone_on_with(photos, tmp_path):
    cross_validate(photos, TINY, fold_count=3, logs=tmp_path, name="a")
    for options in ({"fold_count": 4}, {"fold_count": 3, "repeats": 2}, {"include_test": True}):
        with pytest.raises(ResumeRefusedError, match="another training"):
            cross_validate(photos, TINY, logs=tmp_path, name="a", resume=True, **options)


@pytest.mark.usefixtures("fake")
def test_test_photos_are_predicted_only_when_asked_for(photos, tmp_path):
    result = cross_validate(photos, TINY, fold_count=3, include_test=True, logs=tmp_path, name="a")
    assert len(result.photos) == len(photos)
    assert {row.part for row in result.photos.rows} == {"train", "validation", "test"}


@pytest.mark.usefixtures("fake")
def test_a_damaged_fold_is_not_taken_for_one(photos, tmp_path):
    cross_validate(photos, TINY, fold_count=3, logs=tmp_path, name="a")
    path = tmp_path / "a/folds/repeat-1-fold-2.json"
    value = json.loads(path.read_text())
    facts = {"positions": value["facts"]["positions"][::-1]}
    path.write_text(json.dumps({**value, "facts": facts}))
    with pytest.raises(ValueError, match=r"fold-2\.json is another training: positions was"):
        load_cross_validation(tmp_path / "a")


@pytest.mark.usefixtures("fake")
def test_ten_photos_of_each_class_work_and_say_what_they_do_not_show(photos, tmp_path):
    few = np.r_[np.flatnonzero(photos.labels == 0)[:10], np.flatnonzero(photos.labels == 1)[-10:]]
    small = photos.take(few).with_parts(["train"] * 20, seed=1)
    text = str(cross_validate(small, TINY, repeats=3, logs=tmp_path, name="a"))
    assert "With 10 different photos of the smallest class" in text
    assert "These photos do not show that the accuracy is above that of always" in text


def test_the_packaged_features_with_a_regression(photos, tmp_path):
    result = cross_validate(
        photos,
        fold_count=4,
        learner="face_features",
        detector=WholePhoto(),
        logs=tmp_path,
        name="a",
    )
    # Whole drawings are no face crops, but expressions are seen in them all the same.
    assert result.evaluation.accuracy.value > 0.6
    assert "4 regressions on the face features" in str(result)
    with pytest.raises(ValueError, match=r"crop='none', image_size=\(48, 48\)"):
        cross_validate(
            photos, Settings(image_size=(48, 48)), learner="face_features", logs=tmp_path
        )
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["a"]
    with pytest.raises(ValueError, match="learner='forest'"):
        cross_validate(photos, learner="forest")


def run(*arguments):
    return call(*arguments, code=0).output


def test_a_whole_correction_on_the_command_line(drawn_folder, tmp_path):
    data = tmp_path / "my data"
    for number in range(12):
        for name, other in (("sad", "happy"), ("happy", "sad")):
            folder = other if number == 0 else name
            (data / folder).mkdir(parents=True, exist_ok=True)
            source = sorted((drawn_folder / name).iterdir())[number]
            (data / folder / f"{name}{number}{source.suffix}").write_bytes(source.read_bytes())
    logs = ("--logs", tmp_path / "logs")
    tiny = ("--image-size", "32", "--epochs", 1, "--batch-size", 8, "--no-augment")
    output = run("cross-validate", data, *tiny, *logs, "--folds", 2, "--name", "check")
    assert "not independent" in output
    assert "2 trainings of at most 1 epoch: about" in output
    output = run("cross-validate", data, *tiny, *logs, "--folds", 2, "--name", "check", "--resume")
    assert "2 of 2 folds were finished before" in output
    check = tmp_path / "logs/check"
    probabilities = load_cross_validation(check).probabilities
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, atol=1e-6)
    assert len(set(probabilities[0, :, 0].round(6))) > 2
    assert not (check / "unfinished_fold").exists()
    output = run("find-label-errors", check, "--mistakes", 50)
    assert "review.html" in output
    assert "not shown to be better than guessing" in output
    assert "apply-decisions" not in output
    table = check / "review/decisions.csv"
    found = load_decisions(table)
    assert "Nothing is decided yet" in run("apply-decisions", data, table)
    text = table.read_text(encoding="utf-8-sig")
    for row, action in zip(found[:2], ("move", "set aside"), strict=True):
        start = f"{row.path},{row.class_name},{row.suggested_class},"
        text = text.replace(f"{start},", f"{start}{action},")
    (tmp_path / "decisions.csv").write_text(text, encoding="utf-8")
    before = sorted(path.name for path in data.rglob("*.*"))
    assert "Nothing was moved" in run("apply-decisions", data, tmp_path / "decisions.csv")
    output = run("apply-decisions", data, tmp_path / "decisions.csv", "--move")
    assert "2 files moved" in output
    assert f"restore '{data}'" in output
    assert not (data / found[0].path).exists()
    output = run("compare-corrections", check, tmp_path / "decisions.csv", *logs)
    assert "labels changed: 1; photos set aside: 1" in output
    assert "accuracy after" in output
    assert json.loads((tmp_path / "logs/corrections/comparison.json").read_text())["moved"] == 1
    assert "2 files restored" in run("restore", data)
    after = [path.name for path in data.rglob("*.*") if path.name != "manifest.jsonl"]
    assert sorted(after) == before


@pytest.mark.parametrize(
    "command", ["cross-validate", "find-label-errors", "apply-decisions", "compare-corrections"]
)
def test_the_commands_explain_themselves(command):
    assert "Example" in run(command, "--help")
