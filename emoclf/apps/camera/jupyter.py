"""The browser of a Jupyter on this machine.

JavaScript goes out as the output of a cell. Its answer comes back to a server that only this
machine can reach, at an address that nobody can guess.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from emoclf.apps.camera.frames import CameraUnavailableError
from emoclf.apps.camera.letters import Mailbox, serve_mailbox

_GREETING_SECONDS = 4.0

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
    mailbox = Mailbox()
    with serve_mailbox(mailbox) as address:
        code = _SCRIPT.replace("ADDRESS", address).replace("SCRIPT", json.dumps(script))
        remove = (show or _show_output)(code)
        try:
            if not mailbox.is_greeted.wait(greeting_seconds):
                raise CameraUnavailableError(
                    "No browser of this machine shows this notebook.", reason="no-browser"
                )
            if not mailbox.is_answered.wait(timeout_seconds):
                raise CameraUnavailableError(
                    "The browser gave no answer. Run the cell again.", reason="timeout"
                )
        finally:
            remove()
    return mailbox.read_answer()


def _show_output(code: str) -> Callable[[], Any]:
    from IPython.display import HTML, Javascript, display

    shown = display(Javascript(code), display_id=True)
    # Left in the notebook, the code would run again whenever the notebook is opened.
    return lambda: shown.update(HTML(""))
