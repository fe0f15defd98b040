"""Photos in a file on disk, read piece by piece and never mapped into memory.

A memory map counts as memory of the process as soon as it was read once, so a training on a large
set would seem to need, and on machines that count in this way be denied, as much as the file holds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import IO, BinaryIO, cast

import numpy as np

from emoclf.storage import open_regular
from emoclf.untrusted import show_text

_MADE_ANEW = "Delete it: it is made anew."


class StoredPhotos:
    """An array of photos in a `.npy` file, uint8 `(photos, height, width, 3)`.

    Args:
        path: The file; it may be moved away and replaced, but not changed.

    Attributes:
        path: As given.
        shape: The array's shape.
        dtype: uint8.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the header; no photo is read yet."""
        self.path, self.dtype = Path(path), np.dtype(np.uint8)
        with open_regular(self.path, what="decoded photos") as file:
            try:
                shape, dtype, is_column_first = read_array_header(file)
            except ValueError as error:
                raise ValueError(f"{show_text(path)} is damaged. {_MADE_ANEW}") from error
            self._start = file.tell()
            size = os.fstat(file.fileno()).st_size
        is_whole = size == self._start + math.prod(shape)
        if dtype != self.dtype or is_column_first or len(shape) != 4 or not is_whole:
            raise ValueError(
                f"{show_text(path)} should hold uint8 photos. Received: {dtype} of {shape}, in "
                f"{size:,} bytes. {_MADE_ANEW}"
            )
        self.shape: tuple[int, ...] = shape

    @classmethod
    def create(cls, path: str | Path, shape: tuple[int, ...]) -> StoredPhotos:
        """Make a file of zeros of shape `(photos, height, width, 3)`, to be filled."""
        with Path(path).open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + int(np.prod(shape, dtype=np.int64)))
        return cls(path)

    @property
    def nbytes(self) -> int:
        """Bytes of all photos."""
        return int(np.prod(self.shape, dtype=np.int64))

    def first(self, count: int) -> StoredPhotos:
        """Return an array of the first `count` photos of the same file."""
        shorter = StoredPhotos(self.path)
        shorter.shape = (count, *self.shape[1:])
        return shorter

    def __len__(self) -> int:
        """Return the number of photos."""
        return self.shape[0]

    def __getitem__(self, chosen: int | slice | np.ndarray) -> np.ndarray:
        """Read one photo, or those of a slice, of positions or of a mask."""
        if isinstance(chosen, (int, np.integer)):
            return self[np.array([chosen])][0]
        positions = np.arange(len(self))[chosen]
        photos = np.empty((len(positions), *self.shape[1:]), dtype=np.uint8)
        with self.path.open("rb") as file:
            for photo, position in zip(photos, positions, strict=True):
                file.seek(self._start + int(position) * photo.nbytes)
                if file.readinto(photo.data) != photo.nbytes:
                    raise ValueError(f"{show_text(self.path)} is cut off. {_MADE_ANEW}")
        return photos

    def __setitem__(self, position: int, photo: np.ndarray) -> None:
        """Write one photo, `(height, width, 3)`."""
        content = np.ascontiguousarray(photo, dtype=np.uint8)
        if content.shape != self.shape[1:]:
            raise ValueError(f"Expected a photo of {self.shape[1:]}. Received: {content.shape}.")
        with self.path.open("rb+") as file:
            file.seek(self._start + int(np.arange(len(self))[position]) * content.nbytes)
            cast("BinaryIO", file).write(content.tobytes())

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield photo after photo."""
        return (self[position] for position in range(len(self)))

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Read all photos into memory."""
        return self[:].astype(dtype or self.dtype, copy=False)


def read_array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Read what a `.npy` file says of its array, before anything is made of that size.

    Leaves the file where the numbers begin. Returns shape, dtype, and whether it is in column
    order; raises ValueError if it is no such file, or holds Python objects.
    """
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, is_column_first, dtype = readers[np.lib.format.read_magic(file)](file)
    except (
        EOFError,
        KeyError,
        MemoryError,  # what Python's parser says of a header that is nested too deeply
        RecursionError,
        SyntaxError,
        TokenError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"no header of an array ({type(error).__name__})") from error
    is_size = all(type(each) is int and each >= 0 for each in shape)
    if dtype.hasobject or not is_size:
        raise ValueError("not an array of numbers")
    return shape, dtype, is_column_first
