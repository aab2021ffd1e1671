"""The JSON Schema of an event's data, as its writer keeps it: no field that is not named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from handrail.eventstore.codec import Codec
from handrail.kernel import Event
from handrail.messaging.contracts.examples import Examples, example_of

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def name_of(event: str, version: int) -> str:
    """As in `CreditHeld.v1`."""
    return f"{event}.v{version}"


@dataclass(frozen=True)
class Described:
    """How events are described: by the codec that writes them, and with which examples."""

    codec: Codec
    examples: Examples


def schema_of(event: type[Event], described: Described) -> Schema:
    """Of the version this code writes. Every object in it is closed: a reader that validates
    sees at once what was added. Readers had better be tolerant: `tolerant`.
    """
    codec = described.codec
    plain = codec.adapter(event).json_schema(mode="serialization")
    version = codec.version(event.__name__)
    said = described.examples.meanings.get(event.__name__)
    example = example_of(event, described.examples, codec.tenant)
    schema: Schema = {
        "$schema": DIALECT,
        "$id": f"urn:handrail:event:{name_of(event.__name__, version)}",
        **cast("Schema", _tidy(plain)),
        **({"description": said} if said else {}),
        "examples": [orjson.loads(codec.encode(example).data)],
    }
    return {"$schema": schema.pop("$schema"), "$id": schema.pop("$id"), **_ordered(schema)}


def tolerant(schema: Any) -> Any:
    """The same for readers: what they do not know, they pass over."""
    match schema:
        case dict():
            return {k: tolerant(v) for k, v in schema.items() if k != "additionalProperties"}
        case list():
            return [tolerant(one) for one in schema]
        case _:
            return schema


def _tidy(schema: Any) -> Any:
    """Without titles that only repeat the name, and with every object closed."""
    if not isinstance(schema, Mapping):
        return [_tidy(one) for one in schema] if isinstance(schema, list) else schema
    tidy: Schema = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            tidy[key] = {name: _without_title(_tidy(one)) for name, one in value.items()}
        elif key == "description":
            tidy[key] = " ".join(value.split())
        elif key in {"default", "enum", "required"}:
            tidy[key] = value
        else:
            tidy[key] = _tidy(value)
    if tidy.get("type") == "object":
        tidy.setdefault("properties", {})
        tidy["additionalProperties"] = False
    return tidy


def _without_title(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _ordered(schema: Schema) -> Schema:
    first = ("title", "description", "type", "properties", "required", "additionalProperties")
    return {
        **{key: schema[key] for key in first if key in schema},
        **{key: schema[key] for key in sorted(schema) if key not in first},
    }
