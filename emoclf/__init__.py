"""Happy or sad? Helpers to clean, split, learn, test and predict photos of two classes.

Every step of the lesson is a function of this package, and each can be used alone:

    import emoclf

    source = emoclf.find_data("my photos")
    report = emoclf.find_problems(source.folder)
    print(report)

Importing the package loads neither TensorFlow nor OpenCV nor matplotlib: a name is looked up in
its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from emoclf.config import CLASS_NAMES, IMAGE_SIZE, PARTS, SEED, Settings

__version__ = "0.6.0"

_MODULE_OF_NAME: dict[str, str] = {
    name: module
    for module, names in {
        "apps.camera": (
            "Frame",
            "LiveSession",
            "open_camera",
            "read_video",
            "take_photos",
        ),
        "data.cleaning": (
            "CleaningReport",
            "CleaningThresholds",
            "find_problems",
            "quarantine",
            "restore",
        ),
        "data.folders": (
            "find_class_folders",
            "list_files",
            "parse_class_map",
        ),
        "data.loading": (
            "balanced_class_weights",
            "cache_photos",
            "make_dataset",
        ),
        "data.sources": (
            "ArchiveRefusedError",
            "check_fer2013_counts",
            "extract_archive",
            "fetch_drive_link",
            "fetch_fer2013_from_kaggle",
            "fetch_fer_plus_votes",
            "find_data",
            "find_data_set",
            "list_data_sets",
            "make_fer2013_folders",
            "sample_photos",
            "stage_data",
        ),
        "data.sources.fer2013": ("load_fer2013",),
        "data.splitting": (
            "Folds",
            "make_folds",
            "split_as_published",
            "split_photos",
        ),
        "data.synthetic": (
            "draw_face",
            "make_drawn_faces",
        ),
        "evaluation": (
            "Evaluation",
            "compare_evaluations",
            "evaluate_model",
            "mcnemar_test",
            "measure_robustness",
            "slice_evaluation",
            "wilson_interval",
        ),
        "evaluation.calibration": (
            "accuracy_at_coverage",
            "apply_temperature",
            "apply_threshold",
            "choose_temperature",
            "choose_threshold",
            "expected_calibration_error",
            "fit_temperature",
            "measure_reliability",
            "measure_risk_coverage",
        ),
        "experiments.baselines": (
            "BaselineComparison",
            "measure_colours",
            "train_baselines",
        ),
        "experiments.cross_validation": (
            "cross_validate",
            "CrossValidation",
            "load_cross_validation",
        ),
        "experiments.error_analysis": (
            "evaluate_robustness",
            "evaluate_slices",
            "measure_photos",
        ),
        "experiments.exporting": (
            "export_model",
            "export_network",
        ),
        "experiments.label_errors": (
            "apply_decisions",
            "compare_corrections",
            "Decision",
            "find_label_errors",
            "rank_label_errors",
            "load_decisions",
            "correct_labels",
            "save_decisions",
            "save_review_sheet",
            "LabelError",
        ),
        "images.corruptions": ("corrupt_photo",),
        "images": (
            "decode_image",
            "load_image",
            "ModelInfo",
            "prepare",
            "resize_image",
            "UnreadableImageError",
        ),
        "images.faces": (
            "crop_face",
            "Face",
            "FaceDetectorUnavailableError",
            "find_faces",
            "make_detector",
        ),
        "inference": (
            "FacePrediction",
            "predict",
            "Prediction",
            "Predictor",
            "UncertaintyRule",
        ),
        "inference.annotation": (
            "annotate_photo",
            "save_annotated",
        ),
        "inference.explanations": (
            "draw_explanation",
            "explain",
            "Explanation",
            "find_share_on_person",
            "make_grad_cam_maps",
            "make_occlusion_maps",
            "NothingToExplainError",
            "PersonShare",
            "save_explanation",
            "summarise_shares_on_person",
        ),
        "inference.testing": (
            "evaluate",
            "evaluate_folder",
        ),
        "models": (
            "build_augmentation",
            "build_cnn",
            "build_deep_cnn",
            "build_face_network",
            "build_transfer_model",
            "find_backbone",
            "freeze_for_fine_tuning",
            "PretrainedWeightsError",
        ),
        "models.formats": ("load_export",),
        "models.model_file": (
            "load_info",
            "load_model",
            "save_model",
        ),
        "models.networks": ("build_network",),
        "models.packaged": (
            "load_face_network",
            "ModelCard",
            "PackagedNetwork",
        ),
        "photos": ("Photos",),
        "run": ("Run",),
        "plots": (
            "plot_augmentation",
            "plot_class_balance",
            "plot_comparison",
            "plot_confusion_matrix",
            "plot_explanations",
            "plot_baselines",
            "plot_learning_curves",
            "plot_learning_rate_curve",
            "plot_photo_grid",
            "plot_predictions",
            "plot_problem_counts",
            "plot_reliability",
            "plot_risk_coverage",
            "plot_robustness",
            "plot_roc_and_precision_recall",
            "plot_shares_on_person",
            "plot_slices",
        ),
        "runtime": (
            "doctor",
            "find_hardware",
            "find_versions",
            "in_colab",
            "mount_drive",
            "quiet_start",
            "set_seeds",
        ),
        "training": (
            "EMAWeights",
            "choose_precision",
            "compile_model",
            "copy_run",
            "CopyRun",
            "describe_history",
            "describe_stage",
            "fetch_run",
            "find_learning_rate",
            "finish_run",
            "KeepState",
            "make_callbacks",
            "make_learning_rate",
            "plan_stages",
            "ResumeRefusedError",
            "RunInUseError",
            "save_evaluation",
            "Stage",
            "start_run",
            "train_model",
            "use_precision",
        ),
        "training.classifier": (
            "train",
            "train_on_cluster",
        ),
    }.items()
    for name in names
}

__all__ = ["CLASS_NAMES", "IMAGE_SIZE", "SEED", "PARTS", "Settings", *_MODULE_OF_NAME]


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
