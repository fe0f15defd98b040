"""What a browser may ask of the page's functions: everything else is refused, unread by Gradio."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emoclf.apps.page.keeping import PhotoFolder

MAX_CALL_BYTES = 2**16
"""Longest call: it names a photo and does not hold one."""

PHOTO_GONE = "This photo is not here, or not any more. Choose it again."
"""Said of every path that is no upload, whether there is a file or not."""

_SESSION = re.compile(r"[\w-]{1,100}")


class CallRefusedError(ValueError):
    """A call that this page never makes; the message is for who made it."""


@dataclass(frozen=True)
class Calls:
    """The two functions of the page, and what they take.

    Attributes:
        photos: Where an uploaded photo has to lie.
        networks: The names to choose from.
        answer_id: Gradio's number of the function that answers a photo.
        example_id: Gradio's number of the function that shows an example; None without examples.
        examples: How many examples there are.
    """

    photos: PhotoFolder
    networks: Sequence[str]
    answer_id: int
    example_id: int | None = None
    examples: int = 0

    def rewrite(self, content: bytes, *, function_id: int | None = None) -> bytes:
        """Check a call and write it anew, of nothing but what was checked.

        Args:
            content: JSON that a client sent.
            function_id: Which function is called; None where the call says it.

        Returns:
            JSON for Gradio.

        Raises:
            CallRefusedError: If it is none of the page's own calls.
        """
        try:
            call = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CallRefusedError("This is no JSON that the page could send.") from error
        if not isinstance(call, dict) or not isinstance(call.get("data"), list):
            raise CallRefusedError("Expected an object with a list called data.")
        number = call.get("fn_index") if function_id is None else function_id
        made: dict[str, Any] = {"data": self._check_data(number, call["data"]), "fn_index": number}
        if isinstance(call.get("session_hash"), str) and _SESSION.fullmatch(call["session_hash"]):
            made["session_hash"] = call["session_hash"]
        if type(call.get("trigger_id")) is int:
            made["trigger_id"] = call["trigger_id"]
        return json.dumps(made).encode()

    def _check_data(self, number: Any, data: list[Any]) -> list[Any]:
        if type(number) is int and number == self.answer_id:
            return self._check_question(data)
        is_example = type(number) is int and number == self.example_id
        if is_example and len(data) == 1 and type(data[0]) is int and 0 <= data[0] < self.examples:
            return data
        raise CallRefusedError("The page has no such function, or takes other values for it.")

    def _check_question(self, data: list[Any]) -> list[Any]:
        if len(data) != 4 or not all(type(choice) is bool for choice in data[2:]):
            raise CallRefusedError(
                "Expected a photo or null, the name of a network, and two times true or false."
            )
        photo, network, whole_photo, show_map = data
        if not isinstance(network, str) or network not in self.networks:
            raise CallRefusedError("There is no network of this name here.")
        return [self._check_photo(photo), network, whole_photo, show_map]

    def _check_photo(self, photo: Any) -> dict[str, Any] | None:
        if photo is None:
            return None
        path = photo.get("path") if isinstance(photo, dict) else None
        if not self.photos.has(path):
            raise CallRefusedError(PHOTO_GONE)
        # Gradio looks at the files of a call that carry this mark, and trusts the others.
        return {"path": path, "meta": {"_type": "gradio.FileData"}}
