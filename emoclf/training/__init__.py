"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`train_model` does in one call what the lesson does in visible steps: it compiles, makes the
callbacks, fits and finishes the run folder with the functions of this package. `fitting` compiles
and fits, `stages` does so for a network that knows something already, `callbacks` watches over
it, `averaging` averages the weights, `run_folder` keeps what comes of it, `curves` reads it.
`state` and `resuming` let a stopped training go on, `copying` keeps a second copy of a run,
`devices` and `machines` share the work. `rate_finder` suggests a learning rate, `precision` halves
the numbers on GPUs that gain from it.
"""

from emoclf.artefacts import CHECKPOINT_FILE_NAME
from emoclf.training.averaging import AveragedWeights
from emoclf.training.callbacks import (
    BestCheckpoint,
    HistoryFile,
    make_callbacks,
)
from emoclf.training.copying import CopyRun, copy_run, fetch_run
from emoclf.training.curves import OVERFITTING_GAP, describe_history
from emoclf.training.devices import Devices, use_devices
from emoclf.training.fitting import compile_model, make_learning_rate, train_model
from emoclf.training.machines import MachineLostError, MachinesResult
from emoclf.training.precision import choose_precision, use_precision
from emoclf.training.rate_finder import LearningRateCurve, find_learning_rate
from emoclf.training.resuming import KeepState
from emoclf.training.run_folder import TrainingResult, finish_run, save_evaluation, start_run
from emoclf.training.stages import Stage, describe_stage, plan_stages, train_in_stages
from emoclf.training.state import ResumeRefusedError

__all__ = [
    "CHECKPOINT_FILE_NAME",
    "OVERFITTING_GAP",
    "AveragedWeights",
    "BestCheckpoint",
    "CopyRun",
    "Devices",
    "HistoryFile",
    "KeepState",
    "LearningRateCurve",
    "MachineLostError",
    "MachinesResult",
    "ResumeRefusedError",
    "Stage",
    "TrainingResult",
    "choose_precision",
    "compile_model",
    "copy_run",
    "describe_history",
    "describe_stage",
    "fetch_run",
    "find_learning_rate",
    "finish_run",
    "make_callbacks",
    "make_learning_rate",
    "plan_stages",
    "save_evaluation",
    "start_run",
    "train_in_stages",
    "train_model",
    "use_devices",
    "use_precision",
]
