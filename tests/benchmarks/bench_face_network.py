"""Milliseconds per face of the packaged network on one core: OpenCV, LiteRT and Keras in one run.

    python tests/benchmarks/bench_face_network.py

LiteRT is measured where `ai-edge-litert` is installed, in single precision and quantised to int8.
All rows see the same face, once; the mirror image would double them.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from emoclf.data.synthetic import draw_face
from emoclf.images import resize_image
from emoclf.models.packaged import FACE_MODEL_FOLDER, PackagedNetwork, load_face_network


def measure(function, *, repeats):
    for _ in range(5):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times), min(times)


def make_noise():
    """Faces of noise, to find the ranges that int8 has to hold: good enough for its speed."""
    random = np.random.default_rng(0)
    for _ in range(100):
        yield [random.integers(0, 256, (1, 48, 48, 3), np.uint8)]


def make_lite_interpreters(model, face):
    """LiteRT of the Keras model in float32 and int8; nothing where LiteRT is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return
    import tensorflow as tf

    for name in ("float32", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if name == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = make_noise
        content = converter.convert()
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        number = interpreter.get_input_details()[0]["index"]

        def answer(interpreter=interpreter, number=number):
            interpreter.set_tensor(number, face)
            interpreter.invoke()

        yield f"LiteRT {name}", answer, len(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    face = resize_image(draw_face("Happy", seed=1), (48, 48))[np.newaxis]
    network, model = PackagedNetwork(), load_face_network()
    size = (FACE_MODEL_FOLDER / "network.onnx").stat().st_size
    rows = [("OpenCV dnn, network.onnx", lambda: network.predict_logits(face, mirror=False), size)]
    rows += list(make_lite_interpreters(model, face))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        keras_size = path.stat().st_size
    rows.append(("Keras, predict_on_batch", lambda: model.predict_on_batch(face), keras_size))
    rows.append(("Keras, predict", lambda: model.predict(face, verbose=0), keras_size))
    print(f"OpenCV {cv2.__version__}, TensorFlow {tf.__version__}, {arguments.repeats} repeats\n")
    print("| runtime | median ms | best ms | file kB |\n| --- | --- | --- | --- |")
    for name, function, count in rows:
        median, best = measure(function, repeats=arguments.repeats)
        print(f"| {name} | {median:.2f} | {best:.2f} | {count / 1000:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
