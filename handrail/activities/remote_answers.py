"""What another company answered, read so that a clear answer stays one, however it is worded."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from handrail.bounds import ANSWER_BYTES

_TORN_ESCAPE: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_ENDS: Final = ('"}', "}", "")


def read_answer(content: bytes) -> Any:
    """The JSON of an answer; of one that is longer than is read, what its beginning says.

    Texts in it may hold what cannot be stored. Raises ValueError for what is no JSON.
    """
    text = content[:ANSWER_BYTES].decode(errors="replace")
    if len(content) <= ANSWER_BYTES:
        return _read(text)
    text = _TORN_ESCAPE.sub(r"\1", text)
    for end in _ENDS:
        try:
            return _read(text + end)
        except ValueError:
            continue
    raise ValueError(f"an answer of more than {ANSWER_BYTES} bytes")


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("an answer of too many levels") from None
