"""Files of a network for other programs: the formats, writing them, loading them again."""

from emoclf.models.formats.loading import load_export
from emoclf.models.formats.writers import (
    FORMATS,
    MAX_ACCURACY_LOSS,
    MAX_DIFFERENCE,
    ExportFormat,
    FormatUnavailableError,
    choose_formats,
    find_unavailable,
    write_export,
)

__all__ = [
    "FORMATS",
    "MAX_ACCURACY_LOSS",
    "MAX_DIFFERENCE",
    "ExportFormat",
    "FormatUnavailableError",
    "choose_formats",
    "find_unavailable",
    "load_export",
    "write_export",
]
