"""Where YuNet's file comes from: whole and checked, or not at all, and never twice in vain."""

import http.server
import json
import re
import socket
import socketserver
import ssl
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage, IncompleteRead, RemoteDisconnected

import pytest

from emoclf.images.faces import (
    FaceDetectorUnavailableError,
    FaceModelError,
    find_cache_folder,
    load_yunet_file,
    yunet_file,
)
from emoclf.images.faces.yunet_file import (
    PINNED_MODELS,
    PinnedModel,
    download_first,
    open_https,
)

CONTENT = bytes(range(256)) * 40
SECOND_CONTENT = CONTENT[::-1] + b"longer"


def pin(model, content):
    """The pinned file with another content, short and known."""
    sha256 = yunet_file.hashlib.sha256(content).hexdigest()
    return PinnedModel(model.name, model.url, len(content), sha256)


FIRST = pin(PINNED_MODELS[0], CONTENT)
SECOND = pin(PINNED_MODELS[1], SECOND_CONTENT)
NO_NETWORK = urllib.error.URLError(socket.gaierror(-2, "no network"))


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


def make_http_error(code, message):
    return urllib.error.HTTPError("https://example.invalid", code, message, HTTPMessage(), None)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and two pinned files that are short and known."""
    monkeypatch.delenv("EMOCLF_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(yunet_file, "PINNED_MODELS", (FIRST, SECOND))
    return tmp_path / "emoclf"


@pytest.fixture
def network(monkeypatch):
    """A network that is down unless a test says what it serves; it keeps what it was asked for."""

    class Network:
        def __init__(self):
            self.opened = []
            self.files = {}

        def serve(self, *files):
            """Say what the first and the second file are: a function, an error or what is read."""
            self.files = dict(zip((FIRST.url, SECOND.url), files, strict=False))

        def open(self, url, *, timeout_seconds):
            assert 0 < timeout_seconds < 60
            self.opened.append({FIRST.url: "first", SECOND.url: "second"}[url])
            served = self.files.get(url, NO_NETWORK)
            if isinstance(served, Exception):
                raise served
            return served() if callable(served) else Response(served)

    network = Network()
    monkeypatch.setattr(yunet_file, "open_https", network.open)
    return network


def names(folder):
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


# which file


def test_the_file_is_downloaded_once_and_kept(cache, network):
    network.serve(lambda: Response(CONTENT[:7], CONTENT[7:]))
    first = load_yunet_file()
    assert first.content == CONTENT and first.note == ""
    assert first.path == cache / FIRST.name
    assert load_yunet_file().content == CONTENT
    assert network.opened == ["first"]
    assert names(cache) == [FIRST.name]


def test_of_two_files_in_the_cache_the_first_is_used(cache, network):
    cache.mkdir()
    (cache / SECOND.name).write_bytes(SECOND_CONTENT)
    second = load_yunet_file(download=False)
    assert (second.path, second.content, second.note) == (cache / SECOND.name, SECOND_CONTENT, "")
    (cache / FIRST.name).write_bytes(CONTENT)
    first = load_yunet_file(download=False)
    assert (first.path, first.content, first.note) == (cache / FIRST.name, CONTENT, "")
    (cache / SECOND.name).write_bytes(b"damaged")
    assert load_yunet_file(download=False).note == ""
    assert network.opened == []


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1] + b"x"])
def test_an_intact_second_file_stands_in_for_a_damaged_first_one(cache, network, damaged):
    cache.mkdir()
    (cache / FIRST.name).write_bytes(damaged)
    (cache / SECOND.name).write_bytes(SECOND_CONTENT)
    found = load_yunet_file()
    assert found.content == SECOND_CONTENT and network.opened == []
    assert re.search(rf"{FIRST.name}.*is damaged.*; {SECOND.name} is used instead\.", found.note)
    assert (cache / FIRST.name).read_bytes() == damaged


def test_a_file_of_the_wrong_name_is_not_taken_for_the_other(cache):
    cache.mkdir()
    (cache / FIRST.name).write_bytes(SECOND_CONTENT)
    (cache / SECOND.name).write_bytes(CONTENT)
    with pytest.raises(FaceDetectorUnavailableError, match=r"2026may.*damaged.*2023mar.*damaged"):
        load_yunet_file(download=False)


def test_nothing_is_fetched_when_that_is_forbidden(cache, network):
    with pytest.raises(FaceDetectorUnavailableError, match="switched off") as caught:
        load_yunet_file(download=False)
    assert network.opened == []
    assert names(cache) == []
    assert FIRST.url in str(caught.value) and str(cache) in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (make_http_error(404, "Not Found"), "HTTP Error 404: Not Found"),
        (make_http_error(429, "Too Many Requests"), "HTTP Error 429"),
        (RemoteDisconnected("hung up"), "hung up"),
        (urllib.error.URLError("unknown url type: http"), "unknown url type: http"),
        (lambda: Response(CONTENT[:100], ConnectionResetError("cut")), r"downloaded \(cut\)"),
        (lambda: Response(CONTENT[:100], IncompleteRead(b"", 9)), "IncompleteRead"),
        (CONTENT[:-1] + b"x", f"{FIRST.sha256}, received {len(CONTENT):,} with"),
        (CONTENT[:100], f"{FIRST.sha256}, received 100 with"),
        (CONTENT + b"x", f"{FIRST.sha256}, received more with"),
    ],
)
def test_when_the_first_cannot_be_had_the_second_is_fetched(cache, network, failure, said):
    network.serve(failure, SECOND_CONTENT)
    found = load_yunet_file()
    assert network.opened == ["first", "second"]
    assert found.content == SECOND_CONTENT and found.path == cache / SECOND.name
    assert re.search(rf"^{FIRST.name} .*{said}.*\. Downloaded: {SECOND.name}\.$", found.note)
    assert names(cache) == [SECOND.name]
    again = load_yunet_file()
    assert (again.content, again.note) == (SECOND_CONTENT, "")
    assert network.opened == ["first", "second"]


def test_when_neither_can_be_had_the_error_says_what_happened_with_each(cache, network):
    network.serve(make_http_error(404, "Not Found"), make_http_error(503, "Unavailable"))
    with pytest.raises(FaceDetectorUnavailableError) as caught:
        load_yunet_file()
    assert str(caught.value).startswith(
        f"{FIRST.name} could not be downloaded (HTTP Error 404: Not Found). "
        f"{SECOND.name} could not be downloaded (HTTP Error 503: Unavailable). Put this file "
        f"into {str(cache)!r}: {FIRST.url}"
    )
    assert network.opened == ["first", "second"]
    assert names(cache) == [yunet_file._FAILURE_NAME]


def test_other_bytes_are_not_kept_and_all_hashes_are_named(cache, network):
    wrong = CONTENT[:-1] + b"x"
    network.serve(wrong, CONTENT)
    with pytest.raises(FaceDetectorUnavailableError) as caught:
        load_yunet_file()
    received = yunet_file.hashlib.sha256(wrong).hexdigest()
    for pinned, delivered in ((FIRST, received), (SECOND, FIRST.sha256)):
        assert f"{pinned.bytes:,} bytes with SHA-256 {pinned.sha256}, received" in str(caught.value)
        assert f"received 10,240 with {delivered}" in str(caught.value)
    assert names(cache) == [yunet_file._FAILURE_NAME]


@pytest.mark.parametrize(
    "failure",
    [
        NO_NETWORK,
        urllib.error.URLError(ConnectionRefusedError(111, "refused")),
        urllib.error.URLError(TimeoutError("timed out")),
        urllib.error.URLError(OSError("Tunnel connection failed: 403 Forbidden")),
        urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate")),
        TimeoutError("The read operation timed out"),
        lambda: Response(CONTENT[:100], TimeoutError("The read operation timed out")),
    ],
)
def test_without_a_network_one_attempt_decides(cache, network, failure):
    network.serve(failure, SECOND_CONTENT)
    with pytest.raises(FaceDetectorUnavailableError) as caught:
        load_yunet_file()
    assert network.opened == ["first"]
    assert f"{FIRST.name} could not be downloaded (" in str(caught.value)
    assert SECOND.name not in str(caught.value)
    assert names(cache) == [yunet_file._FAILURE_NAME]


def test_a_network_that_goes_down_after_the_first_answer(network):
    network.serve(make_http_error(404, "Not Found"), NO_NETWORK)
    with pytest.raises(FaceDetectorUnavailableError, match=r"404.*no network"):
        download_first((FIRST, SECOND))
    assert network.opened == ["first", "second"]


# how it is fetched


def test_no_more_is_read_than_the_file_has(cache, network):
    endless = Response(*[bytes(4096)] * 1000)
    network.serve(lambda: endless, lambda: endless)
    with pytest.raises(FaceDetectorUnavailableError, match=r"received more.*received more"):
        load_yunet_file()
    assert len(endless.steps) > 990
    assert names(cache) == [yunet_file._FAILURE_NAME]


@pytest.mark.parametrize("error", [ConnectionResetError("cut"), TimeoutError("slow")])
def test_a_download_that_breaks_off_leaves_nothing_half(cache, network, error):
    network.serve(*[lambda: Response(CONTENT[:100], error)] * 2)
    with pytest.raises(FaceDetectorUnavailableError, match="could not be downloaded"):
        load_yunet_file()
    assert names(cache) == [yunet_file._FAILURE_NAME]


@pytest.mark.usefixtures("cache")
def test_a_download_that_trickles_is_given_up(network, monkeypatch):
    monkeypatch.setattr(yunet_file, "_DEADLINE_SECONDS", -1.0)
    network.serve(lambda: Response(*[b"x"] * 1000), SECOND_CONTENT)
    with pytest.raises(FaceDetectorUnavailableError, match="not finished"):
        load_yunet_file()
    assert network.opened == ["first"]


@pytest.mark.usefixtures("cache")
def test_both_downloads_share_one_deadline(network, monkeypatch):
    clock = iter([0, 50, 70])
    monkeypatch.setattr(yunet_file.time, "monotonic", lambda: next(clock))
    network.serve(CONTENT[:100], SECOND_CONTENT)
    with pytest.raises(FaceDetectorUnavailableError, match=r"received 100.*not finished after 60"):
        load_yunet_file()


def test_an_interrupt_while_writing_leaves_nothing_half(cache, network, monkeypatch):
    def write_half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    network.serve(CONTENT)
    monkeypatch.setattr(type(cache), "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        load_yunet_file()
    assert names(cache) == []


@pytest.mark.parametrize("damaged", [b"", CONTENT[:500], CONTENT[:-1] + b"x"])
def test_a_damaged_file_in_the_cache_is_downloaded_again_and_that_is_said(cache, network, damaged):
    cache.mkdir()
    (cache / FIRST.name).write_bytes(damaged)
    network.serve(CONTENT)
    found = load_yunet_file()
    assert found.content == CONTENT
    assert re.search(rf"is damaged \(.*\)\. Downloaded: {FIRST.name}\.$", found.note)
    assert (cache / FIRST.name).read_bytes() == CONTENT


def test_a_damaged_first_file_and_a_second_one_that_was_fetched(cache, network):
    cache.mkdir()
    (cache / FIRST.name).write_bytes(b"damaged")
    network.serve(make_http_error(404, "Not Found"), SECOND_CONTENT)
    note = load_yunet_file().note
    assert re.search(rf"is damaged \(7 bytes\)\. .*404.* Downloaded: {SECOND.name}\.$", note)
    assert names(cache) == [SECOND.name, FIRST.name]
    assert (cache / FIRST.name).read_bytes() == b"damaged"


@pytest.mark.usefixtures("network")
def test_a_damaged_file_in_the_cache_is_never_used(cache):
    cache.mkdir()
    (cache / FIRST.name).write_bytes(CONTENT[:500])
    with pytest.raises(FaceDetectorUnavailableError, match=r"is damaged.*switched off"):
        load_yunet_file(download=False)
    with pytest.raises(FaceDetectorUnavailableError, match=r"is damaged.*no network"):
        load_yunet_file()


# what is remembered


def test_a_failure_is_remembered_for_a_day(cache, network):
    with pytest.raises(FaceDetectorUnavailableError, match="no network"):
        load_yunet_file(retry=False)
    with pytest.raises(FaceDetectorUnavailableError, match=r"no network.*a day later.*delete"):
        load_yunet_file(retry=False)
    assert len(network.opened) == 1
    with pytest.raises(FaceDetectorUnavailableError):
        load_yunet_file(retry=True)
    assert len(network.opened) == 2

    memory = cache / yunet_file._FAILURE_NAME
    failure = json.loads(memory.read_text())
    memory.write_text(json.dumps({**failure, "time": time.time() - yunet_file.RETRY_SECONDS - 1}))
    network.serve(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT
    assert names(cache) == [FIRST.name]


def test_what_happened_with_each_file_is_remembered_too(cache, network):
    network.serve(make_http_error(404, "Not Found"), CONTENT)
    with pytest.raises(FaceDetectorUnavailableError, match=rf"404.*{SECOND.sha256}"):
        load_yunet_file(retry=False)
    with pytest.raises(FaceDetectorUnavailableError, match=rf"404.*{SECOND.sha256}.*a day later"):
        load_yunet_file(retry=False)
    assert network.opened == ["first", "second"]
    network.serve(make_http_error(404, "Not Found"), SECOND_CONTENT)
    assert load_yunet_file(retry=True).content == SECOND_CONTENT
    assert names(cache) == [SECOND.name]


@pytest.mark.parametrize("memory", ["", "[]", "{}", '{"time": "now", "reason": ""}'])
def test_a_damaged_memory_or_a_clock_set_back_means_try_again(cache, network, memory):
    cache.mkdir()
    (cache / yunet_file._FAILURE_NAME).write_text(memory)
    network.serve(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT


def test_a_failure_in_the_future_is_not_believed(cache, network):
    cache.mkdir()
    future = {"time": time.time() + 1e6, "reason": "?"}
    (cache / yunet_file._FAILURE_NAME).write_text(json.dumps(future))
    network.serve(CONTENT)
    assert load_yunet_file(retry=False).content == CONTENT


def test_a_cache_that_cannot_be_written_does_no_harm(cache, network):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    network.serve(CONTENT)
    found = load_yunet_file()
    assert found.content == CONTENT
    assert found.note.startswith(f"{FIRST.name} is not kept in {str(cache)!r} (")
    network.serve(make_http_error(404, "Not Found"), SECOND_CONTENT)
    found = load_yunet_file()
    assert found.content == SECOND_CONTENT
    assert re.search(rf"404.* Downloaded: {SECOND.name}\. {SECOND.name} is not kept", found.note)
    network.serve(NO_NETWORK)
    with pytest.raises(FaceDetectorUnavailableError, match="next start tries again"):
        load_yunet_file()
    assert cache.read_text() == "a file where the folder should be"


def test_several_threads_at_first_use_download_once(cache, network):
    def serve():
        time.sleep(0.05)
        return Response(CONTENT)

    network.serve(serve)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load_yunet_file().content)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 8
    assert network.opened == ["first"]
    assert names(cache) == [FIRST.name]


def test_a_named_file_comes_first_and_is_not_touched(cache, network, tmp_path, monkeypatch):
    for name in ("argument.onnx", "variable.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setenv("EMOCLF_YUNET", str(tmp_path / "variable.onnx"))
    assert load_yunet_file().content == b"variable.onnx"
    assert load_yunet_file(tmp_path / "argument.onnx").content == b"argument.onnx"
    assert load_yunet_file().is_named and load_yunet_file(tmp_path / "argument.onnx").is_named
    assert network.opened == []
    assert names(cache) == []


@pytest.mark.usefixtures("cache")
def test_a_named_file_that_is_missing_or_huge_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"detector's file.*nowhere"):
        load_yunet_file(tmp_path / "nowhere.onnx")
    with pytest.raises(FileNotFoundError, match="detector's file"):
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
        open_https(url, timeout_seconds=5)


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
        open_https("https://example.invalid/file", timeout_seconds=5)
    assert opened == ["https://example.invalid/file"]


def test_both_files_are_pinned_over_https_at_a_fixed_commit():
    assert [model.name[-12:-5] for model in PINNED_MODELS] == ["2026may", "2023mar"]
    for model in PINNED_MODELS:
        assert re.fullmatch(
            r"https://media\.githubusercontent\.com/media/opencv/opencv_zoo/[0-9a-f]{40}/models/"
            rf"face_detection_yunet/{model.name}",
            model.url,
        )
        assert re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert 200_000 < model.bytes < 300_000


def test_the_pinned_file_is_the_one_that_was_tested(real_data):
    model = PINNED_MODELS[0]
    content = (real_data / model.name).read_bytes()
    assert len(content) == model.bytes
    assert yunet_file.hashlib.sha256(content).hexdigest() == model.sha256
