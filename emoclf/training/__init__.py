"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`classifier` goes from photos to a trained network, on one device or all GPUs, `multi_worker` on
several workers. `fitting` compiles and fits in one or more stages, `callbacks` watches over it,
`run_folder` begins, copies and finishes the run. `state` and `resuming` let a stopped training go
on, `locking` keeps two processes from writing one run, `lr_range_test` suggests a learning rate.
"""

from emoclf.runtime import require_part

require_part("keras")  # before a module loads it

from emoclf.training.callbacks import make_callbacks
from emoclf.training.classifier import train, use_devices, use_precision
from emoclf.training.fitting import (
    Stage,
    compile_model,
    make_learning_rate,
    plan_stages,
    train_model,
)
from emoclf.training.locking import RunInUseError, check_run_is_free, hold_run
from emoclf.training.lr_range_test import LearningRateCurve, find_learning_rate
from emoclf.training.multi_worker import train_on_cluster
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import (
    CopyRun,
    TrainingResult,
    copy_run,
    finish_run,
    save_evaluation,
    start_run,
)

__all__ = [
    "CopyRun",
    "KeepState",
    "LearningRateCurve",
    "RunInUseError",
    "Stage",
    "TrainingResult",
    "check_run_is_free",
    "compile_model",
    "copy_run",
    "find_learning_rate",
    "finish_run",
    "hold_run",
    "make_callbacks",
    "make_learning_rate",
    "plan_stages",
    "save_evaluation",
    "start_run",
    "train",
    "train_model",
    "train_on_cluster",
    "use_devices",
    "use_precision",
]
