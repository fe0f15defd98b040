"""The browser of a Jupyter on this machine, which runs JavaScript for the notebook.

The script goes out as the output of a cell. What it resolves to comes back to a server that only
this machine can reach, at an address that nobody can guess.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from emoclf.apps.camera.frames import CameraUnavailableError
from emoclf.untrusted import show_text

_GREETING_SECONDS = 4.0
_MAX_BYTES = 256 * 2**20
_MAX_CONNECTIONS = 64
_SILENT_SECONDS = 10.0
"""A client that says nothing for so long is not waited for."""

_SCRIPT = """
(async () => {
  const send = (path, body) => fetch("ADDRESS" + path, {method: "POST", body});
  try {
    await send("hello", "");
  } catch {
    return;  // nobody waits any more, or this browser is not on the machine of the notebook
  }
  let answer;
  try {
    answer = await eval(SCRIPT);
  } catch (error) {
    answer = String(error);
  }
  await send("answer", JSON.stringify(answer));
})();
"""

Show = Callable[[str], Any]
"""Shows JavaScript in the browser, and returns what takes it away again when it is called."""


def in_jupyter() -> bool:
    """Say whether this is a Jupyter kernel, with or without a browser in front of it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def evaluate_in_jupyter(
    script: str,
    *,
    timeout_seconds: float,
    greeting_seconds: float = _GREETING_SECONDS,
    show: Show | None = None,
) -> Any:
    """Run JavaScript in the browser that shows this notebook, and wait for its answer.

    Args:
        script: What to run; its last expression is the answer, or a promise of it. `element` is the
            output of the cell.
        timeout_seconds: How long to wait for the answer.
        greeting_seconds: How long to wait for a sign that a browser is there.
        show: Shows JavaScript in the browser; default: the output of the cell.

    Returns:
        The answer, as JSON can carry it.

    Raises:
        CameraUnavailableError: If no browser of this machine shows the notebook, or it gives no
            answer in time.
    """
    with open_mailbox() as mailbox:
        code = _SCRIPT.replace("ADDRESS", mailbox.address).replace("SCRIPT", json.dumps(script))
        remove = (show or _show_output)(code)
        try:
            if not mailbox.is_greeted.wait(greeting_seconds):
                said = "No browser of this machine shows this notebook."
                raise CameraUnavailableError(said, reason="no-browser")
            return mailbox.answer.result(timeout_seconds)
        except TimeoutError as error:
            said = "The browser gave no answer. Run the cell again."
            raise CameraUnavailableError(said, reason="timeout") from error
        finally:
            remove()


def _show_output(code: str) -> Callable[[], Any]:
    from IPython.display import HTML, Javascript, display

    shown = display(Javascript(code), display_id=True)
    # Left in the notebook, the code would run again whenever the notebook is opened.
    return lambda: shown.update(HTML(""))


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """Take letters from the browser until the block ends.

    Only programs on this machine reach the mailbox, and only those that know its address can make
    it read more than a header. Whatever they send, nothing is printed.
    """
    mailbox = Mailbox()
    thread = threading.Thread(target=mailbox.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield mailbox
    finally:
        mailbox.shutdown()
        mailbox.hang_up()
        mailbox.server_close()
        thread.join()


class Mailbox(ThreadingHTTPServer):
    """Takes letters, and ends when it is told, whoever is still talking to it.

    Attributes:
        address: Where letters go, which nobody can guess; a letter's name stands behind it.
        is_greeted: Set when the browser has sent anything.
        answer: What the browser answers; of several answers the first counts.
    """

    def __init__(self) -> None:
        """Listen to this machine, at a port of the system's choice."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secret = f"/{secrets.token_urlsafe(32)}/"
        self.address = f"http://127.0.0.1:{self.server_port}{self.secret}"
        self.is_greeted = threading.Event()
        self.answer: Future[Any] = Future()
        self._open: set[socket.socket] = set()

    def take(self, name: str, content: bytes) -> None:
        """Take a letter, "hello" or "answer"; the content of an answer is JSON."""
        self.is_greeted.set()
        if name == "answer":
            try:
                answer = json.loads(content)
            except (ValueError, RecursionError) as error:
                answer = f"no JSON: {show_text(error)}"
            with suppress(InvalidStateError):
                self.answer.set_result(answer)

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
            with suppress(InvalidStateError):
                self.answer.set_exception(failure)
            self.is_greeted.set()


class _Handler(BaseHTTPRequestHandler):
    """Reads a letter: the name it was sent to first, then the secret, then how long it is."""

    server: Mailbox
    timeout = _SILENT_SECONDS

    def do_POST(self) -> None:
        """Take a letter, or say in a number what is wrong with it."""
        name, length = self._find_name(), self._find_length()
        if name is None:
            self._reply(404)
        elif length is None:
            self._reply(411)
        elif length > _MAX_BYTES:
            self._reply(413)
        else:
            content = self.rfile.read(length)
            if len(content) == length:
                self.server.take(name, content)
                self._reply(204)

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

    def _reply(self, status: int) -> None:
        self.send_response(status)
        if status == 204:
            self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""
