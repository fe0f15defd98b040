"""Evaluations of arrays, where a test has no photos."""

from emoclf.config import CLASS_NAMES
from emoclf.evaluation import Evaluation
from emoclf.photos import Photos


def make_evaluation(
    labels, probabilities, *, paths=None, groups=None, part="", class_names=CLASS_NAMES
):
    """Photos with these labels, all in one part, and their probabilities."""
    names = map(str, range(len(labels))) if paths is None else paths
    parts = [part] * len(labels)
    photos = Photos.make(names, labels, groups=groups, parts=parts, class_names=class_names)
    return Evaluation(photos, probabilities)
