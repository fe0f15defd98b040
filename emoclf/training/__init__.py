"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this package. `fitting` compiles
and fits, `callbacks` watches over it, `run_folder` keeps what comes of it, `curves` reads it.
"""

from emoclf.training.callbacks import (
    CHECKPOINT_FILE_NAME,
    BestCheckpoint,
    HistoryFile,
    make_callbacks,
)
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.fitting import compile_model, make_learning_rate, train_model
from emoclf.training.run_folder import TrainingResult, finish_run, save_evaluation, start_run

__all__ = [
    "CHECKPOINT_FILE_NAME",
    "OVERFITTING_GAP",
    "BestCheckpoint",
    "HistoryFile",
    "TrainingResult",
    "compile_model",
    "describe_history",
    "finish_run",
    "make_callbacks",
    "make_learning_rate",
    "save_evaluation",
    "start_run",
    "train_model",
]
