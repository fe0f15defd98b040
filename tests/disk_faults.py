"""Lets one change of the disk fail: the process is killed there, or the disk is full from there on.

A function is called in a child process, and disk_faults.c, which gcc compiles, follows the child's
system calls. So the writers of TensorFlow, HDF5 and the C library are seen like Python's own. The
parent must be a process without threads: see faulted_commands.py. Linux on x86-64 only.
"""

import atexit
import contextlib
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FAULTS = ("none", "kill", "kill half-way", "disk full", "disk full half-way")
"""Kill before the change, or after half a write; from the change on no space, or after half."""

_SOURCE = Path(__file__).with_suffix(".c")
_LONGEST_SECONDS = 280


@dataclass(frozen=True)
class Change:
    """A change of the disk: its number in the run, counted from 1, and what it does.

    `target` is the new name of a renaming; `takes_space` says whether a full disk refuses it.
    """

    number: int
    kind: str
    path: str
    target: str = ""
    bytes: int = 0
    takes_space: bool = False

    @property
    def can_be_halved(self) -> bool:
        return self.kind == "write" and self.bytes > 1


@dataclass(frozen=True)
class WatchedRun:
    """How a run ended: exit code (negative: the signal), what it printed, what it changed.

    `outside` are the changes that are not below the watched folder.
    """

    code: int
    text: str
    changes: tuple[Change, ...]
    outside: tuple[Change, ...]

    @property
    def is_killed(self) -> bool:
        return self.code == -signal.SIGKILL


def find_obstacle() -> str:
    """Return why disk faults cannot be tried on this machine; empty when they can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the system calls of Linux on x86-64 are followed"
    return "" if shutil.which("gcc") else "gcc compiles what follows the system calls"


class Follower:
    """Compiles disk_faults.c into `folder`, and calls functions under it."""

    def __init__(self, folder: Path) -> None:
        library = folder / "disk_faults.so"
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(library), str(_SOURCE)], check=True)
        self._library = ctypes.CDLL(str(library), use_errno=True)
        self._log, self._output = folder / "changes", folder / "output"

    def call(
        self, function: Callable[[], None], folder: Path, *, fault: str = "none", at: int = 0
    ) -> WatchedRun:
        """Call a function in a child whose working folder is `folder`, where changes count."""
        if len(list(Path("/proc/self/task").iterdir())) > 1:
            raise RuntimeError("threads do not survive a fork: call this before any is started")
        keeper = os.fork()
        if keeper == 0:
            with _ending():
                self._keep(function, folder, FAULTS.index(fault), at)
        _, status = os.waitpid(keeper, 0)
        code = int(self._log.with_suffix(".code").read_text()) if status == 0 else None
        if code is None:
            raise RuntimeError("the run could not be followed: is ptrace forbidden here?")
        every = [_read_change(line) for line in self._log.read_bytes().split(b"\0")[:-1]]
        return WatchedRun(
            code,
            self._output.read_text(encoding="utf-8", errors="replace"),
            tuple(change for change in every if change.number),
            tuple(each for each in every if not each.number and each.path != str(self._output)),
        )

    def _keep(self, function: Callable[[], None], folder: Path, fault: int, at: int) -> None:
        """Fork the watched child and follow it to its end."""
        waits, goes = os.pipe()
        child = os.fork()
        if child == 0:
            with _ending():
                os.close(goes)
                os.read(waits, 1)
                os.close(waits)
                _enter(folder, self._output)
                if self._library.install_filter() != 0:
                    raise OSError(ctypes.get_errno(), "the seccomp filter was refused")
                os._exit(_finish(function))
        if self._library.begin(child) != 0:
            os.kill(child, signal.SIGKILL)
            raise OSError(ctypes.get_errno(), "ptrace was refused")
        os.write(goes, b"x")
        names = [os.fsencode(path) for path in (folder, self._log)]
        status = self._library.follow(child, *names, fault, ctypes.c_long(at))
        code = os.waitstatus_to_exitcode(status)
        self._log.with_suffix(".code").write_text(str(code))


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """End this forked process behind the block: what its parent has begun is the parent's."""
    code = 1
    try:
        yield
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent may be run on
        traceback.print_exc()
    finally:
        os._exit(code)


def _enter(folder: Path, output: Path) -> None:
    """Make this process as good as a new one: folders, streams, temporary files."""
    os.chdir(folder)
    (folder / "tmp").mkdir(exist_ok=True)
    os.environ |= {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")}
    tempfile.tempdir = None
    sys.dont_write_bytecode = True
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    signal.alarm(_LONGEST_SECONDS)


def _finish(function: Callable[[], None]) -> int:
    """Call a function and end as the interpreter would; return the exit code."""
    code = 0
    try:
        function()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter does at its end
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


def _read_change(line: bytes) -> Change:
    number, kind, takes_space, size, path, target = os.fsdecode(line).split("\t", 5)
    return Change(int(number), kind, path, target, int(size), takes_space == "1")
