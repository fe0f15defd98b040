"""The page as a user starts it, in a process of its own, for the tests that attack it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import emoclf
from emoclf.apps.page import PACKAGED_NAME
from tests.calls import PATIENCE_SECONDS

REPOSITORY = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "emoclf", "demo", "--no-download")
QUESTION = [PACKAGED_NAME, False]
"""What goes with a photo: the network, no map."""


class FoundPage:
    """A page that listens to a port."""

    def __init__(self, port):
        self.port = port
        self.host = f"127.0.0.1:{port}"

    def ask(self, method, path, body=None, headers=(), *, host=None):
        """Send a request as any program can; returns the status, the headers, the content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self.host if host is None else host)
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            given = dict(headers)
            if content is not None and not {"Content-Length", "Transfer-Encoding"} & set(given):
                given["Content-Length"] = str(len(content))
            if content is not None and not isinstance(body, bytes):
                given.setdefault("Content-Type", "application/json")
            for name, value in given.items():
                for each in value if isinstance(value, list) else [value]:
                    connection.putheader(name, each)
            connection.endheaders(content)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def upload(self, content, name="photo.png", headers=()):
        """Upload a file; returns the status and the content of the answer."""
        body, kind = make_form(content, name)
        status, _, said = self.ask(
            "POST", "/gradio_api/upload", body, {"Content-Type": kind, **dict(headers)}
        )
        return status, said

    def call(self, photo, question=QUESTION):
        """Ask for an answer as a program does; returns the status and what was said."""
        status, _, said = self.ask(
            "POST", "/gradio_api/call/predict_photo", {"data": [photo, *question]}
        )
        if status != 200:
            return status, said
        event = json.loads(said)["event_id"]
        status, _, said = self.ask("GET", f"/gradio_api/call/predict_photo/{event}")
        return status, said


class RunningPage(FoundPage):
    """A page of the command `demo`, whose temporary files lie in `folder / "tmp"`."""

    def __init__(self, folder, *options, **variables):
        self.tmp = folder / "tmp"
        self.tmp.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            super().__init__(free.getsockname()[1])
        self.said = folder / f"said-{self.port}.txt"
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "cache").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(Path(emoclf.__file__).parent.parent),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "GRADIO_ALLOWED_PATHS": "/",  # somebody's setting for other pages opens nothing here
            "GRADIO_ROOT_PATH": "https://elsewhere.example",
            **variables,
        }
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [*COMMAND, "--port", str(self.port), "--logs", str(folder / "logs"), *options],
                env=environment,
                stdout=said,
                stderr=said,
                cwd=folder,
            )

    def wait(self):
        """Wait until the page is open."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if "Open http" in self.read_said():
                return self
            time.sleep(0.1)
        raise AssertionError(f"the page did not open: {self.read_said()}")

    def read_said(self):
        return self.said.read_text(errors="replace")

    @property
    def uploads(self):
        (folder,) = self.tmp.glob("emoclf-demo-*/uploads")
        return folder.resolve()

    def list_files(self):
        return sorted(path for path in self.tmp.rglob("*") if path.is_file() or path.is_symlink())


def make_form(content, name="photo.png"):
    """Return an upload's body and content type."""
    head = f'--border\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
    body = head.encode() + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--border--\r\n"
    return body, "multipart/form-data; boundary=border"


def make_png(path, level=255):
    Image.fromarray(np.full((60, 60, 3), level, np.uint8)).save(path)
    return path


@contextlib.contextmanager
def run_page(folder, *options, **variables):
    page = RunningPage(folder, *options, **variables)
    try:
        yield page.wait()
    finally:
        page.process.kill()
        page.process.wait()
