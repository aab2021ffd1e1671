"""The AsyncAPI document: virtual hosts, exchanges, queues, and what travels through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from handrail.kernel import Event, context_of
from handrail.messaging.broker.plan import EVENTS, SAGAS, BrokerPlan
from handrail.messaging.broker.topology import topology
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.contracts.changes import Deprecated, deprecated_forms
from handrail.messaging.contracts.headers import example_headers, headers
from handrail.messaging.contracts.schemas import Described, Schema, schema_of, tolerant
from handrail.messaging.relay.routing import Routing

_BINDING: Final = "0.3.0"
_ABOUT: Final = """\
The events of Handrail. Each is published once it is stored, to every exchange it belongs to, with \
its routing key `{context}.{event}.v{schema}`: persistent, confirmed, in order per stream. It may \
come more than once; `ce-id` tells. Readers pass over fields they do not know: a field with a \
default may be added to a version at any time, and nothing else changes without a new one.
"""
_EXCHANGES: Final[dict[str, str]] = {
    EVENTS: "What happened in the business, of every context.",
    SAGAS: "How processes go, step by step: for those who run them.",
}


def document(
    events: Sequence[type[Event]],
    described: Described,
    routing: Routing,
    consumers: Sequence[Consumer],
) -> Schema:
    """AsyncAPI 3.0, complete in itself. Without a broker it has messages only."""
    consumers = sorted(consumers, key=lambda one: one.name)
    older = deprecated_forms(events, described)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Handrail events",
            "version": "1",
            "description": _ABOUT.strip(),
            "tags": [{"name": name} for name in sorted({context_of(one) for one in events})],
        },
        "defaultContentType": "application/json",
        **_places(events, routing, consumers),
        "components": {
            "messages": {
                **{event.__name__: _message(event, described) for event in events},
                **{name: _deprecated(name, one) for name, one in older.items()},
            },
            "schemas": {
                "CloudEventHeaders": headers(described.codec.tenant, described.examples.stream),
                **_schemas(events, described),
                **{
                    name: {**_with_local_references(tolerant(one.schema)), "deprecated": True}
                    for name, one in older.items()
                },
            },
        },
    }


def _places(
    events: Sequence[type[Event]], routing: Routing, consumers: Sequence[Consumer]
) -> Schema:
    if routing.plan is None:
        return {"servers": {}, "channels": {}, "operations": {}}
    plan = routing.plan
    return {
        "servers": {host.name: _server(host.name) for host in topology(routing, consumers).hosts},
        "channels": {
            **{name: _exchange(name, plan, routing, events) for name in plan.exchange_names},
            **{name: _log(name, plan, routing, events) for name in plan.logs},
            **{
                f"{name}.{exchange}": _followed(name, exchange, plan, consumers)
                for name, exchange in plan.services.items()
            },
            **{f"{consumer.vhost}.{consumer.queue}": _queue(consumer) for consumer in consumers},
        },
        "operations": {
            **{f"publish.{name}": _publishes(name) for name in plan.exchange_names},
            **{f"consume.{one.name}": _consumes(one) for one in consumers},
        },
    }


def _server(vhost: str) -> Schema:
    return {
        "host": "{broker}",
        "pathname": f"/{vhost}",
        "protocol": "amqp",
        "protocolVersion": "0-9-1",
        "description": f"The virtual host `{vhost}` of the broker.",
        "variables": {"broker": {"default": "localhost:5672", "description": "host:port"}},
    }


def _exchange(
    name: str, plan: BrokerPlan, routing: Routing, events: Iterable[type[Event]]
) -> Schema:
    here = [event for event in events if name in routing.exchanges_of(event.__name__)]
    about = _EXCHANGES | {exchange.name: exchange.about for exchange in plan.exchanges}
    return _routed(plan.home, name, about[name], here)


def _followed(
    service: str, exchange: str, plan: BrokerPlan, consumers: Iterable[Consumer]
) -> Schema:
    """The exchange of a service's own virtual host."""
    wanted = [
        event for consumer in consumers if consumer.vhost == service for event in consumer.wants
    ]
    about = f"Of `{exchange}` in `{plan.home}` what the queues here are bound to, by federation."
    return _routed(service, exchange, about, wanted)


def _log(name: str, plan: BrokerPlan, routing: Routing, events: Iterable[type[Event]]) -> Schema:
    kept = plan.logs[name]
    here = [event for event in events if set(kept) & set(routing.exchanges_of(event.__name__))]
    about = f"A stream of all that {' and '.join(kept)} had in the last days, to be read again."
    return _queued(plan.home, name, about, here)


def _queue(consumer: Consumer) -> Schema:
    about = f"What the consumer `{consumer.name}` wants, as messages of its own."
    return _queued(consumer.vhost, consumer.queue, about, consumer.wants)


def _routed(vhost: str, exchange: str, about: str, events: Iterable[type[Event]]) -> Schema:
    events = list(events)
    return {
        "address": "{context}.{event}.v{schema}",
        "description": about,
        "servers": [{"$ref": f"#/servers/{vhost}"}],
        "parameters": {
            "context": {
                "description": "Who it is told by.",
                "enum": sorted({context_of(event) for event in events}),
            },
            "event": {"description": "The event's name."},
            "schema": {"description": "The version of its schema."},
        },
        "messages": _references(events),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange,
                    "type": "topic",
                    "durable": True,
                    "autoDelete": False,
                    "vhost": vhost,
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _queued(vhost: str, queue: str, about: str, events: Iterable[type[Event]]) -> Schema:
    return {
        "address": queue,
        "description": about,
        "servers": [{"$ref": f"#/servers/{vhost}"}],
        "messages": _references(events),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": queue,
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                    "vhost": vhost,
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _publishes(exchange: str) -> Schema:
    return {
        "action": "send",
        "summary": f"The relay publishes to `{exchange}`.",
        "channel": {"$ref": f"#/channels/{exchange}"},
        "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": _BINDING}},
    }


def _consumes(consumer: Consumer) -> Schema:
    at_a_time = "one process, in the order of each stream" if consumer.ordered else "any number"
    return {
        "action": "receive",
        "summary": f"The consumer `{consumer.name}` takes them: {at_a_time}.",
        "channel": {"$ref": f"#/channels/{consumer.vhost}.{consumer.queue}"},
        "bindings": {"amqp": {"ack": True, "bindingVersion": _BINDING}},
    }


def _references(events: Iterable[type[Event]]) -> Schema:
    names = sorted({event.__name__ for event in events})
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _message(event: type[Event], described: Described) -> Schema:
    name, context = event.__name__, context_of(event)
    schema = described.codec.version(name)
    key = f"{context}.{name}.v{schema}"
    of_event = schema_of(event, described)
    about = of_event.get("description")
    example = example_headers(described.examples)
    constant = {"ce-source": f"/handrail/{context}", "ce-type": key, "ce-schema": str(schema)}
    return {
        "name": name,
        "title": key,
        **({"summary": about} if about else {}),
        "tags": [{"name": context}],
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEventHeaders"},
                {"properties": {header: {"const": value} for header, value in constant.items()}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"amqp": {"messageType": key, "bindingVersion": _BINDING}},
        "examples": [
            {"headers": {**example, **constant}, "payload": one} for one in of_event["examples"]
        ],
    }


def _deprecated(name: str, older: Deprecated) -> Schema:
    """An older form: it is published until the write level of its event was raised."""
    key = f"{older.context}.{name}"
    return {
        "name": older.form.name,
        "title": key,
        "summary": f"Deprecated: becomes {older.becomes}.",
        "tags": [{"name": older.context}],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"amqp": {"messageType": key, "bindingVersion": _BINDING}},
    }


def _schemas(events: Iterable[type[Event]], described: Described) -> Schema:
    """Those of all events, and of what they hold.

    Raises ValueError where two of one name are different.
    """
    found: Schema = {}
    for event in events:
        schema = tolerant(schema_of(event, described))
        parts = {event.__name__: schema, **schema.get("$defs", {})}
        for name, one in parts.items():
            plain = {key: value for key, value in one.items() if key not in _NOT_HERE}
            if found.setdefault(name, _with_local_references(plain)) != _with_local_references(
                plain
            ):
                raise ValueError(f"{name} stands for two things")
    return {name: found[name] for name in sorted(found)}


_NOT_HERE: Final = {"$schema", "$id", "$defs", "examples"}


def _with_local_references(schema: Any) -> Any:
    """With references into this document."""
    match schema:
        case {"$ref": str(target)}:
            return {"$ref": target.replace("#/$defs/", "#/components/schemas/")}
        case dict():
            return {key: _with_local_references(value) for key, value in schema.items()}
        case list():
            return [_with_local_references(one) for one in schema]
        case _:
            return schema
