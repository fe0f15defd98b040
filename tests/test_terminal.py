"""What a real terminal gets from the commands: nothing from outside moves its cursor."""

import csv
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tqdm import tqdm

from emoclf.apps.commands import terminal
from emoclf.apps.commands.terminal import (
    GuardedStream,
    echo,
    echo_json,
    guarded_streams,
    quiet_libraries,
    waiting,
)
from tests.calls import call
from tests.hostile_session import MARK

REPOSITORY = Path(__file__).resolve().parent.parent
BARS = re.compile(rb"\x1b\[(0|1|32|37)m|\x1b\[K|\x1b\[A|\x1b\[\?25[lh]|\x08+\r?|\r\n|\r")
"""What progress bars of Keras and tqdm write, and how a terminal ends lines."""

needs_pty = pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")


def read_terminal(arguments, **environment):
    """Run Python with a terminal as its output, and return what that got."""
    import pty
    import termios

    own, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))  # else no bar is drawn
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
    )
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(own, 2**16):
            pieces.append(piece)
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(own)
    assert process.wait() == 0
    return b"".join(pieces)


@pytest.fixture(
    scope="module", params=["quick", "trained", pytest.param("long", marks=pytest.mark.slow)]
)
def session(request, tmp_path_factory):
    """Folder of a session, and for each call its command and what the terminal got."""
    folder = tmp_path_factory.mktemp("session")
    output = read_terminal(
        ["-m", "tests.hostile_session", folder, request.param],
        EMOCLF_CACHE=str(folder / "cache"),
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
    )
    pieces = re.split(rf"{MARK} (\d+ '[^\n]*)\r\n".encode(), output)
    return folder, list(zip(pieces[1::2], pieces[2::2], strict=True))


def find_controls(output):
    """Return what is in a terminal's input that is neither text nor a progress bar's."""
    text = BARS.sub(b"\n", output).decode("utf-8", "surrogateescape")
    return {each for each in text if each not in "\n\t" and not each.isprintable()}


@needs_pty
def test_no_control_character_from_outside_reaches_a_terminal(session):
    _, calls = session
    leaks = {command: found for command, output in calls if (found := find_controls(output))}
    assert not leaks
    forged = [command for command, output in calls if re.search(rb"[\r\n]FORGED", output)]
    assert not forged, "a line break in a name begins a line"


@needs_pty
def test_no_call_ends_with_a_traceback(session):
    _, calls = session
    assert len(calls) > 15
    assert not [command for command, output in calls if b"raceback" in output]


@needs_pty
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_what_is_proposed_can_be_copied_into_a_shell(session):
    folder, calls = session
    text = b"\n".join(output for _, output in calls).decode("utf-8", "surrogateescape")
    proposed = re.findall(r"(?:Next|Undo it|For example): (python -m emoclf [^\r\n]*)", text)
    assert len(proposed) >= 2
    for command in proposed:
        script = f"python() {{ printf '%s\\0' \"$@\"; }}; {command}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, cwd=folder)
        given = [os.path.join(bytes(folder), each) for each in done.stdout.split(b"\0") if each]  # noqa: PTH118
        assert any(map(os.path.lexists, given)), command
    assert not (folder / "owned").exists()


@needs_pty
def test_bars_of_keras_and_tqdm_are_drawn_as_ever():
    code = (
        "import keras\n"
        "from tqdm import tqdm\n"
        "from emoclf.apps.commands.terminal import guarded_streams\n"
        "with guarded_streams():\n"
        "    list(tqdm([1, 2], desc='tqdm'))\n"
        "    keras.utils.Progbar(2).update(2)\n"
        "    print('\\x1b[32mfrom outside')\n"
    )
    output = read_terminal(["-c", code], TF_CPP_MIN_LOG_LEVEL="3")
    assert b"\rtqdm: 100%" in output
    assert b"\x1b[32m\xe2\x94\x81" in output
    assert rb"\x1b[32mfrom outside" in output


@pytest.mark.parametrize("text", ["a\x1b[31m", "\x9b2J", "\rback", "\u202e", "\udc9b", "\x07"])
def test_a_guarded_stream_escapes_what_moves_a_cursor(text):
    stream = io.StringIO()
    guarded = GuardedStream(stream)
    guarded.write(f"{text}\n\tnext line")
    assert stream.getvalue() == f"{repr(text)[1:-1]}\n\tnext line"
    guarded.close()
    assert not stream.closed


def test_a_guarded_stream_holds_what_its_encoding_does_not_have():
    bytes_of = io.BytesIO()
    guarded = GuardedStream(io.TextIOWrapper(bytes_of, encoding="ascii"))
    print("笑 é", file=guarded, flush=True)
    assert bytes_of.getvalue() == rb"\u7b11 \xe9" + os.linesep.encode()


def test_there_is_no_way_around_a_guarded_stream():
    stream = io.StringIO()
    guarded = GuardedStream(stream)
    with pytest.raises(TypeError, match="received bytes"):
        guarded.write(b"\x1b")
    for way in ("buffer", "detach", "reconfigure"):
        assert not hasattr(guarded, way)
    guarded.writelines(["\x1b[31m", "\x9b\n"])
    assert stream.getvalue() == "\\x1b[31m\\x9b\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_of_a_shell_completes_commands_options_and_choices(shell):
    script = call("completion", shell, code=0).stdout
    for word in ("predict", "find-label-errors", "ema-momentum", "mobilenetv3small"):
        assert word in script
    assert not find_controls(script.encode())
    assert "\\x" not in script.replace("\\x1f", ""), "what the guard escapes would not run"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_what_was_begun(tmp_path):
    (tmp_path / "script").write_text(call("completion", "bash").stdout, encoding="utf-8")
    ask = (
        f"source {tmp_path / 'script'}; COMP_WORDS=(emoclf train --net); COMP_CWORD=2; "
        "$(complete -p emoclf | sed 's/.*-F \\([^ ]*\\).*/\\1/') emoclf --net train; "
        "echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "--network"


def test_only_a_bar_may_move_the_cursor():
    stream = io.StringIO()
    guarded = GuardedStream(stream)
    tqdm([], file=guarded, desc="bar").refresh()
    guarded.write("\rforged")
    assert stream.getvalue().startswith("\rbar")
    list(tqdm((guarded.write("\rin a bar") for _ in range(2)), file=guarded))
    assert "\rin" not in stream.getvalue()
    tqdm([], file=guarded, desc="name \x1b]0;owned\x07\x9b").refresh()
    assert "\rname \\x1b]0;owned\\x07\\x9b" in stream.getvalue()
    assert r"\rforged" in stream.getvalue()


def test_what_is_printed_to_a_pipe_is_escaped_and_not_left_out(capsys):
    echo("red\x1b[31m.jpg")
    assert capsys.readouterr().out == "red\\x1b[31m.jpg\n"


def test_json_stays_exact(capsys):
    value = {name: name for name in ("\x7f", "\x1b[31m", "\x9b", "\u202e", "\udc9b", "笑", '"\\')}
    echo_json(value)
    output = capsys.readouterr().out
    assert json.loads(output) == value
    assert output.isascii()
    assert "\x7f" not in output


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_lines_are_broken_between_words_in_a_terminal_but_for_commands(monkeypatch, stream):
    monkeypatch.setenv("COLUMNS", "40")
    terminal_stream = Terminal()
    monkeypatch.setattr(sys, stream, terminal_stream)
    command = f"Next: python -m emoclf predict '{'a b ' * 20}'"
    echo(f"{'word ' * 20}\n  {'indented ' * 9}\n{command}", err=stream == "stderr")
    lines = terminal_stream.getvalue().splitlines()
    assert lines[-1] == command
    assert max(map(len, lines[:-1])) <= 40
    assert lines[0] == " ".join(["word"] * 8)
    assert all(line.startswith("  indented") for line in lines[3:-1])
    if stream == "stdout":
        echo_json(["a b " * 40])
        assert json.loads("\n".join(terminal_stream.getvalue().splitlines()[len(lines) :]))


def test_a_warning_is_one_line(capsys):
    import warnings

    code = "import warnings; warnings.warn('first \\x1b[31m\\nsecond')"
    with quiet_libraries(), guarded_streams(), warnings.catch_warnings():
        warnings.simplefilter("default")
        exec(code, {"__name__": "emoclf.somewhere"})
        exec(code.replace("first", "another"), {"__name__": "keras.somewhere"})
    assert capsys.readouterr().err == "Note: first \\x1b[31m second\n"


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_the_error_stream_holds_only_what_emoclf_writes():
    done = run_python(
        "import logging, os, sys, warnings\n"
        "from emoclf.apps.commands.terminal import echo, guarded_streams, quiet_libraries\n"
        "with guarded_streams(), quiet_libraries():\n"
        "    os.write(2, b'libpng warning: iCCP\\n')\n"
        "    logging.getLogger('tensorflow').error('retracing')\n"
        "    logging.warning('root')\n"
        "    warnings.warn('did not converge')\n"
        "    echo('ours', err=True)\n"
        "os.write(2, b'after\\n')\n"
        "logging.warning('after')\n"
    )
    assert done.stderr == "ours\nafter\nWARNING:root:after\n"


def test_a_crash_of_native_code_is_not_silent():
    done = run_python(
        "import os\n"
        "from emoclf.apps.commands.terminal import guarded_streams\n"
        "with guarded_streams():\n"
        "    os.abort()\n"
    )
    assert "Fatal Python error: Aborted" in done.stderr


def test_control_c_has_last_words_before_a_command_has_begun(monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("emoclf.apps.commands.make_app", stop)
    assert call("data-sets", code=130).stderr == "Stopped.\n"


class Screen(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


def test_a_file_is_told_once_what_is_waited_for():
    stream = Screen(is_terminal=False)
    clock = terminal._Clock(stream)
    for name in ("Loading TensorFlow", terminal.UNNAMED, ""):
        with waiting(name):
            for _ in range(2):
                clock.last -= 5
                clock._tick()
    clock.end()
    assert stream.getvalue() == "Loading TensorFlow ...\n"


def test_a_terminal_is_told_since_when_and_the_line_gives_way(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Screen(is_terminal=True)
    clock = terminal._Clock(stream)
    guarded = GuardedStream(stream, clock)
    with waiting("Training"):
        clock.last -= 1000
        clock._tick()
        shown = stream.getvalue().rpartition("\r")[2]
        assert re.fullmatch(r"Training \.\.\. 10\d\d s", shown)
        guarded.write("a line\n")
        assert stream.getvalue().endswith(f"\r{' ' * len(shown)}\ra line\n")
        guarded.write("half a line, such as a bar")
        clock.last -= 1000
        clock._tick()
        assert stream.getvalue().endswith("a bar"), "nothing is written into a line"
    clock.end()


def test_a_long_line_is_broken_before_its_command_and_a_labelled_command_stays_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen(is_terminal=True)
    monkeypatch.setattr("sys.stdout", screen)
    command = f"python -m emoclf notebook {'lesson ' * 9}"
    terminal.echo(f"{'What the matter is, in words. ' * 4}Give it so: {command}")
    terminal.echo(f"Undo it: {command}")
    *prose, alone, labelled, end = screen.getvalue().split("\n")
    assert len(prose) == 2 and all(len(line) <= 80 for line in prose)
    assert (alone, labelled, end) == (command, f"Undo it: {command}", "")


def test_a_wait_after_a_long_rest_is_counted_from_its_beginning_and_wiped_at_its_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Screen(is_terminal=True)
    clock = terminal._Clock(stream)
    clock.last -= 1000
    clock._tick()
    with waiting("Loading"):
        clock.last -= 5
        clock._tick()
    assert re.fullmatch(r"\rLoading \.\.\. \ds", stream.getvalue().replace(" s", "s"))
    clock._tick()
    assert stream.getvalue().endswith(f"\r{' ' * len('Loading ... 5 s')}\r")
    clock.end()


def run_in_shell(script, **environment):
    return subprocess.run(
        ["bash", "-c", script, "-", sys.executable],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("call", ["data-sets", "clean '{}'", "stage '{}' '{}-staged'"])
def test_closed_streams_are_no_traceback_and_get_into_no_file(tmp_path, closed, call):
    for name in ("happy", "sad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.jpg").write_text("no photo")
    script = f"$1 -W ignore -m emoclf {call.replace('{}', str(tmp_path / 'data'))} {closed}"
    done = run_in_shell(script)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert {path.read_text() for path in tmp_path.rglob("*.jpg")} == {"no photo"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_full_place_for_the_output_is_an_error_of_one_line():
    done = run_in_shell("$1 -m emoclf data-sets > /dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: <stdout>: {os.strerror(errno.ENOSPC)}. Make room on that disk, or choose another "
        "place, and give the command again (a training goes on with --resume)."
    ]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_other_encodings_of_the_output_are_no_traceback(tmp_path, environment):
    for name in ("happy 笑", "sad \udc9b\x1b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ü 笑 \udcff.jpg").write_text("no photo")
    done = run_in_shell(f'$1 -W ignore -m emoclf clean "{tmp_path}"', **environment)
    assert done.returncode == 0, done.stderr
    assert "not_an_image" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.fixture
def failing(monkeypatch):
    """Call a command that raises an error, and return what it says."""

    def fail_with(error):
        def fail(*_):
            raise error

        monkeypatch.setattr("emoclf.data.sources.list_data_sets", fail)
        called = call("data-sets", code=1)
        assert called.stdout == ""
        return called.stderr

    return fail_with


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory of this machine is not enough"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "ordinal not in range"),
        (zipfile.BadZipFile("a\x1b[31m"), r"BadZipFile: 'a\x1b[31m'"),
        (OSError(errno.ENOSPC, "x", "from.jpg", None, "to.jpg"), "to.jpg: "),
        (OSError(errno.ENOSPC, "pages of\nHDF5", "to.jpg"), os.strerror(errno.ENOSPC)),
        (OSError(errno.EDQUOT, "x", b"to.jpg"), "to.jpg: "),
        (PermissionError(errno.EACCES, "no", "a\x1b\n"), r"'a\x1b\n': no. Change the permissions"),
        (ValueError(), "ValueError"),
        (ValueError("of a library\nFORGED \x1b"), r"'of a library FORGED \x1b'"),
        (OSError("of a library\nFORGED"), "of a library FORGED"),
    ],
    ids=repr,
)
def test_every_error_is_said_in_a_line(failing, error, said):
    output = failing(error)
    assert said in output
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1


def test_an_error_of_a_library_that_is_not_loaded_is_looked_for_in_vain(monkeypatch):
    monkeypatch.delitem(sys.modules, "zipfile")
    assert zipfile.BadZipFile not in terminal.find_explained()
    assert csv.Error in terminal.find_explained()


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("clean", "--help"), ("-h",)])
def test_help_is_no_error(words):
    result = call(*words, code=0)
    assert "Error" not in result.output
    assert result.stderr == ""
