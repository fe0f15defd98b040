"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this package. `fitting` compiles
and fits, `callbacks` watches over it, `averaging` averages the weights, `run_folder` keeps what
comes of it, `curves` reads it. `state` and `resuming` let a stopped training go on, `copying` keeps
a second copy of a run.
"""

from emoclf.training.averaging import AveragedWeights
from emoclf.training.callbacks import (
    CHECKPOINT_FILE_NAME,
    BestCheckpoint,
    HistoryFile,
    make_callbacks,
)
from emoclf.training.copying import CopyRun, copy_run, fetch_run
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.fitting import compile_model, make_learning_rate, train_model
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import TrainingResult, finish_run, save_evaluation, start_run
from emoclf.training.state import ResumeRefusedError

__all__ = [
    "CHECKPOINT_FILE_NAME",
    "OVERFITTING_GAP",
    "AveragedWeights",
    "BestCheckpoint",
    "CopyRun",
    "HistoryFile",
    "KeepState",
    "ResumeRefusedError",
    "TrainingResult",
    "compile_model",
    "copy_run",
    "describe_history",
    "fetch_run",
    "finish_run",
    "make_callbacks",
    "make_learning_rate",
    "save_evaluation",
    "start_run",
    "train_model",
]
