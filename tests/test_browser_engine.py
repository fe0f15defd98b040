"""The engine of the browser's page: the same numbers as OpenCV and as ONNX's own reference."""

from importlib.util import find_spec

import numpy as np
import pytest

from emoclf.data.synthetic import draw_face
from emoclf.images.faces.detecting import PACKAGED_PATH
from emoclf.models.packaged import FACE_MODEL_FOLDER, PackagedNetwork
from tests.running_node import SOURCE, run_node

LOAD = """
import { loadKernel } from "SOURCE/engine/memory.mjs";
import { loadNetwork } from "SOURCE/engine/network.mjs";
const memory = await loadKernel(readFileSync(new URL("SOURCE/engine/kernel.wasm")));
"""

RUN_ALL = """
const network = loadNetwork(memory, take("file"), { swapChannels: take("swap") });
const [count, height, width] = shapeOf("pictures");
const size = height * width * 3;
let sizes = [];
for (let i = 0; i < count; i++) {
  const found = network.run(take("pictures").subarray(i * size, (i + 1) * size), height, width);
  network.outputs.forEach((name, k) => give(`${k}-${i}`, found[name].data, found[name].shape));
  sizes.push(memory.run.memory.buffer.byteLength, memory.borrowed.length);
}
give("sizes", sizes);
"""


def run_network(file, pictures, *, swap=False):
    """Return, for each output, what the engine finds in each picture; check that memory is flat."""
    found = run_node(LOAD + RUN_ALL, file=file, pictures=pictures, swap=swap)
    assert len(set(found["sizes"][::2])) == 1
    assert set(found["sizes"][1::2]) == {0}
    outputs = 1 + max(int(name.split("-")[0]) for name in found if name != "sizes")
    return [
        np.array([found[f"{output}-{i}"] for i in range(len(pictures))])
        for output in range(outputs)
    ]


def draw_crops(count, size):
    faces = [draw_face(("Sad", "Happy")[seed % 2], seed=seed, size=size) for seed in range(count)]
    return np.stack(faces)


def test_logits_of_faces_are_those_of_opencv():
    crops = draw_crops(20, (48, 48))
    network = PackagedNetwork()
    (found,) = run_network(network.content, crops)
    np.testing.assert_allclose(found, network.predict_logits(crops, mirror=False), atol=1e-4)


def test_features_of_faces_can_be_asked_for():
    network, crops = PackagedNetwork(), draw_crops(3, (48, 48))
    code = """
    const network = loadNetwork(memory, take("file"));
    const name = network.find("average_over_face");
    const found = network.run(take("crops").subarray(0, 48 * 48 * 3), 48, 48, [name]);
    give("features", found[name].data);
    const map = network.maps[2];
    const maps = network.run(take("crops").subarray(0, 48 * 48 * 3), 48, 48, [map]);
    give("shape", maps[map].shape);
    give("missing", network.find("no such layer"));
    """
    found = run_node(LOAD + code, file=network.content, crops=crops)
    expected = network.predict_features(crops[:1], mirror=False)[0]
    np.testing.assert_allclose(found["features"], expected, atol=1e-4)
    assert found["shape"] == [24, 24, 48]
    assert found["missing"] is None


def test_features_of_scenes_are_those_of_opencv():
    from emoclf.models.joint import SceneNetwork

    network, photos = SceneNetwork(), draw_crops(2, (224, 224))
    (found,) = run_network(network.content, photos)
    np.testing.assert_allclose(found, network.predict_features(photos), atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_detector_answers_as_in_opencv(size):
    import cv2

    photo = draw_crops(1, (160, 160))[:, : size[0], : size[1]]
    found = run_network(PACKAGED_PATH.read_bytes(), photo, swap=True)
    network = cv2.dnn.readNetFromONNX(str(PACKAGED_PATH))
    network.setInput(cv2.dnn.blobFromImage(photo[0], swapRB=True))
    names = [f"{kind}_{step}" for kind in ("cls", "obj", "bbox", "kps") for step in (8, 16, 32)]
    for name, ours, theirs in zip(names, found, network.forward(names), strict=True):
        np.testing.assert_allclose(ours[0].ravel(), theirs.ravel(), atol=1e-4, err_msg=name)


def make_file(nodes, constants, *, planar=True, outputs=("out",)):
    """Return an ONNX file of one float or uint8 picture."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    shape, kind = ([1, 3, None, None], 1) if planar else ([1, None, None, 3], 2)
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [onnx.helper.make_tensor_value_info("in", kind, shape)],
        [onnx.helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", 15)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def run_reference(model, pictures, *, planar):
    from onnx.reference import ReferenceEvaluator

    reference = ReferenceEvaluator(model)
    found = []
    for picture in pictures[:, np.newaxis]:
        given = picture.transpose(0, 3, 1, 2).astype(np.float32) if planar else picture
        found.append(reference.run(None, {"in": given})[0])
    return np.concatenate(found)


def make_random_network(seed):
    """Make a network of everything that the engine's kernel does, with odd sizes."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    rng = np.random.default_rng(seed)
    nodes, constants, last, channels = [], {}, "in", 3

    def add(op, *values, keep=None, **attributes):
        nonlocal last
        names = []
        for value in values:
            names.append(f"c{len(constants)}")
            constants[names[-1]] = value
        output = f"v{len(nodes)}"
        others = [keep] if keep else []
        nodes.append(onnx.helper.make_node(op, [last, *others, *names], [output], **attributes))
        last = output

    def convolve(results, kernel, *, step=1, group=1, pads=(0, 0, 0, 0)):
        nonlocal channels
        shape = (results, channels // group, kernel, kernel)
        weights = rng.normal(0, (shape[1] * kernel**2) ** -0.5, shape).astype(np.float32)
        bias = [rng.normal(size=results).astype(np.float32)] if rng.random() < 0.7 else []
        options = {"strides": [step] * 2, "pads": list(pads), "kernel_shape": [kernel] * 2}
        add("Conv", weights, *bias, group=group, **options)
        channels = results

    def numbers(*shape):
        return rng.normal(size=shape).astype(np.float32)

    add("Mul", np.float32(1 / 255))
    convolve(int(rng.integers(1, 20)), 3, step=int(rng.integers(1, 3)), pads=(1, 1, 1, 1))
    add("Mul", numbers(1, channels, 1, 1))
    add("Add", numbers(1, channels, 1, 1))
    add("Relu")
    convolve(channels, 5, step=int(rng.integers(1, 3)), group=channels, pads=(1, 2, 3, 2))
    spread = np.abs(numbers(channels)) + 0.5
    add("BatchNormalization", spread, numbers(channels), numbers(channels), spread)
    add("Clip", np.float32(0), np.float32(6))
    before, width = last, channels
    convolve(int(rng.integers(1, 12)), 1)
    convolve(width, 3, pads=(1, 1, 1, 1))
    add("Add", keep=before)
    add("Relu")
    add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    add("Resize", np.float32([]), np.float32([1, 1, 2, 2]), mode="nearest")
    add("Sigmoid")
    convolve(9, 1, step=2)
    add("GlobalAveragePool")
    add("Squeeze", np.array([2, 3]))
    add("Gemm", numbers(9, 4), numbers(4))
    add("Softmax", axis=1)
    nodes[-1].output[0] = "out"
    return make_file(nodes, constants)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_are_run_as_in_the_reference(seed):
    model = make_random_network(seed)
    rng = np.random.default_rng(seed)
    height, width = rng.integers(8, 24, 2)
    pictures = rng.integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    (found,) = run_network(model.SerializeToString(), pictures)
    expected = run_reference(model, pictures, planar=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-6  # the pictures matter


def test_what_tensors_do_is_done_as_in_the_reference():
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    node = onnx.helper.make_node
    rng = np.random.default_rng(0)
    constants = {
        "three": rng.normal(size=(3,)).astype(np.float32),
        "grey": rng.normal(size=(3, 1)).astype(np.float32),
        "flat": np.array([-1, 3]),
        "map": np.array([1, 1, 9, 7]),
        "one": np.array([1]),
        "w": rng.normal(size=(5, 1, 2, 2)).astype(np.float32),
        "half": rng.normal(size=(1, 5, 1, 1)).astype(np.float16),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]),
        "low": np.float32(-3),
    }
    nodes = [
        node("Cast", ["in"], ["a"], to=1),
        node("Mul", ["a", "three"], ["b"]),
        node("Reshape", ["b", "flat"], ["c"]),
        node("MatMul", ["c", "grey"], ["d"]),
        node("Unsqueeze", ["d", "one"], ["e"]),
        node("Reshape", ["e", "map"], ["f"]),
        node("Transpose", ["f"], ["f2"], perm=[0, 1, 3, 2]),
        node("Pad", ["f2", "pads"], ["g"]),
        node("Conv", ["g", "w"], ["h"], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4),
        node("Cast", ["half"], ["factors"], to=1),
        node("Mul", ["h", "factors"], ["i"]),
        node("Clip", ["i", "low"], ["j"]),
        node("Transpose", ["j"], ["k"], perm=[0, 2, 3, 1]),
        node("Mul", ["k", "k"], ["l"]),
        node("Div", ["l", "low"], ["m"]),
        node("Sub", ["m", "k"], ["out"]),
    ]
    model = make_file(nodes, constants, planar=False)
    pictures = rng.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    (found,) = run_network(model.SerializeToString(), pictures)
    expected = run_reference(model, pictures, planar=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


REFUSE = """
const said = [];
for (const name of take("names")) {
  try {
    loadNetwork(memory, take(name)).run(new Uint8Array(8 * 8 * 3), 8, 8);
    said.push("runs");
  } catch (error) {
    said.push(`${error.name}: ${error.message}`);
  }
}
give("said", said);
give("borrowed", memory.borrowed.length);
"""


def test_damaged_files_are_refused():
    content = (FACE_MODEL_FOLDER / "network.onnx").read_bytes()
    cuts = [0, 1, 7, 100, 5000, len(content) // 2, len(content) - 5]
    files = {f"cut{cut}": content[:cut] for cut in cuts}
    files["text"] = b"This is no network at all, but a text of some length." * 20
    files["zeros"] = bytes(1000)
    files["html"] = b"<!doctype html><title>404</title>"
    found = run_node(LOAD + REFUSE, names=list(files), **files)
    assert all("Error" in said and "runs" not in said for said in found["said"])
    assert found["borrowed"] == 0


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (("LSTM", ["in"], {}), "operator LSTM"),
        (("Conv", ["in", "w"], {"dilations": [2, 2]}), "dilated"),
        (("Conv", ["in", "w"], {"auto_pad": "SAME_UPPER"}), "such a convolution"),
        (("Conv", ["in", "w"], {"strides": [1, 2]}), "uneven"),
        (("Conv", ["in", "w2"], {"group": 3}), "3 groups"),
        (("MaxPool", ["in"], {"kernel_shape": [3, 3], "strides": [2, 2]}), "2 x 2"),
        (("Resize", ["in", "", "by3"], {"mode": "nearest"}), "doubles"),
    ],
)
def test_what_cannot_be_run_is_named(node, said):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    op, inputs, attributes = node
    constants = {
        "w": np.ones((4, 3, 3, 3), np.float32),
        "w2": np.ones((6, 1, 3, 3), np.float32),
        "by3": np.float32([1, 1, 3, 3]),
    }
    nodes = [onnx.helper.make_node(op, inputs, ["out"], **attributes)]
    file = make_file(nodes, constants).SerializeToString()
    found = run_node(LOAD + REFUSE, names=["file"], file=file)
    assert said in found["said"][0]


def test_another_size_is_refused_and_a_picture_that_is_too_small():
    content = (FACE_MODEL_FOLDER / "network.onnx").read_bytes()
    found = run_node(LOAD + REFUSE, names=["face"], face=content)
    assert "takes 48 x 48 pixels, not 8 x 8" in found["said"][0]
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    nodes = [onnx.helper.make_node("Conv", ["in", "w"], ["out"])]
    large = make_file(nodes, {"w": np.ones((1, 3, 9, 9), np.float32)}).SerializeToString()
    found = run_node(LOAD + REFUSE, names=["large"], large=large)
    assert "too small" in found["said"][0]
    assert found["borrowed"] == 0


@pytest.mark.skipif(find_spec("wasmtime") is None, reason="wasmtime is not installed")
def test_kernel_is_its_source_compiled():
    from wasmtime import wat2wasm

    compiled = wat2wasm((SOURCE / "engine" / "kernel.wat").read_text(encoding="utf-8"))
    shipped = (SOURCE / "engine" / "kernel.wasm").read_bytes()
    assert list(list_sections(bytes(compiled))) == list(list_sections(shipped))
    assert len(shipped) < 4096


def list_sections(content):
    """Yield number and bytes of each section of a WebAssembly module but those of names."""
    assert content[:8] == b"\0asm\1\0\0\0"
    rest = content[8:]
    while rest:
        digits = next(i for i, byte in enumerate(rest[1:]) if byte < 128) + 1
        size = sum((byte & 127) << 7 * i for i, byte in enumerate(rest[1 : 1 + digits]))
        body, number = rest[1 + digits : 1 + digits + size], rest[0]
        rest = rest[1 + digits + size :]
        if number:
            yield number, body
