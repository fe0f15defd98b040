"""One HTML file that sees, answers and learns in any browser, without a server or a network.

What runs in the browser is plain JavaScript in small modules: `engine/` runs the networks,
`vision/` finds and cuts out faces, `answering/` turns logits into answers, `teaching/` learns from
examples, `screen/` is what is seen. `assembling` joins them with the networks, which `networks`
gathers, and with `page.html`.
"""

from emoclf.apps.browser.assembling import ROOM, build_page

__all__ = ["PICTURE", "build_page"]

PICTURE = ROOM / "page.png"
"""The page, seen with three drawn faces."""
