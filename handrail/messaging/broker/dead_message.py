"""A message in a queue `dead` or `unrouted`, and what can be wrong with an act on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

DeadQueue = Literal["dead", "unrouted"]
MOST: Final = 1_000
"""Messages of a queue that are worked through at once."""
LOOKED: Final = 200
"""Messages of a queue that are shown, in pages. The broker does not keep what was fetched
where it was, so pages are those of what was fetched for each of them, sorted.
"""
LARGEST_EDIT: Final = 128 * 1024
"""Bytes of a body that is edited."""


class NotFound(LookupError):
    """There is no such virtual host, queue or message."""


class NoWayBack(ValueError):
    """The message has no queue to go to."""


class NotToBeEdited(ValueError):
    """The new body is not what the message's content type says."""


@dataclass(frozen=True, kw_only=True)
class DeadMessage:
    """`id` names it here, and is made of its content. `queue` is where it comes from, empty where
    it does not say so; `since` is when it came here, as far as that is known.
    """

    id: str
    message_id: str
    exchange: str
    routing_key: str
    queue: str
    cause: str
    since: datetime | None
    content_type: str
    headers: Mapping[str, Any]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@dataclass(frozen=True)
class Looked:
    """`total` is how many messages the queue has."""

    messages: Sequence[DeadMessage]
    total: int


@dataclass(frozen=True)
class Acted:
    """`done` are the ids of messages that are gone from the queue; `left` says of others why they
    are not. `remaining` are in the queue.
    """

    done: Sequence[str]
    left: Mapping[str, str]
    remaining: int
