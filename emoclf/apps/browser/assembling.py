"""The page as one file: modules joined into two scripts, networks and texts as data."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from emoclf.apps.browser.networks import gather_networks
from emoclf.data.synthetic import draw_face
from emoclf.images.faces import FaceDetector
from emoclf.inference import MakeDetector
from emoclf.models.packaged import JOINT_MODEL_FOLDER

ROOM = Path(__file__).parent
"""Where the page's parts lie."""

SAMPLES = (("Happy", 5), ("Sad", 29), ("Happy", 25), ("Sad", 55))
"""Drawn faces to try the page with, by class and seed; the packaged network is sure of them."""

_IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "(\.[\w./-]+\.mjs)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function\b|class\b|const\b)", re.MULTILINE)
_NAME = re.compile(r"^(?:async )?(?:function\*?|class|const|let|var) ([\w$]+)", re.MULTILINE)
_COMMENT = re.compile(r"^\s*(?:/\*.*?\*/|//[^\n]*)", re.MULTILINE | re.DOTALL)
_ENDS_ELEMENT = re.compile(r"</(?:script|style)|<!--", re.IGNORECASE)
_PLACE = re.compile(r"\{\{(\w+)\}\}")

_REFUSED = {
    "an import of another form": r"^import\b|\bimport\s*[.(]",
    "an export of another form": r"^export\b",
    "names taken apart at the top": r"^(?:const|let|var)\s*[\[{]",
    "a wait at the top": r"^(?!.*\basync\b)(?=\S).*\bawait\b",
}
"""What two scripts without modules cannot hold, in the code of a module without its imports."""


def build_page(
    model: str | Path | None = None,
    *,
    scene: bool = False,
    detector: FaceDetector | MakeDetector | None = None,
) -> str:
    """Make the page that sees, answers and learns in a browser: one HTML file.

    Nothing is sent anywhere: a policy in the file forbids the browser every request.

    Args:
        model: A run folder, or a `.keras` or `.zip` file that emoclf saved, whose network answers;
            None for the packaged networks. Only load files you trust.
        scene: Whether the packaged answer for the photo as a whole is in it, too: 5 MB more.
        detector: What finds faces, or a function that makes it when the network needs one;
            default: `make_detector()`. YuNet's or the packaged one: its file goes into the page.

    Returns:
        The text of the file, in UTF-8.

    Raises:
        FileNotFoundError: If there is no model at `model`.
        FormatUnavailableError: If a network of Keras needs a package that is missing.
        ValueError: If the model is damaged, or the page cannot run it.

    Example:
        >>> Path("happy.html").write_text(build_page(), "utf-8")  # doctest: +SKIP
    """
    info, blocks = gather_networks(model, scene=scene, detector=detector)
    return fill_page(info, blocks)


def fill_page(info: dict[str, Any], blocks: dict[str, bytes], *, folder: Path = ROOM) -> str:
    """Fill `page.html` with its style, its script and all data.

    Args:
        info: What the page is told of the networks.
        blocks: Their files by the name that the page knows them by.
        folder: Where the page's parts lie.

    Raises:
        ValueError: If the parts do not make a page.
    """
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = join_modules("screen/main.mjs", folder=folder)
    parts = {
        "policy": _write_policy(script, style),
        "style": _check_text(style, "page.css"),
        "script": _check_text(script, "the script"),
        "data": "\n".join(_write_data(info, blocks, folder)),
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    if sorted(_PLACE.findall(page)) != sorted(parts):
        raise ValueError(f"page.html: expected each of {', '.join(parts)} once, in two braces.")
    return _PLACE.sub(lambda found: parts[found[1]], page)


def _write_data(info: dict[str, Any], blocks: dict[str, bytes], folder: Path) -> Iterator[str]:
    """Yield an element for everything that the page reads, and for the licences."""
    yield _write_json("info", info)
    files = sorted(folder.glob("texts/*.json"))
    yield _write_json("texts", {each.stem: json.loads(each.read_bytes()) for each in files})
    yield _write_json("samples", [_draw_sample(*each) for each in SAMPLES])
    kernel = (folder / "engine" / "kernel.wasm").read_bytes()
    worker = join_modules("worker.mjs", folder=folder).encode()
    for each in {"kernel": kernel, "worker-source": worker, **blocks}.items():
        yield _write_block(*each)
    licences = (ROOM / "licences.txt", JOINT_MODEL_FOLDER / "LICENSE-APACHE")
    terms = "\n\n".join(each.read_text(encoding="utf-8") for each in licences)
    yield f'<script type="text/plain" id="licences">\n{_check_text(terms, "licences")}</script>'


def _check_text(text: str, name: str) -> str:
    """Return a text that can stand in an element as it is."""
    if found := _ENDS_ELEMENT.search(text):
        raise ValueError(f"{name}: {found[0]!r} would end its element; write it in two parts.")
    return text


def join_modules(entry: str, *, folder: Path = ROOM) -> str:
    """Join a module and all that it imports into one script that runs without modules.

    Args:
        entry: The module, relative to the folder.
        folder: Where all of them lie.

    Returns:
        The script: every module after those that it imports, in a function of its own.

    Raises:
        ValueError: If a module has what cannot be joined, or a name is there twice.
    """
    codes: dict[Path, str] = {}
    _visit((folder / entry).resolve(), folder.resolve(), codes, ())
    owners: dict[str, Path] = {}
    for path, code in codes.items():
        for name in _NAME.findall(code):
            if name in owners:
                raise ValueError(f"{path.name}: {owners[name].name} has the name {name}, too.")
            owners[name] = path
    return '(() => {{\n"use strict";\n{}}})();\n'.format("".join(codes.values()))


def _visit(path: Path, folder: Path, codes: dict[Path, str], above: tuple[Path, ...]) -> None:
    """Add the code of a module, and before it that of those which it imports."""
    if path in above:
        raise ValueError(f"{path.name} imports {above[-1].name}, which imports it.")
    if path in codes:
        return
    if not path.is_relative_to(folder):
        raise ValueError(f"{above[-1].name} imports {path.name}, which is no part of the page.")
    text = path.read_text(encoding="utf-8")
    for names, source in _IMPORT.findall(text):
        if re.search(r"\w\s+\w", names):
            raise ValueError(f"{path.name} renames what it imports: {' '.join(names.split())}.")
        _visit((path.parent / source).resolve(), folder, codes, (*above, path))
    code = _EXPORT.sub("", _IMPORT.sub("", text))
    for what, pattern in _REFUSED.items():
        if found := re.search(pattern, _COMMENT.sub("", code), re.MULTILINE):
            raise ValueError(f"{path.name} has {what}: {found[0]!r}. It cannot be joined.")
    codes[path] = f"// {path.relative_to(folder).as_posix()}\n{code.strip()}\n\n"


def _write_policy(script: str, style: str) -> str:
    """Return what the browser is to forbid: everything but what is in the file itself."""
    hashes = {}
    for name, text in {"script": script, "style": style}.items():
        digest = hashlib.sha256(text.encode()).digest()
        hashes[name] = f"'sha256-{base64.b64encode(digest).decode()}'"
    rules = {
        "default-src": "'none'",
        "script-src": f"{hashes['script']} 'wasm-unsafe-eval'",
        "worker-src": "blob:",
        "style-src": hashes["style"],
        "img-src": "blob: data:",
        "media-src": "blob: mediastream:",
        "connect-src": "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {allowed}" for name, allowed in rules.items())


def _write_json(name: str, value: Any) -> str:
    """Return an element with a JSON value, in letters that cannot end it."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _write_block(name: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return f'<script type="text/plain" id="{name}">{text}</script>'


def _draw_sample(class_name: str, seed: int) -> str:
    """Draw a face, and return it as an address that holds the picture."""
    file = io.BytesIO()
    picture = Image.fromarray(draw_face(class_name, seed=seed, size=(256, 256)))
    picture.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
