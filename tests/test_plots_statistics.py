import numpy as np
import pytest

from emoclf import plots
from emoclf.evaluation.calibration import measure_reliability, measure_risk_coverage
from tests.evaluations import make_evaluation
from tests.test_plots import render


def draw_evaluation(count=300, seed=1):
    generator = np.random.default_rng(seed)
    happy = generator.random(count)
    labels = (generator.random(count) < happy).astype(int)
    return make_evaluation(labels, np.stack([1 - happy, happy], 1))


def test_reliability_shows_every_bin_with_its_count():
    reliability = measure_reliability(draw_evaluation(), bins=10)
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
    curves = {name: measure_risk_coverage(draw_evaluation(seed=s)) for s, name in enumerate("ab")}
    figure = plots.plot_risk_coverage(curves)
    render(figure)
    (axis,) = figure.axes
    assert axis.lines[0].get_ydata().tolist() == curves["a"].risk.tolist()
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels[1].startswith(f"b: area {curves['b'].area.value:.3f}")
    one = plots.plot_risk_coverage({"one": measure_risk_coverage(draw_evaluation(12))})
    render(one)
    with pytest.raises(ValueError, match="at least one curve"):
        plots.plot_risk_coverage({})
