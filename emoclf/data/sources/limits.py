"""How much a data set may hold at most."""

from __future__ import annotations

from dataclasses import dataclass

from emoclf.storage.zips import ArchiveRefusedError

_GIB = 1 << 30


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold at most.

    Attributes:
        entries: Files and folders.
        bytes: All files together, unpacked.
        file_bytes: One file, unpacked.
        ratio: How many times larger than the archive all files together may be, once they are
            above 64 MiB. Photos are compressed already: a large ratio is a bomb.
    """

    entries: int = 200_000
    bytes: int = 20 * _GIB
    file_bytes: int = _GIB
    ratio: float = 100.0

    def check_total(self, size: int, archive_bytes: int) -> None:
        """Refuse a total that is too large.

        Args:
            size: Bytes of all files together, unpacked.
            archive_bytes: Size of the archive.

        Raises:
            ArchiveRefusedError: If it is beyond a limit.
        """
        if size > self.bytes:
            raise ArchiveRefusedError(f"unpacked it has more than {self.bytes:,} bytes")
        if size > max(_GIB >> 4, self.ratio * archive_bytes):
            raise ArchiveRefusedError(
                f"unpacked it is more than {self.ratio:.0f} times as large: no archive of photos is"
            )
