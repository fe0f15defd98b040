"""One training on all GPUs of a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from emoclf.config import Devices


@contextmanager
def use_devices(devices: Devices = "one", *, names: Sequence[str] | None = None) -> Iterator[int]:
    """Build, compile and train on one device or on several, each with its share of every batch.

    Gradients are averaged over the devices (`tf.distribute.MirroredStrategy`). Let batch
    normalisation see all of the batch with `models.synchronise_normalisation`, and give a batch
    that is large enough to be shared.

    Args:
        devices: `"one"`, or `"all"` for every GPU.
        names: TensorFlow's names of the devices instead, such as `["CPU:0", "CPU:1"]`.

    Yields:
        How many devices take part.

    Raises:
        ValueError: If `devices` is unknown.
    """
    import tensorflow as tf

    if devices not in get_args(Devices):
        raise ValueError(f"devices={devices!r} should be one of {get_args(Devices)}.")
    if names is None and devices == "all":
        names = [each.name.split(":", 2)[2] for each in tf.config.list_logical_devices("GPU")]
    if not names or len(names) < 2:
        yield 1
        return
    strategy = tf.distribute.MirroredStrategy(
        list(names),
        # NCCL is for GPUs.
        cross_device_ops=None if "GPU" in names[0] else tf.distribute.HierarchicalCopyAllReduce(),
    )
    with strategy.scope():
        yield strategy.num_replicas_in_sync
