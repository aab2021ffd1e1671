"""Appends acts of operators to the stream of the day, by the one function that may do only that.

A login that appends no other event may call it: that of the API, and that of operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import TextClause, text

from handrail.audit.acts import CATEGORY, AuditEvent
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import shard_of
from handrail.kernel import stream_name

APPEND_AUDIT: Final[TextClause] = text(
    "SELECT append_audit(CAST(:stream AS jsonb), CAST(:events AS jsonb), CAST(:metadata AS jsonb))"
)
LONGEST_TARGET: Final = 1_000
"""Characters of a target; the rest of a longer one is cut off."""


def parameters(codec: Codec, event: AuditEvent, *, actor: str = "") -> dict[str, str]:
    """Those of `APPEND_AUDIT`. What is personal in the event is sealed already. `actor` is what
    the events of the act name as theirs; without it, it is the principal.
    """
    name = stream_name(CATEGORY, datetime.now(UTC).date().isoformat())
    encoded = codec.encode(event)
    stored: Mapping[str, Any] = {
        "of": 0,
        "nth": 1,
        "type": encoded.type,
        "schema": encoded.schema,
        "data": orjson.Fragment(encoded.data),
    }
    stream = {"name": name, "shard": shard_of(name), "expected": None, "added": 1}
    metadata = {
        "actor": actor or event.principal,
        "correlation": f"request-{event.request}",
        "causation": f"request-{event.request}",
    }
    return {
        "stream": orjson.dumps(stream).decode(),
        "events": orjson.dumps([stored]).decode(),
        "metadata": orjson.dumps(metadata).decode(),
    }
