"""The browser's worker: its answers are the predictor's, its messages are answered in order."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from emoclf.apps.camera.session import PredictionSmoother
from emoclf.config import CLASS_NAMES
from emoclf.data.synthetic import draw_face
from emoclf.images import ModelInfo
from emoclf.images.faces import crop_face, make_detector, measure_overlap
from emoclf.images.faces.detecting import PACKAGED_PATH
from emoclf.inference import FacePrediction, Prediction, Predictor, UncertaintyRule
from emoclf.inference.explanations import make_occlusion_maps
from emoclf.inference.predictions import UNCERTAIN
from emoclf.models.joint import Head, JointNetwork, SceneNetwork, summarise_faces
from emoclf.models.packaged import (
    FACE_MODEL_FOLDER,
    JOINT_MODEL_FOLDER,
    JointCard,
    ModelCard,
    calibrate_logits,
)
from tests.running_node import SOURCE, run_node
from tests.test_browser_vision import draw_noise, lay_faces

ASK = """
import { Service } from "SOURCE/worker.mjs";
const service = new Service();
const INFO = take("info");
const load = async () => {
  const bytes = (name) => take("parts").includes(name) ? take(name).buffer : undefined;
  const parts = ["kernel", "detector", "face", "scene", "head", "network"];
  const named = Object.fromEntries(parts.map((name) => [name, bytes(name)]));
  return service.reply({ id: 0, kind: "load", ...named, info: INFO });
};
const ask = (kind, values = {}) => service.reply({ id: 1, kind, ...values });
const show = (name) => {
  const [height, width] = shapeOf(name);
  return { pixels: take(name).buffer, width, height };
};
const plain = (value) => JSON.parse(JSON.stringify(value, (key, each) =>
  ArrayBuffer.isView(each) ? Array.from(each) : each));
const loaded = await load();
give("loaded", loaded);
"""

ANSWER_ALL = """
const answers = [];
for (let i = 0; i < take("count"); i++) answers.push(await ask("photo", show(`photo${i}`)));
give("answers", answers);
"""

TWO = lay_faces(480, 640, (5, 20, 30, 300), (29, 400, 200, 120))
PHOTOS = [
    draw_face("Happy", seed=5, size=(256, 256)),
    draw_face("Sad", seed=29, size=(200, 200)),
    lay_faces(
        900, 1400, *((n, 40 + 190 * (n % 7), 60 + 280 * (n // 7), 56 + 3 * n) for n in range(21))
    ),
    TWO,
    draw_noise(300, 200),
]


def add_alpha(photo):
    return np.dstack([photo, np.full(photo.shape[:2], 255, dtype=np.uint8)])


def describe(crop, size=(48, 48), *, names=CLASS_NAMES, joint=None, kind="packaged"):
    card = ModelCard.load()
    face = {
        "emotions": card.emotions,
        "temperature": card.temperature,
        "uncertainBelow": card.uncertain_below,
        "neitherAbove": card.neither_above,
        "sha256": card.sha256["network.onnx"],
    }
    return {
        "kind": kind,
        "classNames": list(names),
        "detector": {"name": "emoclf's own detector", "isPackaged": True},
        "input": {"crop": crop, "size": list(size), "resize": "pad"},
        "face": face,
        "joint": joint,
        "canTeach": True,
    }


def pack(head):
    return np.concatenate([np.ravel(each).astype("<f4") for each in head]).tobytes()


def gather(*, scene=False, head=None, **parts):
    parts["kernel"] = (SOURCE / "engine" / "kernel.wasm").read_bytes()
    parts["detector"] = PACKAGED_PATH.read_bytes()
    if "network" not in parts:
        parts["face"] = (FACE_MODEL_FOLDER / "network.onnx").read_bytes()
    if scene:
        parts["scene"] = (JOINT_MODEL_FOLDER / "scene.onnx").read_bytes()
        parts["head"] = pack(head or JointNetwork.packaged().head)
    return parts


def ask(code, info, parts, **given):
    found = run_node(ASK + code, info=info, parts=list(parts), **parts, **given)
    assert "problem" not in found["loaded"], found["loaded"]
    return found


def answer_photos(info, parts, photos=PHOTOS):
    shown = {f"photo{i}": add_alpha(photo) for i, photo in enumerate(photos)}
    found = ask(ANSWER_ALL, info, parts, count=len(photos), **shown)
    assert not [each for each in found["answers"] if "problem" in each]
    return found["answers"]


def assert_same(found, wanted, names, *, within=0.02):
    label = names.index(wanted.answer) if wanted.answer != UNCERTAIN else -1
    shares = [wanted.probabilities[name] for name in names]
    assert found["probabilities"] == pytest.approx(shares, abs=within)
    assert found["answer"] == label
    if wanted.neither is not None:
        assert found["neither"] == pytest.approx(wanted.neither, abs=within)


@pytest.fixture(scope="module")
def detector():
    return make_detector("packaged")


def assert_answers(answers, predictor, photos=PHOTOS, *, face_names=CLASS_NAMES):
    names = predictor.info.class_names
    for answer, photo in zip(answers, photos, strict=True):
        wanted = predictor.predict(photo)
        assert (answer["height"], answer["width"]) == photo.shape[:2]
        assert answer["classNames"] == list(names)
        assert answer["faceClassNames"] == list(face_names)
        whole = wanted.photo or next((each for each in wanted.faces if each.is_whole_photo), None)
        assert (answer["photo"] is None) == (whole is None)
        if whole is not None:
            assert_same(answer["photo"], whole, names)
        faces = [each for each in wanted.faces if not each.is_whole_photo]
        assert [each["id"] for each in answer["faces"]] == list(range(1, len(faces) + 1))
        for face in faces:
            found = max(answer["faces"], key=lambda each: measure_overlap(each["box"], face.box))
            assert measure_overlap(found["box"], face.box) > 0.9
            assert_same(found, face, face_names)


def test_faces_are_answered_for_as_by_the_packaged_predictor(detector):
    answers = answer_photos(describe("face"), gather())
    assert sum(len(each["faces"]) for each in answers) > 8
    assert_answers(answers, Predictor.packaged(faces_only=True, detector=detector))


def test_photos_are_answered_for_by_their_faces_and_scene(detector):
    joint = {"uncertainBelow": JointCard.load().uncertain_below, "sha256": "0"}
    answers = answer_photos(describe("both", joint=joint), gather(scene=True))
    assert_answers(answers, Predictor.packaged(detector=detector))


def test_a_joint_run_names_classes_of_its_own(detector):
    generator = np.random.default_rng(0)
    shapes = ((1303,), (1303,), (1303, 3), (3,))
    head = Head(*(generator.normal(0.5, 0.1, shape).astype(np.float32) for shape in shapes))
    names = ("calm", "tired", "cross")
    network = JointNetwork(SceneNetwork(), None, head)
    predictor = Predictor(network, ModelInfo(names, (320, 224), "pad", "both"), detector=detector)
    joint = {"uncertainBelow": None, "sha256": "0"}
    info = describe("both", names=names, joint=joint, kind="run")
    answers = answer_photos(info, gather(scene=True, head=head))
    assert_answers(answers, predictor)


needs_onnx = pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is not installed")


@needs_onnx
@pytest.mark.parametrize("crop", ["face", "none"])
@pytest.mark.parametrize("mode", ["pad", "crop"])
def test_a_run_answers_by_its_own_network(crop, mode, detector, tmp_path):
    import keras

    from emoclf.models.formats.writers import write_onnx

    keras.utils.set_random_seed(4)
    shown = keras.Input((40, 40, 3), dtype="uint8")
    values = keras.layers.Rescaling(1 / 64)(shown)
    values = keras.layers.Conv2D(6, 3, activation="relu", padding="same")(values)
    values = keras.layers.MaxPooling2D()(values)
    values = keras.layers.Conv2D(8, 3, activation="relu", padding="same")(values)
    values = keras.layers.GlobalAveragePooling2D()(values)
    model = keras.Model(shown, keras.layers.Dense(3, activation="softmax")(values))
    names = ("calm", "tired", "cross")
    content = write_onnx(model, tmp_path / "network.onnx").read_bytes()
    info = describe(crop, (40, 40), names=names, kind="run")
    info |= {"face": None, "canTeach": False}
    info["input"]["resize"] = mode
    predictor = Predictor(model, ModelInfo(names, (40, 40), mode, crop), detector=detector)
    answers = answer_photos(info, gather(network=content))
    assert_answers(answers, predictor, face_names=names)
    if crop == "face":
        assert answers[-1]["faces"] == []
    inside = ask(
        """await ask("photo", show("photo"));
        give("inside", plain(await ask("inside", { face: take("face") })));""",
        info,
        gather(network=content),
        photo=add_alpha(TWO),
        face=0 if crop == "face" else -1,
    )["inside"]
    assert (inside["crop"]["height"], inside["crop"]["width"]) == (40, 40)
    crop_shown = np.reshape(inside["crop"]["data"], (1, 40, 40, 3)).astype(np.uint8)
    (wanted,) = model.predict_on_batch(crop_shown)
    assert inside["probabilities"] == pytest.approx(wanted.tolist(), abs=1e-3)
    assert inside["answer"] == np.argmax(wanted)
    assert [len(each["channels"]) for each in inside["maps"]] == [6, 8]
    assert inside["occlusion"]["height"] == 10


def test_numbers_become_answers_as_in_the_package():
    generator = np.random.default_rng(2)
    card = ModelCard.load()
    logits = generator.normal(0, 3, (12, 8)).astype(np.float32)
    sizes = (generator.integers(1, 256, (12,)) / 255).tolist()
    found = run_node(
        """
        import { calibrateLogits, decideAnswer } from "SOURCE/answering/answers.mjs";
        import { summariseFaces } from "SOURCE/answering/answers.mjs";
        const logits = take("logits");
        give("calibrated", logits.map((each) => calibrateLogits(each, take("card"))));
        give("summaries", [0, 1, 2, 8].map((n) =>
          summariseFaces(logits.slice(0, n), take("sizes").slice(0, n))));
        give("decided", take("cases").map(([shares, neither, rule]) =>
          decideAnswer(shares, neither, rule)));
        """,
        logits=logits.tolist(),
        card={"emotions": list(card.emotions), "temperature": card.temperature},
        sizes=sizes,
        cases=[
            [[0.6, 0.4], None, None],
            [[0.5, 0.5], None, None],
            [[0.6, 0.4], None, {"uncertainBelow": 0.65}],
            [[0.2, 0.8], 0.9, {"uncertainBelow": 0.65}],
            [[0.2, 0.8], 0.9, {"uncertainBelow": 0.65, "neitherAbove": 0.75}],
            [[0.2, 0.8], 0.75, {"uncertainBelow": 0.8, "neitherAbove": 0.75}],
            [[0.2, 0.3, 0.5], None, {"uncertainBelow": 0.5}],
        ],
    )
    wanted = calibrate_logits(logits, card)
    for each, classes, neither in zip(found["calibrated"], *wanted, strict=True):
        assert each["probabilities"] == pytest.approx(classes.tolist(), abs=1e-5)
        assert each["neither"] == pytest.approx(float(neither), abs=1e-5)
    for count, row in zip([0, 1, 2, 8], found["summaries"], strict=True):
        padded = np.zeros((1, 8, 8), dtype=np.float32)
        padded[0, :count] = logits[:count]
        shares = np.zeros((1, 8), dtype=np.float32)
        shares[0, :count] = sizes[:count]
        np.testing.assert_allclose(row, summarise_faces(padded, shares)[0], atol=1e-4)
    assert found["decided"] == [0, 0, -1, 1, -1, 1, 2]


def test_answers_are_smoothed_as_by_the_camera_and_faces_keep_their_numbers():
    generator = np.random.default_rng(5)
    rule, face_rule = UncertaintyRule(0.65), UncertaintyRule(0.75, 0.75)
    smoother = PredictionSmoother(rule=rule, face_rule=face_rule)
    frames, wanted, seconds = [], [], 0.0
    for n in range(40):
        seconds += 1.0 if n == 25 else 0.05
        boxes = [[50.0 + 3 * n, 40.0, 80.0, 90.0], [300.0, 100.0 + 2 * n, 60.0, 60.0]]
        happy = generator.uniform(0, 1, 3).tolist()
        faces = [
            {"box": box, "score": 0.9, "probabilities": [1 - p, p], "neither": p / 2, "answer": 0}
            for box, p in zip(boxes[: 1 if 10 <= n < 14 else 2], happy, strict=False)
        ]
        photo = {"probabilities": [1 - happy[2], happy[2]], "answer": 0}
        frames.append({"found": {"faces": faces, "photo": photo}, "seconds": seconds})
        shares = [dict(zip(CLASS_NAMES, each["probabilities"], strict=True)) for each in faces]
        prediction = Prediction(
            faces=tuple(
                FacePrediction(tuple(each["box"]), share, "Sad", each["neither"])
                for each, share in zip(faces, shares, strict=True)
            ),
            photo=FacePrediction(
                (0.0, 0.0, 640.0, 480.0),
                dict(zip(CLASS_NAMES, photo["probabilities"], strict=True)),
                "Sad",
                is_whole_photo=True,
            ),
        )
        wanted.append(smoother.smooth(prediction, seconds=seconds))
    found = run_node(
        """
        import { Tracker } from "SOURCE/answering/tracking.mjs";
        const tracker = new Tracker();
        const rules = { face: { uncertainBelow: 0.75, neitherAbove: 0.75 },
          photo: { uncertainBelow: 0.65 } };
        give("answers", take("frames").map((each) =>
          tracker.follow(each.found, each.seconds, rules)));
        tracker.restart();
        give("again", tracker.follow(take("frames")[0].found, 99, rules));
        """,
        frames=frames,
    )
    for answer, prediction in zip(found["answers"], wanted, strict=True):
        assert_same(answer["photo"], prediction.photo, CLASS_NAMES, within=1e-6)
        for face, other in zip(answer["faces"], prediction.faces, strict=True):
            assert_same(face, other, CLASS_NAMES, within=1e-6)
    ids = [[face["id"] for face in each["faces"]] for each in found["answers"]]
    assert ids[:10] + ids[14:25] == [[1, 2]] * 21  # the second was gone for a moment only
    assert ids[10:14] == [[1]] * 4
    assert ids[25:] == [[3, 4]] * 15  # after a second without frames they are other faces
    boxes = [each["faces"][0]["box"] for each in found["answers"]]
    for n in (9, 39):
        assert boxes[n] == pytest.approx(frames[n]["found"]["faces"][0]["box"], abs=6)
    assert [face["id"] for face in found["again"]["faces"]] == [1, 2]


def test_frames_are_answered_quickly_and_with_the_same_faces(detector):
    frames = [lay_faces(480, 640, (5, 20 + 4 * n, 60, 240)) for n in range(12)]
    found = ask(
        """
        const answers = [];
        for (let i = 0; i < take("count"); i++) {
          answers.push(await ask("frame", { ...show(`frame${i}`), seconds: i / 20 }));
        }
        give("answers", answers);
        give("restarted", await ask("restart"));
        give("after", await ask("frame", { ...show("frame0"), seconds: 9 }));
        """,
        describe("face"),
        gather(),
        count=len(frames),
        **{f"frame{n}": add_alpha(frame) for n, frame in enumerate(frames)},
    )
    predictor = Predictor.packaged(faces_only=True, detector=detector)
    for answer in found["answers"]:
        (face,) = answer["faces"]
        assert face["id"] == 1
        assert set(answer["milliseconds"]) == {"faces", "networks", "total"}
    (last,) = found["answers"][-1]["faces"]
    wanted = predictor.predict(frames[-1]).faces[0]
    assert last["probabilities"][1] == pytest.approx(wanted.probabilities["Happy"], abs=0.15)
    assert found["restarted"] == {"id": 1}
    assert found["after"]["faces"][0]["id"] == 1


def test_the_scene_of_frames_is_looked_at_twice_a_second():
    joint = {"uncertainBelow": 0.65, "sha256": "0"}
    found = ask(
        """
        let runs = 0;
        const run = service.answerer.scene.run.bind(service.answerer.scene);
        service.answerer.scene.run = (...given) => { runs++; return run(...given); };
        const counts = [];
        for (const seconds of [0, 0.1, 0.4, 0.6, 0.7, 3, 2]) {
          await ask("frame", { ...show("frame"), seconds });
          counts.push(runs);
        }
        await ask("photo", show("frame"));
        give("counts", [...counts, runs]);
        """,
        describe("both", joint=joint),
        gather(scene=True),
        frame=add_alpha(TWO),
    )
    assert found["counts"] == [1, 1, 1, 2, 2, 3, 4, 5]


def test_what_goes_wrong_is_a_reply_and_the_worker_goes_on():
    found = ask(
        """
        const early = new Service();
        const asked = [
          ["photo", { pixels: new ArrayBuffer(3), width: 1, height: 1 }],
          ["photo", { pixels: new ArrayBuffer(0), width: 0, height: 0 }],
          ["photo", {}],
          ["frame", { pixels: new ArrayBuffer(8), width: 1e9, height: 1e9, seconds: 0 }],
          ["inside", { face: 0 }],
          ["nothing", {}], ["constructor", {}], ["load", { kernel: new ArrayBuffer(4), info: {} }],
          ["train", {}], ["example", { label: 0, from: "frame" }], ["use", { own: true }],
          ["save", {}], ["open", { text: "{}" }], ["open", { text: 5 }],
          ["classes", { classNames: ["one"], features: "face" }],
        ];
        const replies = [await early.reply({ id: 7, kind: "photo" })];
        for (const [kind, values] of asked) replies.push(await ask(kind, values));
        give("replies", replies);
        give("after", await ask("photo", show("photo")));
        """,
        describe("face"),
        gather(),
        photo=add_alpha(PHOTOS[0]),
    )
    assert len(found["replies"]) == 16
    for reply in found["replies"]:
        assert reply["problem"].startswith("problem_"), reply
        assert isinstance(reply["detail"], dict)
    assert found["replies"][0]["id"] == 7
    assert found["after"]["faces"]


def test_messages_are_answered_one_after_the_other():
    found = ask(
        """
        import { serve } from "SOURCE/worker.mjs";
        const replies = [];
        let listen = null;
        const scope = {
          addEventListener: (kind, act) => { listen = act; },
          postMessage: (reply) => replies.push(reply),
        };
        serve(scope);
        const bytes = (name) => take(name).buffer;
        listen({ data: { id: 1, kind: "load", kernel: bytes("kernel"), face: bytes("face"),
          detector: bytes("detector"), info: INFO } });
        listen({ data: { id: 2, kind: "photo", ...show("photo") } });
        listen({ data: { id: 3, kind: "nothing" } });
        listen({ data: null });
        listen({ data: { id: 4, kind: "restart" } });
        while (replies.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
        give("replies", replies);
        """,
        describe("face"),
        gather(),
        photo=add_alpha(PHOTOS[0]),
    )
    assert [reply["id"] for reply in found["replies"]] == [1, 2, 3, None, 4]
    assert found["replies"][0]["featureKinds"] == ["face"]
    assert ["problem" in reply for reply in found["replies"]] == [False, False, True, True, False]


TEACH = """
const names = ["glad", "low"];
const steps = {};
steps.noFrame = await ask("classes", { classNames: names, features: take("features") })
  .then(() => ask("example", { label: 0, group: 1, from: "frame" }));
steps.noFace = await ask("example", { label: 0, group: 0, from: "photo", ...show("noise") });
const added = [];
for (let i = 0; i < take("count"); i++) {
  const asked = { label: i % 2, group: i + 1, from: "photo", ...show(`photo${i}`) };
  added.push(await ask("example", asked));
}
steps.added = plain(added);
steps.arranged = await ask("classes", { classNames: ["low", "glad"], features: take("features"),
  from: [1, 0] });
steps.arrangedBack = await ask("classes", { classNames: names, features: take("features"),
  from: [1, 0] });
steps.trained = await ask("train");
steps.own = await ask("photo", show("photo0"));
steps.frame = await ask("frame", { ...show("photo1"), seconds: 1 });
steps.fromFrame = plain(await ask("example", { label: 1, group: "live", from: "frame" }));
steps.inside = plain(await ask("inside", { face: 0, occlusion: false }));
steps.renamed = await ask("rename", { label: 0, name: "merry" });
steps.ownRenamed = await ask("photo", show("photo0"));
steps.saved = await ask("save");
steps.builtIn = await ask("use", { own: false }).then(() => ask("photo", show("photo0")));
steps.opened = await ask("open", { text: steps.saved.text });
steps.ownAgain = await ask("photo", show("photo0"));
steps.removed = await ask("remove", { ids: [added.at(-1).added] });
steps.cleared = await ask("clear", { label: 0 });
for (const [name, step] of Object.entries(steps)) give(name, step);
"""


@pytest.mark.parametrize("features", ["face", "joint"])
def test_a_head_is_taught_used_saved_and_opened(features):
    count = 16
    photos = [
        draw_face("Sad" if n % 2 else "Happy", seed=60 + n, size=(160, 160), strength=1.0)
        for n in range(count)
    ]
    joint = JointCard.load()
    told = {"uncertainBelow": joint.uncertain_below, "sha256": "b" * 64}
    info = describe("both", joint=told) if features == "joint" else describe("face")
    found = ask(
        TEACH,
        info,
        gather(scene=features == "joint"),
        features=features,
        count=count,
        noise=add_alpha(PHOTOS[-1]),
        **{f"photo{n}": add_alpha(photo) for n, photo in enumerate(photos)},
    )
    problems = {name: step for name, step in found.items() if isinstance(step, dict)}
    assert not [each for each in problems.items() if "problem" in each[1]]
    assert found["noFrame"]["reason"] == "no-frame"
    extra = 1 if features == "joint" else 0  # the photo without a face is an example, too
    assert (found["noFace"]["added"] is None) == (features == "face")
    assert found["added"][-1]["counts"] == [count // 2 + extra, count // 2]
    thumbnail = found["added"][0]["thumbnail"]
    assert (thumbnail["height"], thumbnail["width"]) == (48, 48)
    assert found["arranged"]["counts"] == [count // 2, count // 2 + extra]
    assert found["arrangedBack"]["counts"] == [count // 2 + extra, count // 2]
    assert found["trained"]["counts"] == [count // 2 + extra, count // 2]
    assert found["trained"]["milliseconds"] > 0
    place = "faces" if features == "face" else "photo"
    own = found["own"][place][0] if features == "face" else found["own"][place]
    assert found["own"]["classNames"] == ["glad", "low"]
    assert own["answer"] == 0
    assert found["frame"]["classNames"] == ["glad", "low"]
    assert found["fromFrame"]["added"] is not None
    assert found["ownRenamed"]["classNames"] == ["merry", "low"]
    assert json.loads(found["saved"]["text"])["class_names"] == ["merry", "low"]
    assert found["builtIn"]["classNames"] == list(CLASS_NAMES)
    assert found["opened"]["classNames"] == ["merry", "low"]
    for key in ("faces", "photo"):
        again = plain_answer(found["ownAgain"][key])
        assert again == pytest.approx(plain_answer(found["ownRenamed"][key]), abs=1e-6)
    assert found["removed"]["counts"] == [count // 2 + extra, count // 2]
    assert found["cleared"]["counts"] == [0, count // 2]
    if features == "joint":
        assert found["own"]["faceClassNames"] == list(CLASS_NAMES)
        assert found["inside"]["classNames"] == list(CLASS_NAMES)
    else:
        assert found["own"]["photo"] is None
        assert found["own"]["faces"][0]["neither"] is None
        assert found["inside"]["classNames"] == ["glad", "low"]
    assert found["inside"]["occlusion"] is None


def plain_answer(found):
    """Return the probabilities of an answer for a photo, or for all faces."""
    faces = found if isinstance(found, list) else [found] if found else []
    return [share for face in faces for share in face["probabilities"]]


def test_inside_shows_the_crop_the_maps_and_what_hiding_does(detector):
    found = ask(
        """
        await ask("photo", show("photo"));
        give("face", plain(await ask("inside", { face: 1 })));
        await ask("photo", show("noise"));
        give("photo", plain(await ask("inside", { face: -1 })));
        """,
        describe("both", joint={"uncertainBelow": 0.65, "sha256": "0"}),
        gather(scene=True),
        photo=add_alpha(TWO),
        noise=add_alpha(PHOTOS[-1]),
    )
    predictor = Predictor.packaged(faces_only=True, detector=detector)
    second = detector.find(TWO)[1]
    face = found["face"]
    crop = np.reshape(face["crop"]["data"], (48, 48, 3))
    wanted = crop_face(TWO, second)
    assert np.abs(crop - wanted.astype(int)).mean() < 1
    shares = predictor.predict_probabilities(crop[np.newaxis].astype(np.uint8))[0]
    assert face["probabilities"] == pytest.approx(shares.tolist(), abs=1e-3)
    sizes = [(each["height"], each["width"]) for each in face["maps"]]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1
    for each in face["maps"]:
        assert len(each["channels"]) == 8
        assert all(0 < max(channel) <= 255 for channel in each["channels"])
        assert len(each["channels"][0]) == each["height"] * each["width"]
    assert face["occlusion"]["hidden"] == 10
    drops = np.reshape(face["occlusion"]["values"], (10, 10))
    label = [int(np.argmax(shares))]
    marks = make_occlusion_maps(
        predictor.predict_probabilities, crop[np.newaxis].astype(np.uint8), label
    )
    cells = marks[0].reshape(48, 48)[2::5, 2::5][:10, :10]  # about the middle of every cell
    assert np.corrcoef(drops.ravel(), cells.ravel())[0, 1] > 0.7
    photo = found["photo"]
    assert (photo["crop"]["height"], photo["crop"]["width"]) == (224, 224)
    assert photo["occlusion"]["height"] == 6


def test_squares_are_hidden_as_in_the_package():
    """The mean drop, where a network answers by the brightness of one corner."""
    crop = np.full((24, 36, 3), 255, dtype=np.uint8)

    def predict(pictures):
        bright = pictures[:, :8, :12].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1)

    found = run_node(
        """
        import { mapOcclusion } from "SOURCE/answering/inside.mjs";
        const [height, width] = shapeOf("crop");
        const measure = ({ data }) => {
          let sum = 0;
          for (let y = 0; y < 8; y++) for (let i = 0; i < 36; i++) sum += data[y * 108 + i];
          return sum / (8 * 36 * 255);
        };
        const found = mapOcclusion({ width, height, data: take("crop") }, measure, 3);
        give("values", found.values, [found.height, found.width]);
        give("hidden", found.hidden);
        """,
        crop=crop,
    )
    assert found["hidden"] == 8
    drops = found["values"]
    assert drops.shape == (6, 6)
    hidden = crop.copy()
    hidden[:8, :12] = 128
    whole = float(predict(crop[np.newaxis])[0, 1] - predict(hidden[np.newaxis])[0, 1])
    # the corner is hidden whole by one square in nine of those that touch it, in part by others
    assert drops[0, 0] == pytest.approx(whole * (1 + 0.5 + 0.5 + 0.25) / 4, rel=1e-5)
    assert np.all(drops[3:] == 0)
    assert np.all(drops[:, 3:] == 0)
