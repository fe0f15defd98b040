"""Arrays and results in, matplotlib figures out. Nothing is shown: a notebook shows what it gets.

The two classes keep their colours in every figure: Sad blue, Happy orange. Both can be told apart
by readers who are colour-blind, and every bar and every line carries its name as well.

`photos` shows pictures, `folder` what is in a folder, `learning` curves and comparisons,
`statistics` how honest and how unsure the answers are, `baselines` baselines, slices and
corruption, `explanations` what speaks for an answer; `style` holds the colours and the figure they
share.
"""

from emoclf.plots.comparisons import plot_baselines, plot_robustness, plot_slices
from emoclf.plots.explanations import plot_explanations, plot_shares_on_person
from emoclf.plots.folder import plot_class_balance, plot_problem_counts
from emoclf.plots.learning import (
    plot_comparison,
    plot_confusion_matrix,
    plot_learning_curves,
    plot_learning_rate_curve,
    plot_roc_and_precision_recall,
)
from emoclf.plots.photos import plot_augmentation, plot_photo_grid, plot_predictions
from emoclf.plots.statistics import plot_reliability, plot_risk_coverage
from emoclf.plots.style import (
    BAD_COLOUR,
    CLASS_COLOURS,
    FRAME_COLOUR,
    GOOD_COLOUR,
    NEUTRAL_COLOUR,
    NotebookFigure,
)

__all__ = [
    "BAD_COLOUR",
    "CLASS_COLOURS",
    "FRAME_COLOUR",
    "GOOD_COLOUR",
    "NEUTRAL_COLOUR",
    "NotebookFigure",
    "plot_augmentation",
    "plot_baselines",
    "plot_class_balance",
    "plot_comparison",
    "plot_confusion_matrix",
    "plot_explanations",
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
]
