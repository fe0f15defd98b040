"""The baselines: known answers on data sets in which one thing decides, the same photos for all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoclf.config import Settings
from emoclf.data.splitting import split_photos
from emoclf.experiments import learners
from emoclf.experiments.baselines import (
    BASELINE_NAMES,
    BaselineComparison,
    result,
    train_baselines,
    training,
)
from emoclf.experiments.baselines.colours import measure_colours
from emoclf.experiments.baselines.result import Baseline, compare_baselines
from emoclf.experiments.baselines.training import estimate_seconds
from emoclf.experiments.learners import describe_seconds
from emoclf.photos import Photos
from emoclf.plots import plot_baselines
from emoclf.run import Run
from emoclf.storage import ResumeRefusedError
from emoclf.training.regression import fit_regression
from tests.evaluations import make_evaluation

SIMPLE = ("majority", "brightness", "colours", "pixels")
REST = tuple(name for name in BASELINE_NAMES if name not in SIMPLE)
SETTINGS = Settings(image_size=(32, 32), epochs=1, validation_fraction=0.25, test_fraction=0.25)


class NoFaces:
    """Finds no face in any photo."""

    name = "none"
    description = "A detector that finds nothing."
    note = ""

    def find(self, image):
        del image
        return ()


def make_data(folder, draw, *, per_class=40):
    """Draw photos of two classes: `draw(label, generator)` returns uint8 RGB."""
    generator, paths, labels = np.random.default_rng(0), [], []
    for label, name in enumerate(("sad", "happy")):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            Image.fromarray(draw(label, generator)).save(folder / name / f"{number}.png")
            paths.append(f"{name}/{number}.png")
            labels.append(label)
    return split_photos(Photos.make(paths, labels, root=folder), SETTINGS)


def draw_by_light(label, generator):
    """Happy photos are brighter; their colours say nothing else."""
    level = generator.uniform(30, 100) + 110 * label
    return np.clip(generator.normal(level, 12, (40, 50, 3)), 0, 255).astype(np.uint8)


def draw_by_colour(label, generator):
    """Happy photos are red, sad ones blue, of the same grey (0.299 R + 0.114 B)."""
    grey = generator.uniform(20, 27)
    photo = np.zeros((40, 50, 3))
    photo[..., 2 - 2 * label] = grey / (0.299 if label else 0.114)
    return np.clip(photo + generator.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)


def draw_by_place(label, generator):
    """Happy photos are brighter on the left, sad ones on the right, and all as bright."""
    photo = np.full((40, 50, 3), generator.uniform(60, 180))
    photo[:, :25] += 40 if label else -40
    photo[:, 25:] -= 40 if label else -40
    return np.clip(photo + generator.normal(0, 10, photo.shape), 0, 255).astype(np.uint8)


def draw_nothing(label, generator):
    del label
    return generator.integers(0, int(generator.uniform(60, 256)), (40, 50, 3)).astype(np.uint8)


def find_accuracy(baselines):
    return {each.name: each.evaluation.accuracy.value for each in baselines.baselines}


def test_where_only_brightness_decides_brightness_alone_is_near_1(tmp_path):
    photos = make_data(tmp_path / "data", draw_by_light)
    baselines = train_baselines(photos, SETTINGS, logs=tmp_path, skip=REST)
    accuracy = find_accuracy(baselines)
    assert accuracy["majority"] == 0.5
    assert accuracy["brightness"] >= 0.95
    assert "bright photos are taken for Happy" in baselines.find("brightness").note
    assert "light is shown to tell the classes apart" in baselines.describe_verdict()


def test_where_only_colour_decides_brightness_does_not_help(tmp_path):
    photos = make_data(tmp_path / "data", draw_by_colour)
    baselines = train_baselines(photos, SETTINGS, logs=tmp_path, skip=REST)
    assert find_accuracy(baselines)["colours"] == 1
    assert abs(baselines.find("brightness").evaluation.curves.roc_auc - 0.5) < 0.3
    assert "light is not shown to tell the classes apart" in baselines.describe_verdict()


def test_where_only_the_place_decides_pixels_help_and_light_does_not(tmp_path):
    photos = make_data(tmp_path / "data", draw_by_place)
    baselines = train_baselines(photos, SETTINGS, logs=tmp_path, skip=REST)
    accuracy = find_accuracy(baselines)
    assert accuracy["pixels"] >= 0.95
    assert accuracy["brightness"] < 0.8
    assert accuracy["colours"] < 0.8


def test_where_nothing_decides_no_baseline_is_shown_to_know_anything(tmp_path):
    photos = make_data(tmp_path / "data", draw_nothing)
    baselines = train_baselines(photos, SETTINGS, logs=tmp_path, skip=REST)
    for each in baselines.baselines:
        assert each.evaluation.accuracy.low < 0.5 < each.evaluation.accuracy.high


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """All baselines, one epoch each, and what was said."""
    folder = tmp_path_factory.mktemp("full")
    photos, said = make_data(folder / "data", draw_by_light, per_class=16), []
    arguments = {"logs": folder, "name": "baselines", "resume": True, "detector": NoFaces()}
    baselines = train_baselines(photos, SETTINGS, say=said.append, **arguments)
    return baselines, photos, arguments, said


def test_all_baselines_predict_the_same_test_photos(full):
    baselines, photos, _, _ = full
    assert [each.name for each in baselines.baselines] == list(BASELINE_NAMES)
    expected = photos.part("test").paths
    for each in baselines.baselines:
        assert each.evaluation.photos.paths == expected
        np.testing.assert_array_equal(each.evaluation.labels, photos.part("test").labels)
    assert baselines.without_face == len(expected) == 8
    assert "No face is found in 8 test photos" in str(baselines)
    assert "8 test photos (4 of the rarer class)" in baselines.describe_verdict()
    assert "nothing can be concluded" in baselines.describe_verdict()


def test_the_time_is_estimated_before_it_starts(full):
    said = full[3]
    assert said[0].startswith("majority, brightness, colours, pixels, network, face_features")
    assert "about" in said[0]
    assert any("small network, whole photos: accuracy" in line for line in said)


def test_a_finished_baseline_is_kept_and_an_interrupted_comparison_goes_on(
    full, monkeypatch, tmp_path
):
    baselines, photos, arguments, _ = full
    copy = shutil.copytree(baselines.folder, tmp_path / "baselines")
    (copy / "baseline-brightness.json").unlink()
    trained = []
    fit = training.fit_regression

    def count(*given, **named):
        trained.append("regression")
        return fit(*given, **named)

    monkeypatch.setattr(training, "fit_regression", count)
    monkeypatch.setattr(training, "train_and_test", lambda *_, **__: trained.append("network"))
    said = []
    again = train_baselines(photos, SETTINGS, say=said.append, **{**arguments, "logs": tmp_path})
    assert trained == ["regression"]
    assert said[0].startswith("6 of 7 baselines are done already")
    assert find_accuracy(again) == find_accuracy(baselines)
    assert again.without_face == 8


def test_another_comparison_in_the_same_folder_is_refused(full):
    _, photos, arguments, _ = full
    with pytest.raises(ResumeRefusedError, match="epochs"):
        train_baselines(photos, Settings(image_size=(32, 32), epochs=2), **arguments)
    other = NoFaces()
    other.description = "Another detector."
    with pytest.raises(ResumeRefusedError, match="Another detector"):
        train_baselines(photos, SETTINGS, **{**arguments, "detector": other})


def test_numbers_and_figure_are_there(full):
    baselines = full[0]
    numbers = json.loads((baselines.folder / "baselines.json").read_text())
    assert [baseline["name"] for baseline in numbers["baselines"]] == list(BASELINE_NAMES)
    assert numbers["baselines"][0]["accuracy"]["count"] == 8
    assert numbers["verdict"] == baselines.describe_verdict()
    figure = plot_baselines(baselines)
    titles = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert titles == [each.title for each in baselines.baselines]


def test_a_damaged_baseline_is_named(full, tmp_path):
    baselines, photos, arguments, _ = full
    copy = shutil.copytree(baselines.folder, tmp_path / "baselines")
    (copy / "baseline-pixels.json").write_text("[]")
    with pytest.raises(ValueError, match=r"baseline-pixels\.json is no baseline"):
        train_baselines(photos, SETTINGS, **{**arguments, "logs": tmp_path})


def test_the_network_of_a_run_is_a_baseline_and_is_not_trained_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train_and_test", None)
    folder = shutil.copytree(run[1].run.folder, tmp_path / "run")
    skip = ("pixels", "face_features", "fine_tuned")
    baselines = train_baselines(run=folder, skip=skip)
    assert baselines.folder == folder / "baselines"
    network = baselines.find("network")
    assert "trained before" in network.note
    assert network.seconds is None
    from emoclf.inference.testing import evaluate

    expected = evaluate(folder, progress=False).evaluation
    assert network.evaluation.photos.paths == expected.photos.paths
    np.testing.assert_allclose(network.evaluation.probabilities, expected.probabilities, atol=1e-5)


def test_arguments_that_do_not_fit_are_named(run, photos, tmp_path):
    with pytest.raises(ValueError, match="give photos"):
        train_baselines()
    with pytest.raises(ValueError, match="Received: everything"):
        train_baselines(photos, skip=("everything",))
    with pytest.raises(ValueError, match="not all"):
        train_baselines(photos, skip=BASELINE_NAMES)
    with pytest.raises(ValueError, match="the run decides"):
        train_baselines(photos, run=run[1].run.folder)
    with pytest.raises(FileNotFoundError, match="is not a run"):
        train_baselines(run=tmp_path)
    unfinished = Run(tmp_path)
    unfinished.save(SETTINGS, photos)
    with pytest.raises(FileNotFoundError, match="the run is not finished"):
        train_baselines(run=unfinished)


def test_colours_are_those_of_the_photo(tmp_path):
    photo = np.zeros((30, 20, 3), dtype=np.uint8)
    photo[:15, :, 0], photo[..., 2] = 200, 50
    Image.fromarray(photo).save(tmp_path / "photo.png")
    row = measure_colours([tmp_path / "photo.png"])[0]
    expected = [0.299 * 100 + 0.114 * 50, 100, 0, 50, 100, 0, 0]
    np.testing.assert_allclose(row, expected, atol=0.6)


def test_validation_and_not_test_chooses_how_regularised_the_regression_is():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 60)
    noise = generator.normal(size=(60, 40))
    informed = noise.copy()
    informed[:, 0] += 4 * labels
    regularised = fit_regression((noise, labels), (noise[::-1], labels), test=noise)
    free = fit_regression((informed, labels), (informed, labels), test=informed)
    assert regularised.inverse_strength < free.inverse_strength
    assert free.weights[0] > 0
    other = fit_regression((informed, labels), (informed, labels), test=-informed)
    assert other.inverse_strength == free.inverse_strength
    np.testing.assert_allclose(free.probabilities.sum(axis=1), 1)


def test_class_weights_find_the_rarer_class():
    generator = np.random.default_rng(1)
    labels = (generator.random(400) < 0.15).astype(int)
    features = (labels + generator.normal(size=400))[:, None]
    halves = (features[:200], labels[:200]), (features[200:], labels[200:])
    share = {
        weighted: fit_regression(*halves, test=features, class_weights=weighted)
        .probabilities.argmax(axis=1)
        .mean()
        for weighted in (True, False)
    }
    assert share[True] > 2 * share[False]


def test_one_strength_needs_no_validation_photos_and_several_do():
    random = np.random.default_rng(3)
    features = random.normal(size=(40, 3))
    labels = (features[:, 0] + random.normal(size=40) > 0).astype(np.int64)
    fit = fit_regression((features, labels), test=features, inverse_strengths=(0.1,))
    chosen = fit_regression(
        (features, labels), (features, labels), test=features, inverse_strengths=(0.1,)
    )
    np.testing.assert_array_equal(fit.probabilities, chosen.probabilities)
    assert (fit.inverse_strength, fit.note) == (0.1, "C = 0.1")
    with pytest.raises(ValueError, match=r"expected one C .* Received: \(0\.1, 1\)"):
        fit_regression((features, labels), test=features, inverse_strengths=(0.1, 1))
    with pytest.raises(ValueError, match="converged in 1 steps"):
        fit_regression((features, labels), test=features, inverse_strengths=(10.0,), max_steps=1)


def test_a_class_without_a_training_photo_is_named():
    features, labels = np.zeros((4, 1)), np.zeros(4, dtype=int)
    with pytest.raises(ValueError, match="none of label 1"):
        fit_regression((features, labels), (features, labels), test=features)


def make_baseline(name, labels, shift):
    generator = np.random.default_rng(len(name))
    score = 1 / (1 + np.exp(-(generator.normal(size=len(labels)) + shift * (2 * labels - 1))))
    evaluation = make_evaluation(labels, np.stack([1 - score, score], axis=1))
    return Baseline(name, name, evaluation)


def compare(labels, **shifts):
    baselines = tuple(make_baseline(name, labels, shift) for name, shift in shifts.items())
    return BaselineComparison(Path("logs"), baselines, {}, compare_baselines(baselines))


def test_the_network_is_compared_with_the_better_baseline_of_light_and_faces_with_the_one_below():
    baselines = compare(
        np.arange(120) % 2, brightness=0, colours=0.5, network=1.5, face_features=0, fine_tuned=0.1
    )
    assert [each.names for each in baselines.comparisons] == [
        ("colours", "network"),
        ("network", "face_features"),
        ("face_features", "fine_tuned"),
    ]
    verdict = baselines.describe_verdict()
    assert "Network: its area lies +" in verdict
    assert "has learned more than light and colour" in verdict
    assert "from that of network: worse." in verdict
    assert "from that of face_features: not shown to be better." in verdict


def test_a_network_that_knows_the_light_alone_is_not_said_to_know_more():
    verdict = compare(np.arange(120) % 2, brightness=1, network=1).describe_verdict()
    assert "light is shown to tell the classes apart" in verdict
    assert "not shown to have learned more than light and colour" in verdict


def test_too_few_photos_of_a_class_are_not_compared():
    baselines = compare(np.array([0] * 60 + [1] * 9), brightness=0, network=2)
    assert baselines.comparisons == ()
    assert "nothing can be concluded" in baselines.describe_verdict()


def test_the_estimate_is_a_start_and_all_epochs_of_each_network(photos, monkeypatch):
    monkeypatch.setattr(training, "time_training", lambda *_, photos, **__: (2.0, 0.5 * photos))
    monkeypatch.setattr(training, "_time_each", lambda *_: 0.01)
    settings = Settings(batch_size=10, epochs=3)
    count, epoch = len(photos), 0.5 * len(photos.part("train"))

    def estimate(*baselines, detector=None):
        return estimate_seconds(photos, settings, baselines=baselines, detector=detector)

    assert estimate("majority") == 0
    assert estimate("majority", "pixels") == pytest.approx(0.01 * count)
    assert estimate("network") == pytest.approx(0.01 * count + 2 + 3 * epoch)
    both = estimate("network", "fine_tuned", detector=NoFaces())
    assert both == pytest.approx(0.02 * count + 2 * (2 + 3 * epoch))
    assert describe_seconds(45.2) == "about 45 seconds"


def test_the_steps_of_every_stage_are_timed(monkeypatch):
    timed = []

    def time_calls(tasks):
        for task in tasks:
            task()
        timed.append(len(tasks))
        return 1000.0, 0.1

    monkeypatch.setattr(learners, "time_calls", time_calls)
    settings = Settings(image_size=(48, 48), batch_size=10, epochs=3)
    sizes = {"photos": 25, "validation_photos": 12}
    start, epoch = learners.time_training(settings, ("Sad", "Happy"), **sizes)
    assert epoch == pytest.approx(3 * 0.1 + 2 * 0.1)
    assert start // 1000 == len(timed) == 2
    face = replace(settings, network="face", crop="face")
    start, epoch = learners.time_training(face, ("Sad", "Happy"), **sizes)
    assert epoch == pytest.approx(3 * 0.1 + 2 * 0.1)
    assert start // 1000 == 4
    assert timed == [4] * 6


def test_the_first_call_is_timed_apart_where_there_are_more(monkeypatch):
    clock = iter([10.0, 15.0, 16.0, 19.0, 20.0, 27.0])
    monkeypatch.setattr(learners.time, "perf_counter", lambda: next(clock))
    assert learners.time_calls([lambda: None] * 3) == (5, 2)
    assert learners.time_calls([lambda: None]) == (7, 7)


def test_a_run_whose_photos_are_gone_says_so(run, tmp_path, photos):
    folder = shutil.copytree(run[1].run.folder, tmp_path / "run")
    replace(photos, root=str(tmp_path / "gone")).save(folder / "split.json")
    with pytest.raises(FileNotFoundError, match="and are not there"):
        train_baselines(run=folder)


def test_every_baseline_has_a_place():
    assert {*result.FACE_BASELINES, *result.LIGHT_BASELINES} < set(BASELINE_NAMES)
