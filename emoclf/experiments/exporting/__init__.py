"""A trained network as a file for other programs, checked against the network itself.

`exports` does it all, `parity` finds photos and compares predictions on them; writing a format and
loading it again is `models.formats`.
"""

from emoclf.experiments.exporting.exports import (
    EXPORTS_FOLDER_NAME,
    PARITY_FILE_NAME,
    ExportReport,
    export_model,
    export_network,
)
from emoclf.experiments.exporting.parity import Parity, ParityPhotos, gather_photos
from emoclf.models.formats.formats import (
    FORMATS,
    MAX_ACCURACY_LOSS,
    MAX_DIFFERENCE,
    ExportFormat,
    FormatUnavailableError,
    find_unavailable,
)
from emoclf.models.formats.loading import ExportedNetwork, load_export
from emoclf.models.formats.writers import write_onnx

__all__ = [
    "EXPORTS_FOLDER_NAME",
    "FORMATS",
    "MAX_ACCURACY_LOSS",
    "MAX_DIFFERENCE",
    "PARITY_FILE_NAME",
    "ExportFormat",
    "ExportReport",
    "ExportedNetwork",
    "FormatUnavailableError",
    "Parity",
    "ParityPhotos",
    "export_model",
    "export_network",
    "find_unavailable",
    "gather_photos",
    "load_export",
    "write_onnx",
]
