"""Events as messages: CloudEvents 1.0 in binary mode, in the headers and body of AMQP 0-9-1.

The only module that needs the SDK, of the extra `broker`: without a broker nobody imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

import orjson
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.evolution.forms import Form
from handrail.messaging.envelope import Received, id_of
from handrail.messaging.relay.routing import Routing
from handrail.tenant_word import tenant_in

_FORMAT: Final = JSONFormat()
_JSON: Final = "application/json"

EXTENSIONS: Final = ("saga", "step", "correlation", "causation", "actor", "traceparent")
"""What a message says of its metadata in attributes of their own, to be filtered by. The tenant is
one more, under the App's word.
"""

_LARGEST_BODY: Final = 16 * 1024 * 1024
"""In bytes. What RabbitMQ 4 takes by default; a larger message costs the channel."""
_LARGEST_METADATA: Final = 64 * 1024
"""In bytes. Headers must fit into one frame, which is 128 KiB by default."""


class Unpublishable(ValueError):
    """No broker would take a message of this event."""


class NotAnEvent(ValueError):
    """A message that none of us published: it has no id, stream or body to work with."""


def message_of(
    recorded: Recorded, routing: Routing, stored: Form | None = None
) -> tuple[dict[str, str], bytes, str]:
    """Headers, body and content type. `stored` is the form in the store, where this is a copy in
    another.

    Raises UnknownMessage for an event this code does not know, Unpublishable for one too large.
    """
    body = orjson.dumps(recorded.data)
    metadata = orjson.dumps(recorded.metadata)
    if len(body) > _LARGEST_BODY or len(metadata) > _LARGEST_METADATA:
        raise Unpublishable(
            f"{len(body)} bytes of data and {len(metadata)} of metadata:"
            f" a message has at most {_LARGEST_BODY} and {_LARGEST_METADATA}"
        )
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": id_of(recorded.stream, recorded.version),
        "source": f"/handrail/{routing.context_of(recorded.type)}",
        "type": routing.routing_key(recorded.type, recorded.schema),
        "subject": recorded.stream,
        "time": recorded.recorded_at.astimezone(UTC),
        "datacontenttype": _JSON,
        "stream": recorded.stream,
        "streamversion": recorded.version,
        "position": recorded.position,
        "schema": recorded.schema,
        "metadata": metadata.decode(),
    }
    for name in EXTENSIONS:
        if name in recorded.metadata:
            attributes[name] = recorded.metadata[name]
    if (tenant := tenant_in(recorded.metadata, routing.tenant)) is not None:
        attributes[routing.tenant] = tenant
    if stored is not None:
        attributes["stored"] = routing.routing_key(stored.name, stored.version)
    message = to_binary(CloudEvent(attributes, body), _FORMAT)
    return message.headers, message.body, _JSON


def received(headers: Mapping[str, Any], body: bytes, codec: Codec) -> Received:
    """The event that a message carries; other headers than those of CloudEvents are passed over.

    Raises NotAnEvent.
    """
    try:
        return _received(headers, body, codec)
    except Exception as error:
        raise NotAnEvent(f"{type(error).__name__}: {error}") from error


def _received(headers: Mapping[str, Any], body: bytes, codec: Codec) -> Received:
    if "ce-time" not in headers:  # the SDK would say now
        raise KeyError("ce-time")
    event = from_binary(RabbitMQMessage(dict(headers), _JSON, body), _FORMAT, CloudEvent)
    attributes, data = event.get_attributes(), event.get_data()
    form = _form(attributes["type"])
    stored = attributes.get("stored")
    metadata = orjson.loads(attributes["metadata"])
    if not (isinstance(data, dict) and isinstance(metadata, dict)):
        raise TypeError("data and metadata must be objects")
    stream, version_ = attributes["stream"], int(attributes["streamversion"])
    if attributes["id"] != id_of(stream, version_):
        raise ValueError(f"{attributes['id']} is not version {version_} of {stream}")
    return Received(
        id=attributes["id"],
        type=form.name,
        schema=form.version,
        stream=stream,
        version=version_,
        position=int(attributes["position"]),
        recorded_at=attributes["time"],
        metadata=metadata,
        data=data,
        codec=codec,
        stored=_form(stored) if stored is not None else None,
    )


def _form(key: str) -> Form:
    """As it stands in a routing key."""
    _, name, version = key.split(".")
    return Form(name, int(version.removeprefix("v")))
