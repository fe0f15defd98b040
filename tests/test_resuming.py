"""No run is lost: stopped anywhere and started again, the end is the same to the bit."""

import json
import random
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.synthetic import make_drawn_faces
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.storage import ResumeRefusedError
from emoclf.training import KeepState, compile_model, start_run
from emoclf.training.callbacks import EMAWeights, HistoryFile
from emoclf.training.state import SavedState, list_states, load_state, save_state
from tests.calls import PATIENCE_SECONDS
from tests.conftest import REPOSITORY
from tests.resumed_training import build, collect, train

EPOCHS = 6


class StoppedError(Exception):
    """What stands for a process that ends."""


class StopAt(keras.callbacks.Callback):
    """Stop the training in the middle of an epoch, or before its state is kept."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, *_, **__):
        self.epoch = epoch

    def on_train_batch_end(self, batch, *_, **__):
        if (self.epoch, batch) == self.place:
            raise StoppedError

    def on_epoch_end(self, epoch, *_, **__):
        if (epoch, "end") == self.place:
            raise StoppedError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    make_drawn_faces(folder, photos_per_class=40, size=(48, 48), seed=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The training that nobody stopped."""
    model, history, _ = train(data, tmp_path_factory.mktemp("whole"), "run", epochs=EPOCHS)
    return collect(model, history)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    unlike = [name for name in expected if found[name].tobytes() != expected[name].tobytes()]
    assert unlike == []


def test_the_example_has_what_is_easily_forgotten(whole):
    """Early stopping ends it, and the rate was cut: else the tests below would show little."""
    assert 3 < len(whole["loss"]) < EPOCHS
    assert whole["learning_rate"][-1] < whole["learning_rate"][0]


@pytest.mark.parametrize(
    "places",
    [[(0, 1)], [(1, "end"), (3, 2)]],
    ids=str,
)
def test_stopped_and_started_again_the_end_is_the_same(data, whole, places, tmp_path):
    for place in places:
        with pytest.raises(StoppedError):
            train(data, tmp_path, "run", epochs=EPOCHS, extra=[StopAt(*place)])
    model, history, keep = train(data, tmp_path, "run", epochs=EPOCHS)
    assert keep.epochs_done == places[-1][0]
    assert_same(collect(model, history), whole)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [
        str(number) for number in range(1, len(whole["loss"]) + 1)
    ]


def test_an_ended_training_is_not_trained_on(data, whole, tmp_path):
    train(data, tmp_path, "run", epochs=EPOCHS)
    model, history, keep = train(data, tmp_path, "run", epochs=EPOCHS)
    assert keep.is_complete
    assert "had ended" in str(keep)
    assert_same(collect(model, history), whole)


def test_a_damaged_state_falls_back_to_the_one_before(data, whole, tmp_path):
    with pytest.raises(StoppedError):
        train(data, tmp_path, "run", epochs=EPOCHS, extra=[StopAt(3, 1)])
    newest, older = list_states(tmp_path / "run" / "state")
    with newest.open("rb+") as file:
        file.truncate(newest.stat().st_size // 2)
    model, history, keep = train(data, tmp_path, "run", epochs=EPOCHS)
    assert keep.epochs_done == 2
    assert newest.name in str(keep)
    assert older.name not in str(keep)
    assert_same(collect(model, history), whole)


@pytest.mark.parametrize("damage", ["cut off", "emptied", "one byte changed", "other file"])
def test_damage_is_noticed(damage, tmp_path):
    arrays = {"x": np.random.default_rng(0).normal(size=1000)}
    for epoch in (1, 2):
        newest = save_state(tmp_path, SavedState(epoch, {}, arrays))
    content = bytearray(newest.read_bytes())
    if damage == "one byte changed":
        content[len(content) // 2] ^= 1
    kept = {"cut off": content[: len(content) // 2], "emptied": b"", "other file": b"PK"}
    newest.write_bytes(kept.get(damage, content))
    state, notes = load_state(tmp_path)
    assert state.epoch == 1
    assert newest.name in notes[0]
    for path in list_states(tmp_path):
        path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="None of the states"):
        load_state(tmp_path)


# --- another training is refused ------------------------------------------------------------


def test_other_settings_are_refused_by_name(data, tmp_path):
    with pytest.raises(StoppedError):
        train(data, tmp_path, "run", epochs=EPOCHS, extra=[StopAt(1, 0)])
    with pytest.raises(ResumeRefusedError, match="epochs was 6 and is 7; patience was 3 and is 5"):
        train(data, tmp_path, "run", epochs=7, patience=5)


def test_other_photos_are_refused(data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    with pytest.raises(StoppedError):
        train(copy, tmp_path, "run", epochs=EPOCHS, extra=[StopAt(1, 0)])
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    trained = [each["path"] for each in split["rows"] if each["part"] == "train"]
    shutil.copy(copy / trained[0], copy / "kept aside.png")
    shutil.copy(copy / trained[1], copy / trained[0])
    with pytest.raises(ResumeRefusedError, match="photos"):
        train(copy, tmp_path, "run", epochs=EPOCHS)
    (copy / trained[0]).unlink()
    with pytest.raises(ResumeRefusedError, match="photos that were in the split"):
        train(copy, tmp_path, "run", epochs=EPOCHS)


def test_another_network_is_refused(cache, tmp_path):
    from emoclf.data.loading import make_dataset
    from emoclf.models import build_cnn

    batches = make_dataset(cache, "train", shuffle=True)
    for filters, refused in (((4, 4), False), ((4, 8), True)):
        model = compile_model(build_cnn((32, 48), filters=filters))
        keep = KeepState(Run(tmp_path), batches)
        if refused:
            with pytest.raises(ResumeRefusedError, match="network was"):
                model.fit(batches, epochs=2, callbacks=[keep], shuffle=False, verbose=0)
        else:
            model.fit(batches, epochs=1, callbacks=[keep], shuffle=False, verbose=0)


def test_train_model_refuses_other_settings_in_the_same_folder(photos, cache, tmp_path):
    from emoclf.data.loading import make_dataset
    from emoclf.models import build_cnn
    from emoclf.training import train_model

    run = start_run(Settings(image_size=(32, 48), epochs=1), photos, logs=tmp_path, name="a")
    batches = {
        "train": make_dataset(cache, "train", shuffle=True),
        "validation": make_dataset(cache, "validation"),
        "verbose": 0,
    }
    train_model(build_cnn((32, 48), filters=(4, 4)), run=run, **batches)
    run.save(Settings(image_size=(32, 48), epochs=2), photos)
    with pytest.raises(ResumeRefusedError, match="epochs was 1 and is 2"):
        train_model(build_cnn((32, 48), filters=(4, 4)), run=Run(run.folder), **batches)


def test_a_run_goes_on_by_its_name_only(photos, tmp_path):
    with pytest.raises(ValueError, match="name"):
        start_run(Settings(), photos, logs=tmp_path, resume=True)
    first = start_run(Settings(), photos, logs=tmp_path, name="a", resume=True)
    assert start_run(Settings(), photos, logs=tmp_path, name="a", resume=True) == first
    assert start_run(Settings(), photos, logs=tmp_path, name="a").folder.name == "a-2"


def test_a_run_that_was_killed_while_it_was_written_down_is_begun_again(
    photos, tmp_path, monkeypatch
):
    def be_killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Photos, "save", be_killed)
        for resume in (True, False):
            with pytest.raises(KeyboardInterrupt):
                start_run(Settings(), photos, logs=tmp_path, name="a", resume=resume)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
    for _ in range(2):
        assert (
            start_run(Settings(), photos, logs=tmp_path, name="a", resume=True).folder.name == "a"
        )


def test_a_folder_that_is_no_run_is_not_gone_on_with(photos, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"a is there already"):
        start_run(Settings(), photos, logs=tmp_path, name="a", resume=True)
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["mine.txt"]
    for name in ("", "../a"):
        with pytest.raises(ValueError, match="plain folder name"):
            start_run(Settings(), photos, logs=tmp_path, name=name, resume=True)


# --- the parts ------------------------------------------------------------------------------


def test_two_generations_are_kept_and_a_full_disk_leaves_them(tmp_path, monkeypatch):
    for epoch in (1, 2, 3):
        save_state(tmp_path, SavedState(epoch, {"a": epoch}, {"x": np.arange(epoch)}))
    assert [path.name for path in list_states(tmp_path)] == ["epoch-00003.npz", "epoch-00002.npz"]

    def fill(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill)
    with pytest.raises(OSError, match="No space left"):
        save_state(tmp_path, SavedState(4, {}, {}))
    state, notes = load_state(tmp_path)
    assert (state.epoch, state.facts, state.arrays["x"].tolist()) == (3, {"a": 3}, [0, 1, 2])
    assert notes == ()
    assert len(list(tmp_path.iterdir())) == 2


def test_no_state_is_no_state(tmp_path):
    assert load_state(tmp_path / "nowhere") == (None, ())


def test_pythons_and_numpys_random_numbers_go_on(data, tmp_path):
    class Draw(keras.callbacks.Callback):
        def on_epoch_end(self, *_, **__):
            drawn.append((random.random(), np.random.rand()))

    drawn = []
    train(data, tmp_path, "whole", epochs=3, extra=[Draw()])
    expected, drawn = drawn, []
    with pytest.raises(StoppedError):
        train(data, tmp_path, "run", epochs=3, extra=[Draw(), StopAt(1, 0)])
    train(data, tmp_path, "run", epochs=3, extra=[Draw()])
    assert drawn == expected


def test_the_order_of_an_epoch_is_decided_by_seed_and_epoch(cache):
    from emoclf.data.loading import find_order, make_dataset

    def read(dataset):
        return np.concatenate([labels.numpy() for _, labels in dataset])

    one, other = (make_dataset(cache, "train", shuffle=True, seed=5) for _ in range(2))
    epochs = [read(one).tolist() for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    find_order(other).epoch = 2
    assert read(other).tolist() == epochs[2]
    assert read(make_dataset(cache, "train", shuffle=True, seed=6)).tolist() != epochs[0]
    assert find_order(make_dataset(cache, "test")) is None


def test_the_history_file_forgets_epochs_that_come_again(tmp_path):
    file = HistoryFile(tmp_path / "history.csv")
    file.on_epoch_end(0, {"loss": 1 / 3})
    state, first = file.get_state(), file.path.read_bytes()
    file.on_epoch_end(1, {"loss": 2 / 3})
    HistoryFile(file.path).set_state(state)
    assert file.path.read_bytes() == first


# --- averaged weights -----------------------------------------------------------------------


def test_averaged_weights_are_judged_saved_and_left(photos, tmp_path):
    """What Keras' own callback leaves behind are the raw weights."""
    from emoclf.config import CHECKPOINT_FILE_NAME
    from emoclf.models.model_file import load_model
    from emoclf.training import make_callbacks

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, *_, **__):
            raw = np.asarray(self.model.trainable_variables[0])
            steps.append(raw.copy())

    steps = []
    model = compile_model(build(Settings(image_size=(32, 32))), ema_momentum=0.5)
    small = keras.Model(model.input, model.output)
    compile_model(small, ema_momentum=0.5)
    drawn, photos = (
        photos,
        np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8),
    )
    labels = np.arange(24) % 2
    run = Run(tmp_path)
    run.save(Settings(image_size=(32, 32), ema_momentum=0.5), drawn)
    callbacks = make_callbacks(run, tensorboard=False)
    assert isinstance(callbacks[0], EMAWeights)
    history = small.fit(
        photos,
        labels,
        validation_data=(photos, labels),
        batch_size=8,
        epochs=3,
        callbacks=[*callbacks, Look()],
        shuffle=False,
        verbose=0,
    ).history
    average = steps[0]
    averages = []
    for raw in steps:
        average = 0.5 * average + 0.5 * raw
        averages.append(average)
    ends = [averages[2], averages[5], averages[8]]
    best = int(np.argmin(history["val_loss"]))
    np.testing.assert_allclose(small.trainable_variables[0], ends[best], atol=1e-6)
    loss = small.evaluate(photos, labels, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(history["val_loss"][best], abs=1e-5)
    saved, _ = load_model(tmp_path / CHECKPOINT_FILE_NAME)
    np.testing.assert_array_equal(saved.trainable_variables[0], small.trainable_variables[0])


def test_ema_needs_an_optimizer_that_averages(cache):
    from emoclf.data.loading import make_dataset
    from emoclf.models import build_cnn

    model = compile_model(build_cnn((32, 48), filters=(4, 4)))
    with pytest.raises(ValueError, match="ema_momentum="):
        model.fit(make_dataset(cache, "train"), callbacks=[EMAWeights()], shuffle=False, verbose=0)


# --- killed ---------------------------------------------------------------------------------


def start_process(data, logs, name):
    command = [sys.executable, "-m", "tests.resumed_training", data, logs, name]
    return subprocess.Popen([*map(str, command), "--epochs", str(EPOCHS)], cwd=REPOSITORY)


def kill_and_start_again(data, logs, name, ready):
    process = start_process(data, logs, name)
    while process.poll() is None and not ready():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert start_process(data, logs, name).wait(timeout=PATIENCE_SECONDS) == 0
    with np.load(logs / f"{name}.npz") as file:
        return dict(file)


def test_killed_while_it_trains(data, whole, tmp_path):
    states = tmp_path / "run" / "state"
    found = kill_and_start_again(data, tmp_path, "run", lambda: len(list_states(states)) == 2)
    assert_same(found, whole)


@pytest.mark.slow
def test_killed_at_ten_random_moments(data, whole, tmp_path):
    begin = time.monotonic()
    assert start_process(data, tmp_path, "whole").wait() == 0
    seconds = time.monotonic() - begin
    moments = random.Random(7)
    for number in range(10):
        end = time.monotonic() + moments.uniform(0.3, 1.0) * seconds
        name = f"run{number}"
        found = kill_and_start_again(data, tmp_path, name, lambda end=end: time.monotonic() > end)
        assert_same(found, whole)
