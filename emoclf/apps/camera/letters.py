"""Letters from a browser to a notebook: a server that takes them from whoever knows its address."""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from emoclf.untrusted import show_text

_MAX_BYTES = 256 * 2**20
_MAX_CONNECTIONS = 64
_SILENT_SECONDS = 10.0
"""A client that says nothing for so long is not waited for."""


class Mailbox:
    """What the browser has sent so far.

    Attributes:
        is_greeted: Set when the browser has sent anything.
        is_answered: Set when the answer is here, or can never come.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.is_greeted, self.is_answered = threading.Event(), threading.Event()
        self._answer: Any = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def take(self, name: str, content: bytes) -> None:
        """Take a letter; of several answers the first counts.

        Args:
            name: "hello" or "answer".
            content: JSON, for an answer.
        """
        self.is_greeted.set()
        if name != "answer":
            return
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            answer = f"no JSON: {show_text(error)}"
        with self._lock:
            if not self.is_answered.is_set():
                self._answer = answer
                self.is_answered.set()

    def fail(self, failure: BaseException) -> None:
        """Give up waiting for an answer, because of an error of the server's own code."""
        with self._lock:
            if not self.is_answered.is_set():
                self._failure = failure
                self.is_greeted.set()
                self.is_answered.set()

    def read_answer(self) -> Any:
        """Return the answer as JSON can carry it, or raise what `fail` was told."""
        if self._failure is not None:
            raise self._failure
        return self._answer


@contextmanager
def serve_mailbox(mailbox: Mailbox) -> Iterator[str]:
    """Take letters until the block ends.

    Only programs on this machine reach the server, and only those that know the address can make it
    read more than a header. Whatever they send, nothing is printed.

    Args:
        mailbox: Gets the letters.

    Yields:
        The address, which nobody can guess; a letter's name goes behind it.
    """
    server = _Server(mailbox)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{server.secret}"
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """A server that ends when it is told, whoever is still talking to it."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mailbox = mailbox
        self.secret = f"/{secrets.token_urlsafe(32)}/"
        self._open: set[socket.socket] = set()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Refuse a connection while too many are open."""
        return len(self._open) < _MAX_CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember who is talking."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget who has finished."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that are open."""
        for request in list(self._open):
            with suppress(OSError):  # closed meanwhile
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Stay silent about a client that has gone; an error of ours ends the waiting."""
        failure = sys.exception()
        if failure is not None and not isinstance(failure, OSError):
            self.mailbox.fail(failure)


class _Handler(BaseHTTPRequestHandler):
    """Reads a letter: the name it was sent to first, then the secret, then how long it is."""

    server: _Server
    timeout = _SILENT_SECONDS

    def do_POST(self) -> None:
        """Take a letter, or say in a number what is wrong with it."""
        name, length = self._find_name(), self._find_length()
        if name is None:
            self._answer(404)
        elif length is None:
            self._answer(411)
        elif length > _MAX_BYTES:
            self._answer(413)
        else:
            content = self.rfile.read(length)
            if len(content) == length:
                self.server.mailbox.take(name, content)
                self._answer(204)

    def _find_name(self) -> str | None:
        """Return which letter this is; None for whoever does not know the secret address.

        A website that had its own name lead to this machine (DNS rebinding) would name itself.
        """
        places = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        hosts = self.headers.get_all("Host", [])
        secret, path = self.server.secret.encode(), self.path.encode("utf-8", "surrogateescape")
        knows_secret = hmac.compare_digest(path[: len(secret)], secret)
        name = path[len(secret) :].decode("utf-8", "replace")
        is_letter = len(hosts) == 1 and hosts[0].lower() in places and name in ("hello", "answer")
        return name if knows_secret and is_letter else None

    def _find_length(self) -> int | None:
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or "Transfer-Encoding" in self.headers:
            return None
        is_number = lengths[0].isascii() and lengths[0].isdecimal()
        return int(lengths[0][:20]) if is_number else None

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 204:
            self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""
