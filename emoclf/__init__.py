"""Happy or sad? Helpers to clean, split, learn, test and predict photos of two classes.

Every step of the lesson is a function of this package, and each can be used alone:

    import emoclf

    source = emoclf.find_data("my photos")
    report = emoclf.find_problems(source.folder)
    print(report.describe())

Importing the package loads neither TensorFlow nor OpenCV nor matplotlib: a name is looked up in
its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from emoclf.config import CLASS_NAMES, IMAGE_SIZE, SEED, SPLIT_NAMES, Settings

__version__ = "0.5.0"

_MODULE_OF_NAME: dict[str, str] = {
    name: module
    for module, names in {
        "annotation": ("annotate_photo", "save_annotated"),
        "artefacts": ("ModelInfo", "load_info", "load_model", "save_model"),
        "baselines": ("Ladder", "measure_colours", "train_ladder"),
        "cleaning": (
            "CleaningReport",
            "CleaningThresholds",
            "find_problems",
            "quarantine",
            "restore",
        ),
        "calibration": (
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
        "cross_validation": ("CrossValidation", "cross_validate", "load_cross_validation"),
        "datasets": ("balanced_class_weights", "cache_photos", "make_dataset"),
        "drawn_faces": ("draw_face", "make_drawn_faces"),
        "evaluation": (
            "collect_predictions",
            "compare_evaluations",
            "estimate_figures",
            "evaluate_predictions",
            "harm_photo",
            "mcnemar_test",
            "measure_robustness",
            "slice_evaluation",
            "wilson_interval",
        ),
        "explanations": (
            "Explanation",
            "NothingToExplainError",
            "PersonShare",
            "draw_explanation",
            "explain",
            "find_share_on_person",
            "make_grad_cam_maps",
            "make_occlusion_maps",
            "save_explanation",
            "summarise_shares_on_person",
        ),
        "exporting": ("export_model", "export_network", "load_export"),
        "folds": ("Folds", "make_folds"),
        "folders": ("find_class_folders", "list_files"),
        "images": (
            "UnreadableImageError",
            "decode_image",
            "load_image",
            "load_resized",
            "resize_image",
        ),
        "faces": (
            "Face",
            "FaceDetectorUnavailableError",
            "crop_face",
            "find_faces",
            "make_detector",
        ),
        "fer2013": ("load_fer2013",),
        "inference": ("FacePrediction", "Prediction", "Predictor", "UncertaintyRule", "predict"),
        "live": ("Frame", "LiveSession", "open_camera", "read_video", "take_photos"),
        "models": (
            "build_augmentation",
            "build_cnn",
            "build_deep_cnn",
            "build_face_network",
            "build_transfer_model",
            "find_backbone",
            "PretrainedWeightsError",
            "freeze_for_fine_tuning",
        ),
        "networks": ("build_network",),
        "packaged": ("ModelCard", "PackagedNetwork", "load_face_network"),
        "pipeline": (
            "evaluate_folder",
            "evaluate_run",
            "split_report",
            "train_classifier",
            "train_on_cluster",
        ),
        "plots": (
            "plot_augmentation",
            "plot_class_balance",
            "plot_comparison",
            "plot_confusion_matrix",
            "plot_explanations",
            "plot_ladder",
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
        "repair": (
            "Decision",
            "Suspect",
            "apply_decisions",
            "compare_repair",
            "find_label_errors",
            "find_suspect_labels",
            "load_decisions",
            "repair_split",
            "save_decisions",
            "save_review_sheet",
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
        "published_split": ("split_as_published",),
        "sources": (
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
            "parse_class_map",
            "sample_photos",
            "stage_data",
        ),
        "splits": ("load_manifest", "make_splits", "save_manifest", "verify_manifest"),
        "training": (
            "AveragedWeights",
            "CopyRun",
            "KeepState",
            "ResumeRefusedError",
            "RunInUseError",
            "Stage",
            "choose_precision",
            "compile_model",
            "copy_run",
            "describe_history",
            "fetch_run",
            "describe_stage",
            "find_learning_rate",
            "find_test_looks",
            "finish_run",
            "make_callbacks",
            "make_learning_rate",
            "plan_stages",
            "save_evaluation",
            "start_run",
            "train_in_stages",
            "train_model",
            "use_precision",
        ),
        "weak_spots": ("evaluate_robustness", "evaluate_slices", "measure_photos"),
    }.items()
    for name in names
}

__all__ = ["CLASS_NAMES", "IMAGE_SIZE", "SEED", "SPLIT_NAMES", "Settings", *_MODULE_OF_NAME]


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
