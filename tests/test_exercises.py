"""The lesson's exercises: what is right passes, every typical mistake is named, nothing raises."""

import ast
import builtins
import json
import re
import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

import emoclf
from emoclf.apps.lesson import exercises
from emoclf.apps.lesson.exercises import check_exercise

NAMES = {1: "my_parts", 2: "my_kernel", 3: "my_count", 4: "my_model", 5: "my_recall"}
SOBEL = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]


def check(number, answer):
    return check_exercise(number, {NAMES[number]: answer})


def split_of(*tested):
    return ["test" if photo in tested else "train" for photo in range(12)]


def make_model(
    *,
    size=(48, 48, 3),
    flip="horizontal",
    convolution=layers.Conv2D,
    dropouts=(0.5,),
    last_dropouts=(),
    units=2,
    activation="softmax",
):
    parts = [keras.Input(size)]
    parts += [layers.RandomFlip(flip)] if flip else []
    parts += [convolution(4, 3)] if convolution else []
    parts += [layers.GlobalAveragePooling2D(), *map(layers.Dropout, dropouts)]
    parts += [layers.Dense(units, activation=activation), *map(layers.Dropout, last_dropouts)]
    return keras.Sequential(parts)


def make_nested_model():
    photo = keras.Input((48, 48, 3), dtype="uint8")
    augmented = keras.Sequential([layers.Rescaling(1 / 255), layers.RandomFlip("horizontal")])
    maps = layers.SpatialDropout2D(0.5)(layers.Conv2D(4, 3)(augmented(photo)))
    maps = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(maps))
    return keras.Model(photo, layers.Softmax()(maps))


def make_two_outputs():
    features = (model := make_model()).layers[-2].output
    return keras.Model(model.inputs, [*model.outputs, layers.Dense(2)(features)])


RIGHT = [
    (1, split_of(0, 1, 6)),
    (1, split_of(2, 8, 9)),
    (1, tuple(split_of(3, 4, 5, 11))),
    (1, np.array(split_of(2, 6, 7))),
    (2, SOBEL),
    (2, np.array(SOBEL, dtype="float32") / 1000),
    (2, [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]),
    (2, [[1.0, 1, 1], [-1, -1, -1], [0, 0, 0]]),
    (2, [[0, 1, 0], [0, 0, 0], [0, -1, 0]]),
    (2, [[47, 162, 47], [0, 0, 0], [-47, -162, -47]]),
    (2, [[5, 5, 5], [-3, 0, -3], [-3, -3, -3]]),
    (3, 672),
    (3, 672.0),
    (3, np.int64(672)),
    (4, make_model),
    (4, lambda: make_model(size=(None, None, 3), convolution=layers.SeparableConv2D)),
    (4, lambda: make_model(dropouts=(0.2, 0.5))),
    (4, make_nested_model),
    (4, lambda: emoclf.build_cnn((48, 48), dropout=0.5)),
    (5, 31 / 45),
    (5, np.float32(0.689)),
    (5, Fraction(31, 45)),
    (5, 0.69),
]
WRONG = [
    (1, split_of(*range(4)), "Group 2 lies"),
    (1, split_of(0, 6, 8), "Groups 0, 5 lie"),
    (1, split_of(), "No photo is kept"),
    (1, split_of(2, 6), "2 of 12 photos, too few to say"),
    (1, split_of(0, 1, 2, 6, 7), "5 of 12 photos, too few are left"),
    (1, split_of(*range(12)), "12 of 12"),
    (1, split_of(8, 9, 10, 11), "Happy photos only"),
    (1, split_of(0, 1, 2), "Sad photos only"),
    (1, split_of(0, 1, 6)[:11], "11 entries"),
    (1, ["validation", *split_of(0, 1, 6)[1:]], "'validation'"),
    (1, [1] * 12, "type int"),
    (1, "train test", "type str"),
    (2, np.transpose(SOBEL), "vertical edges"),
    (2, np.flipud(SOBEL), "upside down"),
    (2, np.ones((3, 3)) / 9, "blurs"),
    (2, [[1, 2, 1], [0, 1, 0], [-1, -2, -1]], "even areas"),
    (2, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], "not the centre"),
    (2, [[2, 1, 0], [1, 0, -1], [0, -1, -2]], "left and right alike"),
    (2, [[1, -2, 1], [-2, 4, -2], [1, -2, 1]], "no straight edge"),
    (2, np.zeros((3, 3)), "zeros only"),
    (2, np.ones((2, 2)), "(2, 2)"),
    (2, np.ones((3, 3, 1, 1)), "(3, 3, 1, 1)"),
    (2, [[1, 2, 1], [0, 0], [-1, -2, -1]], "differ in length"),
    (2, np.full((3, 3), np.nan), "nan or infinity"),
    (2, [["1"] * 3] * 3, "no number"),
    (3, 648, "biases are missing"),
    (3, 240, "colours are missing"),
    (3, 216, "colours are missing, and so are the biases"),
    (3, 28, "one filter"),
    (3, 768, "batch normalisation"),
    (3, 720, "not three"),
    (3, 100, "too small"),
    (3, 201_218, "too large"),
    (3, "672", "type str"),
    (3, True, "type bool"),
    (3, float("nan"), "no ordinary number"),
    (4, lambda: make_model(convolution=None), "no convolution"),
    (4, lambda: make_model(flip=None), "Nothing in my_model flips"),
    (4, lambda: make_model(flip="vertical"), "a smile turns"),
    (4, lambda: make_model(flip="horizontal_and_vertical"), "a smile turns"),
    (4, lambda: make_model(dropouts=()), "no dropout"),
    (4, lambda: make_model(dropouts=(0.2, 0.3)), "0.2, 0.3"),
    (4, lambda: make_model(dropouts=(), last_dropouts=[0.5]), "after the last layer"),
    (4, lambda: make_model(last_dropouts=[0.5]), "after the last layer"),
    (4, lambda: make_model(units=1, activation="sigmoid"), "(1,)"),
    (4, lambda: make_model(units=3), "(3,)"),
    (4, lambda: make_model(activation=None), "no probabilities"),
    (4, lambda: make_model(activation="sigmoid"), "no probabilities"),
    (4, lambda: make_model(size=(96, 96, 3)), "(None, 96, 96, 3)"),
    (4, make_two_outputs, "2 outputs"),
    (4, lambda: keras.Sequential([layers.Conv2D(4, 3)]), "keras.Input"),
    (4, lambda: [layers.Dense(2)], "type list"),
    (5, 31 / 40, "precision"),
    (5, 83 / 106, "accuracy"),
    (5, 52 / 61, "recall of Sad"),
    (5, (52 / 61 + 31 / 45) / 2, "balanced accuracy"),
    (5, 14 / 45, "is missed"),
    (5, 68.9, "percent"),
    (5, 77.5, "precision"),
    (5, 31, "number of photos"),
    (5, 0.5, "not it"),
    (5, -1, "between 0 and 1"),
    (5, [31 / 45], "type list"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_right_answers_pass_whichever_they_are(number, answer):
    found = check(number, answer() if number == 4 else answer)
    assert found.is_right, found
    assert str(found).startswith(f"Exercise {number}: right. ")


@pytest.mark.parametrize(("number", "answer", "named"), WRONG)
def test_a_typical_mistake_is_named(number, answer, named):
    found = check(number, answer() if number == 4 else answer)
    assert not found.is_right
    assert str(found).startswith(f"Exercise {number}: not yet. ")
    assert named in found.text


def test_no_two_mistakes_of_an_exercise_get_one_sentence():
    for number in NAMES:
        words = [named for each, _, named in WRONG if each == number]
        assert len(set(words)) >= 8
    kernels = [answer for number, answer, _ in WRONG if number == 2]
    assert len({check(2, kernel).text for kernel in kernels}) == len(kernels)


@pytest.mark.parametrize("number", NAMES)
def test_what_is_not_there_yet_is_asked_for_by_name(number):
    for namespace in ({}, {NAMES[number]: None}):
        found = check_exercise(number, namespace)
        assert not found.is_right
        assert found.text.startswith(f"There is no {NAMES[number]} yet: ")


@pytest.mark.parametrize("number", [0, 6, "2", [1], None, "\x1b[31m"])
def test_an_unknown_exercise_is_refused_with_those_there_are(number):
    with pytest.raises(ValueError, match=r"no exercise .*: give a number from 1 to 5") as caught:
        check_exercise(number, {})
    assert "\x1b" not in str(caught.value)


class Hostile:
    """Raises whatever is asked of it."""

    def _fail(self, *_args, **_named):
        raise RuntimeError("\x1b[31mgot you")

    __repr__ = __str__ = __len__ = __iter__ = __array__ = __eq__ = __float__ = __bool__ = _fail
    __hash__ = __index__ = __getattr__ = __class__ = property(_fail)


class HostileList(list):
    __iter__ = __len__ = __array__ = __repr__ = Hostile._fail


class HostileWord(str):
    __eq__ = __hash__ = __repr__ = Hostile._fail


def make_circle():
    circle = []
    circle.append(circle)
    return circle


HOSTILE = {
    "raises": Hostile,
    "list": lambda: HostileList("train"),
    "words": lambda: [HostileWord("train")] * 12,
    "entries": lambda: [Hostile()] * 12,
    "numbers": lambda: [[Hostile()] * 3] * 3,
    "name": lambda: type("\x1b[31m" + "x" * 500, (), {})(),
    "circle": make_circle,
    "used up": lambda: iter([]),
    "function": lambda: print,
    "class": lambda: keras.Model,
    "no network": keras.Model,
    "layer": lambda: layers.Dense(2),
    "dict": dict,
    "bytes": lambda: b"672",
    "escapes": lambda: ["\x1b[31m" * 99] * 12,
    "huge": lambda: 10**400,
    "complex": lambda: 1 + 2j,
    "complex numbers": lambda: np.ones((3, 3), dtype=complex),
    "nothing": lambda: np.array(None),
    "large": lambda: np.full((3, 3), 1e308),
    "infinite": lambda: np.array([float("inf")] * 12),
}


@pytest.mark.parametrize("number", NAMES)
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_answer_is_it_gets_a_sentence(number, name):
    found = check(number, HOSTILE[name]())
    assert not found.is_right
    assert found.text.endswith((".", "?"))
    assert "\x1b" not in str(found) and "\n" not in str(found)
    assert len(str(found)) < 250


def test_a_model_that_cannot_be_called_gets_a_sentence():
    model = make_model()
    model.call = Hostile._fail
    assert "raised RuntimeError" in check(4, model).text


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_two_sigmoids_are_no_probabilities_whatever_their_weights(scale):
    photo = keras.Input((48, 48, 3))
    maps = layers.Conv2D(4, 3)(layers.RandomFlip("horizontal")(layers.Rescaling(scale)(photo)))
    features = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(photo, layers.Dense(2, activation="sigmoid")(features))
    for seed in range(30):
        random = np.random.default_rng(seed)
        model.set_weights([random.normal(0, 0.5, each.shape) for each in model.get_weights()])
        assert "no probabilities" in check(4, model).text


def test_checking_a_model_changes_nothing_about_it():
    model = make_model()
    before = [each.numpy() for each in model.variables]
    assert check(4, model).is_right
    assert all(np.array_equal(a, b) for a, b in zip(before, model.variables, strict=True))


def test_the_verdict_shows_itself_everywhere():
    found = check(2, SOBEL)
    assert repr(found) == str(found) == found._repr_mimebundle_()["text/plain"]
    assert found._repr_html_().startswith("<p ")
    assert "\n" not in found._repr_html_()


def test_the_answer_is_looked_up_where_the_learner_is(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "my_count", 28, raising=False)
    stand_in = SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", stand_in)
    assert "one filter" in check_exercise(3).text
    stand_in.get_ipython = lambda: SimpleNamespace(user_ns={"my_count": 672})
    assert check_exercise(3).is_right


def test_the_check_loads_nothing_heavy_and_prints_nothing(repository):
    code = (
        "import sys, emoclf\n"
        "my_kernel, my_model = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]], 3\n"
        "assert emoclf.check_exercise(2).is_right and not emoclf.check_exercise(4).is_right\n"
        "assert not {'keras', 'tensorflow', 'cv2', 'IPython', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_count_and_the_recall_are_those_of_the_package():
    first = emoclf.build_cnn((32, 32)).get_layer("convolution_1")
    assert check(3, first.count_params()).is_right
    rows = [(t, p) for t in (0, 1) for p in (0, 1) for _ in range(exercises.CONFUSION[t][p])]
    found = sum(truth == predicted == 1 for truth, predicted in rows)
    assert check(5, found / sum(truth for truth, _ in rows)).is_right


# in the notebook


@pytest.fixture(scope="module")
def cells(repository):
    return json.loads((repository / "model.ipynb").read_text(encoding="utf-8"))["cells"]


def find_exercises(cells):
    """Number -> the code cell of every exercise."""
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found = [(re.search(r"^emoclf\.check_exercise\((\d)\)$", each, re.M), each) for each in sources]
    return {int(match[1]): source for match, source in found if match}


def test_every_exercise_waits_in_the_notebook_with_what_it_gives(cells):
    found = find_exercises(cells)
    assert [*found] == [*NAMES]
    given = {}
    for number, source in found.items():
        names = {}
        exec(source, {"emoclf": emoclf}, names)
        assert names.pop(NAMES[number]) is None
        assert len(source.splitlines()) <= 6
        given |= names
    assert given == {
        "photo_groups": [*exercises.PHOTO_GROUPS],
        "photo_labels": [*exercises.PHOTO_LABELS],
        "confusion": [[*row] for row in exercises.CONFUSION],
    }


def test_the_solutions_of_the_notebook_are_right(cells):
    tagged = [
        "".join(cell["source"]) for cell in cells if "solution" in cell["metadata"].get("tags", ())
    ]
    solutions = re.findall(r"^```python\n(.*?)^```$", "\n".join(tagged), flags=re.M | re.S)
    assert len(solutions) == len(NAMES)
    names = {"emoclf": emoclf, "keras": keras}
    for number, source in find_exercises(cells).items():
        exec(source, names)
        assert not check_exercise(number, names).is_right
        exec(solutions[number - 1], names)
        assert check_exercise(number, names).is_right
    assert all(text.count("<details>") == text.count("</details>") >= 1 for text in tagged)


def test_the_exercises_overwrite_no_name_of_the_lesson(cells):
    own = find_exercises(cells)
    assigned = {
        node.id
        for source in own.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    others = "\n".join(
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and "".join(cell["source"]) not in own.values()
    )
    assert not [name for name in assigned if re.search(rf"\b{name} = ", others)]
    assert not assigned & set(dir(builtins))
