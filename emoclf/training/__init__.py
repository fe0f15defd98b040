"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`classifier` goes from photos to a trained network; `fitting` compiles and fits in one or more
stages, `callbacks` watches over it, `run_folder` keeps what comes of it. `state` and `resuming` let
a stopped training go on, `locking` keeps two processes from writing one run, `copying` keeps a
second copy of it. `devices` and `multi_worker` share the work, `lr_range_test` suggests a learning
rate.
"""

from emoclf.storage import ResumeRefusedError
from emoclf.training.callbacks import BestCheckpoint, EMAWeights, HistoryFile, make_callbacks
from emoclf.training.copying import CopyRun, copy_run, fetch_run
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.devices import Devices, choose_precision, use_devices, use_precision
from emoclf.training.fitting import (
    Stage,
    compile_model,
    make_learning_rate,
    plan_stages,
    train_model,
)
from emoclf.training.locking import RunInUseError, check_run_is_free, hold_run
from emoclf.training.lr_range_test import LearningRateCurve, find_learning_rate
from emoclf.training.multi_worker import MultiWorkerResult, WorkerLostError
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import (
    TrainingResult,
    finish_run,
    save_evaluation,
    start_run,
)

__all__ = [
    "OVERFITTING_GAP",
    "BestCheckpoint",
    "CopyRun",
    "Devices",
    "EMAWeights",
    "HistoryFile",
    "KeepState",
    "LearningRateCurve",
    "MultiWorkerResult",
    "ResumeRefusedError",
    "RunInUseError",
    "Stage",
    "TrainingResult",
    "WorkerLostError",
    "check_run_is_free",
    "choose_precision",
    "compile_model",
    "copy_run",
    "describe_history",
    "fetch_run",
    "find_learning_rate",
    "finish_run",
    "hold_run",
    "make_callbacks",
    "make_learning_rate",
    "plan_stages",
    "save_evaluation",
    "start_run",
    "train_model",
    "use_devices",
    "use_precision",
]
