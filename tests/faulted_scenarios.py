"""The commands that are disturbed: their input, how they are called, what their end means."""

import csv
import hashlib
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.disk_faults import Change
from tests.folder_contents import list_files

Contents = dict[str, object]


def keep_all(contents: Contents) -> Contents:
    return contents


def go_on_never(change: Change) -> bool:  # noqa: ARG001 - others look at it
    return False


@dataclass(frozen=True)
class Scenario:
    """One command: `prepare` fills the folder in which it is called.

    `again` is how a user calls it after a fault (default: the same), `undo` brings back the input;
    `moves` tells that photos change their places; `simplify` drops what may differ;
    `whole_folders` are there with these files, or all, or not at all; `may_go_on` tells whether the
    command may end well although a change was refused.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[Path], object]
    again: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    moves: bool = False
    is_heavy: bool = False
    simplify: Callable[[Contents], Contents] = keep_all
    whole_folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may_go_on: Callable[[Change], bool] = go_on_never

    def find_not_undone(self, before: Path, now: Path) -> list[str]:
        """Return the photos that `undo` has not brought back to where they were."""
        files, found = (list_files(root / "data", photos_only=True) for root in (before, now))
        return [f"{path} is not back" for path in files if found.get(path) != files[path]]


def draw(root: Path, *, with_flaws: bool = False, per_class: int = 10) -> Path:
    from emoclf.data.synthetic import make_drawn_faces

    make_drawn_faces(root, photos_per_class=per_class, size=(48, 48), with_flaws=with_flaws)
    (root / ".drawn_faces.json").unlink()
    return root


def make_nothing(work: Path) -> None:
    """Leave the folder empty."""


def make_unclean(work: Path) -> None:
    """Draw flaws, and put two photos into both classes: neither label is right."""
    data = draw(work / "data", with_flaws=True, per_class=20)
    for number, photo in enumerate(sorted((data / "happy").glob("IMG_*.jpg"))[:2]):
        shutil.copy2(photo, data / "sad" / f"a-twin-{number}.jpg")


def make_decided(work: Path) -> None:
    """Draw faces and a table of decisions: to the other class, aside, kept; one name is taken."""
    data = draw(work / "data")
    photos = {name: sorted((data / name).iterdir()) for name in ("sad", "happy")}
    taken = data / "happy" / photos["sad"][0].name
    photos["happy"][0].rename(taken)
    rows = []
    for name, other in (("sad", "happy"), ("happy", "sad")):
        for photo, action in zip(
            sorted((data / name).iterdir()),
            ("move", "set_aside", "keep", "move", "", "set_aside"),
            strict=False,
        ):
            digest = hashlib.sha256(photo.read_bytes()).hexdigest()
            path = photo.relative_to(data).as_posix()
            rows.append([path, name.title(), other.title(), action, "looked at", digest])
    with (work / "decisions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", "suggested_class", "decision", "reason", "sha256"])
        writer.writerows(rows)


def make_cleaned(work: Path) -> None:
    """Let `clean` and `apply-decisions` move photos, for `restore` to bring them back."""
    from emoclf.data.cleaning import find_problems, quarantine
    from emoclf.experiments.label_errors import apply_decisions

    make_decided(work)
    inner = work / "data" / "sad" / "trip"
    inner.mkdir()
    (inner / "empty.jpg").write_bytes(b"")
    (work / "data" / "happy" / "notes.txt").write_text("no photo")
    quarantine(find_problems(work / "data", progress=False), dry_run=False)
    apply_decisions(work / "data", work / "decisions.csv", dry_run=False)
    inner.rmdir()


def make_source(work: Path) -> None:
    draw(work / "source")


def make_zip(work: Path) -> None:
    make_source(work)
    with zipfile.ZipFile(work / "photos.zip", "w") as archive:
        for path in sorted((work / "source").rglob("*.*")):
            archive.write(path, path.relative_to(work / "source"))
    shutil.rmtree(work / "source")


def make_tar(work: Path) -> None:
    make_source(work)
    with tarfile.open(work / "photos.tar.gz", "w:gz") as archive:
        archive.add(work / "source", "photos")
    shutil.rmtree(work / "source")


def make_photos(work: Path) -> None:
    draw(work / "data", per_class=12)


def make_run(work: Path) -> None:
    """Train a run in a process of its own: this one is forked from and stays without threads."""
    import subprocess
    import sys

    make_photos(work)
    command = [sys.executable, "-m", "emoclf", *TRAIN, "--epochs", "1"]
    subprocess.run(command, cwd=work, check=True, capture_output=True)
    shutil.rmtree(work / "logs" / "first" / "tensorboard", ignore_errors=True)


def forget_runs(contents: Contents) -> Contents:
    """Put all quarantine folders together: where a photo is, not by which call it came there."""
    simple = {
        re.sub(r"/quarantine/\w{12}", "/quarantine/*", name): what
        for name, what in contents.items()
    }
    return {name: None if name.endswith(".jsonl") else what for name, what in simple.items()}


def forget_events(contents: Contents) -> Contents:
    """Leave out TensorBoard's files, of which every process writes its own."""
    return {name: what for name, what in contents.items() if "/tensorboard" not in name}


def check_exports(contents: Contents) -> Contents:
    """Leave out speeds and bytes that no two runs write alike; the checksums beside them agree."""
    simple = dict(contents)
    for name, what in contents.items():
        if name.endswith("/parity.json"):
            simple[name] = None
        if name.endswith("/emoclf.json") and isinstance(what, dict) and "sha256" in what:
            folder = name.removesuffix("emoclf.json")
            for inner, digest in what["sha256"].items():
                if isinstance(contents.get(folder + inner), str):
                    simple[folder + inner] = contents[folder + inner] == digest
            simple[name] = {**what, "sha256": sorted(what["sha256"])}
    return simple


def is_copy(change: Change) -> bool:
    """Tell whether a change belongs to the second place, which a training does not depend on."""
    return "/copies" in change.path


TRAIN = ("train", "data", "--name", "first", "--image-size", "32", "--epochs", "2", "--no-augment")
RUN_FILES = ("settings.json", "split.json", "versions.json")
_RUN = {"is_heavy": True, "prepare": make_photos, "simplify": forget_events}
_STAGED = {"whole_folders": {"local/photos": ()}}
_EXPORT = ("export", "logs/first", "--part", "validation", "--format")
_EXPORTED = {"is_heavy": True, "prepare": make_run, "simplify": check_exports}

_ALL = (
    Scenario("draw-faces", ("draw-faces", "data", "--per-class", "10"), make_nothing),
    Scenario(
        "clean",
        ("clean", "data", "--move"),
        make_unclean,
        undo=("restore", "data"),
        moves=True,
        simplify=forget_runs,
    ),
    Scenario("restore", ("restore", "data"), make_cleaned, moves=True, simplify=forget_runs),
    Scenario(
        "apply-decisions",
        ("apply-decisions", "data", "decisions.csv", "--move"),
        make_decided,
        undo=("restore", "data"),
        moves=True,
        simplify=forget_runs,
    ),
    Scenario("stage-folder", ("stage", "source", "local/photos"), make_source, **_STAGED),
    Scenario("stage-zip", ("stage", "photos.zip", "local/photos"), make_zip, **_STAGED),
    Scenario("stage-tar", ("stage", "photos.tar.gz", "local/photos"), make_tar, **_STAGED),
    Scenario(
        "train", TRAIN, again=(*TRAIN, "--resume"), whole_folders={"logs/first": RUN_FILES}, **_RUN
    ),
    Scenario(
        "train-copies",
        (*TRAIN, "--copies", "copies"),
        again=(*TRAIN, "--copies", "copies", "--resume"),
        may_go_on=is_copy,
        whole_folders={"logs/first": RUN_FILES},
        **_RUN,
    ),
    *(
        Scenario(
            f"export-{name}",
            (*_EXPORT, name),
            whole_folders={f"logs/first/exports/{name}": ()},
            **_EXPORTED,
        )
        for name in ("keras", "onnx", "litert", "saved_model")
    ),
)
SCENARIOS: dict[str, Scenario] = {each.name: each for each in _ALL}
