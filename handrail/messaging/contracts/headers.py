"""The headers of a message: the attributes of a CloudEvent in binary mode, each a text."""

from __future__ import annotations

from typing import Any, Final

import orjson

from handrail.messaging.contracts.examples import Examples

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]+$"}

_ALWAYS: Final[dict[str, dict[str, Any]]] = {
    "ce-specversion": {"const": "1.0"},
    "ce-id": {**_TEXT, "description": "The same however often the event comes: stream/version."},
    "ce-source": {**_TEXT, "description": "The context that tells it."},
    "ce-type": {**_TEXT, "description": "As the routing key."},
    "ce-subject": {**_TEXT, "description": "The stream."},
    "ce-time": {**_TEXT, "format": "date-time", "description": "When it was stored."},
    "ce-stream": {},
    "ce-streamversion": {
        **_NUMBER,
        "description": "Its number in the stream, from 1 without a gap: what tells order.",
    },
    "ce-position": {**_NUMBER, "description": "Its number in the store, with gaps."},
    "ce-schema": {**_NUMBER, "description": "The version of its schema."},
    "ce-metadata": {
        **_TEXT,
        "contentMediaType": "application/json",
        "description": "All that is known of who caused it, and what.",
    },
}
_SOMETIMES: Final[dict[str, dict[str, Any]]] = {
    "ce-actor": {**_TEXT, "description": "Who asked for it."},
    "ce-correlation": {**_TEXT, "description": "The process it belongs to."},
    "ce-causation": {**_TEXT, "description": "The idempotency key of the step that caused it."},
    "ce-step": {**_TEXT, "description": "The step of the process."},
    "ce-stored": {
        **_TEXT,
        "description": "Of a copy in another form than the stored one: that form's routing key.",
    },
    "ce-saga": {**_TEXT, "description": "The process, where it is told apart."},
}


def headers(tenant: str, stream: str) -> dict[str, Any]:
    """The schema of a message's headers, where the tenant is called so; `stream` is an example."""
    about = {**_TEXT, "description": f"The {tenant} it is about."}
    always = {**_ALWAYS, "ce-stream": {**_TEXT, "description": f"The stream: {stream}."}}
    trace = {**_TEXT, "description": "W3C Trace Context."}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, binary mode; attributes are header fields with `ce-`.",
        "properties": {
            **always,
            **_SOMETIMES,
            f"ce-{tenant}": about,
            "ce-traceparent": trace,
        },
        "required": sorted(always),
    }


def example_headers(examples: Examples) -> dict[str, str]:
    """Those of an event of the examples' stream; what depends on the event is put over it."""
    stream, saga = examples.stream, examples.fields.get("saga", "saga-1")
    actor = examples.fields.get("actor", "actor-1")
    return {
        "ce-specversion": "1.0",
        "ce-id": f"{stream}/2",
        "ce-source": "",
        "ce-type": "",
        "ce-subject": stream,
        "ce-time": "2026-03-02T12:00:00Z",
        "ce-stream": stream,
        "ce-streamversion": "2",
        "ce-position": "4711",
        "ce-schema": "1",
        "ce-metadata": orjson.dumps({"actor": actor, "correlation": saga}).decode(),
        "ce-actor": actor,
        "ce-correlation": saga,
    }
