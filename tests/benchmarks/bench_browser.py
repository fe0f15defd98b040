"""The page for any browser: its networks in Node, then its frames before a fake camera in Chromium.

    PYTHONPATH=. python tests/benchmarks/bench_browser.py
    PYTHONPATH=. python tests/benchmarks/bench_browser.py --minutes 10 --scene

The camera shows a drawn face that moves, 640 x 480 pixels. A line every half minute: frames per
second, what the worker takes of a frame (median, 95 of 100), and the memory of the page's process
(Linux only). Needs Node, Chromium and chromedriver.
"""

import argparse
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from emoclf.apps.browser import build_page
from emoclf.data.synthetic import draw_face
from emoclf.images.faces import YuNetDetector, make_detector
from emoclf.models.joint import SceneNetwork
from emoclf.models.packaged import PackagedNetwork
from tests.running_node import run_node
from tests.test_live_browser import open_browser

TIME_RUNS = """
import { loadKernel } from "SOURCE/engine/memory.mjs";
import { loadNetwork } from "SOURCE/engine/network.mjs";
const memory = await loadKernel(readFileSync(new URL("SOURCE/engine/kernel.wasm")));
const network = loadNetwork(memory, take("file"));
const [height, width] = take("size");
const pixels = Uint8Array.from({ length: height * width * 3 }, () => 256 * Math.random());
const times = [];
for (let i = 0; i < 60; i++) {
  const start = performance.now();
  network.run(pixels, height, width);
  times.push(performance.now() - start);
}
give("times", times.slice(10));
"""

WATCH = """
window.taken = [];
const ask = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, transfer) {
  if (message.kind === "frame" && !this.isWatched) {
    this.isWatched = true;
    this.addEventListener("message", ({ data }) => {
      if (data.milliseconds) window.taken.push(data.milliseconds);
    });
  }
  return ask.call(this, message, transfer);
};
"""


def write_film(path, *, frames=90):
    face = Image.fromarray(draw_face("Happy", seed=0, size=(320, 320)))
    with path.open("wb") as file:
        for turn in np.linspace(0, 2 * np.pi, frames, endpoint=False):
            frame, side = Image.new("RGB", (640, 480), (96, 104, 112)), int(240 + 30 * np.sin(turn))
            place = (int(200 + 80 * np.cos(turn)), int(120 + 40 * np.sin(2 * turn)))
            frame.paste(face.resize((side, side)), place)
            frame.save(file, "JPEG", quality=90)


def describe(milliseconds):
    middle, late = np.percentile(milliseconds, [50, 95])
    return f"{middle:.1f} ({late:.1f}) ms"


def time_networks(detector):
    networks = {"face": (PackagedNetwork().content, (48, 48))}
    networks["scene"] = (SceneNetwork().content, (224, 224))
    for size in ((256, 320), (480, 640)):
        networks[f"{detector.name}, {size[1]} x {size[0]}"] = (detector.file.content, size)
    for name, (file, size) in networks.items():
        print(f"{name}: {describe(run_node(TIME_RUNS, file=file, size=size)['times'])}")


def measure_memory():
    listing = subprocess.run(["ps", "-eo", "rss,args"], capture_output=True, text=True, check=False)
    sizes = re.findall(r"^ *(\d+) .*--type=renderer", listing.stdout, re.MULTILINE)
    return max(map(int, sizes), default=0) / 1024


def watch_frames(address, flags, *, minutes):
    with open_browser(address, *flags) as driver:
        driver.execute_script(WATCH)
        driver.execute_script("document.getElementById('camera').click()")
        for half in range(1, round(2 * minutes) + 1):
            time.sleep(30)
            taken = driver.execute_script("return window.taken.splice(0)")
            parts = [f"{p} {describe([each[p] for each in taken])}" for p in taken[0]]
            rate, memory = len(taken) / 30, measure_memory()
            print(f"{half / 2} min: {rate:.1f} frames/s, {', '.join(parts)}, {memory:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--scene", action="store_true")
    options = parser.parse_args()
    found = make_detector()
    assert isinstance(found, YuNetDetector)
    time_networks(found)
    with tempfile.TemporaryDirectory() as name:
        film, page = Path(name, "face.mjpeg"), Path(name, "page.html")
        write_film(film)
        page.write_text(build_page(scene=options.scene, detector=found), encoding="utf-8")
        camera = (
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        )
        watch_frames(page.as_uri(), camera, minutes=options.minutes)
