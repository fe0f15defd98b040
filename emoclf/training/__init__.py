"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this package. `fitting` compiles
and fits, `stages` says what learns when, `callbacks` watches over it, `ema` averages the
weights, `run_folder` keeps what comes of it, `curves` reads it.
`state` and `resuming` let a stopped training go on, `locking` keeps two processes from writing one
run, `copying` keeps a second copy of a run, `event_files` writes for TensorBoard, `devices` and
`machines` share the work. `rate_finder` suggests a learning rate, `precision` halves the numbers on
GPUs that gain from it.
"""

from emoclf.storage import ResumeRefusedError, refuse_another
from emoclf.training.callbacks import (
    BestCheckpoint,
    HistoryFile,
    make_callbacks,
)
from emoclf.training.copying import CopyRun, copy_run, fetch_run
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.devices import Devices, use_devices
from emoclf.training.ema import EMAWeights
from emoclf.training.fitting import (
    compile_model,
    make_learning_rate,
    train_model,
)
from emoclf.training.locking import RunInUseError, check_run_is_free, hold_run
from emoclf.training.lr_range_test import LearningRateCurve, find_learning_rate
from emoclf.training.multi_worker import MultiWorkerResult, WorkerLostError
from emoclf.training.precision import choose_precision, use_precision
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import (
    TrainingResult,
    finish_run,
    save_evaluation,
    start_run,
)
from emoclf.training.stages import Stage, choose_stages, describe_stage, plan_stages

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
    "choose_stages",
    "compile_model",
    "copy_run",
    "describe_history",
    "describe_stage",
    "fetch_run",
    "find_learning_rate",
    "finish_run",
    "hold_run",
    "make_callbacks",
    "make_learning_rate",
    "plan_stages",
    "refuse_another",
    "save_evaluation",
    "start_run",
    "train_model",
    "use_devices",
    "use_precision",
]
