"""A trained network as a file for other programs, checked against the network itself.

`exports` does it all, `parity` finds photos and compares predictions on them; writing a format and
loading it again is `models.formats`.
"""

from emoclf.experiments.exporting.exports import ExportReport, export_model

__all__ = ["ExportReport", "export_model"]
