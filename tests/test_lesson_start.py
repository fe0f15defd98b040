"""The lesson's first two cells, against stand-ins for Colab, its Drive, its sessions and pip.

Each run is a Python of its own that has every package but emoclf, TensorFlow and pip.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest
from PIL import Image

from emoclf import runtime
from emoclf.apps.lesson import find_logs, starting
from emoclf.data.sources import copying, find_data, finding

MOUNT = """
import json, pathlib
class MessageError(Exception): ...
def mount(path):
    with open("mounted.txt", "a") as file: file.write(path + "\\n")
    fault = pathlib.Path("refused.txt")
    if fault.exists(): raise eval(fault.read_text())
    pathlib.Path(path, "MyDrive").mkdir(parents=True, exist_ok=True)
"""
UPLOAD = """
import pathlib
def upload():
    print("asked for a file")
    return {path.name: path.read_bytes() for path in pathlib.Path("chosen").glob("*")}
"""
PIP = """
import json, os, pathlib, re, sys
args = sys.argv[1:]
with open("pip.jsonl", "a") as file: print(json.dumps(args), file=file)
wanted = args[-1]
if wanted.endswith(".whl") and not re.fullmatch(r"[^ ]+-[^ ]+-py3-none-any\\.whl", wanted):
    sys.exit("Invalid wheel filename")
if any(word in wanted for word in os.environ["NOT_THERE"].split()): sys.exit("not there")
if wanted.startswith("git+") or wanted.endswith(".whl"):
    os.symlink(os.environ["PROJECT"] + "/emoclf", os.environ["INSTALLED"] + "/emoclf")
"""
RUN = """
import json, sys
names = {"__name__": "__main__"}
for source in json.loads(sys.argv[1]): exec(compile(source, "cell", "exec"), names)
"""
HIDDEN = ("emoclf", "__editable__", "tensorflow", "keras", "pip", "_pip")
THREE_WAYS = ("My Drive / Image Classifier", "REPOSITORY", "upload the wheel")


class Colab:
    """A folder to run the cells in, and what is around it."""

    def __init__(self, folder, repository):
        self.repository = repository
        self.folder, self.drive = folder / "content", folder / "content" / "drive"
        self.mine = self.drive / "MyDrive"
        self.project, self.installed = folder / "project", folder / "installed"
        self.stand_in, self.site = folder / "stand_in", folder / "site"
        for each in (self.folder, self.installed, self.site, self.stand_in / "google" / "colab"):
            each.mkdir(parents=True)
        self.copy_package(self.project)
        for name, text in {
            "google/colab/__init__.py": "",
            "google/colab/drive.py": MOUNT,
            "google/colab/files.py": UPLOAD,
            "pip/__init__.py": "",
            "pip/__main__.py": PIP,
            "keras.py": "",
        }.items():
            (self.stand_in / name).parent.mkdir(exist_ok=True)
            (self.stand_in / name).write_text(text)
        for place in [Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages"))]:
            for entry in place.iterdir() if place.is_dir() else ():
                link = self.site / entry.name
                if not entry.name.lower().startswith(HIDDEN) and not link.exists():
                    link.symlink_to(entry)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("COLAB", "KMP"))},
            "PYTHONPATH": os.pathsep.join(map(str, (self.stand_in, self.site, self.installed))),
            "PROJECT": str(self.project),
            "INSTALLED": str(self.installed),
            "NOT_THERE": "",
            "COLAB_RELEASE_TAG": "release-colab",
            "NO_PROXY": "127.0.0.1",
        }

    def copy_package(self, folder):
        """Put emoclf into a folder, as links; it finds the pretended Drive, not /content/drive."""
        shutil.copytree(self.repository / "emoclf", folder / "emoclf", copy_function=os.symlink)
        for path in (folder / "emoclf").rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "/content/drive" in text:
                path.unlink()
                path.write_text(text.replace("/content/drive", str(self.drive)), encoding="utf-8")

    def run(self, before="", after="", *, repository="", **values):
        """Run the cells; return what they printed, the error's last line included."""
        document = nbformat.read(self.repository / "model.ipynb", as_version=4)
        cells = {}
        for cell in document.cells:
            for tag in cell.metadata.get("tags", []):
                cells.setdefault(tag, cell.source.replace("/content/drive", str(self.drive)))
        start = cells["start"].replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
        start = start.replace('"/tmp"', repr(str(self.stand_in)))
        chosen = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        sources = [cells["parameters"], chosen, before, start, after]
        command = [sys.executable, "-S", "-c", RUN, json.dumps(sources)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        self.failed = done.returncode != 0
        return done.stdout + done.stderr

    def installs(self):
        """What pip was called with, for emoclf itself."""
        path = self.folder / "pip.jsonl"
        calls = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [call for call in calls if "--no-deps" in call]

    def mounts(self):
        path = self.folder / "mounted.txt"
        return path.read_text().splitlines() if path.exists() else []

    def choose(self, name):
        (self.folder / "chosen").mkdir()
        (self.folder / "chosen" / name).write_bytes(b"a wheel")


@pytest.fixture
def colab(tmp_path, repository):
    return Colab(tmp_path, repository)


@pytest.fixture
def serve(colab):
    """Answer as Colab's session server does, with what is given."""
    servers = []

    def start(body, *, wait=0.0):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                threading.Event().wait(wait)
                self.send_response(200 if self.path == "/api/sessions" else 404)
                self.end_headers()
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

            def log_message(self, *_arguments):
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        colab.environment["COLAB_JUPYTER_IP"] = "127.0.0.1"
        colab.environment["KMP_TARGET_PORT"] = str(server.server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def opened_from(address):
    return [{"path": f"fileId={quote(address, safe='')}", "name": "model.ipynb"}]


SHOW = "print('file', emoclf.__file__); print('logs', LOGS_DIR, plots.__name__, np.__name__)"


def test_the_parameters_are_plain_and_the_folder_of_photos_is_the_first(repository):
    cells = nbformat.read(repository / "model.ipynb", as_version=4).cells
    tagged = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
    values = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(tagged.source).body}
    assert next(iter(values.items())) == ("DATA_DIR", finding.DRIVE_DATA_FOLDER)
    assert {"SEED", "DRAWN_PER_CLASS", "LOGS_DIR"} <= set(values)
    start = next(c for c in cells if "start" in c.metadata.get("tags", []))
    assert start.source.startswith("# @title")
    assert not re.search(r"pip.*install\W+emoclf", start.source)


def test_outside_colab_the_package_is_found_beside_the_notebook(colab):
    del colab.environment["COLAB_RELEASE_TAG"]
    (colab.folder / "emoclf").symlink_to(colab.project / "emoclf")
    printed = colab.run(after=SHOW)
    assert f"file {colab.folder / 'emoclf' / '__init__.py'}" in printed
    assert "logs logs emoclf.plots numpy" in printed
    assert not (colab.mounts() or (colab.folder / "pip.jsonl").exists())


def test_outside_colab_without_the_package_a_sentence_says_so(colab):
    del colab.environment["COLAB_RELEASE_TAG"]
    last = colab.run().strip().splitlines()[-1]
    assert last.startswith("RuntimeError: emoclf is not here, or not whole.")
    assert "in the project's folder" in last
    assert not (colab.mounts() or (colab.folder / "pip.jsonl").exists())


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("owner/emoclf/blob/main/model.ipynb", "owner/emoclf@main"),
        (
            "a-class/happy.or_sad/blob/spring/2026/lesson-1.ipynb",
            "a-class/happy.or_sad@spring/2026",
        ),
    ],
)
def test_opened_from_a_repository_it_is_installed_from_there(colab, serve, address, wanted):
    serve(opened_from(f"https://github.com/{address}"))
    printed = colab.run(after=SHOW)
    assert f"file {colab.installed / 'emoclf' / '__init__.py'}" in printed
    (call,) = colab.installs()
    assert call[0] == "install"
    assert call[-1] == f"git+https://github.com/{wanted}"
    assert "asked for a file" not in printed


G = "https://github.com"
HOSTILE = [
    "https://github.com.evil.example/owner/emoclf/blob/main/model.ipynb",
    "https://github.com@evil.example/owner/emoclf/blob/main/model.ipynb",
    "http://github.com/owner/emoclf/blob/main/model.ipynb",
    "https://evil.example/https://github.com/owner/emoclf/blob/main/model.ipynb",
    f"{G}/owner/emoclf/blob/main/model.ipynb\n",
    f"{G}/owner/emoclf/blob/main/model.py",
    f"{G}/owner/emoclf",
    f"{G}/owner/emoclf/tree/main/model.ipynb",
    f"{G}/../emoclf/blob/main/model.ipynb",
    f"{G}/owner/../blob/main/model.ipynb",
    f"{G}/owner/emoclf/blob/../../other/model.ipynb",
    f"{G}/-owner/emoclf/blob/main/model.ipynb",
    f"{G}/owner/emoclf/blob/--upload-pack=touch/model.ipynb",
    f"{G}/owner/emoclf;touch x/blob/main/model.ipynb",
    f"{G}/owner/emoclf/blob/main@evil/model.ipynb",
    f"{G}/owner/emoclf/blob/main#egg=evil/model.ipynb",
    f"{G}/owner/emoclf?x=/blob/main/model.ipynb",
    f"{G}/owner/emöclf/blob/main/model.ipynb",
    f"{G}/owner/emoclf/blob/$(touch x)/model.ipynb",
    f"{G}/owner%2Femoclf/blob/main/model.ipynb",
    "1AbCdEfG_drive_id",
]


def test_no_address_that_is_not_one_is_followed(colab, serve):
    """All in one run: the cell's pattern, and what the cell makes of it."""
    document = nbformat.read(colab.repository / "model.ipynb", as_version=4)
    start = next(c for c in document.cells if "start" in c.metadata.get("tags", []))
    (pattern,) = re.findall(r'^LINK = r"(.*)"$', start.source, re.MULTILINE)
    assert re.fullmatch(pattern, f"fileId={G}/owner/emoclf/blob/main/model.ipynb", re.ASCII)
    assert [a for a in HOSTILE if re.fullmatch(pattern, f"fileId={a}", re.ASCII)] == []
    for address in (HOSTILE[1], HOSTILE[4]):
        serve(opened_from(address))
        printed = colab.run()
        assert all(way in printed.splitlines()[-1] for way in THREE_WAYS)
    assert colab.installs() == []


TWO = opened_from(f"{G}/a/b/blob/main/model.ipynb") + opened_from(f"{G}/c/d/blob/main/model.ipynb")


@pytest.mark.parametrize("body", [b"<html>", [], {}, [{"name": "x"}], [{"path": 3}], TWO])
def test_an_answer_of_another_kind_leads_to_the_upload(colab, serve, body):
    serve(body)
    printed = colab.run()
    assert colab.failed
    assert colab.installs() == []
    assert "asked for a file" in printed
    assert all(way in printed.splitlines()[-1] for way in THREE_WAYS)


def test_a_server_that_does_not_answer_is_not_waited_for(colab, serve):
    serve(TWO[:1], wait=30)
    colab.choose("emoclf-0.10.0-py3-none-any.whl")
    assert "file " in colab.run(after=SHOW)
    assert [Path(call[-1]).name for call in colab.installs()] == ["emoclf-0.10.0-py3-none-any.whl"]


def test_the_address_that_was_filled_in_goes_first(colab, serve):
    serve(opened_from(f"{G}/owner/emoclf/blob/main/model.ipynb"))
    assert "file " in colab.run(after=SHOW, repository="https://example.org/mine")
    assert [call[-1] for call in colab.installs()] == ["git+https://example.org/mine"]


def test_from_an_upload_also_where_the_repository_cannot_be_reached(colab, serve):
    """A second upload in a session, or a second download, has a (1) in its name."""
    serve(opened_from(f"{G}/owner/emoclf/blob/main/model.ipynb"))
    colab.environment["NOT_THERE"] = "git+"
    colab.choose("emoclf-0.10.0-py3-none-any (1).whl")
    printed = colab.run(after=SHOW)
    assert f"file {colab.installed / 'emoclf' / '__init__.py'}" in printed
    assert [Path(call[-1]).name for call in colab.installs()] == [
        "emoclf@main",
        "emoclf-0.10.0-py3-none-any.whl",
    ]


@pytest.mark.parametrize(
    "place", ["Image Classifier", "Image Classifier/emoclf", "", "emoclf", "Happy or sad [2026]"]
)
def test_with_a_copy_in_drive_nothing_is_asked(colab, place):
    colab.copy_package(colab.mine / place)
    printed = colab.run(after=SHOW)
    assert f"file {colab.mine / place / 'emoclf' / '__init__.py'}" in printed
    assert colab.mounts() == [str(colab.drive)]
    assert colab.installs() == []
    assert not any(path.is_dir() for path in colab.installed.iterdir())


def test_a_folder_that_is_only_called_so_is_noticed(colab):
    (colab.folder / "emoclf" / "notes").mkdir(parents=True)
    colab.copy_package(colab.mine / "Image Classifier")
    printed = colab.run(before="import emoclf", after=SHOW)
    assert f"file {colab.mine / 'Image Classifier' / 'emoclf' / '__init__.py'}" in printed


def test_a_folder_that_is_only_called_so_does_not_hide_what_is_installed(colab):
    (colab.mine / "Image Classifier" / "emoclf").mkdir(parents=True)
    (colab.folder / "emoclf").mkdir()
    colab.choose("emoclf-0.10.0-py3-none-any.whl")
    printed = colab.run(before="import emoclf", after=SHOW)
    assert f"file {colab.installed / 'emoclf' / '__init__.py'}" in printed


def test_a_project_beside_the_notebook_is_found_one_folder_deeper(colab):
    colab.copy_package(colab.folder / "emoclf")
    printed = colab.run(before="import emoclf", after=SHOW)
    assert f"file {colab.folder / 'emoclf' / 'emoclf' / '__init__.py'}" in printed


@pytest.mark.parametrize("whole", [False, True])
def test_another_package_of_this_name_or_half_of_ours_is_explained(colab, whole):
    (colab.mine / "emoclf").mkdir(parents=True)
    (colab.mine / "emoclf" / "__init__.py").touch()
    if whole:  # but for one room
        shutil.rmtree(colab.mine / "emoclf")
        colab.copy_package(colab.mine)
        shutil.rmtree(colab.mine / "emoclf" / "apps" / "lesson")
    printed = colab.run()
    assert all(way in printed.splitlines()[-1] for way in THREE_WAYS)


REFUSALS = ("MessageError('refused')", "ValueError('mount failed')")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_drive_that_is_refused_ends_in_a_sentence_and_the_lesson_goes_on(colab, refusal):
    (colab.folder / "refused.txt").write_text(refusal)
    colab.choose("emoclf-0.10.0-py3-none-any.whl")
    look = "print(emoclf.find_data(DATA_DIR, drawn_per_class=10, progress=False))"
    printed = colab.run(after=f"{SHOW}\n{look}")
    assert not colab.failed, printed
    assert f"Drive is not used ({refusal})" in printed
    assert "DRAWN FACES STAND IN" in printed
    assert "logs logs" in printed
    assert len(colab.mounts()) == 1


def test_drive_is_mounted_only_where_the_folder_lies_there(colab):
    colab.copy_package(colab.folder)
    for folder in (None, "photos", f"{colab.drive}2/photos"):
        printed = colab.run(DATA_DIR=folder)
        assert not colab.failed, printed
        assert not colab.mounts()
    colab.run(DATA_DIR="drive/MyDrive/photos")
    assert colab.mounts() == [str(colab.drive)]


def test_the_missing_drive_folder_is_answered_with_what_is_there(colab):
    for name in ("Colab Notebooks", "Image Clasifier", "red\x1b[31m"):
        (colab.mine / name).mkdir(parents=True)
    (colab.mine / "taxes.pdf").touch()
    colab.copy_package(colab.mine)
    look = "print(emoclf.find_data(DATA_DIR, drawn_per_class=10, progress=False))"
    printed = colab.run(after=f"print('----')\n{look}").partition("----\n")[2]
    assert printed.startswith("DRAWN FACES STAND IN")
    assert f"{colab.mine} holds: Image Clasifier/" in printed
    assert "Colab Notebooks/" in printed
    assert "'red\\x1b[31m/'" in printed
    assert "\x1b" not in printed


def test_what_colab_lacks_is_installed_and_nothing_else(colab):
    for name in ("imagehash", "msgspec"):
        (colab.site / name).unlink()
    colab.copy_package(colab.mine)
    colab.environment["NOT_THERE"] = "imagehash"
    printed = colab.run()
    calls = [json.loads(line) for line in (colab.folder / "pip.jsonl").read_text().splitlines()]
    assert [call[-1] for call in calls] == ["imagehash", "msgspec"]
    assert "Not installed: imagehash." in printed
    assert "msgspec" not in printed.partition("Not installed:")[2].partition(".")[0]


def test_security_notes_whose_remedy_colab_forbids_are_not_shown_there(monkeypatch):
    versions = {**dict.fromkeys(runtime.PACKAGES, "99.0.0"), "pillow": "11.3.0", "keras": "3.13.2"}
    monkeypatch.setattr(runtime, "find_versions", lambda: versions)
    assert len(runtime.doctor()) == 2
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert runtime.doctor() == []


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A mounted Drive with photos in its default folder, and an empty folder to work in."""
    mine = tmp_path / "drive" / "MyDrive"
    photos = mine / "Image Classifier" / "data"
    for number, name in enumerate(("sad", "happy")):
        (photos / name).mkdir(parents=True)
        Image.new("RGB", (60, 60), (90 * number, 0, 0)).save(photos / name / "photo.jpg")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    monkeypatch.setattr(finding, "mount_drive", lambda: None)
    monkeypatch.setattr(finding, "DRIVE_MOUNT_POINT", tmp_path / "drive")
    for module in (finding, starting):
        monkeypatch.setattr(module, "DRIVE_DATA_FOLDER", str(photos))
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path / "content")
    return mine


def list_tree(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


def test_runs_are_kept_on_drive_where_the_photos_are(drive, monkeypatch):
    photos = drive / "Image Classifier" / "data"
    kept = str(drive / "Image Classifier" / "logs")
    assert find_logs(photos) == find_logs(str(photos), None) == kept
    assert find_logs(photos, "mine") == "mine"
    assert find_logs(None) == find_logs("photos") == find_logs(drive / "nowhere") == "logs"

    def refuse(**_options):
        raise PermissionError("shared with you, to be read")

    monkeypatch.setattr(starting.tempfile, "TemporaryFile", refuse)
    assert find_logs(photos) == "logs"
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    assert find_logs(photos) == "logs"


def test_a_drive_that_is_refused_later_ends_in_a_sentence_too(drive, monkeypatch):
    def refuse():
        raise RuntimeError("Google Drive was not mounted.")

    monkeypatch.setattr(finding, "mount_drive", refuse)
    folders = (drive / "Image Classifier" / "data", drive / "anywhere")
    for folder in folders:
        source = find_data(folder, drawn_per_class=10, progress=False)
        assert source.is_drawn
        assert source.notes[0].startswith("DRAWN FACES STAND IN")
        assert source.notes[1] == "Google Drive was not mounted."


def test_a_drive_folder_that_was_misspelt_is_answered_with_what_is_there(drive):
    with pytest.raises(FileNotFoundError, match=r"Classifier holds: data/"):
        find_data(drive / "Image Classifier" / "date" / "photos")
    for number in range(20):
        (drive / f"notes {number}.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"MyDrive holds: Image Classifier/, .*, \.\.\.$"):
        find_data(drive / "image_classifier")


def test_how_long_a_copy_takes_is_said_before_it_begins(drive, capsys):
    find_data(drive / "Image Classifier" / "data")
    said = capsys.readouterr().err
    assert said.startswith("Copying ")
    assert re.search(r"2 files, 0\.00 GB, about 1 minute\n", said)
    find_data(drive / "Image Classifier" / "data")
    assert "minute" not in capsys.readouterr().err


@pytest.fixture
def large(drive):
    """Fifty gigabytes, of which the disk holds nothing."""
    photos = drive / "Image Classifier" / "data"
    for number in range(50):
        with (photos / "sad" / f"{number}.jpg").open("wb") as file:
            file.truncate(1_000_000_000)
    return photos


def nobody(_question):
    raise EOFError


@pytest.mark.parametrize("answer", [lambda _question: "n", lambda _question: "", nobody])
def test_fifty_gigabytes_are_not_copied_without_a_yes(large, answer):
    before = list_tree(large)
    with pytest.raises(ValueError, match=r"52 files, 50\.00 GB, about 28 minutes") as error:
        find_data(large, ask=answer)
    assert "Nothing was copied" in str(error.value)
    assert "at most 5 GB" in str(error.value)
    assert list_tree(Path()) == []
    assert list_tree(large) == before


def test_what_the_disk_does_not_hold_is_not_begun(large, monkeypatch):
    asked = []
    room = shutil.disk_usage(large)._replace(free=10**10)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _path: room)
    with pytest.raises(OSError, match=r"this disk has 10\.00 GB left"):
        find_data(large, ask=lambda question: asked.append(question) or "Yes ")
    assert len(asked) == 1
    assert list_tree(Path()) == []


def test_photos_added_in_the_same_session_are_staged_again(drive):
    photos = drive / "Image Classifier" / "data"
    first = find_data(photos, progress=False)
    (first.folder / "sad" / "photo.jpg").rename(first.folder / "happy" / "moved.jpg")
    mine = list_tree(first.folder)
    for number in (2, 3):
        Image.new("RGB", (60, 60), (0, 90 * number, 0)).save(photos / "sad" / f"{number}.jpg")
        added = find_data(photos, progress=False)
        assert added.folder == Path("data", f"staged-{number}")
        assert added.files == number + 1
        assert "earlier copies stay" in str(added)
        again = find_data(photos, progress=False)
        assert (again.folder, again.was_there) == (added.folder, True)
    assert list_tree(first.folder) == mine
    (photos / "sad" / "3.jpg").unlink()
    assert find_data(photos, progress=False).folder == Path("data", "staged-2")


def test_a_folder_of_somebody_elses_is_stepped_over(drive):
    Path("data", "staged").mkdir(parents=True)
    Path("data", "staged", "mine.txt").write_text("keep")
    Path("data", "staged-2").mkdir()
    Path("data", "staged-2", ".staged.json").write_text("damaged")
    source = find_data(drive / "Image Classifier" / "data", progress=False)
    assert source.folder == Path("data", "staged-3")
    assert Path("data", "staged", "mine.txt").read_text() == "keep"
