"""A command called as a shell calls it, in this process: its exit code and what it printed."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from emoclf.__main__ import main

PATIENCE_SECONDS = 900
"""How long what must happen is waited for: it ends a test that hangs, and fails none for being
slow. How quick things are is measured in tests/benchmarks/."""


@dataclass
class Called:
    exit_code: int
    stdout: str
    stderr: str
    output: str
    """Both, in the order in which they were written."""


class _Copied(io.StringIO):
    def __init__(self, copy):
        super().__init__()
        self.copy = copy

    def write(self, text):
        self.copy.write(text)
        return super().write(text)


def call(*words, code=None):
    """Call `emoclf` with these words, and check its exit code if one is given."""
    both = io.StringIO()
    output, errors = _Copied(both), _Copied(both)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            exit_code = main([str(word) for word in words])
        except SystemExit as end:
            exit_code = end.code
    called = Called(exit_code, output.getvalue(), errors.getvalue(), both.getvalue())
    assert code is None or exit_code == code, called.output
    return called
