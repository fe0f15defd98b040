"""One training on several workers (machines), each with its part of every batch.

Keras 3's `fit` fails under `MultiWorkerMirroredStrategy` (keras-team/keras#20585), so the loop is
our own. Every worker has all photos and draws the same order; of each batch it takes every n-th
photo. Gradients and the statistics of batch normalisation are summed over the workers, so the
losses are those of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from emoclf.config import Settings
from emoclf.data.loading import (
    PhotoCache,
    WithoutFace,
    balanced_class_weights,
    cache_for,
    make_dataset,
    take_order,
)
from emoclf.display import Displayed, count_noun
from emoclf.images.faces import FaceDetector
from emoclf.models import build_network, synchronise_normalisation
from emoclf.models.model_file import save_model
from emoclf.photos import Photos
from emoclf.run import Run
from emoclf.runtime import make_tf_config, set_seeds
from emoclf.storage import check_kind, parse_json, refuse_another
from emoclf.training.fitting import compile_model, make_learning_rate
from emoclf.training.locking import hold_run
from emoclf.training.run_folder import start_run
from emoclf.training.state import (
    STATE_FOLDER_NAME,
    MadeFrom,
    load_state,
    restore_model,
    save_state,
    take_state,
)
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    import tensorflow as tf


class WorkerLostError(RuntimeError):
    """Another worker has stopped; the message says how to go on."""


@dataclass(frozen=True)
class MultiWorkerResult(Displayed):
    """What a training on several workers came to.

    Attributes:
        history: `loss`, `val_loss` and `val_accuracy`, one float per epoch each.
        workers: How many workers took part.
        is_chief: Whether this worker is the first, which alone writes files.
    """

    history: dict[str, list[float]]
    workers: int
    is_chief: bool

    def blocks(self) -> Iterable[str]:
        """Say how many workers trained for how long, and with which result."""
        loss, accuracy = (self.history[name][-1] for name in ("val_loss", "val_accuracy"))
        epochs = count_noun(len(self.history["loss"]), "epoch")
        yield (
            f"{self.workers} workers, {epochs}: validation loss "
            f"{loss:.3f}, accuracy {accuracy:.1%}."
        )


def join_workers() -> tf.distribute.Strategy:
    """Meet the workers that `TF_CONFIG` names, else stay alone; before TensorFlow does any work."""
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def train_on_cluster(
    photos: Photos,
    settings: Settings | None = None,
    *,
    addresses: Sequence[str],
    index: int,
    name: str,
    logs: str | Path = "logs",
    detector: FaceDetector | None = None,
    without_face: WithoutFace = "leave_out",
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> MultiWorkerResult:
    """Train the network of the settings on several workers, which all call this.

    Every worker has the photos at the same place, and sees the folder of runs, which is on a
    shared disk. Called again after a worker was lost, all go on after the last whole epoch. Call
    it before anything else uses TensorFlow.

    Args:
        photos: Which photos.
        settings: What to train and how; a pretrained network is for one worker.
        addresses: `host:port` of every worker, in the same order everywhere.
        index: Which of them this worker is, from 0; the first writes the files.
        name: Name of the run.
        logs: The folder that holds all runs.
        detector: As for `train`, like all that follows.
        without_face: What becomes of a photo without a face.
        say: Called with a line of progress now and then.
        progress: Whether decoding shows a progress bar.

    Returns:
        The history, the same on every worker.

    Raises:
        ValueError: If the settings do not fit; for the rest see `train_on_workers`.
    """
    settings = settings or Settings()
    settings.check_for_workers()
    os.environ["TF_CONFIG"] = make_tf_config(addresses, index)
    say(f"Worker {index} of {len(addresses)} waits for the others: {', '.join(addresses)}")
    strategy = join_workers()
    cache = cache_for(
        settings, photos, logs=logs, detector=detector, without_face=without_face, progress=progress
    )
    say(str(cache))
    run = Run(Path(logs) / name)
    if index == 0:
        found_by = cache.faces.detector if cache.faces else None
        start_run(settings, cache.photos, logs=logs, name=name, resume=True, detector=found_by)
    say(f"run folder: {show_text(run.folder)}")

    def build() -> keras.Model:
        set_seeds(settings.seed)
        return build_network(settings, photos.class_names)

    return train_on_workers(build, cache, settings=settings, run=run, strategy=strategy, say=say)


def train_on_workers(
    build: Callable[[], keras.Model],
    cache: PhotoCache,
    *,
    settings: Settings,
    run: Run,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], Any] = lambda _: None,
) -> MultiWorkerResult:
    """Train a network on several workers; every worker calls it with the same arguments.

    The first worker, the chief, keeps the state after every epoch and the finished model. When a
    worker is lost the others end with an error; started again, all go on after the last whole
    epoch. For that the run folder is on a disk that all of them see.

    Args:
        build: Makes the network, the same on every worker: seed it.
        cache: All photos, in the same order on every worker.
        settings: Epochs, batch size (of all workers together), learning rate, class weights, seed.
        run: The run, made beforehand.
        strategy: From `join_workers`.
        say: Called with a line per epoch.

    Raises:
        WorkerLostError: If another worker stops.
        ResumeRefusedError: If the run folder holds the state of another training.
        RunInUseError: If another training writes the run folder.
        ValueError: If a batch is smaller than the number of workers.
    """
    with hold_run(run.folder) if _is_chief() else nullcontext():
        return _train(build, cache, settings=settings, run=run, strategy=strategy, say=say)


def _train(
    build: Callable[[], keras.Model],
    cache: PhotoCache,
    *,
    settings: Settings,
    run: Run,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], Any],
) -> MultiWorkerResult:
    count, size = strategy.num_replicas_in_sync, settings.batch_size
    if size < count:
        raise ValueError(f"batch_size={size} should be at least the {count} workers.")
    order = take_order(cache, "train", seed=settings.seed)
    steps = -(-len(cache.photos.find_part("train")) // size)
    rate = make_learning_rate(steps, epochs=settings.epochs, learning_rate=settings.learning_rate)
    with strategy.scope():
        model = compile_model(synchronise_normalisation(build()), learning_rate=rate)
        model.optimizer.build(model.trainable_variables)
    facts = {"photos": order.fingerprint, "settings": json.dumps(settings.to_dict())}
    folder = run.folder / STATE_FOLDER_NAME
    saved, _ = load_state(folder, kind=MadeFrom)
    history: dict[str, list[float]] = {}
    if saved is not None:
        refuse_another(saved.facts["made_from"], facts, run.folder)
        restore_model(model, saved, folder, run=run)
        history = saved.facts["history"]
    learn = _make_step(model, strategy, _find_weights(cache, settings))
    validation = make_dataset(cache, "validation", batch_size=size)
    for epoch in range(saved.epoch if saved else 0, settings.epochs):
        order.epoch = epoch
        batches = _cut(order.begin_epoch(), size, count)
        losses = [learn(cache.images[indices], labels) for indices, labels in batches]
        row = {"loss": float(np.mean(losses)), **_validate(model, validation)}
        for name, value in row.items():
            history.setdefault(name, []).append(value)
        if _is_chief():
            save_state(folder, take_state(model, epoch + 1, made_from=facts, history=history))
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items())
        say(f"epoch {epoch + 1} of {settings.epochs}: {numbers}")
    if _is_chief():
        save_model(model, run.model_file, info=run.info)
    return MultiWorkerResult(history, count, _is_chief())


def _is_chief() -> bool:
    """Say whether this worker is the first of those that `TF_CONFIG` names, or alone."""
    content = (os.environ.get("TF_CONFIG") or "{}").encode("utf-8", "surrogateescape")
    what = "the workers of a training"
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


def _cut(
    epoch: tuple[np.ndarray, np.ndarray], batch_size: int, workers: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut an epoch into batches; a last one that is too small for all workers joins another."""
    indices, labels = epoch
    starts = list(range(0, len(indices), batch_size))
    if len(starts) > 1 and len(indices) - starts[-1] < workers:
        starts.pop()
    ends = [*starts[1:], len(indices)]
    return [
        (indices[start:end], labels[start:end]) for start, end in zip(starts, ends, strict=True)
    ]


def _make_step(
    model: keras.Model, strategy: tf.distribute.Strategy, weights: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return a function that learns from one batch of all workers and returns its loss."""
    import tensorflow as tf

    def learn(photos: tf.Tensor, labels: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, model(photos, training=True)
            )
            loss = tf.reduce_sum(losses * tf.gather(weights, labels)) / total
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [each.value for each in variables])
        model.optimizer.apply(gradients, variables)  # sums the gradients of all workers
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
                "Another worker of this training has stopped or cannot be reached. See what it "
                "says, then start all workers again: they go on after the last whole epoch."
            ) from error

    return step


def _validate(model: keras.Model, validation: tf.data.Dataset) -> dict[str, float]:
    """Evaluate all validation photos on this worker; all workers have the same weights."""
    losses, hits = [], []
    for photos, labels in validation:
        probabilities = model(photos, training=False)
        losses.append(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
        hits.append(np.argmax(probabilities, axis=1) == labels.numpy())
    return {
        "val_loss": float(np.mean(np.concatenate([np.asarray(each) for each in losses]))),
        "val_accuracy": float(np.mean(np.concatenate(hits))),
    }
