"""The result of everything that makes a folder of photos: drawing, staging, unpacking, fetching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emoclf.display import Displayed, Table
from emoclf.untrusted import show_text

if TYPE_CHECKING:
    from emoclf.data.synthetic.flaws import PlantedFlaw

DRAWN_FACES = "drawn faces"
"""Source of the photos that emoclf has drawn."""

_NAMED_FILES = 3


@dataclass(frozen=True)
class PhotoFolder(Displayed):
    """A folder of photos that is there now: found, drawn, copied, unpacked or fetched.

    Attributes:
        folder: Holds the class folders.
        source: Where the photos come from: a path, a link, or `DRAWN_FACES`.
        notes: How it came to be, in sentences.
        files: How many files there are; None where nobody counted.
        bytes: Their size together; 0 where nobody counted.
        sha256: Of all paths and contents together, in hexadecimal digits, after staging.
        counts: Photos by class, such as `"Happy"`, and by published part, as in
            `"Happy/Training"`.
        left_out: What was not taken, each with the reason.
        was_there: Whether all of it had been there before, and nothing was written now.
        gone: Files that were put there and have been moved or deleted since.
        planted_flaws: What is wrong with drawn faces on purpose.
    """

    folder: Path
    source: str
    notes: tuple[str, ...] = ()
    files: int | None = None
    bytes: int = 0
    sha256: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    was_there: bool = False
    gone: tuple[str, ...] = ()
    planted_flaws: tuple[PlantedFlaw, ...] = ()

    @property
    def is_drawn(self) -> bool:
        """Whether it holds drawn faces."""
        return self.source == DRAWN_FACES

    def blocks(self) -> Iterable[str | Table]:
        """Return how it came to be, how much there is, and what is missing."""
        yield from self.notes
        if self.files is not None:
            size = f", {self.bytes / 2**20:,.1f} MiB" if self.bytes else ""
            verb = "staged and verified" if self.sha256 else "written"
            state = "were staged before" if self.sha256 and self.was_there else verb
            yield f"{self.files:,} files{size}, {state}: {show_text(self.folder)}"
        if self.sha256:
            yield f"SHA-256 of all of them: {self.sha256}"
        if self.counts:
            yield Table(("class", "photos"), list(self.counts.items()))
        if self.planted_flaws:
            yield f"{len(self.planted_flaws):,} flaws were planted to be found."
        if self.gone:
            yield f"{len(self.gone):,} of them were moved or deleted here since."
        if self.left_out:
            named = ", ".join(f"{n!r} ({why})" for n, why in self.left_out[:_NAMED_FILES])
            more = ", ..." if len(self.left_out) > _NAMED_FILES else ""
            yield f"{len(self.left_out):,} files left out: {named}{more}"
