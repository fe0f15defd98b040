"""Averaged weights: what is evaluated, what early stopping keeps, and what is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


class EMAWeights(keras.callbacks.Callback):
    """Judge and save the average of the last weights instead of the last ones.

    The optimizer keeps an exponential moving average of the weights (Polyak and Juditsky, 1992):
    compile with `compile_model(ema_momentum=0.99)`. From each validation to the next epoch the
    network has the averaged weights, so that the validation numbers, the checkpoint of the best
    epoch, early stopping and the network that `fit` leaves behind all speak of the same weights;
    with Keras' own `SwapEMAWeights` the last of these is the raw ones.

    Put it first in the list of callbacks.
    """

    def __init__(self) -> None:
        """Nothing is averaged yet."""
        super().__init__()
        self._raw: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Refuse an optimizer that averages nothing."""
        self._raw = None
        if not getattr(self.model.optimizer, "use_ema", False):
            raise ValueError(
                "EMAWeights needs an optimizer that averages: compile the model with "
                "compile_model(model, ema_momentum=0.99), or with "
                "keras.optimizers.Adam(use_ema=True)."
            )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Learn on from the raw weights."""
        if self._raw is not None:
            for variable, value in zip(self.model.trainable_variables, self._raw, strict=True):
                variable.assign(value)
            self._raw = None

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Validate the averaged weights."""
        self._take_averages()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Leave the averaged weights to the callbacks that follow."""
        self._take_averages()

    def get_state(self) -> dict[str, Any]:
        """Return the raw weights, for `KeepState`."""
        return {} if self._raw is None else {"raw": self._raw}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `get_state` returned."""
        raw = list(state["raw"]) if "raw" in state else None
        own = [(tuple(each.shape), each.dtype) for each in self.model.trainable_variables]
        if raw is not None and [(each.shape, each.dtype.name) for each in raw] != own:
            raise ValueError("the raw weights are not of the shapes of the network's")
        self._raw = raw

    def _take_averages(self) -> None:
        if self._raw is not None:
            return
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        self._raw = [keras.ops.convert_to_numpy(each).copy() for each in variables]
        optimizer.finalize_variable_values(variables)
