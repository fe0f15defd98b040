"""What is chosen on validation photos and then tested: a temperature, a threshold for Happy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp, softmax
from scipy.stats import chi2

from emoclf.display import Displayed, Table
from emoclf.evaluation import Estimate, Evaluation
from emoclf.evaluation.estimates import (
    ESTIMATE_HEADERS,
    ClassScores,
    average_estimates,
    count_independent,
    estimate_fraction,
    score_classes,
)

_TEMPERATURE_RANGE = (0.05, 20.0)


@dataclass(frozen=True)
class Temperature(Displayed):
    """A divisor of the logits, fitted on validation photos.

    Attributes:
        value: The temperature: above 1 for an overconfident network.
        low: Lower end of its 95 % interval.
        high: Upper end.
        photos: Number of validation photos that it was fitted on.
        mistakes: Wrong predictions among them. Without one there is nothing to fit: the value is 1.
    """

    value: float
    low: float
    high: float
    photos: int
    mistakes: int

    def blocks(self) -> Iterable[str | Table]:
        """Return the temperature in a sentence, and whether it is needed."""
        if not self.mistakes:
            yield (
                f"No prediction for {self.photos:,} validation photos is wrong, so they cannot "
                "tell how confident the network may be: its probabilities are left as they are."
            )
            return
        verdict = "these photos do not show that the network needs one."
        if self.low > 1:
            verdict = "the network is overconfident."
        elif self.high < 1:
            verdict = "the network is underconfident."
        yield (
            f"temperature {self.value:.2f} (95 % interval {self.low:.2f} to {self.high:.2f}), "
            f"fitted on {self.photos:,} validation photos: {verdict}"
        )


def choose_temperature(validation: Evaluation) -> Temperature:
    """Fit the temperature on validation photos, never on test photos.

    The interval holds the temperatures that a likelihood-ratio test does not refuse (Wilks, 1938);
    duplicates count as one photo.

    Args:
        validation: The evaluation of photos whose part is `"validation"`.

    Returns:
        The temperature, for `apply_temperature`.

    Raises:
        ValueError: If the photos are not validation photos.
    """
    _check_is_validation(validation, "temperature")
    labels, logits = validation.labels, _find_logits(validation.probabilities)
    mistakes, photos = len(validation.mistakes()), len(labels)
    if not mistakes:
        return Temperature(1.0, *_TEMPERATURE_RANGE, photos, 0)
    value = fit_temperature(logits, labels)
    worth = count_independent(validation.photos.groups)
    allowed = _measure_cross_entropy(logits, labels, value) + chi2.ppf(0.95, 1) / (2 * worth)

    def excess(temperature: float) -> float:
        return _measure_cross_entropy(logits, labels, temperature) - allowed

    low, high = (
        float(brentq(excess, *sorted((value, end)))) if excess(end) > 0 else end
        for end in _TEMPERATURE_RANGE
    )
    return Temperature(value, low, high, photos, mistakes)


def apply_temperature(temperature: Temperature, evaluation: Evaluation) -> Evaluation:
    """Divide the logits by a temperature; the predicted labels stay the same.

    Args:
        temperature: From `choose_temperature`.
        evaluation: The evaluation of any photos. On the validation photos themselves the
            calibration error comes out too good.

    Returns:
        The evaluation with the new probabilities.
    """
    logits = _find_logits(evaluation.probabilities)
    return Evaluation(evaluation.photos, softmax(logits / temperature.value, axis=1))


def _find_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return logits, float64 `(photos, classes)`; 0 counts as the smallest float32."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the divisor of the logits that makes the probabilities calibrated.

    It minimises the cross-entropy (Guo et al., 2017, arXiv:1706.04599); the predicted labels stay
    the same.

    Args:
        logits: float `(photos, classes)`, before the softmax.
        labels: int `(photos,)`, true labels.

    Returns:
        The temperature: above 1 for an overconfident network.

    Raises:
        ValueError: If the arrays do not fit together or are empty.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or not len(logits) or labels.shape != logits.shape[:1]:
        raise ValueError(
            "Expected logits (photos, classes) and one label per photo. "
            f"Received: {logits.shape} and {labels.shape}."
        )
    found = minimize_scalar(
        lambda x: _measure_cross_entropy(logits, labels, float(np.exp(x))),
        bounds=tuple(np.log(_TEMPERATURE_RANGE)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _measure_cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = logits / temperature
    chosen = np.take_along_axis(scaled, labels[:, np.newaxis], axis=1)[:, 0]
    return float((logsumexp(scaled, axis=1) - chosen).mean())


@dataclass(frozen=True)
class ThresholdScores(Displayed):
    """How a threshold does on some photos.

    Attributes:
        threshold: From this probability on the last class (Happy) is predicted.
        part: The part of the photos; None for photos of no single part.
        accuracy: Fraction of right predictions.
        balanced_accuracy: Mean recall of the classes.
        per_class: Precision, recall and F1 of both classes.
    """

    threshold: float
    part: str | None
    accuracy: Estimate
    balanced_accuracy: Estimate
    per_class: tuple[ClassScores, ...]

    def blocks(self) -> Iterable[str | Table]:
        """Return the scores."""
        last = self.per_class[-1]
        photos = f"{self.part} photos" if self.part else "photos"
        rows = (
            ("accuracy", self.accuracy),
            ("balanced accuracy", self.balanced_accuracy),
            (f"recall of {last.class_name}", last.recall),
            (f"precision of {last.class_name}", last.precision),
        )
        yield f"{last.class_name} from {self.threshold:.3f} on, {photos}:"
        yield Table(("", *ESTIMATE_HEADERS), [(title, *each.to_cells()) for title, each in rows])


@dataclass(frozen=True)
class Threshold(Displayed):
    """A threshold, chosen on validation photos.

    Attributes:
        value: From this probability on the last class (Happy) is predicted, 0 to 1.
        criterion: What it was chosen for, in words.
        on_validation: How it does there: too good, because it was chosen there.
    """

    value: float
    criterion: str
    on_validation: ThresholdScores

    def blocks(self) -> Iterable[str | Table]:
        """Return what it was chosen for, and its scores on the photos it was chosen on."""
        yield (
            f"Chosen on {self.on_validation.accuracy.count:,} validation photos for "
            f"{self.criterion}. The figures there are too good, because it was chosen there."
        )
        yield from self.on_validation.blocks()


def choose_threshold(
    validation: Evaluation, *, recall: float | None = None, precision: float | None = None
) -> Threshold:
    """Choose from which probability on Happy is predicted, on validation photos.

    Without a wish it is the threshold of the best balanced accuracy. Thresholds lie half way
    between the probabilities of two photos; of equally good ones the nearest to one half is taken.

    Args:
        validation: The evaluation of photos whose part is `"validation"`.
        recall: Fraction of the Happy photos that should be found, above 0, up to 1: the largest
            threshold that does.
        precision: Fraction of the photos predicted Happy that should be so, above 0, up to 1: the
            threshold that finds most of them.

    Returns:
        The threshold, for `apply_threshold`.

    Raises:
        ValueError: If the photos are not validation photos of two classes, both wishes are given,
            or no threshold reaches the precision.
    """
    _check_is_validation(validation, "threshold")
    _check_wishes(validation, recall, precision)
    name, values = validation.photos.class_names[-1], _find_candidates(validation)
    found, right, sad = _measure_candidates(validation, values)
    if recall is not None:
        criterion = f"a recall of {name} of {recall:g} or more"
        value = float(values[found >= recall].max())
    elif precision is not None:
        criterion = f"a precision of {name} of {precision:g} or more"
        good = right >= precision
        if not good.any():
            raise ValueError(
                f"No threshold reaches precision={precision:g} on these {len(validation.photos)} "
                f"photos; the best is {np.nanmax(right):.3f}. Choose a lower precision."
            )
        value = _find_nearest_to_half(values[good & (found == found[good].max())])
    else:
        criterion, balanced = "the best balanced accuracy", (found + sad) / 2
        value = _find_nearest_to_half(values[balanced >= balanced.max() - 1e-12])
    return Threshold(value, criterion, _score(validation, value))


def apply_threshold(threshold: Threshold, evaluation: Evaluation) -> ThresholdScores:
    """Measure how a threshold does on photos that it was not chosen on.

    Args:
        threshold: From `choose_threshold`.
        evaluation: The evaluation of other photos of the same classes: of the test, or of no part.

    Returns:
        The scores.

    Raises:
        ValueError: If these are validation photos, or photos of other classes.
    """
    if evaluation.photos.only_part == "validation":
        raise ValueError(
            "The threshold was chosen on validation photos: its figures there are in "
            "`threshold.on_validation`. Apply it to photos of the test."
        )
    expected = tuple(scores.class_name for scores in threshold.on_validation.per_class)
    received = evaluation.photos.class_names
    if received != expected:
        raise ValueError(
            f"The threshold is for {', '.join(expected)}, received photos of "
            f"{', '.join(received)}. Choose one on photos of these classes."
        )
    return _score(evaluation, threshold.value)


def _check_is_validation(evaluation: Evaluation, what: str) -> None:
    """Refuse to choose anything on photos other than those of validation."""
    part = evaluation.photos.only_part
    if part != "validation":
        origin = "photos of no single part" if part is None else f"{part} photos"
        raise ValueError(
            f"A {what} is chosen on validation photos, received {origin}: a figure of photos that "
            "a choice was made on is too good. Give the evaluation of the validation photos: "
            'evaluate(run, "validation").evaluation, or '
            'evaluate_model(model, dataset, photos.part("validation")).'
        )


def _check_wishes(validation: Evaluation, recall: float | None, precision: float | None) -> None:
    names, found = validation.photos.class_names, len(np.unique(validation.labels))
    if len(names) != 2 or found != 2:
        raise ValueError(
            "A threshold is chosen on photos of two classes, both of them there. Received: "
            f"{len(names)} classes, {found} of them with photos."
        )
    if recall is not None and precision is not None:
        raise ValueError("Choose a recall or a precision, not both: one decides.")
    for name, wish in (("recall", recall), ("precision", precision)):
        if wish is not None and not 0 < wish <= 1:
            raise ValueError(f"{name}={wish} should be above 0 and at most 1, for example 0.9.")


def _find_candidates(validation: Evaluation) -> np.ndarray:
    """Return thresholds between the distinct scores, and one below and above all, rising."""
    distinct = np.unique(validation.probabilities[:, -1])
    between = (distinct[1:] + distinct[:-1]) / 2
    return np.r_[distinct[0] / 2, between, (1 + distinct[-1]) / 2]


def _find_nearest_to_half(values: np.ndarray) -> float:
    """Return the threshold nearest to one half; of two equally near ones the smaller."""
    return float(values[np.argmin(np.round(np.abs(values - 0.5), 9))])


def _measure_candidates(
    evaluation: Evaluation, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return recall and precision of the last class, and recall of the first, per threshold."""
    scores, is_last = evaluation.probabilities[:, -1], evaluation.labels == 1
    happy, sad = np.sort(scores[is_last]), np.sort(scores[~is_last])
    kept = len(happy) - np.searchsorted(happy, values)
    called = kept + len(sad) - np.searchsorted(sad, values)
    right = np.divide(kept, called, out=np.full(len(values), np.nan), where=called > 0)
    return kept / len(happy), right, np.searchsorted(sad, values) / len(sad)


def _score(evaluation: Evaluation, value: float) -> ThresholdScores:
    predicted = (evaluation.probabilities[:, -1] >= value).astype(np.int64)
    per_class = score_classes(evaluation.photos, predicted)
    return ThresholdScores(
        threshold=value,
        part=evaluation.photos.only_part,
        accuracy=estimate_fraction(predicted == evaluation.labels, evaluation.photos.groups),
        balanced_accuracy=average_estimates([s.recall for s in per_class if s.recall.count]),
        per_class=per_class,
    )
