"""What a folder holds, by meaning: models by their weights, JSON by its values, others by bytes."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_BY_CHANCE = ("date_saved", "shared_object_id")


def list_files(root: Path, *, photos_only: bool = False) -> dict[str, str]:
    """Return relative path -> SHA-256 of every file below a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not (photos_only and is_record(path))
    }


def is_record(path: Path) -> bool:
    """Tell whether a file is emoclf's own: a manifest, a record, a table, something temporary."""
    return path.suffix in (".jsonl", ".json", ".csv")


def read_contents(root: Path) -> dict[str, object]:
    """Return relative path -> what the file says; folders end with a slash and say nothing."""
    contents: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            contents[f"{name}/"] = None
            continue
        try:
            contents[name] = read_meaning(path)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            contents[name] = f"unreadable: {error}"
    return contents


def read_meaning(path: Path) -> object:
    """Return what a file says, without what no two runs write alike.

    Raises:
        ValueError: If it is damaged; the readers of its format raise others.
    """
    content = path.read_bytes()
    if path.suffix == ".json":
        return _drop_chance(json.loads(content))
    if path.suffix == ".jsonl":
        return sorted(json.dumps(json.loads(line)) for line in content.splitlines())
    if path.suffix == ".keras":
        return _read_model(content)
    if path.suffix == ".npz":
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: _read_array(file[name]) for name in file.files}
    return hashlib.sha256(content).hexdigest()


def _read_array(array: np.ndarray) -> object:
    """Return an array's digest; of the facts of a state, what no two runs write alike is left out.

    TensorBoard's files have the time in their names.
    """
    if array.dtype.kind != "U" or array.shape:
        return _digest(array)
    facts = json.loads(str(array[()]))
    for counters in facts.get("counters", {}).values():
        counters.pop("files", None)
    return facts


def _read_model(content: bytes) -> dict[str, object]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        found: dict[str, object] = {}
        for name in file.namelist():
            member = file.read(name)
            if name.endswith(".h5"):
                found[name] = _read_weights(member)
            elif name.endswith(".json"):
                found[name] = _drop_chance(json.loads(member))
            else:
                found[name] = hashlib.sha256(member).hexdigest()
        return found


def _read_weights(content: bytes) -> dict[str, str]:
    import h5py

    found: dict[str, str] = {}

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = _digest(np.asarray(item[()]))

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(add)
    return found


def _digest(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _drop_chance(value: object) -> object:
    if isinstance(value, dict):
        return {key: _drop_chance(each) for key, each in value.items() if key not in _BY_CHANCE}
    return [_drop_chance(each) for each in value] if isinstance(value, list) else value


def find_unlike(expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Return in what a folder differs from what was expected."""
    return (
        [f"missing: {name}" for name in expected if name not in found]
        + [f"left over: {name}" for name in found if name not in expected]
        + [
            f"differs: {name}"
            for name in expected
            if name in found and found[name] != expected[name]
        ]
    )


def find_hidden(root: Path, expected: Mapping[str, object]) -> list[str]:
    """Return temporary files: hidden ones that a whole run does not leave, and all in tmp."""
    names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*"))]
    return [
        name
        for name in names
        if (any(part.startswith(".") for part in name.split("/")) or name.startswith("tmp/"))
        and name not in expected
        and f"{name}/" not in expected
    ]


def find_damaged(root: Path, expected: Mapping[str, object]) -> list[str]:
    """Return files under their final names that cannot be read or hold something half."""
    hidden = set(find_hidden(root, expected))
    problems = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or name in hidden or "tensorboard" in path.parts:
            continue
        try:
            meaning = read_meaning(path)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            problems.append(f"{name} ({type(error).__name__}: {error})")
            continue
        if path.name == "history.csv":
            problems += _find_bad_rows(path, name)
        elif isinstance(meaning, str) and meaning != expected.get(name, meaning):
            problems += [] if _is_described(path) else [f"{name} (other bytes)"]
    return problems


def _is_described(path: Path) -> bool:
    """Tell whether an exported file is the one of its description: no two are written alike."""
    description = path.with_name("emoclf.json")
    if not description.is_file():
        return False
    known = json.loads(description.read_bytes()).get("sha256", {})
    return known.get(path.name) == hashlib.sha256(path.read_bytes()).hexdigest()


def _find_bad_rows(path: Path, name: str) -> list[str]:
    text = path.read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    epochs = [row["epoch"] for row in rows]
    problems = [] if not text or text.endswith("\n") else [f"{name} (half a row)"]
    if not rows:
        problems.append(f"{name} (no row)")
    return problems + ([f"{name} (epochs {epochs})"] if len(set(epochs)) < len(epochs) else [])
