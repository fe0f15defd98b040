"""Compile, callbacks, fit, and the folder that keeps everything of a run.

`classifier` goes from photos to a trained network, on one device or all GPUs, `multi_worker` on
several workers. `fitting` compiles and fits in one or more stages, `callbacks` watches over it,
`run_folder` begins, copies and finishes the run. `state` and `resuming` let a stopped training go
on, `locking` keeps two processes from writing one run, `lr_range_test` suggests a learning rate.
`joint` and `regression` need no Keras: a name of Keras' kind is looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emoclf.runtime import require_part

if TYPE_CHECKING:
    from emoclf.training.callbacks import CopyRun, make_callbacks
    from emoclf.training.classifier import use_devices, use_precision
    from emoclf.training.fitting import (
        Stage,
        compile_model,
        make_learning_rate,
        plan_stages,
        train_model,
    )
    from emoclf.training.joint import train_joint
    from emoclf.training.locking import RunInUseError, check_run_is_free, hold_run
    from emoclf.training.lr_range_test import LearningRateCurve, find_learning_rate
    from emoclf.training.multi_worker import train_on_cluster
    from emoclf.training.resuming import KeepState
    from emoclf.training.run_folder import (
        TrainingResult,
        copy_run,
        finish_run,
        save_evaluation,
        start_run,
    )
    from emoclf.training.training import train

_WITHOUT_KERAS: dict[str, tuple[str, ...]] = {
    "joint": ("train_joint",),
    "locking": ("RunInUseError", "check_run_is_free", "hold_run"),
    "run_folder": ("TrainingResult", "copy_run", "finish_run", "save_evaluation", "start_run"),
    "training": ("train",),
}
_WITH_KERAS: dict[str, tuple[str, ...]] = {
    "callbacks": ("CopyRun", "make_callbacks"),
    "classifier": ("use_devices", "use_precision"),
    "fitting": ("Stage", "compile_model", "make_learning_rate", "plan_stages", "train_model"),
    "lr_range_test": ("LearningRateCurve", "find_learning_rate"),
    "multi_worker": ("train_on_cluster",),
    "resuming": ("KeepState",),
}

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
    "train_joint",
    "train_model",
    "train_on_cluster",
    "use_devices",
    "use_precision",
]


def __getattr__(name: str) -> Any:
    """Load the module of a name, and Keras if it needs it, on first use (PEP 562)."""
    for modules in (_WITHOUT_KERAS, _WITH_KERAS):
        for module, names in modules.items():
            if name in names:
                if modules is _WITH_KERAS:
                    require_part("keras")
                return getattr(importlib.import_module(f"emoclf.training.{module}"), name)
    raise AttributeError(f"module 'emoclf.training' has no attribute {name!r}")
