"""What is fetched: public links of Google Drive, FER2013 from Kaggle, the votes of FER+.

gdown (5 or 6) lists and fetches from Drive; every name it lists is checked before a file is
written. gdown 5, which Colab has, cannot list folders with 50 files or more; gdown 6 can.
"""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from emoclf.config import CLASS_NAMES
from emoclf.data.folders import PhotoFolder, list_files
from emoclf.data.sources.archives import (
    fill_from_archive,
    find_inner_path,
    naming_archive,
    read_safe_path,
)
from emoclf.data.sources.copying import (
    ArchiveLimits,
    Copied,
    copy_folder,
    is_debris,
    write_stream,
)
from emoclf.data.sources.fer2013 import VOTE_COLUMNS
from emoclf.data.sources.finding import PROJECT_DRIVE_LINK, find_data_set
from emoclf.data.sources.staging import stage_with
from emoclf.runtime import explain_missing
from emoclf.storage import open_regular, replacing
from emoclf.storage.archives import ArchiveRefusedError, find_archive_kind
from emoclf.storage.tables import open_table
from emoclf.untrusted import show_text

FER_PLUS_ADDRESS = "https://raw.githubusercontent.com/microsoft/FERPlus/master/fer2013new.csv"
"""The votes of FER+, as their authors publish them."""

KAGGLE_FER2013 = "msambare/fer2013"
"""FER2013 on Kaggle as train and test folders, the form that needs no agreement to rules."""

VOTES_NAME = "fer2013new.csv"

_MAX_VOTES_BYTES = 16 << 20
_TIMEOUT_SECONDS = 30
_LOCAL_HOSTS = ("127.0.0.1", "localhost")

_LINK = re.compile(
    r"https://drive\.google\.com/(?:drive/(?:u/\d+/)?(?P<folder>folders)/|file/d/|"
    r"(?:open|uc)\?(?:[^#]*&)?id=)(?P<id>[-\w]{10,})"
)

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What gdown raises when the page that came is another than it expects."""

_IDENTIFIER = re.compile(r"[-\w]{1,200}", re.ASCII)


def fetch_drive_link(
    folder: str | Path,
    *,
    link: str = PROJECT_DRIVE_LINK,
    class_names: tuple[str, ...] = CLASS_NAMES,
    limits: ArchiveLimits | None = None,
    progress: bool = True,
) -> PhotoFolder:
    """Download what a public link of Google Drive leads to, once.

    Files that have come stay in a hidden folder beside the target until all are there: called
    again after a failure, the function goes on. A call after success fetches nothing.

    Args:
        folder: Where the photos go: nothing, an empty folder, or what an earlier call has fetched.
        link: The link of a folder, or of an archive (`.zip`, `.tar.gz`), that "anyone with the
            link" may see.
        class_names: Names in label order, to find the class folders.
        limits: How much may come at most; None takes the defaults.
        progress: Whether a progress bar is shown.

    Returns:
        Where the photos are, how many, and what was left out.

    Raises:
        MissingPartError: If gdown is not installed.
        ValueError: If this is no link of Google Drive, or no picture came.
        FileExistsError: If something else is in the folder.
        ArchiveRefusedError: If the archive is damaged, unsafe or too large.
        OSError: If Drive did not deliver; the message says what to do instead.

    Example:
        >>> fetch_drive_link("data")  # doctest: +SKIP
    """
    match = _LINK.match(link)
    if match is None:
        raise ValueError(
            f"{link!r} is no link of Google Drive. Expected for example {PROJECT_DRIVE_LINK}: in "
            "Drive, choose Share > Copy link."
        )
    folder = Path(folder)
    download = folder.with_name(f".{folder.name}.download")
    limits = limits or ArchiveLimits()

    def fill(temporary: Path) -> Copied:
        if not match["folder"]:
            return _unpack_file(match["id"], download, temporary, limits, progress)
        _download_folder(match["id"], download, limits, progress)
        listing = list_files(download)
        return copy_folder(download, listing, temporary, limits=limits, progress=progress)

    try:
        staged = stage_with(
            fill, folder, source=link, fingerprint=link, class_names=class_names, progress=progress
        )
    except BaseException:
        with suppress(OSError):  # not there, or not empty: what has come is kept
            download.rmdir()
        raise
    shutil.rmtree(download, ignore_errors=True)
    return staged


def fetch_fer2013_from_kaggle(handle: str = KAGGLE_FER2013) -> Path:
    """Download FER2013 from Kaggle, or find what was downloaded before.

    Args:
        handle: The data set on Kaggle, as `owner/name`.

    Returns:
        The folder that kagglehub keeps it in, for `make_fer2013_folders`.

    Raises:
        ImportError: If kagglehub is not installed.
        OSError: If Kaggle did not deliver it.

    Example:
        >>> make_fer2013_folders(fetch_fer2013_from_kaggle(), "fer2013")  # doctest: +SKIP
    """
    try:
        import kagglehub
    except ImportError as error:
        raise ImportError(
            "kagglehub is not installed. Install it with: pip install kagglehub. Or download "
            "FER2013 from https://www.kaggle.com in the browser and name the file: fetch fer2013 "
            "FOLDER --from fer2013.csv"
        ) from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except (OSError, ValueError, RuntimeError) as error:
        raise OSError(
            f"Kaggle did not deliver {show_text(handle)} ({show_text(error)}). It may ask for an "
            "account: see https://www.kaggle.com/settings, or download it in the browser and use "
            "--from."
        ) from error


def fetch_fer_plus_votes(folder: str | Path, *, address: str = FER_PLUS_ADDRESS) -> Path:
    """Download the votes of FER+ once.

    Args:
        folder: Where `fer2013new.csv` goes.
        address: Where it is.

    Returns:
        The file. One that is there is checked and not fetched again.

    Raises:
        OSError: If it cannot be fetched.
        ValueError: If what is there, or what came, is not FER+; what came is not kept then.
    """
    target = Path(folder) / VOTES_NAME
    if target.exists():
        check_votes_file(target)
        return target
    with replacing(target) as temporary:
        with temporary.open("xb") as file:
            _download_votes(address, file)
        check_votes_file(temporary)
    return target


def check_votes_file(path: str | Path) -> None:
    """Compare the rows of a file of votes with FER2013's; raise ValueError if it is not FER+."""
    parts = find_data_set("fer2013").parts
    expected = {usage: sum(counts.values()) for usage, counts in parts.items()}
    with open_table(path, what=f"FER+'s {VOTES_NAME}", max_bytes=_MAX_VOTES_BYTES) as rows:
        next(rows, None)
        received = Counter(
            row[0][:20] if len(row) == len(VOTE_COLUMNS) + 2 else "rows of another form"
            for _, row in rows
        )
    if received != expected:
        raise ValueError(
            f"{show_text(path)} is not FER+'s {VOTES_NAME}: expected rows {expected}, received "
            f"{dict(received.most_common(4))}. Delete it and fetch it again."
        )


def _import_gdown() -> Any:
    try:
        import gdown
    except ImportError as error:
        raise explain_missing("gdown", error) from error
    return gdown


@contextmanager
def _explaining(gdown: Any, wanted: str) -> Iterator[None]:
    """Turn what gdown 5 and 6 raise into an error with a next step."""
    too_many = getattr(gdown.exceptions, "FolderContentsMaximumLimitError", ())
    retrieval = gdown.exceptions.FileURLRetrievalError
    refused = (retrieval, getattr(gdown.exceptions, "DownloadError", retrieval))
    try:
        yield
    except too_many as error:
        raise OSError(
            "This Drive folder has 50 files or more, which gdown 5 cannot list. Either install "
            "gdown 6 (pip install --upgrade 'gdown>=6') and restart the session; or open the link, "
            "choose Organise > Add shortcut, mount Drive and stage the folder; or stage an archive "
            "of it."
        ) from error
    except (*refused, *_UNREADABLE, OSError, RuntimeError) as error:
        raise OSError(
            f"Google Drive did not deliver {wanted} ({show_text(error)}). Check the "
            "connection and that the link is shared with everybody. After many downloads Drive "
            "refuses for a day: then add a shortcut to your own Drive, mount it and stage the "
            "folder. What has come is kept: the same call goes on."
        ) from error


def _download_folder(identifier: str, target: Path, limits: ArchiveLimits, progress: bool) -> None:
    """Fetch the files of a folder that are not there yet, one by one."""
    gdown = _import_gdown()
    with _explaining(gdown, "the list of the folder"):
        listed = gdown.download_folder(
            id=identifier, output=str(target), quiet=True, use_cookies=False, skip_download=True
        )
        if listed is None:
            raise OSError("no list came")
    if len(listed) > limits.entries:
        raise ValueError(f"The folder has {len(listed):,} files, more than {limits.entries:,}.")
    listed = [each for each in listed if not is_debris(find_inner_path(str(each.path)))]
    paths = _choose_paths(listed, target)
    bar = tqdm(listed, desc="Downloading", unit=" files", disable=not progress)
    for file, path in zip(bar, paths, strict=True):
        if not path.exists():
            _download_file(gdown, file.id, path, quiet=True)


def _choose_paths(listed: list[Any], target: Path) -> list[Path]:
    """Choose where each file goes: in Drive, several files in a folder may share a name."""
    chosen: dict[Path, None] = {}
    for file in listed:
        path = target.joinpath(*read_safe_path(str(file.path)).parts)
        if not _IDENTIFIER.fullmatch(str(file.id)):
            raise ValueError(f"Drive gave {file.id!r} for the key of a file. Stage an archive.")
        if path in chosen:
            path = path.with_name(f"{path.stem}-{file.id}{path.suffix}")
        chosen[path] = None
    return list(chosen)


def _download_file(gdown: Any, identifier: str, path: Path, *, quiet: bool) -> None:
    """Fetch one file; gdown writes it under a temporary name, so what is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _explaining(gdown, path.name):
        came = gdown.download(id=identifier, output=str(path), quiet=quiet, use_cookies=False)
        if came is None or not path.is_file():
            raise OSError("no file came")


def _unpack_file(
    identifier: str, download: Path, target: Path, limits: ArchiveLimits, progress: bool
) -> Copied:
    archive = download / "archive"
    if not archive.exists():
        _download_file(_import_gdown(), identifier, archive, quiet=not progress)
    try:
        with open_regular(archive, what="an archive") as file:
            if find_archive_kind(file) is None:
                raise ArchiveRefusedError("what came is no .zip, .tar or .tar.gz")
            with naming_archive(archive):
                return fill_from_archive(file, target, limits=limits, progress=progress)
    except ArchiveRefusedError:
        shutil.rmtree(download, ignore_errors=True)
        raise


def _download_votes(address: str, file: IO[bytes]) -> None:
    """Write what is at an address, up to a size that is far above the votes'."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOCAL_HOSTS:
        raise ValueError(f"{show_text(address)} should be an address that begins with https://")
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response:
            announced = response.headers.get("Content-Length")
            size, _ = write_stream(response, file, max_bytes=_MAX_VOTES_BYTES + 1)
        if size > _MAX_VOTES_BYTES:
            raise OSError(f"more than {_MAX_VOTES_BYTES:,} bytes came")
        if announced is not None and announced.strip() != str(size):
            raise OSError(f"{size:,} of {announced} bytes came")
    except OSError as error:
        raise OSError(
            f"{show_text(address)} could not be fetched "
            f"({show_text(getattr(error, 'reason', None) or error)}). Check "
            f"the connection, or open the address in a browser and save it as {VOTES_NAME}."
        ) from error
