"""Where YuNet's file comes from: whole and checked, or not at all, and never twice in vain."""

import http.server
import json
import socketserver
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage

import pytest

from emoclf.faces import (
    FaceDetectorUnavailableError,
    FaceModelError,
    find_cache_folder,
    load_yunet_file,
    yunet_file,
)

CONTENT = bytes(range(256)) * 40


class Response:
    """What an opened address offers; `steps` are bytes to give out or errors to raise."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def read1(self, count):
        if not self.steps:
            return b""
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        self.steps[:0] = [step[count:]] if step[count:] else []
        return step[:count]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and a pinned file that is short and known."""
    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(yunet_file, "MODEL_BYTES", len(CONTENT))
    monkeypatch.setattr(yunet_file, "MODEL_SHA256", yunet_file.hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "emoclf"


@pytest.fixture
def network(monkeypatch):
    """A network that fails unless a test says what it serves; it counts how often it is used."""

    class Network:
        opened = 0
        serve = staticmethod(lambda: (_ for _ in ()).throw(urllib.error.URLError("no network")))

        def open(self, url, *, timeout_seconds):
            assert url.startswith("https://media.githubusercontent.com/")
            assert 0 < timeout_seconds < 60
            self.opened += 1
            return self.serve()

    network = Network()
    monkeypatch.setattr(yunet_file, "open_https", network.open)
    return network


def names(folder):
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def test_the_file_is_downloaded_once_and_kept(cache, network):
    network.serve = lambda: Response(CONTENT[:7], CONTENT[7:])
    first = load_yunet_file()
    assert first.content == CONTENT and first.note == ""
    assert first.path == cache / yunet_file.MODEL_NAME
    assert load_yunet_file().content == CONTENT
    assert network.opened == 1
    assert names(cache) == [yunet_file.MODEL_NAME]


def test_nothing_is_fetched_when_that_is_forbidden(cache, network):
    with pytest.raises(FaceDetectorUnavailableError, match="download=False") as caught:
        load_yunet_file(download=False)
    assert network.opened == 0
    assert names(cache) == []
    assert yunet_file.MODEL_URL in str(caught.value)
    assert str(cache) in str(caught.value)


def test_other_bytes_are_not_kept_and_both_hashes_are_named(cache, network):
    wrong = CONTENT[:-1] + b"x"
    network.serve = lambda: Response(wrong)
    with pytest.raises(FaceDetectorUnavailableError) as caught:
        load_yunet_file()
    assert yunet_file.MODEL_SHA256 in str(caught.value)
    assert yunet_file.hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert yunet_file.MODEL_NAME not in names(cache)


def test_no_more_is_read_than_the_file_has(cache, network):
    endless = Response(*[bytes(4096)] * 1000)
    network.serve = lambda: endless
    with pytest.raises(FaceDetectorUnavailableError, match="received more"):
        load_yunet_file()
    assert len(endless.steps) > 990
    assert yunet_file.MODEL_NAME not in names(cache)


@pytest.mark.parametrize(
    "error", [ConnectionResetError("cut"), TimeoutError("slow"), urllib.error.URLError("no route")]
)
def test_a_download_that_breaks_off_leaves_nothing_half(cache, network, error):
    network.serve = lambda: Response(CONTENT[:100], error)
    with pytest.raises(FaceDetectorUnavailableError, match="could not be downloaded"):
        load_yunet_file()
    assert names(cache) == [yunet_file._FAILURE_NAME]


@pytest.mark.usefixtures("cache")
def test_a_download_that_trickles_is_given_up(network, monkeypatch):
    monkeypatch.setattr(yunet_file, "_DEADLINE_SECONDS", -1.0)
    network.serve = lambda: Response(*[b"x"] * 1000)
    with pytest.raises(FaceDetectorUnavailableError, match="not finished"):
        load_yunet_file()


def test_an_interrupt_while_writing_leaves_nothing_half(cache, network, monkeypatch):
    def write_half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    network.serve = lambda: Response(CONTENT)
    monkeypatch.setattr(type(cache), "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        load_yunet_file()
    assert names(cache) == []


@pytest.mark.parametrize("damaged", [b"", CONTENT[:500], CONTENT[:-1] + b"x"])
def test_a_damaged_file_in_the_cache_is_downloaded_again_and_that_is_said(cache, network, damaged):
    cache.mkdir()
    (cache / yunet_file.MODEL_NAME).write_bytes(damaged)
    network.serve = lambda: Response(CONTENT)
    found = load_yunet_file()
    assert found.content == CONTENT
    assert "damaged" in found.note and "downloaded again" in found.note
    assert (cache / yunet_file.MODEL_NAME).read_bytes() == CONTENT


@pytest.mark.usefixtures("network")
def test_a_damaged_file_in_the_cache_is_never_used(cache):
    cache.mkdir()
    (cache / yunet_file.MODEL_NAME).write_bytes(CONTENT[:500])
    with pytest.raises(FaceDetectorUnavailableError, match=r"is damaged.*download=False"):
        load_yunet_file(download=False)
    with pytest.raises(FaceDetectorUnavailableError, match=r"is damaged.*no network"):
        load_yunet_file()


def test_a_failure_is_remembered_for_a_day(cache, network):
    with pytest.raises(FaceDetectorUnavailableError, match="no network"):
        load_yunet_file(retry=False)
    with pytest.raises(FaceDetectorUnavailableError, match=r"no network.*a day later.*delete"):
        load_yunet_file(retry=False)
    assert network.opened == 1
    with pytest.raises(FaceDetectorUnavailableError):
        load_yunet_file(retry=True)
    assert network.opened == 2

    memory = cache / yunet_file._FAILURE_NAME
    failure = json.loads(memory.read_text())
    memory.write_text(json.dumps({**failure, "time": time.time() - yunet_file.RETRY_SECONDS - 1}))
    network.serve = lambda: Response(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT
    assert names(cache) == [yunet_file.MODEL_NAME]


@pytest.mark.parametrize("memory", ["", "[]", "{}", '{"time": "now", "reason": ""}'])
def test_a_damaged_memory_or_a_clock_set_back_means_try_again(cache, network, memory):
    cache.mkdir()
    (cache / yunet_file._FAILURE_NAME).write_text(memory)
    network.serve = lambda: Response(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT


def test_a_failure_in_the_future_is_not_believed(cache, network):
    cache.mkdir()
    future = {"time": time.time() + 1e6, "reason": "?"}
    (cache / yunet_file._FAILURE_NAME).write_text(json.dumps(future))
    network.serve = lambda: Response(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT


def test_a_cache_that_cannot_be_written_does_no_harm(cache, network):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    network.serve = lambda: Response(CONTENT)
    found = load_yunet_file()
    assert found.content == CONTENT
    assert "not kept" in found.note
    network.serve = lambda: Response(ConnectionResetError("cut"))
    with pytest.raises(FaceDetectorUnavailableError, match="next start tries again"):
        load_yunet_file()
    assert cache.read_text() == "a file where the folder should be"


def test_several_threads_at_first_use_download_once(cache, network):
    def serve():
        time.sleep(0.05)
        return Response(CONTENT)

    network.serve = serve
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load_yunet_file().content)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 8
    assert network.opened == 1
    assert names(cache) == [yunet_file.MODEL_NAME]


def test_a_named_file_comes_first_and_is_not_touched(cache, network, tmp_path, monkeypatch):
    for name in ("argument.onnx", "variable.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setenv("EMOCLF_YUNET", str(tmp_path / "variable.onnx"))
    assert load_yunet_file().content == b"variable.onnx"
    assert load_yunet_file(tmp_path / "argument.onnx").content == b"argument.onnx"
    assert network.opened == 0
    assert names(cache) == []


@pytest.mark.usefixtures("cache")
def test_a_named_file_that_is_missing_or_huge_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"model_path.*nowhere"):
        load_yunet_file(tmp_path / "nowhere.onnx")
    with pytest.raises(FileNotFoundError, match="model_path"):
        load_yunet_file(tmp_path)
    monkeypatch.setenv("EMOCLF_YUNET", str(tmp_path / "nowhere.onnx"))
    with pytest.raises(FileNotFoundError, match=r"EMOCLF_YUNET.*nowhere"):
        load_yunet_file()
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(FaceModelError, match="1,000,000,000"):
        load_yunet_file(tmp_path / "huge.onnx")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/emoclf"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/emoclf"),
        ("darwin", {}, "home/Library/Caches/emoclf"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/emoclf/Cache"),
    ],
)
def test_the_cache_is_where_the_system_keeps_such_files(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "home", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(yunet_file.sys, "platform", platform)
    assert find_cache_folder().as_posix() == expected


@pytest.fixture
def local_server():
    """A server on this machine, without https: `/file` is the file, `/away` leads to it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/file" else 302)
            self.send_header("Location", "/file")
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/file" else b"")

        def log_message(self, *_):
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("cache")
def test_a_real_connection_delivers_the_file(local_server, monkeypatch):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    monkeypatch.setattr(
        yunet_file,
        "open_https",
        lambda _, timeout_seconds: opener.open(f"{local_server}/away", timeout=timeout_seconds),
    )
    assert load_yunet_file().content == CONTENT


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "data"])
def test_nothing_but_https_is_opened(scheme, local_server, tmp_path):
    url = f"{local_server}/file" if scheme == "http" else f"{scheme}://{tmp_path}/file"
    with pytest.raises(urllib.error.URLError, match="unknown url type"):
        yunet_file.open_https(url, timeout_seconds=5)


def test_a_redirection_away_from_https_is_refused(monkeypatch):
    opened = []

    class Redirection(Response):
        code, msg = 302, "Found"

        def info(self):
            headers = HTTPMessage()
            headers["Location"] = "http://127.0.0.1:9/file"
            return headers

        def read(self):
            return b""

        def close(self):
            pass

    class Served(urllib.request.BaseHandler):
        def https_open(self, request):
            opened.append(request.full_url)
            return Redirection()

    monkeypatch.setattr(urllib.request, "HTTPSHandler", Served)
    with pytest.raises(urllib.error.URLError, match="unknown url type: http"):
        yunet_file.open_https("https://example.invalid/file", timeout_seconds=5)
    assert opened == ["https://example.invalid/file"]


def test_the_pinned_file_is_the_one_that_was_tested(real_data):
    content = (real_data / yunet_file.MODEL_NAME).read_bytes()
    assert len(content) == yunet_file.MODEL_BYTES
    assert yunet_file.hashlib.sha256(content).hexdigest() == yunet_file.MODEL_SHA256
