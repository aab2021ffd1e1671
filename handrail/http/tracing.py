"""The trace a request belongs to: it goes with the process that the request begins.

W3C Trace Context, level 1. We start no spans: what the caller sends is kept beside every event, and
sent with every message, so that a trace can be followed to what it caused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_FORM: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

_traceparent: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent() -> str:
    """Of the request that is being answered; empty where it belongs to no trace."""
    return _traceparent.get()


@contextmanager
def traced(header: str) -> Iterator[None]:
    """A header of another form is passed over, as the standard wants: it is no error."""
    token = _traceparent.set(header if _FORM.fullmatch(header) else "")
    try:
        yield
    finally:
        _traceparent.reset(token)
