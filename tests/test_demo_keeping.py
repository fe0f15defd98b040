"""What becomes of the page's photos: in the folder, in time, and however the page ends."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from emoclf.apps.commands.showing import _ending_once
from emoclf.apps.page import keeping
from emoclf.apps.page.keeping import PhotoFolder, open_photo_folder
from emoclf.apps.page.predicting import hide_folders
from tests.calls import PATIENCE_SECONDS
from tests.running_page import QUESTION, RunningPage, make_form, make_png, run_page

HASH = "ab" * 32
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")


@pytest.fixture
def photos(tmp_path):
    return PhotoFolder(tmp_path.resolve())


def put(photos, name=f"{HASH}/photo.png", *, size=10, age=0.0):
    file = photos.uploads / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * size)
    moment = time.time() - age
    os.utime(file, (moment, moment))
    os.utime(file.parent, (moment, moment))
    return file


# --- in the folder --------------------------------------------------------------------------


def test_what_was_not_used_for_five_minutes_is_deleted(photos):
    old, new = put(photos, age=400), put(photos, f"{'cd' * 32}/photo.png", age=200)
    partial, link = put(photos, "tmpabc", age=400), photos.uploads / "link"
    link.symlink_to(new)
    photos.remove_old()
    assert not old.exists()
    assert not partial.exists()
    assert new.exists()
    photos.remove_old(now=time.time() + 400)
    assert list(photos.uploads.iterdir()) == []


def test_examples_stay_and_use_prolongs(photos):
    example = put(photos)
    photos.keep_present()
    used = put(photos, f"{'cd' * 32}/photo.png", age=290)
    assert photos.has(str(used))
    photos.remove_old(now=time.time() + 200)
    assert example.exists()
    assert used.exists()
    photos.remove_old(now=time.time() + 400)
    assert example.exists()
    assert not used.exists()
    assert not photos.has(str(used))


def test_a_foreign_path_is_not_looked_up(photos, monkeypatch):
    file = put(photos)

    def fail(*_, **__):
        raise AssertionError("looked up")

    for name in ("stat", "lstat", "utime", "readlink"):
        monkeypatch.setattr(os, name, fail)
    for path in ("/etc/passwd", str(file.parent.parent), "x", "", None, 7, b"x", f"{file}/.."):
        assert not photos.has(path)


def test_room_is_shared_by_what_lies_there_and_what_is_coming(photos, monkeypatch):
    monkeypatch.setattr(keeping, "MAX_KEPT_BYTES", 100)
    put(photos, size=40)
    with photos.expecting(30) as first, photos.expecting(30) as second:
        assert first
        assert second
        put(photos, "tmpabc", size=25)  # on its way, and announced
        with photos.expecting(1) as third:
            assert not third
    with photos.expecting(30) as later:
        assert later
    monkeypatch.setattr(keeping, "MAX_KEPT_FILES", 2)
    with photos.expecting(0) as more:
        assert not more


# --- the folder's own end -------------------------------------------------------------------


def test_the_folder_is_for_this_user_and_goes(tmp_path):
    with open_photo_folder(tmp_path) as photos:
        put(photos)
        assert sys.platform == "win32" or photos.root.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


@posix
def test_only_what_no_page_holds_is_removed(tmp_path):
    (tmp_path / "emoclf-demo-killed" / "uploads").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    (tmp_path / "emoclf-demo-link").symlink_to(tmp_path / "mine")
    (tmp_path / "emoclf-demo-file").touch()
    with open_photo_folder(tmp_path) as first:
        assert not (tmp_path / "emoclf-demo-killed").exists()
        file = put(first)
        with open_photo_folder(tmp_path) as second:
            assert first.root != second.root
            assert file.exists()
        assert file.exists()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["emoclf-demo-file", "emoclf-demo-link", "mine"]
    assert (tmp_path / "mine" / "precious").exists()


@posix
def test_a_folder_that_is_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    """Another page may start between the making of the folder and its lock."""
    made, lock = [], keeping._lock

    def remove_first(folder):
        made.append(folder)
        if len(made) == 1:
            folder.rmdir()
        return lock(folder)

    monkeypatch.setattr(keeping, "_lock", remove_first)
    with open_photo_folder(tmp_path) as photos:
        assert photos.root == made[1] != made[0]


@posix
def test_a_disk_without_locks_keeps_what_it_has(tmp_path, monkeypatch):
    (tmp_path / "emoclf-demo-other").mkdir()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(keeping.fcntl, "flock", refuse)
    with open_photo_folder(tmp_path) as photos:
        assert photos.uploads.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["emoclf-demo-other"]


def test_without_locks_only_silent_folders_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "fcntl", None)
    for name, age in (("silent", 7200), ("alive", 60)):
        folder = tmp_path / f"emoclf-demo-{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age, time.time() - age))
    with open_photo_folder(tmp_path):
        assert not (tmp_path / "emoclf-demo-silent").exists()
    assert (tmp_path / "emoclf-demo-alive").exists()


def test_what_is_written_during_the_removal_goes_too(tmp_path, monkeypatch):
    """An answer that is under way when the page ends makes its folder anew."""
    remove, late = shutil.rmtree, []

    def remove_then_write(folder, **options):
        remove(folder, **options)
        if len(late) < 2:
            late.append(folder / "uploads" / HASH / "late.png")
            late[-1].parent.mkdir(parents=True)
            late[-1].touch()

    monkeypatch.setattr(keeping.shutil, "rmtree", remove_then_write)
    with open_photo_folder(tmp_path):
        pass
    assert len(late) == 2
    assert list(tmp_path.iterdir()) == []


# --- what is said ---------------------------------------------------------------------------


def test_no_message_names_a_folder():
    said = hide_folders(
        "'/home/me/my runs/a/model.keras' is damaged, and so is /srv/b.keras (see ~/.cache/c or "
        r"C:\Users\me\d.keras): get https://example.org/e/f, now and/or later."
    )
    assert said == (
        "'model.keras' is damaged, and so is b.keras (see c or d.keras): "
        "get https://example.org/e/f, now and/or later."
    )


# --- however the page ends ------------------------------------------------------------------


@pytest.fixture
def page(tmp_path):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    with run_page(tmp_path) as page:
        yield page


def use(page, folder, *, waits=True):
    """Upload a photo and have it predicted."""
    path = json.loads(page.upload(make_png(folder / "photo.png").read_bytes())[1])[0]
    if waits:
        assert page.call({"path": path})[0] == 200
    else:
        page.ask("POST", "/gradio_api/call/predict_photo", {"data": [{"path": path}, *QUESTION]})
    return path


@posix
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_page_that_is_ended_leaves_nothing(page, tmp_path, name, code):
    use(page, tmp_path)
    assert len(page.list_files()) > 12
    assert page.uploads.parent.stat().st_mode & 0o777 == 0o700
    page.process.send_signal(getattr(signal, name))
    assert page.process.wait(PATIENCE_SECONDS) == code
    assert list(page.tmp.iterdir()) == []
    assert "Traceback" not in page.read_said()


@posix
def test_a_page_that_is_ended_amid_its_work_leaves_nothing(page, tmp_path):
    """Answers are under way, an upload is half here, and the signals come more than once."""
    for _ in range(4):
        use(page, tmp_path, waits=False)
    body, kind = make_form(b"x" * 10**6)
    half = threading.Thread(target=send_half, args=(page, body, kind))
    half.start()
    wait_until(lambda: any(page.uploads.glob("tmp*")))
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        page.process.send_signal(number)
        time.sleep(0.05)
    assert page.process.wait(PATIENCE_SECONDS) in (129, 130, 143)
    half.join()
    assert list(page.tmp.iterdir()) == []


def send_half(page, body, kind):
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {page.host}\r\nContent-Type: {kind}\r\n"
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[: len(body) // 2])
        try:
            connection.recv(100)
        except OSError:
            return


def wait_until(holds):
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    assert holds()


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_page_that_is_ended_while_it_starts_leaves_nothing(tmp_path, name):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    page = RunningPage(tmp_path)
    try:
        wait_until(lambda: any(page.tmp.glob("emoclf-demo-*")))
        page.process.send_signal(getattr(signal, name))
        assert page.process.wait(PATIENCE_SECONDS) == 128 + getattr(signal, name)
    finally:
        page.process.kill()
        page.process.wait()
    assert list(page.tmp.iterdir()) == []


@posix
@pytest.mark.parametrize("mend", [ImportError, OSError, None])
def test_a_signal_that_a_library_swallows_or_changes_ends_the_page_all_the_same(mend):
    """Modules in C that are being imported make an ImportError of whatever comes."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, _ending_once():
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit as error:
            if mend is not None:
                raise mend("numpy.core.multiarray failed to import") from error
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


@posix
def test_ctrl_c_within_exec_has_its_exit_code(tmp_path):
    """Python ends by the signal if a KeyboardInterrupt ever left an `exec`, caught or not."""
    (tmp_path / "program.py").write_text(
        "import signal, sys\n"
        "from emoclf.apps.commands.showing import _ending_once\n"
        "try:\n"
        "    with _ending_once():\n"
        "        exec('signal.raise_signal(signal.SIGINT)')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    command = [sys.executable, "-m", "program"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    assert subprocess.run(command, env=environment).returncode == 130


@posix
def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(ImportError), _ending_once():
        raise ImportError("no such module")


@posix
def test_what_a_killed_page_left_is_removed_by_the_next_and_a_running_one_is_left(page, tmp_path):
    path = use(page, tmp_path)
    with run_page(tmp_path):
        (left,) = set(page.tmp.iterdir()) - {Path(path).parents[2]}
    assert left.exists()
    with run_page(tmp_path):
        assert not left.exists()
        assert Path(path).exists()
        assert page.call({"path": path})[0] == 200


@posix
def test_a_page_under_nohup_outlives_its_terminal(tmp_path):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        page = RunningPage(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        page.wait().process.send_signal(signal.SIGHUP)
        assert page.ask("GET", "/config")[0] == 200
        page.process.terminate()
        assert page.process.wait(PATIENCE_SECONDS) == 143
    finally:
        page.process.kill()
        page.process.wait()


# --- the browser ----------------------------------------------------------------------------


@posix
def test_the_page_opens_in_the_browser_when_it_is_ready(tmp_path):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > "$0.opened"\n')
    browser.chmod(0o700)
    with run_page(tmp_path, "--open", BROWSER=str(browser)) as page:
        opened = browser.with_suffix(".opened")
        wait_until(lambda: opened.exists() and opened.read_text())
        assert opened.read_text() == f"http://127.0.0.1:{page.port}/\n"
        assert f"Open http://127.0.0.1:{page.port}/ in a browser." in page.read_said()
        assert page.read_said().count("pillow") <= 1, "told once, and before the first photo"


@posix
def test_a_machine_without_a_browser_serves_the_page(tmp_path):
    pytest.importorskip("gradio", reason="the extra `demo` is not installed")
    nowhere = {"BROWSER": "/nowhere/browser", "PATH": "/nowhere", "DISPLAY": "", "TERM": ""}
    with run_page(tmp_path, "--open", **nowhere) as page:
        wait_until(lambda: "There is no browser here" in page.read_said())
        assert page.ask("GET", "/config")[0] == 200
