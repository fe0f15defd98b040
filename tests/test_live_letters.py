"""The notebook's camera server among programs that mean no good: nothing printed, nothing hangs."""

import http.client
import socket
import threading
import time
from contextlib import closing

import pytest

from emoclf.apps.camera import CameraUnavailableError, jupyter, take_browser_photos
from emoclf.apps.camera.jupyter import Mailbox, evaluate_in_jupyter, open_mailbox
from tests.calls import PATIENCE_SECONDS

DEEP = "[" * 100_000


@pytest.fixture
def letters(capfd):
    """A running server, its port and its secret path; at the end nothing has been printed."""
    with open_mailbox() as mailbox:
        port, _, secret = mailbox.address.removeprefix("http://127.0.0.1:").partition("/")
        yield mailbox, int(port), f"/{secret}"
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def send(port, content):
    """Send bytes as they are; returns the status, 0 where the connection ends without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    return int(answer.split(maxsplit=2)[1]) if answer.startswith(b"HTTP/") else 0


def post(port, path, body=b"", *, host=None, method="POST", length=None):
    length = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n"
    return send(port, f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1") + body)


def test_a_letter_is_taken(letters):
    mailbox, port, secret = letters
    assert post(port, f"{secret}hello") == 204
    assert mailbox.is_greeted.is_set()
    assert not mailbox.answer.done()
    assert post(port, f"{secret}answer", b'{"a": 1}', host=f"LOCALHOST:{port}") == 204
    assert post(port, f"{secret}answer", b'"too late"') == 204
    assert mailbox.answer.result(30) == {"a": 1}


@pytest.mark.parametrize(
    "length", ["abc", "-1", "1.5", "0x10", "\u00b2", "1, 1", "", "+1", "9" * 30, "1_0", str(2**40)]
)
def test_without_the_secret_no_length_is_read(letters, length):
    mailbox, port, secret = letters
    assert post(port, "/answer", b"1", length=length) == 404
    assert post(port, f"{secret[:-2]}x/answer", b"1", length=length) == 404
    assert post(port, f"{secret}answer", b"1", length=length) in (411, 413)
    assert not mailbox.is_greeted.is_set()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "X\xff"])
def test_letters_are_posted(letters, method):
    mailbox, port, secret = letters
    assert post(port, f"{secret}answer", b"1", method=method) >= 400
    assert not mailbox.is_greeted.is_set()


@pytest.mark.parametrize(
    "path", ["", "other", "answer/", "answer?x", "../answer", "\xff", "hello%20"]
)
def test_letters_have_one_of_two_names(letters, path):
    mailbox, port, secret = letters
    assert post(port, f"{secret}{path}", b"1") >= 400
    assert not mailbox.is_greeted.is_set()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "x\xff", ""])
def test_a_website_with_a_name_that_leads_here_is_refused(letters, host):
    mailbox, port, secret = letters
    given = host.format(port=port)
    line = f"POST {secret}hello HTTP/1.1\r\nHost: {given}\r\nContent-Length: 0\r\n\r\n"
    assert send(port, line.encode("latin-1")) == 404
    twice = line.replace("\r\n\r\n", f"\r\nHost: 127.0.0.1:{port}\r\n\r\n")
    assert send(port, twice.encode("latin-1")) == 404
    assert not mailbox.is_greeted.is_set()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost\r\n\r\n",
        b"POST " + b"x" * 70_000,
        b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_letter_does_no_harm(letters, content):
    mailbox, port, _ = letters
    send(port, content)
    assert not mailbox.is_greeted.is_set()


def test_a_chunked_letter_is_refused_and_half_a_letter_is_none(letters):
    mailbox, port, secret = letters
    head = f"POST {secret}answer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\n1\r\n0\r\n\r\n"
    assert send(port, chunked.encode()) == 411
    assert send(port, f"{head}Content-Length: 9\r\n\r\n1".encode()) == 0
    assert not mailbox.answer.done()


def test_clients_that_say_nothing_do_not_keep_the_notebook(capfd, monkeypatch):
    # Nobody is waited for: this would never end.
    monkeypatch.setattr(jupyter._Handler, "timeout", 10 * PATIENCE_SECONDS)
    silent = []
    with open_mailbox() as mailbox:
        port = mailbox.server_port
        for content in (b"", b"POST / HT", b"POST / HTTP/1.1\r\nA: b\r\n"):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(content)
            silent.append(connection)
        assert post(port, "/") == 404
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and any(
        "process_request" in t.name for t in threading.enumerate()
    ):
        time.sleep(0.05)
    assert not any("process_request" in thread.name for thread in threading.enumerate())
    for connection in silent:
        connection.close()
    assert capfd.readouterr().err == ""


def test_an_error_of_our_own_is_not_hidden(monkeypatch, letters):
    mailbox, port, secret = letters

    def fail(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Mailbox, "take", fail)
    assert post(port, f"{secret}answer", b"1") == 0
    with pytest.raises(ZeroDivisionError, match="ours"):
        mailbox.answer.result(30)


# --- answers --------------------------------------------------------------------------------


def answer_with(body):
    """Show a script as a browser would, and send `body` back as its answer."""

    def show(code):
        address = code.partition('fetch("')[2].partition('"')[0]
        place, _, path = address.removeprefix("http://").partition("/")
        with closing(http.client.HTTPConnection(place, timeout=PATIENCE_SECONDS)) as connection:
            connection.request("POST", f"/{path}answer", body)
            assert connection.getresponse().status == 204
        return lambda: None

    return lambda script: evaluate_in_jupyter(
        script, timeout_seconds=PATIENCE_SECONDS, greeting_seconds=PATIENCE_SECONDS, show=show
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        DEEP.encode(),
        ('{"a":' * 100_000).encode(),
        b"1" + b"0" * 5000,
        b"NaN",
        b"null",
        b"true",
        b"[]",
        b'"words"',
        b"{}",
        b'{"photos": {"0": "x"}}',
        b'{"photos": "data:image/png;base64,AAAA"}',
        b'{"photos": 5}',
        b'{"photos": true}',
        b'{"photos": [1]}',
        b'{"photos": [null]}',
        b'{"photos": [["x"]]}',
        b'{"photos": ["data:image/png;base64,AAAA"]}',
        b'{"photos": ["data:image/png;base64,"]}',
        '{"photos": ["data:image/png;base64,\u00e9"]}'.encode(),
        b'{"photos": ["data:image/png;base64,AAAA", "x", "x"]}',
        b'{"photos": [], "reason": {"a": 1}}',
        b'{"photos": [], "reason": ["denied"]}',
        b'{"photos": [], "reason": 7, "detail": {"a": [1]}}',
        b'{"photos": null, "reason": null, "detail": null}',
    ],
)
def test_every_answer_ends_in_one_clear_error(body, capfd):
    with pytest.raises(CameraUnavailableError) as caught:
        take_browser_photos(answer_with(body), count=2)
    assert len(str(caught.value)) < 600
    assert capfd.readouterr().err == ""


def test_more_photos_than_were_asked_for_are_refused():
    photos = ["data:image/png;base64,AAAA"] * 3
    with pytest.raises(CameraUnavailableError, match="3 photos, where 2 at most"):
        take_browser_photos(lambda _: {"photos": photos}, count=2)


@pytest.mark.parametrize(
    "answer",
    [
        "\x1b[31mred\x9b",
        {"photos": [], "reason": "error", "detail": "\x1b]0;title\x07\u202e" + "x" * 10_000},
        {"photos": [], "reason": "\x1b[2J", "detail": ["\x1b[2J"]},
        {"photos": ["\x1b[2J\x9b,"]},
        {"photos": ["data:image/\x1b;base64,%"]},
    ],
)
def test_what_the_browser_says_moves_no_cursor(answer):
    with pytest.raises(CameraUnavailableError) as caught:
        take_browser_photos(lambda _: answer)
    assert all(letter.isprintable() for letter in str(caught.value))
    assert len(str(caught.value)) < 600
