"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this package. `fitting` compiles
and fits, `stages` does so for a network that knows something already, `callbacks` watches over
it, `run_folder` keeps what comes of it, `curves` reads it. `rate_finder` suggests a learning rate,
`precision` halves the numbers on GPUs that gain from it.
"""

from emoclf.training.callbacks import (
    CHECKPOINT_FILE_NAME,
    BestCheckpoint,
    HistoryFile,
    make_callbacks,
)
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.fitting import compile_model, make_learning_rate, train_model
from emoclf.training.precision import choose_precision, use_precision
from emoclf.training.rate_finder import LearningRateCurve, find_learning_rate
from emoclf.training.run_folder import TrainingResult, finish_run, save_evaluation, start_run
from emoclf.training.stages import Stage, describe_stage, plan_stages, train_in_stages

__all__ = [
    "CHECKPOINT_FILE_NAME",
    "OVERFITTING_GAP",
    "BestCheckpoint",
    "HistoryFile",
    "LearningRateCurve",
    "Stage",
    "TrainingResult",
    "choose_precision",
    "compile_model",
    "describe_history",
    "describe_stage",
    "find_learning_rate",
    "finish_run",
    "make_callbacks",
    "make_learning_rate",
    "plan_stages",
    "save_evaluation",
    "start_run",
    "train_in_stages",
    "train_model",
    "use_precision",
]
