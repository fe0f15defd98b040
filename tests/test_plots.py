import functools
import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from emoclf import plots
from emoclf.evaluation import (
    CorruptionCurve,
    RobustnessReport,
    slice_evaluation,
    wilson_interval,
)
from emoclf.evaluation.reliability import measure_reliability, measure_risk_coverage
from emoclf.images.corruptions import CORRUPTIONS
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
    (axis,) = figure.axes
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [dot.get_ydata()[0] for dot in dots] == [e.accuracy.value for e in reliability.bins]
    assert [int(text.get_text()) for text in axis.texts] == [
        each.accuracy.count for each in reliability.bins
    ]
    assert f"{reliability.error.value:.3f}" in axis.get_title()


def test_no_calibration_dot_stands_for_a_few_photos():
    counts = [2, 3, 4, 1, 30]
    happy = np.repeat([0.55, 0.65, 0.75, 0.85, 0.95], counts)
    evaluation = make_evaluation(np.ones(40, int), np.stack([1 - happy, happy], 1))
    figure = plots.plot_reliability(measure_reliability(evaluation))
    render(figure)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sum(map(int, texts)) == 40
    assert min(map(int, texts)) >= 10
    few = plots.plot_reliability(measure_reliability(evaluation.take(range(7))))
    render(few)
    (dot,) = [line for line in few.axes[0].lines if line.get_marker() == "o"]
    assert dot.get_markerfacecolor() == "white"
    assert few.axes[0].texts[0].get_text() == "7, too few"


def test_slices_of_a_few_photos_are_named_and_not_drawn():
    kinds = ["one"] + ["nine"] * 9 + ["ten"] * 10 + ["many"] * 40
    report = slice_evaluation(draw_evaluation(60), {"kind": kinds})
    figure = plots.plot_slices(report)
    render(figure)
    (axis,) = figure.axes
    assert [each.get_text() for each in axis.get_yticklabels()] == ["kind: many", "kind: ten"]
    assert len([line for line in axis.lines if line.get_marker() == "o"]) == 2
    assert [text.get_text() for text in axis.texts] == ["n = 40", "n = 10, few"]
    below = figure.get_supxlabel()
    assert "kind: nine (9); kind: one (1)" in below
    whole = slice_evaluation(draw_evaluation(60), {"light": np.arange(60.0)})
    assert not plots.plot_slices(whole).get_supxlabel()


def make_robustness(*accuracies, count=200):
    """A report of corruptions with these balanced accuracies at two severities."""
    estimate = functools.partial(wilson_interval, count=count)
    curves = tuple(
        CorruptionCurve(
            replace(corruption, severities=(1.0, 2.0)),
            tuple(estimate(round(value * count)) for value in values),
            tuple(estimate(round(value * count)) for value in values),
            (0, 0),
        )
        for corruption, values in zip(CORRUPTIONS, accuracies, strict=False)
    )
    clean = estimate(round(0.95 * count))
    return RobustnessReport(clean, clean, estimate(count // 2), curves, 224)


def test_robustness_shows_the_corruption_that_hurts_first_and_one_curve_of_each():
    report = make_robustness((0.95, 0.94), (0.9, 0.5), (0.95, 0.7), (0.93, 0.92))
    figure = plots.plot_robustness(report)
    render(figure)
    names = [each.corruption.title.partition(":")[0] for each in report.curves]
    assert [axis.get_title() for axis in figure.axes] == [
        f"{names[1]}: down to 0.50",
        f"{names[2]}: down to 0.70",
        f"{names[3]}: not shown to matter",
        f"{names[0]}: not shown to matter",
    ]
    for axis in figure.axes:
        curves = [line for line in axis.lines if len(line.get_xdata()) == 3]
        assert len(curves) == 1
    marks = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert [list(each) for each in marks] == [[2]]


@pytest.mark.parametrize(("count", "places"), [(8, 8), (9, 10), (13, 15), (6, 6), (1, 1), (7, 8)])
def test_a_grid_leaves_no_row_of_empty_places(count, places):
    figure = plots.plot_photo_grid(make_photos(count))
    assert len(figure.axes) == count
    assert all(axis.images for axis in figure.axes)
    grid = figure.axes[0].get_gridspec()
    assert grid.nrows * grid.ncols == places
    predictions = plots.plot_predictions(make_photos(count), np.tile([0.4, 0.6], (count, 1)))
    assert all(axis.images and len(axis.child_axes) == 1 for axis in predictions.axes)


def test_a_cell_without_photos_has_no_frame():
    evaluation = make_evaluation([0, 0, 1, 1, 1], np.eye(2)[[0, 0, 1, 1, 0]])
    photos = make_photos(5)
    figure = plots.plot_confusion_matrix(evaluation, photos)
    render(figure)
    cells = [axis for axis in figure.axes if axis.get_title()]
    assert [len(cell.child_axes) for cell in cells] == [2, 0, 1, 2]
    assert [cell.spines["left"].get_visible() for cell in cells] == [True, False, True, True]
    bare = plots.plot_confusion_matrix(evaluation)
    render(bare)
    texts = [axis.texts[0].get_text() for axis in bare.axes]
    assert texts == ["2 photos (100%)", "0 photos (0%)", "1 photo (33%)", "2 photos (67%)"]


def test_a_pair_shows_who_is_right_where():
    labels = np.array([0, 1] * 5)
    first = make_evaluation(labels, np.eye(2)[labels ^ ([0] * 7 + [1] * 3)])
    second = make_evaluation(labels, np.eye(2)[labels ^ ([0] * 5 + [1, 1, 0, 0, 1])])
    photos = np.zeros((10, 8, 8, 3), np.uint8)
    photos[..., 0] = np.arange(10)[:, None, None]
    figure = plots.plot_paired(first, second, photos, names=("CNN", "joint"), photos_per_cell=4)
    render(figure)
    assert [axis.get_title() for axis in figure.axes] == [
        "5 photos: both right",
        "2 photos: only CNN right",
        "2 photos: only joint right",
        "1 photo: both wrong",
    ]
    shown = [
        sorted(int(inset.images[0].get_array()[0, 0, 0]) for inset in axis.child_axes)
        for axis in figure.axes
    ]
    assert shown == [[0, 1, 2, 3], [5, 6], [7, 8], [9]]
    assert figure.axes[0].get_ylabel() == "CNN right"
    assert figure.axes[3].get_xlabel() == "joint wrong"
    render(plots.plot_paired(first, second))
    with pytest.raises(ValueError, match="same photos"):
        plots.plot_paired(first, second.take(range(9)), photos)


def make_history(validation, *, accuracy=0.9, val_accuracy=0.9):
    count = len(validation)
    return {
        "loss": np.linspace(0.7, 0.1, count).tolist(),
        "val_loss": list(validation),
        "accuracy": [accuracy] * count,
        "val_accuracy": [val_accuracy] * count,
    }


@pytest.mark.parametrize(("place", "spike"), [(5, 40.0), (0, 12.0), (9, 9.0)])
def test_a_spike_of_the_loss_squashes_no_curve(place, spike):
    losses = np.linspace(0.7, 0.4, 10)
    losses[place] = spike
    figure = plots.plot_learning_curves(make_history(losses))
    render(figure)
    axis = figure.axes[0]
    assert axis.get_ylim()[1] < 1
    assert axis.lines[1].get_ydata()[place] == spike
    (mark,) = [line for line in axis.lines if line.get_marker() == "^"]
    assert mark.get_xdata()[0] == place + 1
    assert axis.texts[0].get_text() == f"{spike:.3g}"


def test_a_loss_that_keeps_rising_is_shown_whole():
    figure = plots.plot_learning_curves(make_history([0.7, 0.5, 0.6, 0.9, 1.3, 1.9, 2.6, 3.4]))
    render(figure)
    assert figure.axes[0].get_ylim()[1] > 3.4
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "^"]


def test_trainings_stand_on_the_same_axes_and_say_what_validation_lags_behind():
    bare = make_history([0.7, 0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6], accuracy=0.95, val_accuracy=0.7)
    stopped = make_history([0.7, 0.5, 0.4, 0.45, 0.5, 0.5])
    figure = plots.plot_trainings(
        {"bare": bare, "regularised": stopped}, planned={"regularised": 8}
    )
    render(figure)
    losses, accuracies = figure.axes[:2], figure.axes[2:]
    assert [axis.get_title() for axis in losses] == ["bare", "regularised"]
    assert losses[0].get_ylim() == losses[1].get_ylim()
    assert accuracies[0].get_ylim() == accuracies[1].get_ylim()
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    labels = [axis.get_xlabel() for axis in accuracies]
    assert "training leads by 25 points (last 5 epochs)" in labels[0]
    assert "validation keeps up" in labels[1]
    texts = [[text.get_text() for text in axis.texts] for axis in losses]
    assert texts == [["best: epoch 2"], ["best: epoch 3", "stopped early: epoch 6 of 8"]]
    for axis in figure.axes:
        assert len({line.get_linestyle() for line in axis.lines[:2]}) == 2
    with pytest.raises(ValueError, match="at least one training"):
        plots.plot_trainings({})


def test_maps_keep_their_pixels_and_say_their_sizes():
    photo, signed, pooled = make_photos(1)[0], np.array([[-2.0, 0], [1, 0.5]]), np.ones((3, 4))
    figure = plots.plot_maps(photo, [signed, pooled, np.zeros((2, 2))], ["edges", "pooled", "off"])
    render(figure)
    assert [axis.get_title() for axis in figure.axes] == ["photo", "edges", "pooled", "off"]
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "20 x 30",
        "2 x 2, -2 to 1",
        "3 x 4, 1 to 1",
        "2 x 2, 0 to 0",
    ]
    pictures = [axis.images[0] for axis in figure.axes]
    assert all(picture.get_interpolation() == "nearest" for picture in pictures)
    np.testing.assert_array_equal(pictures[1].get_array(), signed)
    assert pictures[1].get_clim() == (-2, 2)
    assert pictures[2].get_clim() == (0, 1)
    assert pictures[1].get_cmap().name != pictures[2].get_cmap().name
    many = plots.plot_maps(photo, np.ones((16, 3, 3)))
    assert len(many.axes) == 17
    assert all(axis.images for axis in many.axes)
    for wrong in ([], [np.ones((2, 2, 3))]):
        with pytest.raises(ValueError, match=r"\(height, width\)"):
            plots.plot_maps(photo, wrong)
    with pytest.raises(ValueError, match="2 titles"):
        plots.plot_maps(photo, [signed], ["a", "b"])


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_are_tiles_in_which_zero_is_grey(channels):
    kernels = np.zeros((3, 3, channels, 10))
    kernels[0, 0, :, 4], kernels[1, 1, :, 5] = 2.0, -1.0
    figure = plots.plot_filters(kernels)
    render(figure)
    assert len(figure.axes) == 10
    tiles = [np.asarray(axis.images[0].get_array()).reshape(3, 3, channels) for axis in figure.axes]
    assert np.all(tiles[0] == 0.5)
    assert np.all(tiles[4][0, 0] == 1)
    assert np.all(tiles[5][1, 1] == 0.25)
    with pytest.raises(ValueError, match="first convolution"):
        plots.plot_filters(np.zeros((3, 3, 32, 64)))


def test_a_stored_figure_is_small_and_keeps_the_classes_colours():
    figure = plots.plot_learning_curves(make_history(np.linspace(0.7, 0.4, 30)))
    picture = Image.open(io.BytesIO(figure._repr_png_()))
    assert len(picture.getpalette()) // 3 <= 64
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert list(figure._repr_mimebundle_()) == ["image/png"]
    shown = plots.plot_predictions(make_photos(4), np.tile([0.3, 0.7], (4, 1)), labels=[0] * 4)
    pixels = render(shown)
    for colour in COLOURS[:2]:
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert (pixels == wanted).all(axis=-1).sum() > 50


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
