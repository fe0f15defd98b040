"""A trained network as a file for other programs, checked against the network itself.

`exports` does it all, `parity` finds photos and compares predictions on them; writing a format and
loading it again is `models.formats`.
"""

from emoclf.experiments.exporting.exports import ExportReport, export_model, export_network
from emoclf.experiments.exporting.parity import Parity, ParityPhotos, gather_photos

__all__ = [
    "ExportReport",
    "Parity",
    "ParityPhotos",
    "export_model",
    "export_network",
    "gather_photos",
]
