"""Who may talk to the page, and about what: checked before Gradio reads or stores anything."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from emoclf.apps.page.keeping import PhotoFolder
from emoclf.untrusted import show_text

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

API_NAME = "predict_photo"
"""What the page's function is called by programs."""

PHOTO_GONE = "This photo is not here, or not any more. Choose it again."
"""Said of every path that is no upload, whether there is a file or not."""

_MAX_CALL_BYTES = 2**16
"""Longest call: it names a photo and does not hold one."""

_API = "/gradio_api"
_FILE = f"{_API}/file="
_READ = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt"
    r"|/(assets|static|svelte)(/(?!\.)[\w@.~+-]+)+"
    r"|/gradio_api/(info|app_id|startup-events|upload_progress|queue/data)"
    rf"|/gradio_api/(heartbeat|call/{API_NAME})/[\w-]{{1,100}}"
)
"""What the page, Gradio itself and its Python client read; no more of what Gradio offers."""

_NAMED_CALL = f"{_API}/call/{API_NAME}"
_CALLS = (f"{_API}/queue/join", f"{_API}/run/predict", _NAMED_CALL)
"""Where functions are called; the last address says which, the others leave it to the call."""

_QUERY_NAMES = ("session_hash", "upload_id")
_QUERY_VALUE = re.compile(r"[\w-]{1,100}")
_UNTRUSTED_HEADERS = (b"x-gradio-server", b"range", b"if-range")
_FORM_BYTES = 2**16
"""What surrounds a file in an upload."""


class Refusal(Exception):  # noqa: N818 - it is no error of ours
    """What a request is answered instead of being passed on.

    Args:
        status: The HTTP status.
        reason: One sentence for the one who asked.
    """

    def __init__(self, status: int, reason: str) -> None:
        """Keep the status beside the reason."""
        super().__init__(reason)
        self.status = status


class _Call(msgspec.Struct, omit_defaults=True):
    """A call of a function, as Gradio's script and its Python client make it."""

    data: list[Any]
    fn_index: int | None = None
    session_hash: Annotated[str, msgspec.Meta(pattern=r"\A[\w-]{1,100}\Z")] | None = None
    trigger_id: int | None = None


class _Upload(msgspec.Struct):
    path: str


@dataclass(eq=False)
class Guard:
    """Lets through what this page's own browser asks, and nothing else.

    Attributes:
        photos: Where an uploaded photo has to lie.
        networks: The names to choose from.
        examples: How many examples there are.
        predict_id: Gradio's number of the function that predicts a photo.
        example_id: Gradio's number of the function that shows an example.
        max_upload_bytes: Largest file that is taken.
        public_address: The address that `--share` opens, else None.
    """

    photos: PhotoFolder
    networks: Sequence[str]
    examples: int
    predict_id: int
    example_id: int
    max_upload_bytes: int
    public_address: str | None = None
    _app: Any = None

    @contextlib.asynccontextmanager
    async def attach(self, app: Any) -> AsyncIterator[None]:
        """Stand before an app while it runs, as its `lifespan`: before it listens to anybody.

        As one middleware among Gradio's it would stand behind those that answer other origins.
        """
        if app.middleware_stack is None:
            raise RuntimeError("The web server starts in another order than expected.")
        self._app, app.middleware_stack = app.middleware_stack, self
        yield

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, by the app or with a refusal."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return
        try:
            self._check_sender(scope)
            await self._pass_on(self._clean(scope), receive, send)
        except Refusal as refusal:
            await _refuse(refusal, send)
        except RuntimeError as error:
            # Gradio says in mid-answer that it knows no such session; a server would print it.
            if getattr(error.__cause__, "status_code", None) != 404:
                raise
            await send({"type": "http.response.body", "body": b""})

    def _check_sender(self, scope: Message) -> None:
        """Refuse names that are not ours (DNS rebinding) and requests of other websites."""
        headers = _read_headers(scope)
        origins = self._find_origins(scope["server"][1])
        hosts = {origin.partition("://")[2] for origin in origins}
        host, forwarded = headers.get("host", []), headers.get("x-forwarded-host", [])
        if len(host) != 1 or not {name.lower() for name in host + forwarded} <= hosts:
            raise Refusal(403, "Open this page at the address that emoclf says.")
        origin = headers.get("origin", [])
        if not {name.lower() for name in origin} <= origins:
            raise Refusal(403, "Other websites may not use this page.")
        site = set(headers.get("sec-fetch-site", [])) - {"same-origin", "none"}
        is_link = scope["path"] == "/" and headers.get("sec-fetch-dest") == ["document"]
        if site and not origin and not is_link:
            raise Refusal(403, "Other websites may not use this page.")

    def _find_origins(self, port: int) -> set[str]:
        names = ("127.0.0.1", "localhost", "[::1]")
        places = [f"{name}:{port}" for name in names] + (list(names) if port == 80 else [])
        public = [] if self.public_address is None else [self.public_address.rstrip("/").lower()]
        return {f"http://{place}" for place in places} | set(public)

    async def _pass_on(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand over what is read, uploaded or called; refuse the rest."""
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD") and path.startswith(_FILE):
            if not self.photos.has(path.removeprefix(_FILE)):
                raise Refusal(403, PHOTO_GONE)
            await self._app(scope, receive, _keep_unstored(send))
        elif method in ("GET", "HEAD") and _READ.fullmatch(path):
            await self._app(scope, receive, send)
        elif method == "POST" and path == f"{_API}/upload":
            await self._take_upload(scope, receive, send)
        elif method == "POST" and path in _CALLS:
            await self._call(scope, receive, send)
        else:
            raise Refusal(403, "The page has nothing here.")

    async def _take_upload(self, scope: Message, receive: Receive, send: Send) -> None:
        size = _find_length(scope, self.max_upload_bytes + _FORM_BYTES)
        with self.photos.expecting(size) as has_room:
            if not has_room:
                raise Refusal(503, "Too many photos at once. Try again in a few minutes.")
            await self._app(scope, receive, send)

    async def _call(self, scope: Message, receive: Receive, send: Send) -> None:
        content = await _read(receive, _find_length(scope, _MAX_CALL_BYTES))
        content = self._rewrite(content, is_named=scope["path"] == _NAMED_CALL)
        await self._app(_with_length(scope, len(content)), _replay(content, receive), send)

    def _rewrite(self, content: bytes, *, is_named: bool) -> bytes:
        """Check a call and write it anew, of nothing but what was checked.

        A call `is_named` when its address has said that a photo is to be predicted.
        """
        try:
            call = msgspec.json.decode(content, type=_Call)
            call.fn_index = self.predict_id if is_named else call.fn_index
            if call.fn_index == self.predict_id:
                call.data = self._check_photo(call.data)
            elif call.fn_index != self.example_id:
                raise Refusal(403, "The page has no such function.")
            elif not 0 <= msgspec.convert(call.data, tuple[int])[0] < self.examples:
                raise Refusal(403, "The page has no such example.")
        except (ValueError, RecursionError) as error:
            raise Refusal(403, f"The page makes no such call: {show_text(error)}") from error
        return msgspec.json.encode(call)

    def _check_photo(self, data: list[Any]) -> list[Any]:
        photo, network, wants_map = msgspec.convert(data, tuple[_Upload | None, str, bool])
        if network not in self.networks:
            raise Refusal(403, "There is no network of this name here.")
        if photo is None:
            return [None, network, wants_map]
        if not self.photos.has(photo.path):
            raise Refusal(403, PHOTO_GONE)
        # Gradio looks at the files of a call that carry this mark, and trusts the others.
        mark = {"path": photo.path, "meta": {"_type": "gradio.FileData"}}
        return [mark, network, wants_map]

    def _clean(self, scope: Message) -> Message:
        """Take away what the page does not need and Gradio might act upon."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        kept = [
            (name, value)
            for name, value in query
            if name in _QUERY_NAMES and _QUERY_VALUE.fullmatch(value)
        ]
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _UNTRUSTED_HEADERS]
        return {**scope, "headers": headers, "query_string": urlencode(kept).encode()}


def _read_headers(scope: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _find_length(scope: Message, limit: int) -> int:
    """Return how long the body of a request will be, which the server holds it to."""
    headers = _read_headers(scope)
    lengths = headers.get("content-length", [])
    if "transfer-encoding" in headers or len(lengths) != 1 or not lengths[0].isdecimal():
        raise Refusal(411, "Say how long the content is.")
    if int(lengths[0][:20]) > limit:
        raise Refusal(413, f"The page takes at most {limit / 2**20:.1f} MB at a time.")
    return int(lengths[0])


async def _read(receive: Receive, size: int) -> bytes:
    content, is_complete = b"", False
    while not is_complete:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "The request ended early.")
        content += message.get("body", b"")
        is_complete = not message.get("more_body", False)
        if len(content) > size:
            raise Refusal(413, "The content is longer than its header says.")
    return content


def _replay(content: bytes, receive: Receive) -> Receive:
    """Give the app a body that has been read, and then what comes after it."""
    left = [{"type": "http.request", "body": content, "more_body": False}]

    async def read() -> Message:
        return left.pop() if left else await receive()

    return read


def _with_length(scope: Message, length: int) -> Message:
    headers = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _keep_unstored(send: Send) -> Send:
    """Forbid the browser to keep a photo on its disk."""

    async def mark(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
        await send(message)

    return mark


async def _refuse(refusal: Refusal, send: Send) -> None:
    # Gradio's script shows the `detail` of a call that is refused.
    content = json.dumps({"detail": str(refusal)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
