"""A training in stages that is stopped goes on, in whichever stage it was."""

import keras
import numpy as np
import pytest

from emoclf.config import Settings
from emoclf.data.loading import make_dataset
from emoclf.models import build_cnn
from emoclf.runtime import set_seeds
from emoclf.training import Stage, callbacks, start_run, train_model

STAGES = (Stage("head", 2, 2e-3), Stage("all", 2, 1e-4))
SIZE = (32, 48)


class StoppedError(Exception):
    """What stands for a process that ends."""


class StopAfter(keras.callbacks.Callback):
    """Stop in the first batch after so many epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs, self.epoch = epochs, 0

    def on_epoch_begin(self, epoch, *_, **__):
        self.epoch = epoch

    def on_train_batch_end(self, *_, **__):
        if self.epoch == self.epochs:
            raise StoppedError


def train(photos, cache, logs, said=None):
    settings = Settings(image_size=SIZE, epochs=4, batch_size=16, ema_momentum=0.9)
    run = start_run(settings, photos, logs=logs, name="run", resume=True)
    set_seeds(settings.seed)
    result = train_model(
        build_cnn(SIZE, filters=(4, 4)),
        make_dataset(cache, "train", batch_size=16, shuffle=True),
        validation=make_dataset(cache, "validation", batch_size=16),
        run=run,
        stages=STAGES,
        say=(said if said is not None else []).append,
        verbose=0,
    )
    with (run.folder / "history.csv").open() as file:
        return result.history, file.read(), keras.models.load_model(run.model_file)


@pytest.mark.parametrize("epochs", [1, 3])
def test_stopped_in_either_stage_the_end_is_the_same(photos, cache, epochs, tmp_path, monkeypatch):
    expected = train(photos, cache, tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(StoppedError):
        make = callbacks.make_callbacks
        patched.setattr(
            "emoclf.training.fitting.make_callbacks",
            lambda *args, **options: [*make(*args, **options), StopAfter(epochs)],
        )
        train(photos, cache, tmp_path / "stopped")
    said = []
    found = train(photos, cache, tmp_path / "stopped", said)
    assert any("goes on from there" in line for line in said)
    assert found[:2] == expected[:2]
    for one, other in zip(found[2].get_weights(), expected[2].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    again = train(photos, cache, tmp_path / "stopped")
    assert again[:2] == expected[:2]
