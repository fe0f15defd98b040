"""One training on all GPUs of a machine, in mixed precision where they gain from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import keras

from emoclf.runtime import Hardware

Devices = Literal["one", "all"]
"""Which devices learn: the first one, or all GPUs of this machine."""


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


def choose_precision(hardware: Hardware) -> str:
    """Choose the dtype policy that a network is best built under on this hardware.

    Nvidia's cards multiply half-precision numbers on cores of their own since compute capability
    7.0 (Volta; Colab's T4 has 7.5). Since 8.0 (Ampere) they know bfloat16, which has float32's
    range, so that small gradients do not vanish. Weights and the last layer stay float32
    (Micikevicius et al., 2018). Older cards and processors gain nothing, or lose.

    Args:
        hardware: From `find_hardware()`.

    Returns:
        `"mixed_bfloat16"` if every card has 8.0 or more, `"mixed_float16"` if every card has 7.0
        or more, else `"float32"`: without a card, too, or with one that does not tell.

    Example:
        >>> choose_precision(Hardware(2, ("Tesla T4",), 12.7, ((7, 5),)))
        'mixed_float16'
        >>> choose_precision(Hardware(2, (), 12.7))
        'float32'
    """
    known = hardware.compute_capabilities
    if not known or len(known) < len(hardware.gpu_names) or min(known) < (7, 0):
        return "float32"
    return "mixed_bfloat16" if min(known) >= (8, 0) else "mixed_float16"


@contextmanager
def use_precision(policy: str) -> Iterator[str]:
    """Build networks under a dtype policy, and restore the one before afterwards.

    A network keeps the policy that it was built under. `save_model` writes it as float32.

    Args:
        policy: A Keras dtype policy, such as `choose_precision(find_hardware())`.

    Yields:
        The policy.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)
