"""Heads that are taught in the browser: learned and tested in JavaScript, read in Python, too."""

import copy
import io
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import emoclf
from emoclf.apps.page import predict_photo
from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import draw_face
from emoclf.evaluation.estimates import find_wilson_limits
from emoclf.images.faces import Face, crop_face, make_detector
from emoclf.inference import UNCERTAIN, Predictor
from emoclf.inference.explanations import explain
from emoclf.models.head_file import load_head
from emoclf.models.joint import JointNetwork
from emoclf.models.packaged import NETWORK_FILE_NAME, ModelCard, PackagedNetwork
from tests.calls import call
from tests.running_node import run_node

PER_CLASS = 20
FACE_SHA256 = ModelCard.load().sha256[NETWORK_FILE_NAME]
JOINT_SHA256 = "5" * 64
RNG = np.random.default_rng(18)
START = RNG.bit_generator.state

IMPORTS = """
import { sketchPicture, findGroups } from "SOURCE/teaching/duplicates.mjs";
import { ExampleStore, MAX_EXAMPLES } from "SOURCE/teaching/examples.mjs";
import { estimateAccuracy, teachHead } from "SOURCE/teaching/evaluating.mjs";
import { checkClassNames, predictHead, readHead, writeHead } from "SOURCE/teaching/head.mjs";
import { fitRegression, predictRegression, standardiseRows } from "SOURCE/teaching/regression.mjs";
/** Call a function; return what it says that the problem is. */
function findProblem(work) {
  try { work(); } catch (error) {
    if (!error.problem) throw error;
    return [error.problem, error.detail];
  }
  return null;
}
/** Return the rows of an array that the test gave. */
function rowsOf(name) {
  const values = take(name), width = values.length / shapeOf(name)[0];
  return Array.from({ length: shapeOf(name)[0] }, (_, n) => {
    return values.subarray(n * width, (n + 1) * width);
  });
}
/** Return a store with features, thumbnails, labels and groups that the test gave. */
function fillStore(names) {
  const store = new ExampleStore(names);
  const features = rowsOf("features"), thumbnails = rowsOf("thumbnails");
  const labels = take("labels"), groups = take("groups");
  features.forEach((each, n) => store.add({
    features: each, thumbnail: { width: 48, height: 48, data: thumbnails[n] },
    label: labels[n], group: groups ? groups[n] : null,
  }));
  return store;
}
"""


@pytest.fixture(autouse=True)
def _begin_again():
    RNG.bit_generator.state = START  # whichever tests ran before


def save_again(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def crop(class_name, seed, *, change=lambda picture: picture, strength=None):
    """Draw a face and cut it out where it was found at first, whatever the change does."""
    picture = draw_face(class_name, seed=seed, size=(240, 240), strength=strength)
    faces = make_detector("packaged").find(picture)
    return crop_face(change(picture), faces[0]) if faces else None


def make_noise(count):
    return RNG.integers(0, 256, (count, 48, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def drawn():
    """Crops uint8 (40, 48, 48, 3), their features, and labels: 20 drawn faces per class."""
    crops, labels = [], []
    for label, name in enumerate(CLASS_NAMES):
        found = (crop(name, seed) for seed in range(label * 100, label * 100 + 60))
        own = [each for each in found if each is not None][:PER_CLASS]
        crops += own
        labels += [label] * len(own)
    assert len(crops) == 2 * PER_CLASS
    pictures = np.array(crops)
    return pictures, PackagedNetwork().predict_features(pictures), np.array(labels)


@pytest.fixture(scope="module")
def taught(drawn):
    """What Node makes of the drawn faces: the numbers, the head's file, and its probabilities."""
    crops, features, labels = drawn
    return run_node(
        IMPORTS
        + """
        const about = { features: "face", network: take("network") };
        const { head, ...numbers } = teachHead(fillStore(["Sad", "Happy"]), about);
        const text = writeHead(head);
        const again = readHead(text, { face: about.network, joint: null });
        const predict = (one) => rowsOf("features").map((row) => [...predictHead(one, row)]);
        give("numbers", numbers);
        give("text", text);
        give("own", predict(head));
        give("again", predict(again));
        """,
        features=features,
        thumbnails=crops,
        labels=labels.tolist(),
        groups=None,
        network=FACE_SHA256,
    )


@pytest.fixture
def head_file(taught, tmp_path):
    path = tmp_path / "head.json"
    path.write_text(taught["text"], encoding="utf-8")
    return path


# scikit-learn 1.6 hands an option to SciPy that newer ones no longer know
@pytest.mark.filterwarnings("ignore:Unknown solver options")
@pytest.mark.parametrize("width", [136, 1303])
def test_the_regression_is_that_of_scikit_learn(width):
    given, cases = {}, []
    for classes in range(2, 7):
        labels = np.minimum(RNG.integers(0, classes + 1, 100), classes - 1)  # the last is larger
        labels[:classes] = np.arange(classes)
        centres = RNG.normal(size=(classes, width)) * 0.4
        features = np.abs(centres[labels] + RNG.normal(size=(100, width)))
        features[:, 3] = 0.7  # constant
        given[f"features{classes}"] = features.astype(np.float32)
        cases += [[classes, inverse, labels.tolist()] for inverse in (1e-4, 1e-2, 1.0)]
    found = run_node(
        IMPORTS
        + """
        take("cases").forEach(([classCount, inverse, labels], n) => {
          const features = take(`features${classCount}`);
          const width = features.length / labels.length;
          const { scaled } = standardiseRows(features, labels.map((_, row) => row), width);
          const fitted = fitRegression({ scaled, labels, classCount }, inverse);
          give(`found${n}`, predictRegression(fitted, scaled, classCount),
            [labels.length, classCount]);
        });
        """,
        cases=cases,
        **given,
    )
    for n, (classes, inverse, labels) in enumerate(cases):
        scaled = StandardScaler().fit_transform(given[f"features{classes}"].astype(np.float64))
        model = LogisticRegression(C=inverse, class_weight="balanced", max_iter=5000, tol=1e-8)
        expected = model.fit(scaled, labels).predict_proba(scaled)
        np.testing.assert_allclose(found[f"found{n}"], expected, atol=1e-3)


def test_a_store_counts_removes_and_is_full_at_last():
    found = run_node(
        IMPORTS
        + """
        const data = new Uint8Array(48 * 48 * 3), store = new ExampleStore([" tired ", "awake"]);
        const thumbnail = { width: 48, height: 48, data };
        const add = (value, label, group = null) => store.add({
          features: Float32Array.of(value, -value), thumbnail, label, group });
        give("ids", [add(1, 0), add(2, 1), add(3, 1), add(4, 0)]);
        give("removed", store.remove([2, 99]));
        give("rows", [...store.features]);
        give("next", add(5, 1));
        give("cleared", store.clear(0));
        give("left", [...store.features]);
        store.rename(0, "bored");
        give("names", store.classNames);
        give("equal", findProblem(() => store.rename(0, "awake")));
        let id = 0;
        while (id !== null) id = add(0, 1);
        give("full", [store.counts, MAX_EXAMPLES]);
        """
    )
    assert found["ids"] == [1, 2, 3, 4]
    assert (found["removed"], found["rows"]) == ([2, 1], [1, -1, 3, -3, 4, -4])
    assert (found["next"], found["cleared"], found["left"]) == (5, [0, 2], [3, -3, 5, -5])
    assert found["names"] == ["bored", "awake"]
    assert found["equal"] == ["problem_class_names_equal", {}]
    assert found["full"] == [[0, 5000], 5000]


def test_near_duplicates_are_found_and_other_faces_are_not():
    changes = {
        "again": lambda picture: save_again(picture, 70),
        "moved": lambda picture: np.roll(picture, 1, axis=1),
        "brighter": lambda picture: np.clip(picture * 1.08 + 4, 0, 255).astype(np.uint8),
    }
    seeds = [seed for seed in range(12) if crop("Happy", seed, strength=0.7) is not None]
    pictures, names = [], []
    for seed in seeds:
        for class_name in CLASS_NAMES:  # the same person, once happy and once sad
            first = crop(class_name, seed, strength=0.7)
            if first is None:
                continue
            shifted = np.roll(first, 1, axis=0)
            others = [
                crop(class_name, seed, change=each, strength=0.7) for each in changes.values()
            ]
            pictures += [first, shifted, *others]
            names += [(seed, class_name)] * 5
    crops = np.array(pictures)
    found = run_node(
        IMPORTS
        + """
        const examples = rowsOf("thumbnails").map((data, n) => {
          return { recording: String(n), ...sketchPicture({ width: 48, height: 48, data }) };
        });
        give("groups", findGroups(examples, take("features")));
        """,
        thumbnails=crops,
        features=PackagedNetwork().predict_features(crops),
    )
    groups = {}
    for name, group in zip(names, found["groups"], strict=True):
        groups.setdefault(name, []).append(group)
    assert len(groups) >= 20
    alike = [len(set(own)) == 1 for own in groups.values()]
    assert np.mean(alike) >= 0.9
    owners = {
        group: {name for name, own in groups.items() if group in own} for group in found["groups"]
    }
    assert all(len(each) == 1 for each in owners.values())


def test_drawn_faces_are_learned(taught):
    numbers = taught["numbers"]
    accuracy = numbers["accuracy"]
    assert accuracy["value"] >= 0.9
    assert numbers["counts"] == [PER_CLASS, PER_CLASS]
    assert np.sum(numbers["confusion"], axis=1).tolist() == [PER_CLASS, PER_CLASS]
    low, high = find_wilson_limits(accuracy["value"], accuracy["n"])
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((low, high), abs=1e-9)
    assert {each["key"] for each in numbers["warnings"]} <= {"warning_two_classes"}


def test_a_head_says_the_same_in_python(taught, drawn, head_file):
    crops, features, labels = drawn
    network, info, uncertain_below = load_head(head_file)
    probabilities = network.predict_on_batch(crops)
    np.testing.assert_allclose(probabilities, taught["own"], atol=1e-3)
    np.testing.assert_allclose(taught["again"], taught["own"], atol=1e-6)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9
    assert (info.class_names, info.crop, uncertain_below) == (CLASS_NAMES, "face", 0.65)
    assert network.head.predict(features).dtype == np.float32


def test_float32_survives_the_file():
    found = run_node(
        IMPORTS
        + """
        const head = { features: "joint", network: "5".repeat(64), classNames: ["a", "b", "c"],
          mean: take("mean"), scale: take("scale"), weights: take("weights"), bias: take("bias"),
          uncertainBelow: 0.5, accuracy: null, examples: [1, 2, 3] };
        const text = writeHead(head);
        const again = readHead(text, { face: null, joint: "5".repeat(64) });
        give("text", text);
        give("equal", ["mean", "scale", "weights", "bias"].every((name) => {
          return head[name].every((value, i) => value === again[name][i]);
        }));
        """,
        mean=RNG.normal(size=1303).astype(np.float32),
        scale=np.exp(RNG.normal(size=1303) * 5).astype(np.float32),
        weights=(weights := RNG.normal(size=(1303, 3)).astype(np.float32) * 1e-3),
        bias=RNG.normal(size=3).astype(np.float32),
    )
    assert found["equal"]
    written = np.array(json.loads(found["text"])["weights"]).astype(np.float32)
    np.testing.assert_array_equal(written, weights)


def test_frames_of_a_recording_stay_on_one_side():
    """Each recording is a face of its own with a class by chance: nothing can be learned of it."""
    recordings, frames = 24, 12
    labels = np.repeat(np.arange(recordings) % 2, frames)
    groups = np.repeat(np.arange(recordings), frames)
    features = np.repeat(np.abs(RNG.normal(size=(recordings, 136))), frames, axis=0)
    features += RNG.normal(size=features.shape) * 0.01
    found = run_node(
        IMPORTS
        + """
        const store = fillStore(["a", "b"]);
        const { head, ...numbers } = teachHead(store, { features: "face", network: "" });
        give("numbers", numbers);
        const answers = rowsOf("features").map((row) => Number(predictHead(head, row)[1] > 0.5));
        give("answers", answers);
        """,
        features=features.astype(np.float32),
        thumbnails=make_noise(recordings).repeat(frames, axis=0),
        labels=labels.tolist(),
        groups=groups.tolist(),
    )
    accuracy = found["numbers"]["accuracy"]
    assert accuracy["n"] == recordings
    assert accuracy["value"] < 0.8
    assert np.sum(found["numbers"]["confusion"]) == len(labels)
    assert np.mean(np.array(found["answers"]) == labels) > 0.9  # those it has learned


def test_every_group_counts_once():
    fractions = [1.0, 1.0, 0.25, 0.0]
    code = 'give("found", estimateAccuracy(take("fractions")));'
    found = run_node(IMPORTS + code, fractions=fractions)["found"]
    low, high = find_wilson_limits(np.mean(fractions), 4)
    assert found == pytest.approx({"value": 0.5625, "low": low, "high": high, "n": 4})


def teach(labels, groups, thumbnails=None, names=("a", "b")):
    features = RNG.normal(size=(len(labels), 136)).astype(np.float32)
    pictures = make_noise(len(labels)) if thumbnails is None else thumbnails
    if thumbnails is not None:
        _, rows = np.unique(thumbnails.reshape(len(labels), -1), axis=0, return_inverse=True)
        features = features[rows]  # the same picture has the same features
    code = """
    const about = { features: "face", network: "" };
    give("problem", findProblem(() => {
      const { head, ...numbers } = teachHead(fillStore(take("names")), about);
      give("numbers", numbers);
    }));
    """
    return run_node(
        IMPORTS + code,
        features=features,
        thumbnails=pictures,
        labels=list(labels),
        groups=groups,
        names=list(names),
    )


def test_what_examples_cannot_tell_is_said():
    found = teach([0] * 10 + [1] * 45, [1] * 10 + list(range(45)))["numbers"]
    assert (found["accuracy"], found["confusion"]) == (None, None)
    assert found["warnings"] == [
        {"key": "warning_few", "values": {"name": "a", "count": 10}},
        {"key": "warning_one_recording", "values": {"name": "a"}},
        {
            "key": "warning_one_sided",
            "values": {"larger": "b", "smaller": "a", "most": 45, "least": 10},
        },
    ]


def test_the_same_picture_in_two_classes_is_said_and_held_out_together():
    thumbnails = make_noise(40)
    thumbnails[20] = thumbnails[0]  # stands in both classes
    found = teach([0] * 20 + [1] * 20, None, thumbnails)["numbers"]
    assert found["warnings"] == [{"key": "warning_two_classes", "values": {"count": 1}}]
    assert found["accuracy"]["n"] == 39


def test_a_class_without_an_example_is_refused():
    found = teach([0, 2, 0], [1, 2, 3], names=("a", "b", "c"))
    assert found["problem"] == ["problem_class_empty", {"name": "b"}]


def test_two_thousand_examples_are_learned():
    labels = np.arange(2000) % 3
    centres = RNG.normal(size=(3, 136)) * 0.7
    features = np.abs(centres[labels] + RNG.normal(size=(2000, 136)))
    code = """
    const { accuracy, counts } = teachHead(fillStore(["a", "b", "c"]),
      { features: "face", network: "" });
    give("found", { accuracy, counts });
    """
    found = run_node(
        IMPORTS + code,
        features=features.astype(np.float32),
        thumbnails=make_noise(2000),
        labels=labels.tolist(),
        groups=(np.arange(2000) // 30).tolist(),
    )["found"]
    assert found["accuracy"]["value"] > 0.9
    assert sum(found["counts"]) == 2000


def change(**values):
    def damage(head):
        return json.dumps({**head, **values})

    return damage


def change_first(part, value):
    """Put something else where a part's first number is."""

    def damage(head):
        head = copy.deepcopy(head)
        row = head[part][0] if part == "weights" else head[part]
        row[0] = "@"
        return json.dumps(head).replace('"@"', value)

    return damage


DAMAGED = {
    "cut off": (lambda head: json.dumps(head)[:2000], "not_json", "not valid JSON"),
    "empty": (lambda _: "", "not_json", "not valid JSON"),
    "nested": (lambda _: "[" * 100_000, "not_json", "not valid JSON"),
    "nested and whole": (
        lambda _: '{"format": ' + "[" * 10_000 + "]" * 10_000 + "}",
        None,  # an engine may read it or not
        "no head|nested too deeply",
    ),
    "a list": (lambda _: "[1, 2]", "other_file", "is no head"),
    "another file": (lambda _: '{"epochs": 3}', "other_file", "is no head"),
    "by its prototype": (
        lambda head: json.dumps({"__proto__": head}),
        "other_file",
        "is no head",
    ),
    "newer": (change(version=2), "version", "Update emoclf"),
    "one key more": (change(__proto__={"mean": []}), "damaged", "__proto__ is unknown"),
    "one key less": (
        lambda head: json.dumps({name: head[name] for name in head if name != "bias"}),
        "damaged",
        "bias is missing",
    ),
    "other features": (change(features="constructor"), "damaged", "features"),
    "other network": (change(network="0" * 64), "network", "taught on other networks"),
    "no digest": (change(network="<b>"), "damaged", "taught on other networks"),
    "one class": (change(class_names=["a"]), "damaged", "2 to 6"),
    "seven classes": (change(class_names=list("abcdefg")), "damaged", "2 to 6"),
    "equal names": (change(class_names=["a", " a"]), "damaged", "different"),
    "names equal but for their accents": (
        change(class_names=["caf\u00e9", "cafe\u0301"]),
        "damaged",
        "different",
    ),
    "a name from right to left": (change(class_names=["a", "b\u202e"]), "damaged", "plain names"),
    "a name with a line break": (change(class_names=["a", "b\nc"]), "damaged", "plain names"),
    "an empty name": (change(class_names=["a", "  "]), "damaged", "1 to 40"),
    "a long name": (change(class_names=["a", "b" * 41]), "damaged", "1 to 40"),
    "a name that is an answer": (change(class_names=["a", "Uncertain"]), "damaged", "uncertain"),
    "a name that is none": (change(class_names=["a", 7]), "damaged", "class_names"),
    "NaN": (change_first("mean", "NaN"), "not_json", "too large or none"),
    "infinite": (change_first("bias", "Infinity"), "not_json", "too large or none"),
    "overflowing": (change_first("weights", "1e400"), "damaged", "too large or none"),
    "huge": (change_first("weights", "1e38"), "damaged", "too large or none"),
    "as many digits": (change_first("bias", "9" * 3000), "damaged", "head.json should hold"),
    "a text": (change_first("mean", '"1"'), "damaged", "mean"),
    "a truth": (change_first("mean", "true"), "damaged", "mean"),
    "no scale": (change_first("scale", "0"), "damaged", "scale"),
    "scale below 0": (change_first("scale", "-1"), "damaged", "scale"),
    "tiny scale": (change_first("scale", "1e-30"), "damaged", "scale"),
    "short": (change(mean=[0.0] * 135), "damaged", "mean should have 136"),
    "of a photo": (change(features="joint"), "no_scene", "mean should have 1303"),
    "three columns": (change(weights=[[0.0] * 3] * 136), "damaged", "weights"),
    "no columns": (change(weights=[0.0] * 136), "damaged", "weights"),
    "uncertain above 1": (change(uncertain_below=1.5), "damaged", "uncertain_below"),
    "accuracy of all": (change(accuracy={"value": 2}), "damaged", "accuracy"),
    "counts below 0": (change(examples=[20, -1]), "damaged", "examples"),
}


def test_damaged_and_hostile_heads_are_refused(taught, tmp_path):
    head = json.loads(taught["text"])
    texts = {name: damage(head) for name, (damage, _, _) in DAMAGED.items()}
    code = """
    const networks = { face: take("network"), joint: null };
    for (const [name, text] of Object.entries(take("texts"))) {
      give(name, findProblem(() => readHead(text, networks)));
    }
    give("large", findProblem(() => readHead(" ".repeat(60e6), networks)));
    give("number", findProblem(() => readHead(7, networks)));
    """
    found = run_node(IMPORTS + code, texts=texts, network=FACE_SHA256)
    for name, (_, problem, words) in DAMAGED.items():
        assert found[name] is not None, name
        if problem:
            assert found[name][0] == f"problem_head_{problem}", name
        path = tmp_path / "head.json"
        path.write_text(texts[name], encoding="utf-8")
        with pytest.raises(ValueError, match=words) as raised:
            load_head(path)
        assert "head.json" in str(raised.value), name
    assert found["large"][0] == found["number"][0] == "problem_head_large"
    path.write_bytes(b" " * 60_000_000)
    with pytest.raises(ValueError, match=r"head\.json is too large"):
        load_head(path)


def test_names_are_judged_alike(taught, tmp_path):
    names = [
        "a",
        "ein Wort",
        "\u6cb3",
        "\U0001f468\u200d\U0001f469\u200d\U0001f466",
        "=x()",
        "\xad",
        "\ufeffa",
        "\x85",
        "\u2028",
        "\u3000b\u3000",
        "x" * 40,
        "\U0001f600" * 40,
        "<script>",
    ]
    code = """
    give("found", take("names").map((name) => findProblem(() => checkClassNames([name, "z"]))));
    """
    found = run_node(IMPORTS + code, names=names)["found"]
    head = json.loads(taught["text"])
    for name, problem in zip(names, found, strict=True):
        path = tmp_path / "head.json"
        path.write_text(json.dumps({**head, "class_names": [name, "z"]}), encoding="utf-8")
        if problem is None:
            assert load_head(path).info.class_names == (name.strip(), "z")
        else:
            with pytest.raises(ValueError, match="class_names"):
                load_head(path)
    assert [name for name, problem in zip(names, found, strict=True) if problem] == [
        "\xad",
        "\ufeffa",
        "\x85",
        "\u2028",
    ]


class CentreDetector:
    """Finds a face in the middle of every photo."""

    name = description = "A detector that knows where the face is."
    note = ""

    def find(self, image):
        height, width = image.shape[:2]
        return (Face((width * 0.2, height * 0.15, width * 0.6, height * 0.75), 0.9),)


def test_a_head_predicts_faces(head_file):
    detector = CentreDetector()
    predictor = Predictor.load(head_file, detector=detector)
    photo = draw_face("Happy", seed=5, size=(200, 200), strength=1.0)
    face = predictor.predict(photo).faces[0]
    own = crop_face(photo, detector.find(photo)[0])
    expected = predictor.model.head.predict(PackagedNetwork().predict_features(own[np.newaxis]))
    assert list(face.probabilities.values()) == pytest.approx(expected[0].tolist(), abs=1e-5)
    assert face.neither is None
    assert predictor.file is None, "the photos of a run beside it are none of its own"
    assert face.answer == (face.class_name if max(expected[0]) >= 0.65 else UNCERTAIN)
    assert predictor.describe_rules() == '"uncertain": no probability reaches 65%.'
    assert emoclf.predict(photo, model=predictor).faces[0] == face
    assert explain(predictor, photo, class_name="Sad").class_name == "Sad"
    with pytest.raises(ValueError, match="grad-cam"):
        explain(predictor, photo, method="grad-cam")


def test_a_head_of_photos_predicts_the_photo(tmp_path):
    joint = JointNetwork()
    width = 1303
    head = {
        "format": "emoclf head",
        "version": 1,
        "features": "joint",
        "network": joint.sha256,
        "class_names": ["party", "desk", "beach"],
        "mean": [0.5] * width,
        "scale": [1.0] * width,
        "weights": (RNG.normal(size=(width, 3)) / 40).tolist(),
        "bias": [0.0, 1.0, 0.5],
        "uncertain_below": 0,
        "accuracy": None,
        "examples": [3, 3, 3],
    }
    path = tmp_path / "Rooms.JSON"
    path.write_text(json.dumps(head), encoding="utf-8")
    predictor = Predictor.load(path, detector=CentreDetector())
    photo = draw_face("Happy", seed=5, size=(200, 200))
    prediction, prepared = predictor.predict_prepared(photo)
    features = joint.predict_features(prepared.crops).astype(np.float64)[0]
    logits = (features - 0.5) @ np.array(head["weights"]) + head["bias"]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert list(prediction.photo.probabilities) == head["class_names"]
    found = list(prediction.photo.probabilities.values())
    assert found == pytest.approx(expected.tolist(), abs=1e-3)
    assert list(prediction.faces[0].probabilities) == list(CLASS_NAMES)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    table, neither, _ = predict_photo(tmp_path / "photo.png", predictor).numbers
    classes = (*head["class_names"], *CLASS_NAMES)
    assert table.headers == ("face", "answer", *classes, "neither")
    assert [bool(cell) for cell in table.rows[0][2:]] == [True, True, True, False, False, False]
    assert [bool(cell) for cell in table.rows[1][2:]] == [False, False, False, True, True, True]
    assert "the face is neither sad nor happy" in neither
    path.write_text(json.dumps({**head, "network": FACE_SHA256}), encoding="utf-8")
    with pytest.raises(ValueError, match="taught on other networks than those of emoclf"):
        Predictor.load(path)


def test_commands_take_a_head(head_file, tmp_path):
    folder = tmp_path / "photos"
    for name in CLASS_NAMES:
        (folder / name).mkdir(parents=True)
        for seed in range(3):
            photo = draw_face(name, seed=300 + seed, size=(200, 200), strength=1.0)
            Image.fromarray(photo).save(folder / name / f"{seed}.png")
    options = ("--detector", "packaged")
    first = call("predict", folder, "--head", head_file, "--json", *options, code=0)
    again = call("predict", folder, "--model", head_file, "--json", *options, code=0)
    assert first.stdout == again.stdout
    document = json.loads(first.stdout)
    assert document["model"]["file"] == str(head_file)
    assert document["uncertain_rule"] == {"uncertain_below": 0.65, "neither_above": 1}
    tested = call("evaluate", head_file, folder, *options, code=0).stdout
    assert "of 6 photos right" in tested
    maps = tmp_path / "maps"
    shown = call("explain", folder, "--model", head_file, "--output", maps, *options, code=0).stdout
    assert shown.count("(occlusion)") == len(list(maps.iterdir()))
    twice = call("predict", folder, "--head", head_file, "--model", head_file, code=2)
    assert "leave one of them out" in twice.stderr
    faces = call("predict", folder, "--head", head_file, "--faces-only", code=2)
    assert "--faces-only is for the packaged networks" in faces.stderr
    text = tmp_path / "head.txt"
    text.write_text("{}", encoding="utf-8")
    assert "Expected a .json file" in call("predict", folder, "--head", text, code=2).stderr
    exported = call("export", head_file, folder, "--output", tmp_path / "exported", code=1)
    assert "head.json is no .keras file" in exported.stderr
