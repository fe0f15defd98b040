"""The web page under load: photos one after the other, then several at once; time and memory.

    python tests/benchmarks/bench_page.py
    python tests/benchmarks/bench_page.py --photos a_folder --uploads 200

Starts `python -m emoclf demo` and uploads to it as a browser would, through Gradio's client; the
time includes the upload and the annotated picture's way back. Without --photos, drawn faces of
1024 x 768 pixels are uploaded. Memory is the server's resident set (Linux only).
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from emoclf import CLASS_NAMES
from emoclf.apps.page import PACKAGED_NAME
from emoclf.data.synthetic import draw_face

WARM_UP = 10


def draw_photos(folder, *, count=10):
    paths = []
    for seed in range(count):
        path = folder / f"{seed}.jpg"
        drawn = draw_face(CLASS_NAMES[seed % 2], seed=seed, size=(768, 1024))
        Image.fromarray(drawn).save(path, quality=90)
        paths.append(path)
    return paths


def measure_memory(server):
    status = Path(f"/proc/{server.pid}/status")
    if not status.exists():
        return float("nan")
    return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024


def start_server(options):
    command = [sys.executable, "-m", "emoclf", "demo", "--logs", "no-runs", *options]
    start = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    return server, re.search(r"http\S+", line)[0], time.perf_counter() - start


def upload(client, path):
    start = time.perf_counter()
    answer, picture, *_ = client.predict(
        handle_file(path), PACKAGED_NAME, False, api_name="/predict_photo"
    )
    assert picture, answer
    return 1000 * (time.perf_counter() - start)


def describe(name, times, seconds, memory):
    half, most = np.percentile(times, (50, 95))
    rate = len(times) / seconds
    return f"| {name} | {len(times)} | {half:.0f} | {most:.0f} | {rate:.1f} | {memory:.0f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files")
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="of so many uploads")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("server_options", nargs="*", help="after --, for emoclf demo")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = sorted(arguments.photos.rglob("*.jpg")) if arguments.photos else None
        photos = photos or draw_photos(Path(folder))
        server, address, seconds = start_server(arguments.server_options)
        try:
            print(f"ready after {seconds:.1f} s, {measure_memory(server):.0f} MiB")
            client = Client(address, verbose=False)
            for path in islice(cycle(photos), WARM_UP):
                upload(client, path)
            print("\n| uploads | n | median ms | 95 of 100 below, ms | per second | MiB after |")
            print("| --- | --- | --- | --- | --- | --- |")
            memory = [measure_memory(server)]
            for number in (1, arguments.at_once):
                name = f"{number} at once" if number > 1 else "one after the other"
                for _ in range(arguments.rounds):
                    start = time.perf_counter()
                    chosen = islice(cycle(photos), arguments.uploads)
                    with ThreadPoolExecutor(number) as pool:
                        times = list(pool.map(lambda path: upload(client, path), chosen))
                    memory.append(measure_memory(server))
                    print(describe(name, times, time.perf_counter() - start, memory[-1]))
            print(f"\nmemory after the first {WARM_UP}: {memory[0]:.0f} MiB")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
