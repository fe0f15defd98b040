"""Drawn sets of photos whose true figures are known, and how often an interval holds them."""

from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from emoclf.evaluation import compare_evaluations
from emoclf.evaluation.figures import estimate_figures
from tests.evaluations import make_evaluation

COPIES = ([1, 2, 4], [0.7, 0.2, 0.1])


def draw_set(generator, happy, sad, *, leads=(2.0,), shared=0.0, copies=False):
    """Draw photos of two classes, and one score per network: normal, `lead` apart.

    `happy` and `sad` count different photos; with `copies` some of them occur two or four times,
    and copies are answered alike. The scores of two networks are correlated by `shared`.
    """
    labels = np.repeat([1, 0], [happy, sad])
    common = generator.normal(size=len(labels))
    scores = [
        np.sqrt(shared) * common
        + np.sqrt(1 - shared) * generator.normal(size=len(labels))
        + lead * (labels - 0.5)
        for lead in leads
    ]
    sizes = generator.choice(COPIES[0], len(labels), p=COPIES[1]) if copies else 1
    groups = np.repeat(np.arange(len(labels)), sizes)
    return labels[groups], [score[groups] for score in scores], groups if copies else None


def evaluate_scores(labels, scores, groups):
    happy = 1 / (1 + np.exp(-2 * scores))
    return make_evaluation(labels, np.stack([1 - happy, happy], 1), groups=groups)


def true_figures(happy, sad, lead):
    share, found = happy / (happy + sad), norm.cdf(lead / 2)

    def precision(score):
        right, wrong = share * norm.sf(score - lead / 2), (1 - share) * norm.sf(score + lead / 2)
        return right / (right + wrong) * norm.pdf(score - lead / 2)

    return {
        "accuracy": found,
        "balanced_accuracy": found,
        "roc_auc": norm.cdf(lead / np.sqrt(2)),
        "average_precision": quad(precision, -8, 8)[0],
        "f1": 2 * share * found / (share * found + (1 - share) * (1 - found) + share),
    }


def true_calibration_error(lead, bins=15, sharpness=2.0):
    """The error over all photos there could be, both classes alike."""
    edges = np.arange(1, bins) / bins
    cuts = np.r_[-12, np.log(edges / (1 - edges)) / sharpness, 12]
    gaps = np.zeros(bins)
    for low, high in pairwise(cuts):
        for start, end in ((low, min(high, 0)), (max(low, 0), high)):
            if start >= end:
                continue

            def gap(score):
                happy = 1 / (1 + np.exp(-sharpness * score))
                one, other = norm.pdf(score - lead / 2), norm.pdf(score + lead / 2)
                right, sure = (one, happy) if score >= 0 else (other, 1 - happy)
                return right / 2 - sure * (one + other) / 2

            middle = 1 / (1 + np.exp(-sharpness * (start + end) / 2))
            number = min(int(max(middle, 1 - middle) * bins), bins - 1)
            gaps[number] += quad(gap, start, end)[0]
    return np.abs(gaps).sum()


def measure_coverage(happy, sad, *, lead=2.0, copies=False, sets=200, resamples=300, seed=0):
    """Return figure -> fraction of drawn sets whose interval holds the true figure."""
    generator, truth, hits = np.random.default_rng(seed), true_figures(happy, sad, lead), {}
    if happy == sad:
        truth["calibration_error"] = true_calibration_error(lead)
    for number in range(sets):
        labels, (scores,), groups = draw_set(generator, happy, sad, leads=(lead,), copies=copies)
        result = evaluate_scores(labels, scores, groups)
        figures = estimate_figures(
            result.photos, result.probabilities, resamples=resamples, seed=number
        )
        found = {
            "accuracy": result.accuracy,
            "balanced_accuracy": result.balanced_accuracy,
            "roc_auc": figures.roc_auc,
            "average_precision": figures.average_precision,
            "f1": figures.f1[1],
            "calibration_error": figures.calibration_error,
        }
        for name, value in truth.items():
            hits.setdefault(name, []).append(found[name].low <= value <= found[name].high)
    return {name: float(np.mean(each)) for name, each in hits.items()}


def measure_difference_coverage(
    happy, sad, *, leads=(1.5, 2.2), shared=0.5, copies=False, sets=200, resamples=300, seed=0
):
    """Return figure -> fraction of drawn sets whose interval holds the true difference."""
    generator, hits = np.random.default_rng(seed), {}
    first, second = (true_figures(happy, sad, lead) for lead in leads)
    for number in range(sets):
        labels, scores, groups = draw_set(
            generator, happy, sad, leads=leads, shared=shared, copies=copies
        )
        pair = [evaluate_scores(labels, each, groups) for each in scores]
        found = compare_evaluations(*pair, resamples=resamples, seed=number).differences
        for name, value in second.items():
            low, high = found[name].low, found[name].high
            hits.setdefault(name, []).append(low <= value - first[name] <= high)
    return {name: float(np.mean(each)) for name, each in hits.items()}
