"""Half precision while training, where a GPU gains from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from emoclf.runtime import Hardware


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
