"""The page as one file: what is joined, what is refused, what is inside, and that it is closed."""

import base64
import hashlib
import http.server
import json
import re
import threading
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import emoclf
from emoclf.apps.browser import assembling, build_page, networks
from emoclf.apps.browser.assembling import ROOM, SAMPLES, fill_page, join_modules
from emoclf.apps.browser.networks import OPERATORS, gather_networks
from emoclf.config import CLASS_NAMES, SHEET_SIZE
from emoclf.images import ModelInfo
from emoclf.images.faces import make_detector
from emoclf.inference import Predictor
from emoclf.models.formats import FormatUnavailableError, find_unavailable
from emoclf.models.joint import Head, JointNetwork
from emoclf.models.packaged import PackagedNetwork
from tests.calls import PATIENCE_SECONDS, call
from tests.running_node import run_node
from tests.test_live_browser import open_browser

needs_onnx = pytest.mark.skipif(
    "onnx" in find_unavailable(), reason="the extra `export` is not installed"
)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{policy}}">
<link rel="icon" href="data:,"><title>A page</title><style>{{style}}</style></head>
<body><p id="said"></p>
{{data}}
<script>{{script}}</script>
</body></html>
"""
HOSTILE = "</script><script>alert(1)</script><!-- {{data}} \u202e"


def write_modules(folder, **codes):
    """Write modules by name; a double underscore stands for a folder."""
    for name, code in codes.items():
        path = folder / f"{name.replace('__', '/')}.mjs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    return folder


@pytest.fixture
def room(tmp_path):
    """A page with little in it."""
    folder = write_modules(
        tmp_path / "room",
        screen__main='import { half } from "../half.mjs";\nhalf(4); // {{data}}\n',
        half="export function half(value) {\n  return value / 2;\n}\n",
        worker='import { half } from "./half.mjs";\nself.onmessage = half;\n',
    )
    (folder / "page.html").write_text(PAGE, encoding="utf-8")
    (folder / "page.css").write_text("p { color: red; }\n", encoding="utf-8")
    for name, content in {
        "engine/kernel.wasm": b"\0asm",
        "texts/en.json": b'{"a": "1 < 2"}',
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def small(room, monkeypatch):
    """Let the command fill the small page."""
    monkeypatch.setattr(
        assembling, "fill_page", lambda *given: fill_page(*given, folder=room), raising=True
    )
    return room


class Elements(HTMLParser):
    """The elements of a page that hold a text of their own, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.found, self.policy = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag in ("script", "style"):
            self.found.append([tag, given, ""])

    def handle_data(self, data):
        if self.lasttag in ("script", "style") and self.cdata_elem:
            self.found[-1][2] += data

    def __getitem__(self, name):
        (text,) = [text for _, given, text in self.found if given.get("id") == name]
        return text

    def json(self, name):
        return json.loads(self[name])

    def bytes(self, name):
        return base64.b64decode(self[name], validate=True)


# --- joining --------------------------------------------------------------------------------


def test_modules_come_after_those_that_they_import_and_each_once(tmp_path):
    write_modules(
        tmp_path,
        main='import { b } from "./deep/b.mjs";\nimport {\n  a, c,\n} from "./a.mjs";\n'
        "globalThis.found = [a, c(), b];\n",
        a="export const a = 1;\nexport async function wait() {\n  await null;\n}\n"
        "export function c() {\n  return 3;\n}\nexport class D {}\n",
        deep__b='/** @param {import("../a.mjs").D} d */\nimport { a } from "../a.mjs";\n'
        "// import nothing\nexport const b = a + 1;\n",
    )
    script = join_modules("main.mjs", folder=tmp_path)
    assert [*re.findall(r"^// (\S+mjs)$", script, re.MULTILINE)] == [
        "a.mjs",
        "deep/b.mjs",
        "main.mjs",
    ]
    assert script.startswith('(() => {\n"use strict";\n')
    assert not re.search(r"^(import \{|export)", script, re.MULTILINE)
    code = 'import { runInThisContext } from "node:vm";\nrunInThisContext(take("script"));\n'
    found = run_node(f'{code}give("found", globalThis.found);give("a", typeof a);', script=script)
    assert found == {"found": [1, 3, 2], "a": "undefined"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("function half() {}\n", "has the name half, too"),
        ("const half = 1;\n", "has the name half, too"),
        ("export default half;\n", "export of another form"),
        ("const other = 1;\nexport { other };\n", "export of another form"),
        ('export * from "./half.mjs";\n', "export of another form"),
        ('import * as all from "./half.mjs";\n', "import of another form"),
        ('import half2 from "./half.mjs";\n', "import of another form"),
        ('import "./half.mjs";\n', "import of another form"),
        ("import { half as other } from './half.mjs';\n", "import of another form"),
        ('import { half as other } from "./half.mjs";\n', "renames what it imports"),
        ('const load = () => import("./half.mjs");\n', "import of another form"),
        ("const place = import.meta.url;\n", "import of another form"),
        ("await half(1);\n", "a wait at the top"),
        ("const found = await half(1);\n", "a wait at the top"),
        ("const { a } = half(1);\n", "names taken apart"),
        ('import { main } from "./main.mjs";\n', "which imports it"),
        ('import { main } from "../outside.mjs";\n', "no part of the page"),
    ],
)
def test_what_cannot_be_joined_is_refused(code, said, tmp_path):
    write_modules(
        tmp_path / "room",
        main='import { half } from "./half.mjs";\nimport { use } from "./use.mjs";\nuse(half);\n',
        half="export function half(value) {\n  return value / 2;\n}\n",
        use=f"{code}export function use(value) {{\n  return value;\n}}\n",
    )
    write_modules(tmp_path, outside="export const main = 1;\n")
    with pytest.raises(ValueError, match=said):
        join_modules("main.mjs", folder=tmp_path / "room")


# --- the page -------------------------------------------------------------------------------


def test_everything_is_in_its_place_and_the_policy_allows_that_alone(room):
    page = Elements(fill_page({"title": "ours"}, {"network": b"\0\1\2"}, folder=room))
    assert page.json("info") == {"title": "ours"}
    assert page.json("texts") == {"en": {"a": "1 < 2"}}
    assert (page.bytes("network"), page.bytes("kernel")) == (b"\0\1\2", b"\0asm")
    assert page.bytes("worker-source").decode() == join_modules("worker.mjs", folder=room)
    assert "Copyright (c) 2020 Shiqi Yu. MIT." in page["licences"]
    assert "Apache License" in page["licences"]
    kinds = {given.get("type") for tag, given, _ in page.found if tag == "script"}
    assert kinds == {None, "application/json", "text/plain"}
    rules = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
    for tag, rest in (("script", " 'wasm-unsafe-eval'"), ("style", "")):
        (text,) = [text for name, given, text in page.found if name == tag and not given]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'{rest}"
    assert rules.pop("worker-src") == "blob:"
    assert rules.pop("img-src") == "blob: data:"
    assert rules.pop("media-src") == "blob: mediastream:"
    assert rules == dict.fromkeys(
        ["default-src", "connect-src", "form-action", "base-uri"], "'none'"
    )


def test_no_name_from_outside_ends_its_element(room):
    info = {"title": HOSTILE, "classNames": [HOSTILE, "Happy"]}
    before = Elements(fill_page({}, {}, folder=room))
    page = Elements(fill_page(info, {}, folder=room))
    assert page.json("info") == info
    assert len(page.found) == len(before.found)
    assert page.policy == before.policy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.css", "p::after { content: '</style>'; }"),
        ("half.mjs", 'export const half = "</SCRIPT>";\n'),
        ("half.mjs", 'export const half = "<!--";\n'),
    ],
)
def test_what_would_end_an_element_is_refused(name, text, room):
    (room / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="would end its element"):
        fill_page({}, {}, folder=room)


@pytest.mark.parametrize(
    "page", [PAGE.replace("{{style}}", ""), PAGE + "{{data}}", PAGE + "{{other}}"]
)
def test_a_page_without_its_places_is_refused(page, room):
    (room / "page.html").write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.html: expected each of policy"):
        fill_page({}, {}, folder=room)


def test_windows_lines_change_no_hash(room):
    before = fill_page({}, {}, folder=room)
    for each in [*room.rglob("*.mjs"), room / "page.css", room / "page.html"]:
        each.write_bytes(each.read_bytes().replace(b"\n", b"\r\n"))
    assert fill_page({}, {}, folder=room) == before


@pytest.mark.parametrize("faces_only", [True, False])
def test_the_networks_are_right_about_the_samples(faces_only, room):
    page = Elements(fill_page({}, {}, folder=room))
    addresses = page.json("samples")
    assert sum(map(len, addresses)) <= 60_000
    pictures = [base64.b64decode(each.split("base64,")[1]) for each in addresses]
    found = Predictor.packaged(faces_only=faces_only, detector=make_detector("packaged"))
    answers = [[face.answer for face in each.faces] for each in found.predict(pictures)]
    assert answers == [[class_name] for class_name, _ in SAMPLES]


# --- what is embedded -----------------------------------------------------------------------


def test_the_packaged_networks_are_as_they_answer():
    told, blocks = gather_networks(None, detector=make_detector("packaged"))
    network = PackagedNetwork()
    assert blocks.keys() == {"detector", "face"}
    assert blocks["face"] == network.content
    assert told["face"]["sha256"] == hashlib.sha256(network.content).hexdigest()
    assert told["face"]["temperature"] == network.card.temperature
    assert told["input"] == {"crop": "face", "size": [48, 48], "resize": "pad"}
    assert told["detector"] == {"name": "emoclf's own detector", "isPackaged": True}
    assert (told["kind"], told["title"], told["joint"], told["canTeach"]) == (
        "packaged",
        "",
        None,
        True,
    )
    assert (told["classNames"], told["version"]) == (list(CLASS_NAMES), emoclf.__version__)
    assert json.loads(json.dumps(told)) == told


def read_head(content, classes):
    """As the page reads it."""
    values = np.frombuffer(content, dtype="<f4")
    count = (len(values) - classes) // (2 + classes)
    parts = np.split(values, np.cumsum([count, count, count * classes]))
    return Head(parts[0], parts[1], parts[2].reshape(count, classes), parts[3])


def test_the_scene_and_the_joint_head_are_as_they_answer():
    told, blocks = gather_networks(None, scene=True, detector=make_detector("packaged"))
    joint = JointNetwork.packaged()
    assert blocks["scene"] == joint.scene.content
    read = read_head(blocks["head"], 2)
    assert all(np.array_equal(one, other) for one, other in zip(read, joint.head, strict=True))
    assert told["joint"] == {"uncertainBelow": 0.65, "sha256": joint.sha256}
    assert told["input"] == {"crop": "both", "size": list(SHEET_SIZE), "resize": "pad"}


@pytest.fixture(scope="module")
def joint_run(tmp_path_factory):
    """A network of faces and scene with three classes that somebody has named."""
    rng = np.random.default_rng(0)
    shapes = ((1303,), (1303,), (1303, 3), (3,))
    head = Head(*(rng.uniform(0.5, 1, shape).astype(np.float32) for shape in shapes))
    info = ModelInfo(("tired", "<b>", "wide & awake"), SHEET_SIZE, "pad", "both")
    path = tmp_path_factory.mktemp("joint") / "model.zip"
    return JointNetwork(head=head).save(path, info=info), head


def test_a_joint_run_brings_its_head_and_its_classes(joint_run):
    path, head = joint_run
    told, blocks = gather_networks(path.parent, detector=make_detector("packaged"))
    assert told["classNames"] == ["tired", "<b>", "wide & awake"]
    assert (told["kind"], told["title"], told["canTeach"]) == ("run", "model", True)
    assert told["joint"]["uncertainBelow"] is None
    assert all(
        np.array_equal(*each) for each in zip(read_head(blocks["head"], 3), head, strict=True)
    )


def test_yunets_file_is_embedded_where_it_is_there(real_data):
    path = real_data / "face_detection_yunet_2026may.onnx"
    told, blocks = gather_networks(None, detector=make_detector("yunet", model_path=path))
    assert told["detector"] == {"name": "YuNet", "isPackaged": False}
    assert blocks["detector"] == path.read_bytes()


class SimpleDetector:
    name = description = note = ""


def test_a_detector_without_a_file_is_refused():
    with pytest.raises(ValueError, match="whose file the page can hold, received SimpleDetector"):
        gather_networks(None, detector=SimpleDetector())


RUN_NETWORK = """
import { loadKernel } from "SOURCE/engine/memory.mjs";
import { loadNetwork } from "SOURCE/engine/network.mjs";
const network = loadNetwork(await loadKernel(take("kernel")), take("network"));
const [photos, height, width] = shapeOf("pixels");
const size = height * width * 3;
const found = Array.from({ length: photos }, (_, i) => {
  const pixels = take("pixels").subarray(i * size, (i + 1) * size);
  return [...network.run(pixels, height, width)[network.outputs[0]].data];
});
give("found", found);
"""


@needs_onnx
def test_a_run_answers_in_the_page_as_in_python(run):
    model, result = run
    told, blocks = gather_networks(result.run.folder)
    assert blocks.keys() == {"network"}
    assert told["input"] == {"crop": "none", "size": [32, 48], "resize": "pad"}
    assert (told["title"], told["face"], told["detector"]) == ("tiny", None, None)
    assert told["canTeach"] is False
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), np.uint8)
    kernel = (ROOM / "engine" / "kernel.wasm").read_bytes()
    found = run_node(RUN_NETWORK, kernel=kernel, network=blocks["network"], pixels=pixels)
    np.testing.assert_allclose(found["found"], model.predict_on_batch(pixels), atol=1e-5)


@needs_onnx
def test_a_network_that_the_page_cannot_run_is_refused(run, monkeypatch):
    monkeypatch.setattr(networks, "OPERATORS", OPERATORS - {"Conv", "Gemm"})
    with pytest.raises(ValueError, match=r"cannot run this network: its ONNX file has Conv, Gemm,"):
        gather_networks(run[1].run.folder)


@needs_onnx
def test_the_page_takes_the_largest_of_2_x_2_pixels_alone():
    keras = pytest.importorskip("keras")
    photo = keras.Input((16, 16, 3), dtype="uint8")
    maps = keras.layers.MaxPooling2D(3)(keras.layers.Rescaling(1 / 255)(photo))
    found = keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    with pytest.raises(ValueError, match="its ONNX file has MaxPool 3 x 3, which"):
        networks._write_network(keras.Model(photo, found))


def test_the_operators_are_those_of_the_engine():
    text = (ROOM / "engine" / "simplifying.mjs").read_text(encoding="utf-8")
    mapped = re.findall(r'"(\w+)"', re.search(r"^const MAPPED = \[(.*)\]", text, re.MULTILINE)[1])
    code = 'import { TENSOR_OPERATORS } from "SOURCE/engine/tensors.mjs";\n'
    known = run_node(f'{code}give("known", Object.keys(TENSOR_OPERATORS));')["known"]
    assert {*known, *mapped, "Constant"} == OPERATORS


def test_a_run_without_the_extra_says_what_to_install(run, monkeypatch):
    sentence = "onnx needs onnx, which is not installed: pip install it"
    monkeypatch.setattr(
        "emoclf.models.formats.writers.find_unavailable", lambda: {"onnx": sentence}
    )
    with pytest.raises(FormatUnavailableError, match="pip install"):
        build_page(run[1].run.folder)


@pytest.mark.parametrize("name", ["model.zip", "model.keras"])
@pytest.mark.usefixtures("small")
def test_a_damaged_run_is_refused_and_nothing_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"PK\3\4 but no more")
    if name.endswith(".keras") and "onnx" in find_unavailable():
        pytest.skip("the extra `export` is not installed")
    called = call("page", "ours.html", "--model", name, "--detector", "packaged", code=1)
    assert name in called.stderr
    assert not Path("ours.html").exists()


# --- the command ----------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_the_command_writes_the_page_and_says_how_to_open_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = call("page", "--detector", "packaged", code=0).stdout.splitlines()
    assert lines[0].startswith("The page is in happy.html (")
    assert lines[0].endswith(", with emoclf's own detector and the packaged face network.")
    assert lines[-1] == "Next: python -m http.server --bind 127.0.0.1 8000"
    assert "http://127.0.0.1:8000/happy.html" in lines[-2]
    before = Path("happy.html").read_bytes()
    Elements(before.decode()).json("info")
    called = call("page", "--detector", "packaged", code=1)
    assert "happy.html exists already" in called.stderr
    assert Path("happy.html").read_bytes() == before
    assert [each.name for each in tmp_path.glob("*happy*")] == ["happy.html"]


@pytest.mark.usefixtures("small")
def test_a_page_elsewhere_is_served_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("of ours").mkdir()
    lines = call("page", "of ours", "--detector", "packaged", "--scene", code=0).stdout.splitlines()
    assert "faces and scene" in lines[0]
    assert lines[-1].endswith("--directory 'of ours' 8000")
    assert "joint" in (Path("of ours") / "happy.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["photo.jpg"], 2, "ends in .html"),
        (["a.html", "--scene", "--model", "."], 2, "leave it or --model out"),
        (["a.html", "--model", "head.json"], 1, "open the head there"),
        (["a.html", "--model", "."], 1, "does not exist"),
        (["a.html", "--detector", "yunet", "--no-download"], 1, "switched off"),
    ],
)
@pytest.mark.usefixtures("small")
def test_what_cannot_be_made_is_said_and_nothing_is_written(
    words, code, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    Path("head.json").write_text("{}")
    assert said in " ".join(call("page", *words, code=code).stderr.split())
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.usefixtures("small")
def test_without_yunets_file_the_packaged_detector_stands_in_with_a_note(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    called = call("page", "--no-download", code=0)
    assert "emoclf's own detector" in called.stdout
    assert "Note: YuNet, which finds a few more faces, is not used." in called.stderr


# --- the policy, in a browser -----------------------------------------------------------------

ATTEMPTS = """
const found = {};
async function tryOut(name, act) {
  const ended = new Promise((resolve) => setTimeout(resolve, 5000, "no answer"));
  try {
    found[name] = await Promise.race([act(), ended]);
  } catch (error) {
    found[name] = "refused";
  }
}
function loadElement(tag, name, value) {
  return new Promise((resolve, reject) => {
    const element = document.createElement(tag);
    if (tag === "link") element.rel = "stylesheet";
    element.onload = () => resolve("done");
    element.onerror = reject;
    element[name] = value;
    document.body.append(element);
  });
}
function startWorker(address) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(address);
    worker.onerror = reject;
    worker.onmessage = ({ data }) => resolve(data);
  });
}
async function tryAll() {
  const { origin } = location;
  await tryOut("fetch", async () => (await fetch("/a")) && "done");
  await tryOut("foreign", async () => (await fetch("https://example.org/")) && "done");
  await tryOut("picture", () => loadElement("img", "src", "/b.png"));
  await tryOut("style", () => loadElement("link", "href", "/c.css"));
  await tryOut("script", () => loadElement("script", "src", "/d.js"));
  await loadElement("iframe", "src", "/e.html");
  await tryOut("eval", async () => (0, eval)("'done'"));
  await tryOut("worker", () => startWorker(`${origin}/f.js`));
  await tryOut("beacon", async () => navigator.sendBeacon("/g", "x") && "refused");
  const inline = document.createElement("script");
  inline.textContent = "globalThis.isInjected = true;";
  document.body.append(inline);
  found.inline = globalThis.isInjected ? "done" : "refused";
  await tryOut("drawn", () => loadElement("img", "src", JSON.parse(read("samples"))[0]));
  const source = new Blob([atob(read("worker-source"))], { type: "text/javascript" });
  await tryOut("own", () => startWorker(URL.createObjectURL(source)));
  document.title = JSON.stringify(found);
}
function read(name) {
  return document.getElementById(name).textContent;
}
tryAll();
"""

IN_WORKER = """
async function tryInside() {
  const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
  await WebAssembly.instantiate(empty);
  try {
    await fetch(`${ADDRESS}/h`);
    return "done";
  } catch (error) {
    return "runs, sends nothing";
  }
}
tryInside().then(postMessage);
"""


@pytest.fixture
def asked(room):
    """A server with a page that tries to get out, and the paths that it was asked for."""
    paths = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            is_page = self.path == "/page.html"
            content = (room / "filled.html").read_bytes() if is_page else b"document.title='out'"
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if is_page else "text/javascript")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    worker = f'const ADDRESS = "{address}";{IN_WORKER}'
    write_modules(room, screen__main=ATTEMPTS, worker=worker)
    (room / "filled.html").write_text(fill_page({}, {}, folder=room), encoding="utf-8")
    yield address, paths
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("is_file", [False, True])
def test_nothing_gets_out_of_the_page(is_file, asked, room):
    address, paths = asked
    place = (room / "filled.html").as_uri() if is_file else f"{address}/page.html"
    with open_browser(place) as driver:
        wait = pytest.importorskip("selenium.webdriver.support.wait")
        wait.WebDriverWait(driver, PATIENCE_SECONDS).until(lambda d: d.title.startswith("{"))
        found = json.loads(driver.title)
    assert (found.pop("own"), found.pop("drawn")) == ("runs, sends nothing", "done")
    assert found == dict.fromkeys(found, "refused")
    assert len(found) == 9
    assert paths == ([] if is_file else ["/page.html"])


# --- the room as it is ----------------------------------------------------------------------


def test_every_module_is_in_the_page_and_no_name_is_there_twice():
    modules = {each.relative_to(ROOM).as_posix(): each for each in ROOM.rglob("*.mjs")}
    joined = join_modules("screen/main.mjs") + join_modules("worker.mjs")
    used = set(re.findall(r"^// (\S+\.mjs)$", joined, re.MULTILINE))
    assert used == set(modules)
    owners = {}
    for name, path in modules.items():
        code = re.sub("^export ", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for word in assembling._NAME.findall(code):
            assert owners.setdefault(word, name) == name, f"{name}: {word}"


def test_the_scripts_are_what_a_browser_without_modules_reads():
    code = 'import { Script } from "node:vm";\nnew Script(take("page"));new Script(take("worker"));'
    run_node(code, page=join_modules("screen/main.mjs"), worker=join_modules("worker.mjs"))


def test_the_page_is_small_asks_for_nothing_and_has_all_its_words():
    page = build_page(detector=make_detector("packaged"))
    assert len(page.encode()) <= 5_000_000
    found = Elements(page)
    head, _, rest = page.partition("</style>")
    body = re.sub(r"<script\b.*?</script>", "", rest, flags=re.DOTALL)
    assert not re.search(r"\son\w+=|\sstyle=|(?:src|href)=\"(?!#|data:)", body)
    assert not re.search(r"url\((?!['\"]?data:)|@import", head)
    texts = found.json("texts")
    for language, words in texts.items():
        assert words.keys() == texts["en"].keys(), language
