"""Happy or sad? Helpers to clean, split, learn, test and predict photos of two classes.

Here are the names of the main path; everything else is in its room:

    import emoclf
    from emoclf import plots

    source = emoclf.find_data("my photos")
    report = emoclf.find_problems(source.folder)
    print(report)
    plots.plot_problem_counts(report.count_by_kind(), rejects=report.reject_kinds)

Importing the package loads neither TensorFlow nor OpenCV nor matplotlib: a name is looked up in
its room when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from emoclf.config import CLASS_NAMES, Settings

__version__ = "0.10.0"

_MODULE_OF_NAME: dict[str, str] = {
    name: module
    for module, names in {
        "apps.lesson.exercises": ("check_exercise",),
        "data.cleaning": (
            "find_problems",
            "quarantine",
            "restore",
        ),
        "data.loading": (
            "cache_photos",
            "make_dataset",
        ),
        "data.sources": (
            "find_data",
            "stage_data",
        ),
        "data.splitting": ("split_photos",),
        "data.synthetic": ("make_drawn_faces",),
        "evaluation": (
            "evaluate_model",
            "Evaluation",
        ),
        "experiments.cross_validation": ("cross_validate",),
        "experiments.exporting": ("export_model",),
        "images": ("load_image",),
        "images.faces": (
            "crop_face",
            "find_faces",
            "make_detector",
        ),
        "inference": (
            "predict",
            "Predictor",
        ),
        "inference.explanations": ("explain",),
        "inference.testing": (
            "evaluate",
            "evaluate_folder",
        ),
        "models": (
            "build_cnn",
            "build_network",
        ),
        "photos": ("Photos",),
        "run": ("Run",),
        "runtime": (
            "doctor",
            "set_seeds",
        ),
        "training": (
            "save_evaluation",
            "start_run",
            "train",
            "train_model",
        ),
    }.items()
    for name in names
}

__all__ = ["CLASS_NAMES", "Settings", *_MODULE_OF_NAME]


def __getattr__(name: str) -> Any:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(
            f"module 'emoclf' has no attribute {name!r}. It has: {', '.join(sorted(__all__))}."
        )
    module = importlib.import_module(f"emoclf.{_MODULE_OF_NAME[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
