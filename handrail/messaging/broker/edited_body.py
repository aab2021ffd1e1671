"""Bodies of messages as operators see and edit them: sealed texts stay sealed.

An API opens the sealed texts of its answers. A body that came opened would come back in clear, and
lie so in the store and at the broker. So its sealed texts are shown with a mark of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from handrail.personal import SEALED, is_sealed

_SHOWN: Final = "\N{SYMBOL FOR RECORD SEPARATOR}"
_SHOWN_SEALED: Final = re.compile(rf"{_SHOWN}(?=sealed:[0-9a-f]{{32}}:)")


def as_shown(body: str) -> str:
    """With sealed texts that no answer opens: a visible mark stands for theirs."""
    return SEALED.sub(lambda found: _SHOWN + found[0][len(found["mark"]) :], body)


def as_sent(body: str) -> str:
    """What was shown and edited, as JSON text with sealed texts as they were."""
    return _SHOWN_SEALED.sub(r"\\u001e", body)


def unsealed(original: bytes, edited: bytes) -> str:
    """The name of a field whose text is sealed in the original and in clear in the edited body;
    empty where there is none. A body that is no JSON has none.
    """
    try:
        before, after = orjson.loads(original), orjson.loads(edited)
    except orjson.JSONDecodeError:
        return ""
    personal = {name for name, text in _texts(before) if is_sealed(text)}
    return next(
        (name for name, text in _texts(after) if name in personal and text and not is_sealed(text)),
        "",
    )


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Each text with the name of the field that it stands in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name)
