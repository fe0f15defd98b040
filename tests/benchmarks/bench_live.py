"""Frames per second of `emoclf live` on a film of one moving drawn face, and where the time goes.

    python tests/benchmarks/bench_live.py
    python tests/benchmarks/bench_live.py --every 1 5 10 --frames 600

The film is written, read back and given to the packaged network, as the command does it. YuNet's
file is fetched on the first use, or named in the environment variable EMOCLF_YUNET.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

import emoclf
from emoclf.apps.camera import LiveSession, open_video_file, read_video
from emoclf.data.synthetic import draw_face
from emoclf.inference import Predictor

SIZE = (480, 640)
FACE_PX = 256


def write_film(path, *, frames):
    """A face that turns from happy to sad and back, and moves in a circle."""
    faces = [draw_face(name, seed=3, size=(FACE_PX, FACE_PX)) for name in emoclf.CLASS_NAMES]
    with open_video_file(path, frames_per_second=25) as write:
        for number in range(frames):
            frame = np.full((*SIZE, 3), 150, np.uint8)
            left = round(190 + 120 * np.sin(number / 15))
            top = round(110 + 80 * np.cos(number / 10))
            frame[top : top + FACE_PX, left : left + FACE_PX] = faces[number // 50 % 2]
            write(frame)


def measure(path, predictor, *, every):
    """Return what reading, finding and predicting, and drawing took, per frame in milliseconds."""
    session = LiveSession(predictor, detect_every=every)
    times, missed, end = [], 0, time.perf_counter()
    for frame in read_video(path):
        got = time.perf_counter()
        answer = session.predict(frame)
        answered = time.perf_counter()
        answer.draw()
        drawn = time.perf_counter()
        times.append((got - end, answered - got, drawn - answered))
        missed += not answer.prediction.faces
        end = time.perf_counter()
    return 1000 * np.array(times), missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--frames", type=int, default=300)
    arguments = parser.parse_args()
    predictor = Predictor.packaged(faces_only=True)
    detector = predictor.detector
    print(f"OpenCV {cv2.__version__}, {detector.description}, {SIZE[1]} x {SIZE[0]} pixels\n")
    print(
        "| whole search every | frames per second | frame, median ms | 95 of 100 below, ms |",
        end="",
    )
    print(" read | find and predict | draw | frames without a face |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        write_film(film, frames=arguments.frames)
        for every in arguments.every:
            times, missed = measure(film, predictor, every=every)
            frame = times.sum(axis=1)
            half, most = np.percentile(frame, (50, 95))
            parts = " | ".join(f"{value:.1f}" for value in np.median(times, axis=0))
            print(
                f"| {every} | {1000 / frame.mean():.1f} | {half:.1f} | {most:.1f} | {parts} "
                f"| {missed} of {len(times)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
