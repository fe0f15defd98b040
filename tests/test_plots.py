import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from emoclf import plots
from emoclf.evaluation.reliability import measure_reliability, measure_risk_coverage
from emoclf.inference.annotation import COLOURS
from emoclf.plots import style
from emoclf.training import LearningRateCurve
from tests.evaluations import make_evaluation


def make_photos(count=8):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, 20, 30, 3), dtype=np.uint8)


def draw_evaluation(count=40):
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, count)
    score = np.clip(labels * 0.4 + generator.random(count) * 0.6, 0, 1)
    return make_evaluation(labels, np.stack([1 - score, score], 1))


def render(figure):
    assert isinstance(figure, Figure)
    pixels = np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))
    assert pixels.std() > 5, "the figure is empty"
    return pixels


def find_colour(pixels, colour):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels.astype(int) - wanted).max(axis=-1) < 6).sum())


def test_photo_grid_shows_every_photo_with_its_title():
    titles = [f"photo {i}" for i in range(7)] + ["a\nvery $long$ name that goes on and on.jpg"]
    figure = plots.plot_photo_grid(make_photos(), titles, columns=5, title="Photos")
    render(figure)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 8
    assert shown[0].get_title() == "photo 0"
    assert "\n" not in shown[7].get_title()
    assert len(shown[7].get_title()) < 30


def test_photo_grid_refuses_nothing_and_a_wrong_number_of_titles():
    with pytest.raises(ValueError, match="0 photos"):
        plots.plot_photo_grid([])
    with pytest.raises(ValueError, match="1 titles"):
        plots.plot_photo_grid(make_photos(3), ["one"])


def test_class_balance_shows_each_count():
    counts = {"train": {"Sad": 1234, "Happy": 80}, "test": {"Sad": 30, "Happy": 20}}
    figure = plots.plot_class_balance(counts)
    pixels = render(figure)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1,234", "30", "80", "20"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1234, 30, 80, 20]
    assert all(find_colour(pixels, colour) > 100 for colour in COLOURS[:2])


def test_problem_counts_puts_rejects_first():
    figure = plots.plot_problem_counts(
        {"near_duplicate": 90, "unreadable": 3, "blank": 7}, rejects=("unreadable", "blank")
    )
    render(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["blank", "unreadable", "near duplicate"]
    assert "No flaw" in plots.plot_problem_counts({}).axes[0].texts[0].get_text()


def test_augmentation_shows_the_photo_first():
    photos = make_photos(2)
    figure = plots.plot_augmentation(photos, lambda images: 255.0 - images, versions=3)
    render(figure)
    pictures = [axis.images[0].get_array() for axis in figure.axes]
    assert len(pictures) == 8
    np.testing.assert_array_equal(pictures[4], photos[1])
    np.testing.assert_array_equal(pictures[5], 255 - photos[1])


def test_learning_curves_mark_the_kept_epoch():
    history = {key: [0.9, 0.6, 0.7] for key in ("loss", "val_loss", "accuracy", "val_accuracy")}
    figure = plots.plot_learning_curves(history, best_epoch=2)
    render(figure)
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0.9, 0.6, 0.7]
    assert figure.axes[0].texts[0].get_text() == "kept: epoch 2"


def test_confusion_matrix_cells_hold_counts_and_photos_of_their_kind():
    evaluation = draw_evaluation()
    photos = np.zeros((40, 10, 10, 3), np.uint8)
    photos[..., 0] = np.arange(40)[:, None, None]
    figure = plots.plot_confusion_matrix(evaluation, photos, photos_per_cell=4)
    render(figure)
    cells = [axis for axis in figure.axes if axis.get_title()]
    expected = evaluation.confusion.ravel()
    assert [int(cell.get_title().split()[0]) for cell in cells] == expected.tolist()
    for position, cell in enumerate(cells):
        truth, answer = divmod(position, 2)
        shown = [int(inset.images[0].get_array()[0, 0, 0]) for inset in cell.child_axes]
        assert len(shown) == min(4, expected[position])
        assert all(evaluation.labels[i] == truth for i in shown)
        assert all(evaluation.predicted_labels[i] == answer for i in shown)
    render(plots.plot_confusion_matrix(evaluation))


def test_roc_and_precision_recall_show_guessing_too():
    figure = plots.plot_roc_and_precision_recall(draw_evaluation())
    render(figure)
    assert all(len(axis.lines) == 2 for axis in figure.axes)
    one_class = make_evaluation([0, 0], np.tile([0.8, 0.2], (2, 1)))
    with pytest.raises(ValueError, match="one class only"):
        plots.plot_roc_and_precision_recall(one_class)


def test_predictions_have_bars_and_mark_mistakes():
    probabilities = np.array([[0.9, 0.1], [0.25, 0.75]])
    figure = plots.plot_predictions(make_photos(2), probabilities, labels=[0, 0])
    pixels = render(figure)
    titles = [axis.get_title() for axis in figure.axes if axis.images]
    assert titles == ["Sad 90%", "Happy 75% (wrong)"]
    widths = [patch.get_width() for patch in figure.axes[1].child_axes[0].patches]
    assert widths == [0.25, 0.75]
    assert find_colour(pixels, COLOURS[0]) > 0
    with pytest.raises(ValueError, match=r"\(2, 2\), received \(2, 3\)"):
        plots.plot_predictions(make_photos(2), np.ones((2, 3)) / 3)


def test_a_comparison_shows_every_network_and_guessing():
    one, other = draw_evaluation(), draw_evaluation()
    figure = plots.plot_comparison({"own": one, "packaged": other})
    render(figure)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["own", "packaged"]
    dots = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"]
    assert dots == [one.accuracy.value, other.accuracy.value]
    ends = [list(line.get_xdata()) for line in axis.lines if line.get_linewidth() == 3]
    assert ends[0] == [one.accuracy.low, one.accuracy.high]
    assert f"{one.accuracy.value:.3f}" in axis.texts[0].get_text()
    assert "n = 40" in axis.get_xlabel()
    guess = one.majority_accuracy.value
    assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"] == [guess]
    assert axis.get_legend().get_texts()[0].get_text() == f"always {one.majority_class}"


def test_a_comparison_needs_the_same_photos():
    few = make_evaluation([0, 1], np.eye(2))
    for wrong in ({}, {"own": draw_evaluation(), "packaged": few}):
        with pytest.raises(ValueError, match="same photos"):
            plots.plot_comparison(wrong)


@pytest.mark.parametrize("suggestion", [3e-3, None])
def test_learning_rate_curve_marks_the_suggestion(suggestion):
    rates = np.geomspace(1e-6, 1, 50)
    losses = 0.7 - 0.5 * np.exp(-((np.log10(rates) + 2) ** 2))
    curve = LearningRateCurve(rates, losses + 0.01, losses, suggestion)
    figure = plots.plot_learning_rate_curve(curve)
    render(figure)
    assert figure.axes[0].get_xscale() == "log"
    marks = [line for line in figure.axes[0].lines if line.get_color() == style.GOOD_COLOUR]
    assert [mark.get_xdata()[0] for mark in marks] == [rate for rate in [suggestion] if rate]
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert ("suggested: 3.0e-03" in texts) == (suggestion is not None)


@pytest.mark.parametrize("name", ["$cash$", "$\\frac{$", "a$b", "$\\mathdefault{x$"])
def test_dollar_signs_in_names_begin_no_formula(name):
    evaluation = draw_evaluation()
    evaluation = make_evaluation(
        evaluation.labels, evaluation.probabilities, class_names=(name, "other")
    )
    for figure in (
        plots.plot_confusion_matrix(evaluation),
        plots.plot_comparison({name: evaluation, "second": evaluation}),
        plots.plot_photo_grid(make_photos(2), [name, "plain"], title=name),
    ):
        render(figure)
        written = {text.get_text() for text in figure.findobj(Text) if name in text.get_text()}
        assert written
        assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_powers_of_ten_are_written_as_such():
    rates = np.geomspace(1e-6, 1, 50)
    figure = plots.plot_learning_rate_curve(
        LearningRateCurve(rates, np.ones(50), np.ones(50), None)
    )
    render(figure)
    labels = figure.axes[0].get_xticklabels()
    assert any("10^{-3}" in each.get_text() and each.get_parse_math() for each in labels)


def make_calibrated_evaluation(count=300, seed=1):
    generator = np.random.default_rng(seed)
    happy = generator.random(count)
    labels = (generator.random(count) < happy).astype(int)
    return make_evaluation(labels, np.stack([1 - happy, happy], 1))


def test_reliability_shows_every_bin_with_its_count():
    reliability = measure_reliability(make_calibrated_evaluation(), bins=10)
    figure = plots.plot_reliability(reliability)
    render(figure)
    above, below = figure.axes
    dots = next(line for line in above.lines if len(line.get_xdata()) == len(reliability.bins))
    assert dots.get_ydata().tolist() == [each.accuracy.value for each in reliability.bins]
    assert [bar.get_height() for bar in below.patches] == [
        each.accuracy.count for each in reliability.bins
    ]
    assert f"{reliability.error.value:.3f}" in above.get_title()


def test_risk_and_coverage_of_two_networks():
    curves = {
        name: measure_risk_coverage(make_calibrated_evaluation(seed=s))
        for s, name in enumerate("ab")
    }
    figure = plots.plot_risk_coverage(curves)
    render(figure)
    (axis,) = figure.axes
    assert axis.lines[0].get_ydata().tolist() == curves["a"].risk.tolist()
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels[1].startswith(f"b: area {curves['b'].area.value:.3f}")
    one = plots.plot_risk_coverage({"one": measure_risk_coverage(make_calibrated_evaluation(12))})
    render(one)
    with pytest.raises(ValueError, match="at least one curve"):
        plots.plot_risk_coverage({})
