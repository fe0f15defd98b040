"""A training that may be stopped at any moment and goes on as if it had not been.

Keras' own `BackupAndRestore` forgets the patience and the best epoch of early stopping, the
history, the learning rate's last cut and the random state, and deletes its folder. Here everything
that decides about the rest of a training is kept, so that the end is the same to the bit on a CPU.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from emoclf.data.loading import find_order
from emoclf.run import Run
from emoclf.storage import refuse_another
from emoclf.training.locking import release_run, take_run
from emoclf.training.state import (
    STATE_FOLDER_NAME,
    MadeFrom,
    SavedState,
    find_newest_state,
    list_shapes,
    load_state,
    make_changed,
    name_state,
    restore_model,
    save_state,
    take_state,
)

if TYPE_CHECKING:
    import tensorflow as tf

_COUNTERS: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}
"""What Keras' callbacks remember from epoch to epoch, beside the best weights."""


class _Facts(MadeFrom):
    """What the state of a training with callbacks tells."""

    is_complete: bool
    counters: dict[str, dict[str, bool | int | float | str | None]]
    python_random: tuple[int, tuple[int, ...], float | None]
    numpy_random: tuple[str, int, int, float]


class KeepState(keras.callbacks.Callback):
    """Keep the whole state of a training after every epoch, and go on from it.

    Put it last in the list of callbacks, and give `initial_epoch` to `fit`:

        keep = KeepState(run, train, callbacks=callbacks)
        model.fit(train, initial_epoch=keep.initial_epoch, callbacks=[*callbacks, keep], ...)

    What is kept: weights and random seeds of all layers, the optimizer's variables, the counters
    and best weights of early stopping and plateau cuts, the history, Python's and NumPy's random
    state. The order of the photos needs no keeping: `make_dataset` draws it from seed and epoch.
    A callback of your own may have `get_state()`, which returns a dictionary of numbers, texts and
    lists of arrays, and `set_state(state)`. If it writes files, its `settle()` is called when the
    training begins, after `set_state` where there is a state: to make them what that state says.

    While it trains, no other process may write the run (`take_run`).

    Args:
        run: The run; the states go to `state/` in its folder.
        train: The batches that are learned from, from `make_dataset(shuffle=True)`.
        callbacks: The callbacks whose counters are kept.
        facts: What else decides about the training, such as its settings; a training with other
            facts refuses to go on.
        part: Name of a part of a training that has several, each with a state of its own.

    Attributes:
        notes: Sentences about states that were damaged.

    Raises:
        ResumeRefusedError: If the saved state is of other photos or other facts.
        ValueError: If all saved states are damaged.
    """

    def __init__(
        self,
        run: Run,
        train: tf.data.Dataset,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        facts: Mapping[str, Any] | None = None,
        part: str = "",
    ) -> None:
        """Look for a saved state; nothing is restored yet."""
        super().__init__()
        self._run = run
        self.folder = run.folder / STATE_FOLDER_NAME / part
        self._order = find_order(train)
        self._callbacks = list(callbacks)
        described = {**(facts or {}), "photos": getattr(self._order, "fingerprint", None)}
        self._facts = json.loads(json.dumps(described))  # as it will be read again
        self._saved, self.notes = load_state(self.folder, kind=_Facts)
        self._history: dict[str, list[float]] = {}
        if self._saved is not None:
            refuse_another(self._saved.facts["made_from"], self._facts, run.folder)

    @property
    def epochs_done(self) -> int:
        """How many epochs are done; 0 at the beginning."""
        return self._saved.epoch if self._saved else 0

    @property
    def initial_epoch(self) -> int:
        """Where `fit` begins: behind all epochs when the training had ended."""
        return sys.maxsize if self.is_complete else self.epochs_done

    @property
    def is_complete(self) -> bool:
        """Whether the saved training had come to its end."""
        return bool(self._saved and self._saved.facts["is_complete"])

    def __str__(self) -> str:
        """Say in a sentence where the training goes on."""
        if not self.epochs_done:
            return "No earlier state: the training starts with epoch 1."
        end = "The training had ended." if self.is_complete else "The training goes on from there."
        done = "1 epoch is" if self.epochs_done == 1 else f"{self.epochs_done} epochs are"
        return " ".join([*self.notes, f"{done} done. {end}"])

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Take the run, and restore the saved state."""
        take_run(self._run.folder)
        if self._saved is not None:
            self._restore(self._saved)
        newest = self._run.folder / STATE_FOLDER_NAME / find_newest_state(self._run)
        if self._saved is None or newest.parent == self.folder:  # else a later part decides
            for callback in self._callbacks:
                if hasattr(callback, "settle"):
                    callback.settle()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Let others have the run."""
        release_run(self._run.folder)

    def _restore(self, saved: SavedState) -> None:
        restore_model(self.model, saved, self.folder, run=self._run)
        try:
            for number, callback in enumerate(self._callbacks):
                _restore_callback(callback, number, saved)
            _restore_random_state(saved)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise make_changed(name_state(self.folder, saved.epoch), error) from error
        self._history = {name: list(each) for name, each in saved.facts["history"].items()}
        self.model.history.history = {name: list(each) for name, each in self._history.items()}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Choose the order of this epoch."""
        if self._order is not None:
            self._order.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state, once all other callbacks have had the epoch."""
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(float(value))
        state = take_state(self.model, epoch + 1, made_from=self._facts, history=self._history)
        is_last = epoch + 1 >= self.params["epochs"]
        state.facts["is_complete"] = bool(self.model.stop_training or is_last)
        state.facts["counters"] = {
            str(number): _keep_callback(callback, number, state.arrays)
            for number, callback in enumerate(self._callbacks)
        }
        _keep_random_state(state)
        save_state(self.folder, state)


def keeps_state(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback remembers something that `KeepState` keeps."""
    return _speaks_for_itself(callback) or isinstance(callback, tuple(_COUNTERS))


def _speaks_for_itself(callback: keras.callbacks.Callback) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _list_counters(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in _COUNTERS.items() if isinstance(callback, kind)), ())


def _keep_callback(
    callback: keras.callbacks.Callback, number: int, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return the numbers that a callback remembers; its lists of arrays join the arrays."""
    counters = {}
    for name, value in _get_state(callback).items():
        if isinstance(value, list):
            for position, each in enumerate(value):
                arrays[f"callback/{number}/{name}/{position:04}"] = np.asarray(each)
        else:
            counters[name] = value
    return counters


def _get_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    if _speaks_for_itself(callback):
        return callback.get_state()
    state = {name: _to_number(getattr(callback, name)) for name in _list_counters(callback)}
    best_weights = getattr(callback, "best_weights", None)
    return state if best_weights is None else {**state, "best_weights": list(best_weights)}


def _to_number(value: Any) -> float | int | None:
    """Return what JSON can hold, to the last digit."""
    return value if value is None or isinstance(value, int) else float(value)


def _restore_callback(callback: keras.callbacks.Callback, number: int, saved: SavedState) -> None:
    state = dict(saved.facts["counters"].get(str(number), {}))
    prefix = f"callback/{number}/"
    for key in sorted(key for key in saved.arrays if key.startswith(prefix)):
        state.setdefault(key.split("/")[2], []).append(saved.arrays[key])
    if _speaks_for_itself(callback):
        callback.set_state(state)
        return
    for name, value in state.items():
        if name == "best_weights" and isinstance(value, list):
            if list_shapes(value) != list_shapes(callback.model.get_weights()):
                raise ValueError("the best weights are not of the shapes of the network's")
        elif name not in _list_counters(callback) or not _fits(value, getattr(callback, name)):
            raise ValueError(f"{name} is {value!r:.100}")
        setattr(callback, name, value)


def _fits(value: Any, present: Any) -> bool:
    """Return whether a value may take the place of a counter, or of the best loss so far."""
    is_count = isinstance(present, int) and not isinstance(present, bool)
    return isinstance(value, int) if is_count else value is None or isinstance(value, (int, float))


def _keep_random_state(state: SavedState) -> None:
    version, numbers, gauss = random.getstate()
    state.facts["python_random"] = [version, list(numbers), gauss]
    name, keys, *rest = cast("tuple[Any, ...]", np.random.get_state())
    state.facts["numpy_random"] = [name, *rest]
    state.arrays["numpy_random"] = keys


def _restore_random_state(saved: SavedState) -> None:
    version, numbers, gauss = saved.facts["python_random"]
    random.setstate((version, tuple(numbers), gauss))
    name, *rest = saved.facts["numpy_random"]
    np.random.set_state((name, saved.arrays["numpy_random"], *rest))
