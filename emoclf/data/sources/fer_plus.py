"""The votes of FER+, fetched from their authors and checked."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import IO

from emoclf.data.sources.fer2013 import VOTE_COLUMNS
from emoclf.data.sources.registry import FER2013_PARTS, FER_PLUS_ADDRESS
from emoclf.storage import replacing
from emoclf.storage.tables import open_table
from emoclf.untrusted import show_text

VOTES_NAME = "fer2013new.csv"

_MAX_BYTES = 16 << 20
_TIMEOUT_SECONDS = 30
_PIECE_BYTES = 1 << 16
_LOCAL_HOSTS = ("127.0.0.1", "localhost")


def fetch_fer_plus_votes(folder: str | Path, *, address: str = FER_PLUS_ADDRESS) -> Path:
    """Download the votes of FER+ once.

    Args:
        folder: Where `fer2013new.csv` goes.
        address: Where it is.

    Returns:
        The file. One that is there is checked and not fetched again.

    Raises:
        OSError: If it cannot be fetched.
        ValueError: If what is there, or what came, is not FER+; what came is not kept then.
    """
    target = Path(folder) / VOTES_NAME
    if target.exists():
        check_votes_file(target)
        return target
    with replacing(target) as temporary:
        with temporary.open("xb") as file:
            _download(address, file)
        check_votes_file(temporary)
    return target


def check_votes_file(path: str | Path) -> None:
    """Compare the rows of a file of votes with FER2013's: as many, in the same parts.

    Args:
        path: `fer2013new.csv`.

    Raises:
        ValueError: If it is not FER+.
    """
    expected = {usage: sum(counts.values()) for usage, counts in FER2013_PARTS.items()}
    with open_table(path, what=f"FER+'s {VOTES_NAME}", max_bytes=_MAX_BYTES) as rows:
        next(rows, None)
        received = Counter(
            row[0][:20] if len(row) == len(VOTE_COLUMNS) + 2 else "rows of another form"
            for _, row in rows
        )
    if received != expected:
        raise ValueError(
            f"{show_text(path)} is not FER+'s {VOTES_NAME}: expected rows {expected}, received "
            f"{dict(received.most_common(4))}. Delete it and fetch it again."
        )


def _download(address: str, file: IO[bytes]) -> None:
    """Write what is at an address, up to a size that is far above the votes'."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOCAL_HOSTS:
        raise ValueError(f"{show_text(address)} should be an address that begins with https://")
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response:
            size, announced = 0, response.headers.get("Content-Length")
            while piece := response.read(_PIECE_BYTES):
                size += len(piece)
                if size > _MAX_BYTES:
                    raise OSError(f"more than {_MAX_BYTES:,} bytes came")
                file.write(piece)
        if announced is not None and announced.strip() != str(size):
            raise OSError(f"{size:,} of {announced} bytes came")
    except OSError as error:
        raise OSError(
            f"{show_text(address)} could not be fetched "
            f"({show_text(getattr(error, 'reason', None) or error)}). Check "
            f"the connection, or open the address in a browser and save it as {VOTES_NAME}."
        ) from error
