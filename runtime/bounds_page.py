"""Write `docs/bounds.md`: every field that comes from outside, and what bounds it.

It is read from the types themselves: the OpenAPI document, the commands, the webhooks and the
answers of other companies. A field without a bound has no line there, and is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from api.webhook_messages import WEBHOOKS
from handrail import bounds
from handrail.activities.http_gateway import No, Yes
from handrail.command_fields import bounds_of, why_not_correctable
from handrail.http.application import create_app
from handrail.http.webhook_sources import Envelope
from handrail.processes.api import lazy_client
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL

PAGE: Final = Path(__file__).parents[1] / "docs" / "bounds.md"

Line = tuple[str, str]
"""A field, and its bound."""
Schema = Mapping[str, Any]

_HEAD: Final = f"""# Bounds

What every field that comes from outside may be. The bounds stand in `handrail/bounds.py`. This page
is written from the types by `make bounds`; `tests/architecture/test_bounds_page.py` compares the
two, and fails for a field without a bound.

| what is beyond its bound | what happens |
|---|---|
| a value of a request | 422 `invalid-request`, which names the field |
| a body of more than {bounds.REQUEST_BYTES // 1024} KiB | 413 `body-too-large` |
| a value of a correction | as in a request; what moves money or goods is never corrected |
| the data of a webhook | 422 `webhook-not-understood`; the message is kept as it came |
| a text of another company | it is cut, with the mark `{bounds.CUT}` |
| a character that cannot be stored, in such a text | it is replaced by `{bounds.REPLACEMENT}` |
| an answer of more than {bounds.ANSWER_BYTES // 1024} KiB | the rest is not read |
| what gets past all of these and cannot be stored | the step parks, the update is refused |

Whole numbers are stored with 64 bits: nothing goes beyond {bounds.LARGEST_INTEGER}. The last line
is a test in `tests/workflows/test_final_failures.py`; hostile values in every field are tried in
`tests/api/test_hostile_values.py`.
"""


class Unbounded(Exception):
    """A field without a bound: give its type one of `handrail/bounds.py`."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{type(self).__doc__} {field}")


async def page() -> str:
    """Raises Unbounded."""
    # Neither the database nor Temporal is asked for anything.
    engine = create_async_engine("postgresql+psycopg://")
    client = await lazy_client("127.0.0.1:7233", "default", HANDRAIL.codec)
    described: Schema = create_app(HANDRAIL, engine, client, RunOptions()).openapi()
    parts = [
        _HEAD,
        "## Requests\n",
        *_operations(described),
        "## Commands\n",
        "And whether a person may correct the field of a parked step.\n",
        *(_command(command) for command in sorted(HANDRAIL.commands, key=lambda one: one.__name__)),
        "## Webhooks\n",
        _table("every webhook", _model(Envelope)),
        *_webhooks(),
        "## Answers of other companies\n",
        _table("bank, carrier and registry: yes", _model(Yes)),
        _table("bank, carrier and registry: no", _model(No)),
        _table("the provider of messages", _PROVIDER),
    ]
    return "\n".join(parts)


_PROVIDER: Final = [("#/id", str(bounds.OUTSIDE)), ("#/code", str(bounds.OUTSIDE))]


def _operations(described: Schema) -> Iterator[str]:
    definitions = described["components"]["schemas"]
    for path, methods in sorted(described["paths"].items()):
        for method, operation in methods.items():
            found = list(_operation(operation, definitions))
            if found:
                yield _table(f"`{method.upper()} {path}`", found)


def _operation(operation: Schema, definitions: Schema) -> Iterator[Line]:
    for one in operation.get("parameters", ()):
        yield from fields_of(one["schema"], f"{one['in']} {one['name']}", definitions)
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        yield from fields_of(schema, "#", definitions)


def _model(model: type[BaseModel]) -> list[Line]:
    schema = model.model_json_schema()
    return list(fields_of(schema, "#", schema.get("$defs", {})))


def _webhooks() -> Iterator[str]:
    for source in WEBHOOKS.sources:
        for type_, one in source.types.items():
            found = [(f"#/data{field[1:]}", bound) for field, bound in _model(one.data)]
            yield _table(f"`{type_}` of the {source.name}", found)


def _command(command: type[Any]) -> str:
    lines = []
    for path, bound in bounds_of(command):
        name = ".".join("*" if part == 0 else str(part) for part in path)
        no = why_not_correctable(command, str(path[0]))
        lines.append((name, str(bound), "no" if no else "yes"))
    rows = [f"| `{name}` | {_cell(bound)} | {may} |" for name, bound, may in lines]
    head = f"### `{command.__name__}`\n\n| field | bound | may be corrected |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _table(title: str, lines: Iterable[Line]) -> str:
    rows = [f"| `{field}` | {_cell(bound)} |" for field, bound in lines]
    return f"### {title}\n\n| field | bound |\n|---|---|\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def fields_of(schema: Schema, path: str, definitions: Schema) -> Iterator[Line]:
    """The fields of a JSON schema, each with its bound. Raises Unbounded."""
    if said := schema.get("x-bounds"):
        yield path, said
    elif reference := schema.get("$ref"):
        yield from fields_of(definitions[reference.rsplit("/")[-1]], path, definitions)
    elif options := [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]:
        shared = {name: value for name, value in schema.items() if name != "anyOf"}
        for one in options:
            yield from fields_of({**shared, **one}, path, definitions)
    elif schema.get("type") == "array":
        yield path, _list(schema, path)
        yield from fields_of(schema["items"], f"{path}/*", definitions)
    elif schema.get("type") == "object":
        yield from _object(schema, path, definitions)
    else:
        yield path, _value(schema, path)


def _object(schema: Schema, path: str, definitions: Schema) -> Iterator[Line]:
    if "x-most-bytes" in schema:
        yield path, _fields(schema)
        return
    for name, one in schema.get("properties", {}).items():
        yield from fields_of(one, f"{path}/{name}", definitions)
    more = schema.get("additionalProperties")
    if not isinstance(more, dict):
        if "properties" not in schema:
            raise Unbounded(path)
        return
    names = schema.get("propertyNames", {})
    names = definitions.get(names.get("$ref", "").rsplit("/")[-1], names)
    if "enum" in names:
        yield f"{path}/*", f"one of {', '.join(names['enum'])}"
        yield from fields_of(more, f"{path}/*", definitions)
    else:
        raise Unbounded(path)


def _fields(schema: Schema) -> str:
    return (
        f"{schema['minProperties']} to {schema['maxProperties']} fields of the step's command, in"
        f" {schema['x-most-bytes']} bytes and {schema['x-deepest']} levels at most; each is checked"
        " as its command says"
    )


def _list(schema: Schema, path: str) -> str:
    if "maxItems" not in schema:
        raise Unbounded(path)
    return str(bounds.Many(fewest=schema.get("minItems", 0), most=schema["maxItems"]))


def _value(schema: Schema, path: str) -> str:
    match schema:
        case {"const": only}:
            said = f"`{only}`"
        case {"enum": values}:
            said = "one of " + ", ".join(f"`{one}`" for one in values)
        case {"type": "boolean"}:
            said = "true or false"
        case {"type": "integer", "minimum": least, "maximum": most}:
            # OpenAPI has them as floats, which are not exact that far out.
            said = f"a whole number, {int(least)} to {min(int(most), bounds.LARGEST_INTEGER)}"
        case {"format": "date", "formatMinimum": least, "formatMaximum": most}:
            said = f"a date, {least} to {most}"
        case {"format": "date-time", "formatMinimum": least, "formatMaximum": most}:
            said = f"a moment, {least[:10]} to {most[:10]}"
        case {"type": "string", "maxLength": most, "pattern": pattern}:
            said = f"{schema.get('minLength', 0)} to {most} characters, `{_printable(pattern)}`"
        case {"type": "string", "maxLength": most}:
            said = f"{schema.get('minLength', 0)} to {most} characters"
        case _:
            raise Unbounded(path)
    return said


def _printable(pattern: str) -> str:
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in pattern)


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(page()))
