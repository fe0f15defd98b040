"""A trained network as a file for other programs, checked against the network itself.

`photos` finds the photos of the run, `parity` compares, `exports` does it all; writing a format and
loading it again is `models.formats`.
"""

from emoclf.experiments.exporting.exports import (
    EXPORTS_FOLDER_NAME,
    PARITY_FILE_NAME,
    ExportReport,
    export_model,
    export_network,
)
from emoclf.experiments.exporting.parity import Parity, describe_parities
from emoclf.experiments.exporting.photos import ParityPhotos, gather_photos
from emoclf.models.formats import (
    FORMATS,
    MAX_ACCURACY_LOSS,
    MAX_DIFFERENCE,
    ExportedNetwork,
    ExportFormat,
    FormatUnavailableError,
    find_unavailable,
    load_export,
    write_onnx,
)

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
    "describe_parities",
    "export_model",
    "export_network",
    "find_unavailable",
    "gather_photos",
    "load_export",
    "write_onnx",
]
