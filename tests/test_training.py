import csv
import json

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.loading import make_dataset
from emoclf.evaluation import Evaluation, evaluate_model
from emoclf.images import ModelInfo
from emoclf.images.faces import Face
from emoclf.models import build_cnn
from emoclf.models.model_file import load_info, load_model
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.training import (
    classifier,
    make_callbacks,
    save_evaluation,
    start_run,
    train,
    train_model,
)
from emoclf.training.callbacks import BestCheckpoint, HistoryFile
from emoclf.training.run_folder import TrainingResult


def test_a_run_folder_holds_everything_of_the_run(run, photos):
    _, result = run
    names = {entry.name for entry in result.run.folder.iterdir()}
    assert names >= {
        "settings.json",
        "split.json",
        "versions.json",
        "history.csv",
        "best.keras",
        "model.keras",
        "tensorboard",
    }
    assert result.run.photos == photos
    assert result.run.settings == Settings(image_size=(32, 48), epochs=2, batch_size=16)
    versions = json.loads((result.run.folder / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert list((result.run.folder / "tensorboard").rglob("events.*"))


def test_history_file_holds_what_fit_returned(run):
    _, result = run
    with (result.run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["val_loss"]) for row in rows] == result.history["val_loss"]
    assert result.best_epoch == 1 + int(np.argmin(result.history["val_loss"]))


def test_model_and_checkpoint_know_their_classes_and_size(run):
    _, result = run
    expected = ModelInfo(("Sad", "Happy"), (32, 48), "pad")
    assert load_info(result.run.model_file) == expected
    assert load_info(result.run.folder / "best.keras") == expected


def test_a_model_of_faces_knows_that_it_is_one(cache, photos, tmp_path):
    settings = Settings(image_size=(32, 48), epochs=1, crop="face")
    run = start_run(settings, photos, logs=tmp_path)
    train_model(
        build_cnn((32, 48), filters=(4, 4)),
        make_dataset(cache, "train"),
        validation=make_dataset(cache, "validation"),
        run=run,
        verbose=0,
    )
    assert json.loads((run.folder / "settings.json").read_text())["crop"] == "face"
    for name in ("model.keras", "best.keras"):
        assert load_info(run.folder / name) == ModelInfo(("Sad", "Happy"), (32, 48), "pad", "face")


@pytest.mark.parametrize("crop", ["none", "face"])
def test_a_run_says_which_detector_found_its_faces(photos, tmp_path, monkeypatch, crop):
    class OneFace:
        name = description = "A detector that knows."
        note = ""

        def find(self, image):
            del image
            return (Face((4.0, 4.0, 40.0, 40.0), 0.9),)

    monkeypatch.setattr(classifier, "train_model", lambda *_, run, **__: run)
    settings = Settings(image_size=(32, 48), network="small", crop=crop)
    run = train(photos, settings, logs=tmp_path, detector=OneFace())
    versions = json.loads((run.folder / "versions.json").read_text())
    assert versions.get("face detector") == (OneFace.name if crop == "face" else None)


def test_evaluation_is_kept_and_agrees_with_keras(run, cache):
    model, result = run
    dataset = make_dataset(cache, "test", batch_size=7)
    evaluation = evaluate_model(model, dataset, cache.photos.part("test"))
    path = save_evaluation(evaluation, result.run)
    numbers = json.loads(path.read_text())
    assert path.name == "metrics.json"
    assert numbers["accuracy"]["value"] == pytest.approx(model.evaluate(dataset, verbose=0)[1])
    assert (result.run.folder / "predictions.csv").is_file()
    unassigned = evaluation.photos.with_parts([""] * len(evaluation.photos))
    of_no_part = Evaluation(unassigned, evaluation.probabilities)
    assert save_evaluation(of_no_part, result.run, part="validation").name == (
        "validation_metrics.json"
    )


def test_early_stopping_gives_back_the_best_weights(cache, photos, tmp_path):
    """A learning rate far too large gets worse after its best epoch, and stops early."""
    settings = Settings(image_size=(32, 48), epochs=12, learning_rate=0.5, patience=2)
    run = start_run(settings, photos, logs=tmp_path)
    keras.utils.set_random_seed(0)
    model = build_cnn((32, 48), filters=(4, 4))
    validation = make_dataset(cache, "validation")
    result = train_model(
        model,
        make_dataset(cache, "train"),
        validation=validation,
        run=run,
        class_weights={0: 1.0, 1: 1.0},
        verbose=0,
    )
    assert len(result.history["loss"]) == min(12, result.best_epoch + 2)
    best, _ = load_model(run.folder / "best.keras")
    for kept, saved in zip(model.get_weights(), best.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, saved)
    assert model.evaluate(validation, verbose=0)[0] == pytest.approx(
        min(result.history["val_loss"]), rel=1e-4
    )


def test_a_collapsed_model_is_said(cache, photos, tmp_path):
    settings = Settings(image_size=(32, 48), epochs=1, learning_rate=1e-9)
    model = build_cnn((32, 48), filters=(4, 4))
    answer = model.get_layer("probabilities")
    answer.set_weights([np.zeros((4, 2)), np.array([0.0, 5.0])])
    result = train_model(
        model,
        make_dataset(cache, "train"),
        validation=make_dataset(cache, "validation"),
        run=start_run(settings, photos, logs=tmp_path),
        verbose=0,
    )
    assert "16 of 16 predictions are Happy" in result.collapse


def test_runs_never_share_a_folder(photos, tmp_path):
    runs = [start_run(Settings(), photos, logs=tmp_path, name="mine") for _ in range(3)]
    assert [run.folder.name for run in runs] == ["mine", "mine-2", "mine-3"]


def test_checkpoint_needs_a_validation_loss(tmp_path):
    callback = BestCheckpoint(tmp_path / "best.keras", ModelInfo())
    with pytest.raises(ValueError, match="validation_data"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_history_file_continues_an_existing_one(tmp_path):
    for epoch in range(2):
        HistoryFile(tmp_path / "history.csv").on_epoch_end(epoch, {"loss": 1.0 - epoch})
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss", "1,1.0", "2,0.0"]


def test_callbacks_stop_last_and_save_before(photos, tmp_path):
    run = Run(tmp_path)
    run.save(Settings(patience=6), photos)
    callbacks = make_callbacks(run, tensorboard=False)
    assert isinstance(callbacks[-1], keras.callbacks.EarlyStopping)
    assert callbacks[-1].restore_best_weights
    assert callbacks[-1].patience == 6
    assert any(isinstance(callback, BestCheckpoint) for callback in callbacks)


def read_curves(validated, trained, *, count, folder, losses=(0.5, 0.4, 0.3), first=0.6):
    """What is said of a training, with so many validation photos."""
    paths, parts = map(str, range(count + 1000)), ["validation"] * count + ["train"] * 1000
    photos = Photos.make(paths, np.arange(count + 1000) % 2, parts=parts)
    run = Run(folder)
    run.save(Settings(), photos)
    trained, validated = np.broadcast_arrays(np.atleast_1d(trained), np.atleast_1d(validated))
    epochs = len(losses)
    history = {
        "accuracy": [first, *np.resize(trained, epochs - 1).tolist()],
        "val_accuracy": [first, *np.resize(validated, epochs - 1).tolist()],
        "loss": np.linspace(0.6, 0.1, epochs).tolist(),
        "val_loss": list(losses),
    }
    assert "one class only" in str(TrainingResult(run, history, collapse="one class only"))
    return str(TrainingResult(run, history, collapse=None))


@pytest.mark.parametrize(
    ("validated", "trained", "count", "expected"),
    [
        (0.75, 0.99, 200, ["Epoch 3 of 3", "gap of 24 points (18 to", "more epochs may help"]),
        (0.75, 0.76, 1000, ["Epoch 3 of 3", "no sign of overfitting (n = 1,000)"]),
        (0.75, 0.84, 40, ["leads validation by 9 points", "n = 40", "do not tell whether"]),
        (0.75, 0.76, 40, ["n = 40", "do not tell whether"]),
        (0.47, 1.0, 15, ["too few to tell (n = 15)"]),
        (1.0, 0.99, 15, ["too few to tell (n = 15)"]),
        (0.2, 1.0, 5, ["too few to tell (n = 5)"]),
    ],
)
def test_curves_are_read_in_words_as_far_as_the_photos_allow(
    validated, trained, count, expected, tmp_path
):
    text = read_curves(validated, trained, count=count, folder=tmp_path)
    assert all(part in text for part in expected), text
    if "too few" in text or "do not tell" in text:
        assert "means overfitting" not in text
        assert "no sign" not in text


def test_one_epoch_decides_nothing_about_overfitting(tmp_path):
    """The best epoch's validation accuracy is a dip; those before and after it keep up."""
    losses = (0.7, 0.6, 0.5, 0.4, 0.3, 0.35, 0.35)
    dip = (0.9, 0.9, 0.9, 0.7, 0.9, 0.9)
    text = read_curves(dip, 0.91, count=1000, folder=tmp_path / "dip", losses=losses)
    assert "no sign of overfitting" in text
    text = read_curves(0.75, 0.99, count=1000, folder=tmp_path / "two", losses=(0.5, 0.4))
    assert "cannot be said after 2 epochs." in text
    assert "overfitting" not in text


@pytest.mark.parametrize(
    ("later", "is_rise"),
    [
        ((0.3, 0.31, 3.0, 0.31, 0.3), False),
        ((0.3, 0.31, 0.3, 3.0, 2.0), False),
        ((0.31, 0.33, 0.32, 0.33, 0.31), False),
        ((0.3, 0.4, 0.5, 0.6, 0.7), True),
        ((0.3, 9.0), False),
        ((3.0, 0.3, 3.0), False),
    ],
)
def test_a_rise_of_the_validation_loss_is_said_and_a_spike_is_not(later, is_rise, tmp_path):
    losses = (0.6, 0.4, 0.3, 0.29, 0.3, *later)
    text = read_curves(0.9, 0.91, count=1000, folder=tmp_path, losses=losses)
    assert text.startswith("Epoch 4 of")
    assert "no sign of overfitting" in text
    assert ("After epoch 4 the validation loss rises" in text) == is_rise
    assert ("trained longer, it overfits" in text) == is_rise


@pytest.mark.parametrize(("asked", "expected"), [(True, {0: 40 / 60, 1: 40 / 20}), (False, None)])
def test_settings_decide_about_class_weights(tmp_path, monkeypatch, asked, expected):
    """Thirty sad and ten happy training photos; what reaches fit is looked at, not trained."""
    paths, labels = [f"{number}.png" for number in range(40)], [0] * 30 + [1] * 10
    uneven = Photos.make(paths, labels, parts=["train"] * 40, root=tmp_path)
    settings = Settings(image_size=(32, 48), class_weights=asked)
    received = {}

    def fit(*_arguments, **keywords):
        received.update(keywords)
        raise InterruptedError

    model = build_cnn((32, 48), filters=(4, 4))
    monkeypatch.setattr(model, "fit", fit)
    with pytest.raises(InterruptedError):
        train_model(
            model,
            [None] * 3,
            validation=None,
            run=start_run(settings, uneven, logs=tmp_path),
        )
    assert received["class_weight"] == expected
