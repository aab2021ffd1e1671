"""The message of a webhook: a public event as CloudEvents 1.0 in JSON, and its id.

It is what the broker has of the event, without what is of no concern to a tenant: who acted, causes
and traces, and the place in the store. A personal text never leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from handrail.messaging.envelope import id_of
from handrail.personal import holds_sealed

CONTENT_TYPE: Final = "application/cloudevents+json"
WITHHELD: Final = "[withheld]"
"""Stands for a personal text."""
TEST_TYPE: Final = "webhooks.EndpointTested.v1"
_TEST_SOURCE: Final = "/handrail/webhooks"


def message_id(stream: str, version: int, key: str, *, position: int | None = None) -> str:
    """The `webhook-id` of an event in a form: the same however often it is sent.

    `position` belongs into that of an event of a later epoch than the first: a stream's version may
    have been another event's then, which was sent and is lost; a position is given out once.
    """
    said = f"{id_of(stream, version)}\n{key}"
    if position is not None:
        said += f"\n{position}"
    return f"msg_{hashlib.sha256(said.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message says of an event. `key` is the routing key of the form that was asked for,
    `word` what the App calls its tenant.
    """

    stream: str
    version: int
    key: str
    at: datetime
    word: str
    tenant: str
    data: Mapping[str, Any]

    def body(self) -> bytes:
        """JSON, the same bytes each time."""
        context, _, version = self.key.split(".")
        return orjson.dumps(
            {
                "specversion": "1.0",
                "id": id_of(self.stream, self.version),
                "source": f"/handrail/{context}",
                "type": self.key,
                "subject": self.stream,
                "time": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "datacontenttype": "application/json",
                "stream": self.stream,
                "streamversion": self.version,
                "schema": int(version.removeprefix("v")),
                self.word: self.tenant,
                "data": self.data,
            }
        )


def body_of_test(endpoint: str, stream: str, version: int, at: datetime) -> bytes:
    """What a test sends: no event, and in the same form."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id_of(stream, version),
            "source": _TEST_SOURCE,
            "type": TEST_TYPE,
            "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {"endpoint": endpoint},
        }
    )


def withheld(value: Any, names: AbstractSet[str]) -> Any:
    """The data without personal texts: those under these names, and whatever is sealed."""
    if isinstance(value, str):
        return WITHHELD if holds_sealed(value) else value
    if isinstance(value, Mapping):
        return {
            name: _hidden(one) if name in names else withheld(one, names)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [withheld(one, names) for one in value]
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [WITHHELD for _ in value]
    return WITHHELD if value else value
