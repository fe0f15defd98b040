"""Public Drive links: a pretended Google Drive on this machine, and both generations of gdown."""

import http.server
import sys
import threading
import types
import urllib.parse
from pathlib import Path

import pytest

from emoclf.data.sources import ArchiveRefusedError, fetch_drive_link
from tests.archives import name_pictures, write_tar, write_zip

FOLDER_ID = "1" + "f" * 32
LINK = f"https://drive.google.com/drive/folders/{FOLDER_ID}?usp=sharing"
FILE_LINK = f"https://drive.google.com/file/d/{'a' * 33}/view?usp=drive_link"


class FolderContentsMaximumLimitError(Exception):
    pass


class FileURLRetrievalError(Exception):
    pass


class FakeDrive:
    """gdown as far as emoclf calls it, and what it was asked for.

    Attributes:
        files: Path -> content of the folder; a list of (path, content) for repeated names.
        limit: 50 for gdown 5, None for gdown 6.
        failing: Paths that do not come.
        fetched: What was fetched, in order.
    """

    def __init__(self, files, *, limit=None):
        self.files = list(files.items()) if isinstance(files, dict) else files
        self.limit, self.failing, self.fetched = limit, set(), []

    def download_folder(self, *, id, output, quiet, use_cookies, skip_download):
        assert (id, quiet, use_cookies, skip_download) == (FOLDER_ID, True, False, True)
        if self.limit and len(self.files) >= self.limit:
            raise FolderContentsMaximumLimitError("more than 50 files")
        return [
            types.SimpleNamespace(id=f"id{n}", path=path, local_path=f"{output}/{path}")
            for n, (path, _) in enumerate(self.files)
        ]

    def download(self, *, id, output, quiet, use_cookies):
        assert (quiet, use_cookies) == (True, False)
        path, content = self.files[int(id[2:]) if id.startswith("id") else 0]
        if path in self.failing:
            raise FileURLRetrievalError("Too many users have viewed or downloaded this file")
        self.fetched.append(path)
        Path(output).write_bytes(content)
        return output


@pytest.fixture
def install(monkeypatch):
    def as_gdown(drive):
        fake = types.ModuleType("gdown")
        fake.download, fake.download_folder = drive.download, drive.download_folder
        fake.exceptions = types.SimpleNamespace(FileURLRetrievalError=FileURLRetrievalError)
        if drive.limit:
            fake.exceptions.FolderContentsMaximumLimitError = FolderContentsMaximumLimitError
        monkeypatch.setitem(sys.modules, "gdown", fake)
        return drive

    return as_gdown


def fetch(folder, link=LINK):
    return fetch_drive_link(folder, link=link, progress=False)


def read_photos(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")
    }


@pytest.mark.parametrize("limit", [None, 50])
def test_a_small_folder_comes_with_either_gdown(tmp_path, install, limit):
    contents = name_pictures(8)
    drive = install(FakeDrive({**contents, "notes.txt": b"remember"}, limit=limit))
    fetched = fetch(tmp_path / "data")
    assert read_photos(tmp_path / "data") == contents
    assert fetched.files == 8
    assert dict(fetched.left_out) == {"notes.txt": "no picture"}
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert fetch(tmp_path / "data").was_there
    assert len(drive.fetched) == 9


def test_a_large_folder_comes_with_gdown_6_and_is_explained_with_gdown_5(tmp_path, install):
    contents = name_pictures(120)
    install(FakeDrive(contents, limit=50))
    with pytest.raises(OSError, match=r"gdown>=6.*shortcut.*stage"):
        fetch(tmp_path / "data")
    assert not list(tmp_path.iterdir())
    install(FakeDrive(contents))
    assert fetch(tmp_path / "data").files == 120


def test_a_download_that_failed_goes_on_where_it_was(tmp_path, install):
    contents = name_pictures(6)
    drive = install(FakeDrive(contents))
    drive.failing.add("happy/0003.png")
    with pytest.raises(OSError, match=r"did not deliver 0003\.png.*goes on"):
        fetch(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    drive.failing.clear()
    assert fetch(tmp_path / "data").files == 6
    assert sorted(drive.fetched) == sorted(contents)


def test_files_of_the_same_name_all_come(tmp_path, install):
    contents = name_pictures(2)
    install(FakeDrive([("sad/a.png", contents["sad/0000.png"]), ("sad/a.png", b"GIF89a")]))
    fetch(tmp_path / "data")
    assert sorted(read_photos(tmp_path / "data")) == ["sad/a-id1.png", "sad/a.png"]


def test_what_systems_leave_on_drive_is_not_fetched(tmp_path, install):
    contents = name_pictures(2)
    drive = install(
        FakeDrive({**contents, "Icon\r": b"", "sad/Icon\r": b"", "sad/.DS_Store": b"1"})
    )
    assert fetch(tmp_path / "data").files == 2
    assert sorted(drive.fetched) == sorted(contents)


def test_names_that_lead_outside_are_refused(tmp_path, install):
    drive = install(FakeDrive({"../outside.png": b"GIF89a"}))
    with pytest.raises(ArchiveRefusedError, match="leads outside"):
        fetch(tmp_path / "data")
    assert drive.fetched == []


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_link_to_an_archive_is_unpacked(tmp_path, install, write):
    contents = name_pictures()
    archive = write(tmp_path / "source", contents).read_bytes()
    install(FakeDrive({"photos": archive}))
    assert fetch(tmp_path / "data", FILE_LINK).files == 6
    assert read_photos(tmp_path / "data") == contents


def test_a_link_to_something_else_leaves_nothing(tmp_path, install):
    install(FakeDrive({"photos": b"<html>sign in</html>"}))
    with pytest.raises(ArchiveRefusedError, match=r"no \.zip"):
        fetch(tmp_path / "data", FILE_LINK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "link", ["http://drive.google.com/drive/folders/" + FOLDER_ID, "https://example.org/a", "data"]
)
def test_other_links_are_refused(tmp_path, link):
    with pytest.raises(ValueError, match="no link of Google Drive"):
        fetch(tmp_path / "data", link)


def test_without_gdown_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(ImportError, match=r"pip install -e .*\[data\]"):
        fetch(tmp_path / "data")


@pytest.fixture
def pretended_google(monkeypatch):
    """A server that answers like Drive, and the real gdown led to it."""
    requests = pytest.importorskip("requests")
    pytest.importorskip("gdown", minversion="6")
    files = {f"{number:033d}": pair for number, pair in enumerate(name_pictures(70).items())}
    subfolders = {"sad": "s" * 33, "happy": "h" * 33}

    class Drive(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urllib.parse.urlsplit(self.path)
            asked = urllib.parse.parse_qs(parts.query)["id"][0]
            if parts.path == "/embeddedfolderview":
                body = self._list(asked).encode()
            elif asked in files:
                body = files[asked][1]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "image/png" if asked in files else "text/html")
            self.send_header("Content-Length", str(len(body)))
            if asked in files:
                name = files[asked][0].partition("/")[2]
                self.send_header("Content-Disposition", f'attachment; filename="{name}"')
            self.end_headers()
            self.wfile.write(body)

        def _list(self, asked):
            links = [
                f'<a href="https://drive.google.com/drive/folders/{each}">{name}</a>'
                for name, each in subfolders.items()
                if asked == FOLDER_ID
            ]
            links += [
                f'<a href="https://drive.google.com/file/d/{each}/view">{path.split("/")[1]}</a>'
                for each, (path, _) in files.items()
                if subfolders[path.split("/")[0]] == asked
            ]
            title = next((name for name, each in subfolders.items() if each == asked), "photos")
            return f"<html><title>{title}</title>{''.join(links)}</html>"

        def log_message(self, *_arguments):
            return

    class ToThisMachine(requests.adapters.HTTPAdapter):
        def send(self, request, **options):
            path = request.url.partition("google.com")[2]
            request.url = f"http://127.0.0.1:{server.server_port}{path}"
            return super().send(request, **options)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(requests.Session, "get_adapter", lambda *_a, **_k: ToThisMachine())
        yield
        server.shutdown()


@pytest.mark.usefixtures("pretended_google")
def test_the_real_gdown_6_brings_seventy_files(tmp_path):
    assert fetch(tmp_path / "data").files == 70
    assert read_photos(tmp_path / "data") == name_pictures(70)
