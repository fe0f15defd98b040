"""A file of weights (HDF5), looked through before Keras reads it."""

from __future__ import annotations

import math
from typing import IO, Any

from emoclf.untrusted import show_text

_MAX_RATIO = 4
_SPARE_BYTES = 2**20
_MAX_OBJECTS = 100_000


class WeightsRefusedError(ValueError):
    """Say what is wrong with a file of weights."""


def check_weights(file: IO[bytes]) -> None:
    """Refuse a file of weights that leads elsewhere, or claims to hold far more than it does.

    Args:
        file: An open HDF5 file.

    Raises:
        WeightsRefusedError: If it is damaged, links to other places, or is a bomb.
    """
    import h5py

    file_bytes = file.seek(0, 2)
    file.seek(0)
    try:
        with h5py.File(file, "r") as content:
            declared = _measure(content)
    except WeightsRefusedError:
        raise
    except Exception as error:  # of many types: what the library in C says
        raise WeightsRefusedError(f"its weights are damaged ({show_text(error)})") from error
    if declared > _MAX_RATIO * file_bytes + _SPARE_BYTES:
        raise WeightsRefusedError(
            f"its weights claim to have {declared:,} bytes in a file of {file_bytes:,}: a bomb"
        )


def _measure(content: Any) -> int:
    """Return how many bytes all arrays in an HDF5 file have, without reading one."""
    import h5py

    declared, seen, waiting = 0, {_find_address(content)}, [content]
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise WeightsRefusedError("its weights are links to other places")
            each = group[name]
            if _find_address(each) in seen or len(seen) > _MAX_OBJECTS:
                raise WeightsRefusedError("its weights lead in circles, or are far too many")
            seen.add(_find_address(each))
            if isinstance(each, h5py.Group):
                waiting.append(each)
            elif isinstance(each, h5py.Dataset):
                if each.external or each.is_virtual:
                    raise WeightsRefusedError("its weights lie in other files")
                declared += math.prod(each.shape or ()) * each.dtype.itemsize
    return declared


def _find_address(content: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(content.id).addr)
