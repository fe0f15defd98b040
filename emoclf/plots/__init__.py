"""Arrays and results in, matplotlib figures out. Nothing is shown: a notebook shows what it gets.

The two classes keep their colours in every figure: Sad blue, Happy orange. Both can be told apart
by readers who are colour-blind, and every bar and every line carries its name as well.

`photos` shows photos, their explanations and what is in a folder, `maps` what a convolution makes
of one, `learning` how a network is trained, `evaluation` how good it is, `comparisons` several of
them, slices and corruptions; `style` holds what all figures share.
"""

from emoclf.plots.comparisons import plot_baselines, plot_comparison, plot_robustness, plot_slices
from emoclf.plots.evaluation import (
    plot_confusion_matrix,
    plot_paired,
    plot_reliability,
    plot_risk_coverage,
    plot_roc_and_precision_recall,
)
from emoclf.plots.learning import plot_learning_curves, plot_learning_rate_curve, plot_trainings
from emoclf.plots.maps import plot_filters, plot_maps
from emoclf.plots.photos import (
    plot_augmentation,
    plot_explanations,
    plot_fractions_on_person,
    plot_photo_grid,
    plot_predictions,
    plot_problem_counts,
)

__all__ = [
    "plot_augmentation",
    "plot_baselines",
    "plot_comparison",
    "plot_confusion_matrix",
    "plot_explanations",
    "plot_filters",
    "plot_fractions_on_person",
    "plot_learning_curves",
    "plot_learning_rate_curve",
    "plot_maps",
    "plot_paired",
    "plot_photo_grid",
    "plot_predictions",
    "plot_problem_counts",
    "plot_reliability",
    "plot_risk_coverage",
    "plot_robustness",
    "plot_roc_and_precision_recall",
    "plot_slices",
    "plot_trainings",
]
