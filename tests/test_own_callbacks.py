"""Callbacks of one's own run besides ours, in every way to train, and are kept like ours."""

import keras
import pytest

import emoclf
from emoclf.config import Settings
from emoclf.data.loading import make_dataset
from emoclf.models import build_cnn
from emoclf.runtime import set_seeds
from emoclf.storage import ResumeRefusedError
from emoclf.training import Stage, start_run, train_model

SIZE = (32, 48)
EPOCHS = 4


class StoppedError(Exception):
    """What stands for a process that ends."""


class Recorder(keras.callbacks.Callback):
    """Remember every validation loss, as text, and stop before the state of an epoch is kept."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.stop_after, self.seen = stop_after, ""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.stop_after:
            raise StoppedError
        self.seen += f"{epoch}: {logs['val_loss']}\n"

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state["seen"]


class Logger(keras.callbacks.Callback):
    """Remembers nothing from one call to the next, as loggers do."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.epochs.append(epoch)


def train_whole(*args, **options):
    return train_model(*args, **options)


def train_staged(*args, **options):
    stages = (Stage("head", 2, 2e-3), Stage("all", 2, 1e-4))
    return train_model(*args, stages=stages, **options)


def train(train_it, photos, cache, logs, *callbacks):
    settings = Settings(image_size=SIZE, epochs=EPOCHS, batch_size=16)
    run = start_run(settings, photos, logs=logs, name="run", resume=True)
    set_seeds(settings.seed)
    return train_it(
        build_cnn(SIZE, filters=(4, 4)),
        make_dataset(cache, "train", batch_size=16, shuffle=True),
        validation=make_dataset(cache, "validation", batch_size=16),
        run=run,
        callbacks=callbacks,
        verbose=0,
    )


def write_seen(history):
    return "".join(f"{epoch}: {loss}\n" for epoch, loss in enumerate(history["val_loss"]))


@pytest.mark.parametrize("train_it", [train_whole, train_staged])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_what_a_callback_remembers_goes_on_with_the_training(
    photos, cache, tmp_path, train_it, stop_after
):
    whole = Recorder()
    expected = train(train_it, photos, cache, tmp_path / "whole", whole)
    assert whole.seen == write_seen(expected.history)
    assert len(expected.history["val_loss"]) == EPOCHS
    with pytest.raises(StoppedError):
        train(train_it, photos, cache, tmp_path / "cut", Logger(), Recorder(stop_after))
    again, logger = Recorder(), Logger()
    found = train(train_it, photos, cache, tmp_path / "cut", again, logger, Logger())
    assert (again.seen, found.history) == (whole.seen, expected.history)
    assert logger.epochs == list(range(stop_after, EPOCHS))


def test_another_callback_that_remembers_is_another_training(photos, cache, tmp_path):
    with pytest.raises(StoppedError):
        train(train_whole, photos, cache, tmp_path, Recorder(1))
    with pytest.raises(ResumeRefusedError, match=r"callbacks that remember was \['Recorder'\]"):
        train(train_whole, photos, cache, tmp_path, Logger())


@pytest.mark.parametrize("network", ["small", "face"])
def test_one_call_takes_them_too(photos, tmp_path, network):
    settings = Settings(network=network, image_size=(48, 48), epochs=2, augment=False)
    recorder = Recorder()
    result = emoclf.train(photos, settings, logs=tmp_path, callbacks=[recorder])
    assert recorder.seen == write_seen(result.history)


def test_a_callback_may_end_the_training(photos, cache, tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            self.model.stop_training = epoch == 1

    for _ in range(2):  # the second call finds it ended
        result = train(train_whole, photos, cache, tmp_path, Enough())
        assert len(result.history["loss"]) == 2
