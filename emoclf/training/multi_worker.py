"""One training on several machines, each with its share of every batch.

Keras 3's `fit` fails under `MultiWorkerMirroredStrategy` (keras-team/keras#20585), so the loop is
our own. Every machine has all photos and draws the same order; of each batch it takes every n-th
photo. Gradients and the statistics of batch normalisation are summed over the machines, so the
losses are those of one machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from emoclf.config import MODEL_FILE_NAME, Settings
from emoclf.data.loading import PhotoCache, balanced_class_weights, make_dataset, take_order
from emoclf.images import ModelInfo
from emoclf.models import synchronise_normalisation
from emoclf.models.model_file import save_model
from emoclf.storage import check_kind, parse_json, refuse_another
from emoclf.training.fitting import compile_model, make_learning_rate
from emoclf.training.locking import hold_run
from emoclf.training.resuming import MadeFrom, describe_network, name_variables, restore_variables
from emoclf.training.state import (
    STATE_FOLDER_NAME,
    SavedState,
    load_state,
    save_state,
)

if TYPE_CHECKING:
    import tensorflow as tf


class WorkerLostError(RuntimeError):
    """Another machine has stopped; the message says how to go on."""


@dataclass(frozen=True)
class MultiWorkerResult:
    """What a training on several machines came to.

    Attributes:
        history: `loss`, `val_loss` and `val_accuracy`, one float per epoch each.
        machines: How many machines took part.
        is_chief: Whether this machine is the first, which alone writes files.
    """

    history: dict[str, list[float]]
    machines: int
    is_chief: bool


def describe_cluster(addresses: Sequence[str], index: int) -> str:
    """Write down the machines of a training as TensorFlow reads it, for `TF_CONFIG`.

    Args:
        addresses: `host:port` of every machine, the same list on each of them; the first is the
            chief.
        index: Which of them this machine is, from 0.

    Returns:
        JSON.

    Raises:
        ValueError: If an address has no port, or there is no machine of this index.
    """
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"{address!r} should be host:port with a port of 1 to 65535, such as a.local:2222."
            )
    if not 0 <= index < len(addresses):
        raise ValueError(
            f"index={index} should be one of the {len(addresses)} machines, counted from 0."
        )
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    return json.dumps(cluster)


def join_workers() -> tf.distribute.Strategy:
    """Meet the other machines that `TF_CONFIG` names; without it, this machine is alone.

    Call it before anything else of TensorFlow runs.

    Returns:
        The strategy for `train_on_workers`.
    """
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def train_on_workers(
    build: Callable[[], keras.Model],
    cache: PhotoCache,
    *,
    settings: Settings,
    run_folder: str | Path,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], Any] = lambda _: None,
) -> MultiWorkerResult:
    """Train a network on several machines; every machine calls it with the same arguments.

    The first machine, the chief, keeps the state after every epoch and the finished model. When a
    machine is lost the others end with an error; started again, all go on after the last whole
    epoch. For that the run folder is on a disk that all machines see.

    Args:
        build: Makes the network, the same on every machine: seed it.
        cache: All photos, in the same order on every machine.
        settings: Epochs, batch size (of all machines together), learning rate, class weights, seed.
        run_folder: The run's folder, made beforehand.
        strategy: From `join_workers`.
        say: Called with a line per epoch.

    Returns:
        The history, the same on every machine.

    Raises:
        WorkerLostError: If another machine stops.
        ResumeRefusedError: If the run folder holds the state of another training.
        RunInUseError: If another training writes the run folder.
        ValueError: If a batch is smaller than the number of machines.
    """
    with hold_run(run_folder) if is_chief() else nullcontext():
        return _train(
            build, cache, settings=settings, run_folder=run_folder, strategy=strategy, say=say
        )


def _train(
    build: Callable[[], keras.Model],
    cache: PhotoCache,
    *,
    settings: Settings,
    run_folder: str | Path,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], Any],
) -> MultiWorkerResult:
    count = strategy.num_replicas_in_sync
    if settings.batch_size < count:
        raise ValueError(
            f"batch_size={settings.batch_size} should be at least the {count} machines."
        )
    order = take_order(cache, "train", seed=settings.seed)
    steps = -(-len(cache.photos.find_part("train")) // settings.batch_size)
    rate = make_learning_rate(steps, epochs=settings.epochs, learning_rate=settings.learning_rate)
    with strategy.scope():
        model = synchronise_normalisation(build())
        compile_model(model, learning_rate=rate)
        model.optimizer.build(model.trainable_variables)
    weights = _find_weights(cache, settings)
    facts = {"photos": order.fingerprint, "settings": json.dumps(settings.to_dict())}
    folder = Path(run_folder) / STATE_FOLDER_NAME
    epochs_done, history = _restore(model, folder, facts)
    learn = _make_step(model, strategy, weights)
    validation = make_dataset(cache, "validation", batch_size=settings.batch_size)
    for epoch in range(epochs_done, settings.epochs):
        order.epoch = epoch
        losses = [
            learn(cache.images[indices], labels)
            for indices, labels in _cut(order.begin_epoch(), settings.batch_size, count)
        ]
        row = {"loss": float(np.mean(losses)), **_validate(model, validation)}
        for name, value in row.items():
            history.setdefault(name, []).append(value)
        if is_chief():
            save_state(folder, _take_state(model, epoch + 1, facts, history))
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items())
        say(f"epoch {epoch + 1} of {settings.epochs}: {numbers}")
    if is_chief():
        info = ModelInfo(
            cache.photos.class_names, settings.image_size, settings.resize_mode, settings.crop
        )
        save_model(model, Path(run_folder) / MODEL_FILE_NAME, info=info)
    return MultiWorkerResult(history, count, is_chief())


def is_chief() -> bool:
    """Say whether this machine is the first of those that `TF_CONFIG` names, or alone."""
    content = (os.environ.get("TF_CONFIG") or "{}").encode("utf-8", "surrogateescape")
    what = "the machines of a training"
    value = parse_json(content, name="TF_CONFIG", what=what, kind=dict[str, Any])
    task = check_kind(value.get("task", {}), dict[str, Any], name="TF_CONFIG", what=what)
    return task.get("index", 0) == 0


def _find_weights(cache: PhotoCache, settings: Settings) -> np.ndarray:
    """Return the weight of each class, float32 `(classes,)`."""
    count = len(cache.photos.class_names)
    if not settings.class_weights:
        return np.ones(count, dtype=np.float32)
    weights = balanced_class_weights(cache.photos.part("train").labels, count)
    return np.array([weights[label] for label in range(count)], dtype=np.float32)


def _restore(
    model: keras.Model, folder: Path, facts: Mapping[str, Any]
) -> tuple[int, dict[str, list[float]]]:
    """Return how many epochs are done and their history, and give the model their weights."""
    saved, _ = load_state(folder, kind=MadeFrom)
    if saved is None:
        return 0, {}
    expected = {**facts, "network": describe_network(model)}
    before = {**saved.facts["made_from"], "network": saved.facts["network"]}
    refuse_another(before, expected, folder.parent)
    where = folder / f"epoch-{saved.epoch:05}.npz"
    restore_variables(model.variables, saved.arrays, "model", where=where)
    restore_variables(model.optimizer.variables, saved.arrays, "optimizer", where=where)
    return saved.epoch, saved.facts["history"]


def _take_state(
    model: keras.Model, epoch: int, facts: dict[str, Any], history: dict[str, list[float]]
) -> SavedState:
    return SavedState(
        epoch,
        {"made_from": facts, "network": describe_network(model), "history": history},
        name_variables(model.variables, "model")
        | name_variables(model.optimizer.variables, "optimizer"),
    )


def _cut(
    epoch: tuple[np.ndarray, np.ndarray], batch_size: int, machines: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut an epoch into batches; a last one that is too small for all machines joins another."""
    indices, labels = epoch
    starts = list(range(0, len(indices), batch_size))
    if len(starts) > 1 and len(indices) - starts[-1] < machines:
        starts.pop()
    ends = [*starts[1:], len(indices)]
    return [
        (indices[start:end], labels[start:end]) for start, end in zip(starts, ends, strict=True)
    ]


def _make_step(
    model: keras.Model, strategy: tf.distribute.Strategy, weights: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return a function that learns from one batch of all machines and returns its loss."""
    import tensorflow as tf

    def learn(photos: tf.Tensor, labels: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, model(photos, training=True)
            )
            loss = tf.reduce_sum(losses * tf.gather(weights, labels)) / total
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [each.value for each in variables])
        model.optimizer.apply(gradients, variables)  # sums the gradients of all machines
        return loss

    @tf.function(reduce_retracing=True)
    def learn_everywhere(photos: Any, labels: Any, total: tf.Tensor) -> tf.Tensor:
        losses = strategy.run(learn, args=(photos, labels, total))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def step(photos: np.ndarray, labels: np.ndarray) -> float:
        def share(values: np.ndarray) -> Any:
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(
                    values[context.replica_id_in_sync_group :: context.num_replicas_in_sync]
                )
            )

        total = tf.constant(len(labels), dtype=tf.float32)
        try:
            return float(learn_everywhere(share(photos), share(labels), total))
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise WorkerLostError(
                "Another machine of this training has stopped or cannot be reached. See what it "
                "says, then start all machines again: they go on after the last whole epoch."
            ) from error

    return step


def _validate(model: keras.Model, validation: tf.data.Dataset) -> dict[str, float]:
    """Look at all validation photos on this machine; all machines have the same weights."""
    losses, hits = [], []
    for photos, labels in validation:
        probabilities = model(photos, training=False)
        losses.append(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
        hits.append(np.argmax(probabilities, axis=1) == labels.numpy())
    return {
        "val_loss": float(np.mean(np.concatenate([np.asarray(each) for each in losses]))),
        "val_accuracy": float(np.mean(np.concatenate(hits))),
    }
