"""A folder of photos to a trained and tested classifier: the lesson's steps, in three calls.

Nothing here is new. Each function puts together the steps that the lesson shows one by one, for
the command line and for programs that need no lesson: `training` splits and trains, `testing` asks
the network about photos with known classes.
"""

from emoclf.pipeline.testing import PhotoTest, evaluate_folder, evaluate_run
from emoclf.pipeline.training import (
    split_report,
    train_classifier,
    train_on_cluster,
)

__all__ = [
    "PhotoTest",
    "evaluate_folder",
    "evaluate_run",
    "split_report",
    "train_classifier",
    "train_on_cluster",
]
