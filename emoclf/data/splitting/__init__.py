"""Who is trained on, who chooses the epoch, who is tested; copies of a photo stay on one side.

`splits` draws the parts and keeps them, `reports` splits what a cleaning report has kept,
`published` takes FER2013's own parts, `folds` divides photos for a cross-validation.
"""

from emoclf.data.splitting.folds import Folds, make_folds
from emoclf.data.splitting.published import split_as_published
from emoclf.data.splitting.reports import split_report
from emoclf.data.splitting.splits import (
    SplitFile,
    SplitManifest,
    assign_groups,
    count_groups,
    find_small_splits,
    load_manifest,
    make_splits,
    save_manifest,
    verify_manifest,
)

__all__ = [
    "Folds",
    "SplitFile",
    "SplitManifest",
    "assign_groups",
    "count_groups",
    "find_small_splits",
    "load_manifest",
    "make_folds",
    "make_splits",
    "save_manifest",
    "split_as_published",
    "split_report",
    "verify_manifest",
]
