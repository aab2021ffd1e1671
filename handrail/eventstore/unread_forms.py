"""Which form of an event a cause says could not be read: of what was parked, or waits, for that."""

from __future__ import annotations

import re
from typing import Final

from handrail.eventstore.codec import Codec, UnknownMessage
from handrail.eventstore.newer_code_decisions import Form

_UNREAD: Final = re.compile(r"UnknownMessage: (\w+) v(\d+)|^(\w+) v(\d+) is unknown: ")


def may_be_unread(column: str) -> str:
    """SQL, in a statement with parameters: whether a cause may name a form that was not read."""
    return f"({column} LIKE '%%UnknownMessage: %%' OR {column} LIKE '%% is unknown: %%')"


def unread_form(cause: str) -> Form | None:
    """The type and version that could not be read, where that is the cause."""
    if (found := _UNREAD.search(cause)) is None:
        return None
    type_, schema, at_relay, schema_at_relay = found.groups()
    return type_ or at_relay, int(schema or schema_at_relay)


def is_readable_now(cause: str, codec: Codec) -> bool:
    """Whether the code reads now what could not be read."""
    form = unread_form(cause)
    return form is not None and codec.reads(*form)


def check_reads(codec: Codec, type_: str, schema: int) -> None:
    """Raises UnknownMessage for a form of newer code."""
    if not codec.reads(type_, schema):
        raise UnknownMessage(f"{type_} v{schema}")
