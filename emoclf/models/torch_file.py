"""Tensors out of a file that PyTorch wrote, without PyTorch and without running what it says.

Such a file is a pickle, and a pickle may call any function of Python. Here it may name what tensors
are made of, and nothing else.
"""

from __future__ import annotations

import collections
import io
import math
from pickle import Unpickler
from typing import Any, NamedTuple

import numpy as np

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_DTYPES = {"torch.FloatStorage": "<f4", "torch.LongStorage": "<i8"}


class TensorsRefusedError(ValueError):
    """Say what in a file of tensors is not read."""


class _View(NamedTuple):
    """A tensor: where it lies in a row of numbers, which stands behind the pickle."""

    dtype: str
    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _TensorUnpickler(Unpickler):
    """Reads what PyTorch makes tensors of, and ordered dictionaries."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what stands for a name; nothing that a pickle could change for the next one."""
        name = f"{module_name}.{global_name}"
        if name == "collections.OrderedDict":
            return collections.OrderedDict
        if name == "torch._utils._rebuild_tensor_v2":
            return lambda row, offset, shape, strides, *_: _View(
                row[0], row[1], offset, shape, strides
            )
        if name in _DTYPES:
            return _DTYPES[name]
        raise TensorsRefusedError(f"it asks for {name!r:.80}, which is no part of a tensor")

    def persistent_load(self, pid: Any) -> tuple[Any, Any]:
        """Return the type and the key of a row of numbers."""
        return pid[1], pid[2]


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Read the tensors of a `state_dict` that PyTorch before 1.6 saved.

    Args:
        content: The whole file.

    Returns:
        Name to array, float32 or int64, of the tensor's shape.

    Raises:
        TensorsRefusedError: If it holds or asks for anything but tensors, or is damaged.
    """
    try:
        return _read_tensors(io.BytesIO(content))
    except TensorsRefusedError:
        raise
    except Exception as error:  # a damaged pickle raises whatever it stumbles over
        raise TensorsRefusedError(
            f"it is damaged or no file of PyTorch's ({error!r:.200})"
        ) from error


def _read_tensors(file: io.BytesIO) -> dict[str, np.ndarray]:
    begin = [_TensorUnpickler(file).load() for _ in range(3)]
    if begin[:2] != [_MAGIC_NUMBER, _PROTOCOL_VERSION] or not begin[2].get("little_endian"):
        raise TensorsRefusedError("it is no file of PyTorch's older format")
    views, keys = _TensorUnpickler(file).load(), _TensorUnpickler(file).load()
    if not all(
        isinstance(each, _View) and each.dtype in _DTYPES.values() for each in views.values()
    ):
        raise TensorsRefusedError("it holds something else than tensors")
    dtypes = {view.key: np.dtype(view.dtype) for view in views.values()}
    rows = {key: _read_row(file, dtypes[key]) for key in keys}
    return {name: _take(rows[view.key], view) for name, view in views.items()}


def _read_row(file: io.BytesIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _take(row: np.ndarray, view: _View) -> np.ndarray:
    steps = [(count - 1) * step for count, step in zip(view.shape, view.strides, strict=True)]
    is_within = view.offset + sum(steps) < len(row) and math.prod(view.shape) <= len(row)
    if not is_within or min(view.offset, *view.shape, *view.strides, 0) < 0:
        raise TensorsRefusedError("a tensor reaches beyond its numbers")
    strides = [step * row.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(row[view.offset :], view.shape, strides).copy()
