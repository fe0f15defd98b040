"""Files of a network for other programs: the formats, writing them, loading them again."""

from emoclf.models.formats.formats import (
    FORMATS,
    MAX_ACCURACY_LOSS,
    MAX_DIFFERENCE,
    ExportFormat,
    FormatUnavailableError,
    find_unavailable,
)
from emoclf.models.formats.loading import ExportedNetwork, load_export

__all__ = [
    "FORMATS",
    "MAX_ACCURACY_LOSS",
    "MAX_DIFFERENCE",
    "ExportFormat",
    "ExportedNetwork",
    "FormatUnavailableError",
    "find_unavailable",
    "load_export",
]
