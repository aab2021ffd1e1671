"""The page of bounds: every field that comes from outside, and what bounds it.

It is read from the types themselves: an OpenAPI document, the commands, models of webhooks and of
other companies' answers. A field without a bound has no line there, and is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from handrail import bounds
from handrail.command_fields import bounds_of, why_not_correctable

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

Whole numbers are stored with 64 bits: nothing goes beyond {bounds.LARGEST_INTEGER}."""


class Unbounded(Exception):
    """A field without a bound: give its type one of `handrail/bounds.py`."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{type(self).__doc__} {field}")


def page(
    described: Schema, commands: Iterable[type[Any]], others: Iterable[str], *, shown_by: str
) -> str:
    """In Markdown: the requests of an OpenAPI document, the commands, and the tables `others`.

    `shown_by` is a sentence that names the tests of these bounds. Raises Unbounded.
    """
    parts = [
        f"{_HEAD} {shown_by}\n",
        "## Requests\n",
        *_operations(described),
        "## Commands\n",
        "And whether a person may correct the field of a parked step.\n",
        *(_command(command) for command in sorted(commands, key=lambda one: one.__name__)),
        *others,
    ]
    return "\n".join(parts)


def table(title: str, lines: Iterable[Line]) -> str:
    """A heading, and a line for each field."""
    rows = [f"| `{field}` | {_cell(bound)} |" for field, bound in lines]
    return f"### {title}\n\n| field | bound |\n|---|---|\n" + "\n".join(rows) + "\n"


def lines_of(model: type[BaseModel]) -> list[Line]:
    """Of each field of the model. Raises Unbounded."""
    schema = model.model_json_schema()
    return list(fields_of(schema, "#", schema.get("$defs", {})))


def _operations(described: Schema) -> Iterator[str]:
    definitions = described["components"]["schemas"]
    for path, methods in sorted(described["paths"].items()):
        for method, operation in methods.items():
            found = list(_operation(operation, definitions))
            if found:
                yield table(f"`{method.upper()} {path}`", found)


def _operation(operation: Schema, definitions: Schema) -> Iterator[Line]:
    for one in operation.get("parameters", ()):
        yield from fields_of(one["schema"], f"{one['in']} {one['name']}", definitions)
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        yield from fields_of(schema, "#", definitions)


def _command(command: type[Any]) -> str:
    lines = []
    for path, bound in bounds_of(command):
        name = ".".join("*" if part == 0 else str(part) for part in path)
        no = why_not_correctable(command, str(path[0]))
        lines.append((name, str(bound), "no" if no else "yes"))
    rows = [f"| `{name}` | {_cell(bound)} | {may} |" for name, bound, may in lines]
    head = f"### `{command.__name__}`\n\n| field | bound | may be corrected |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def fields_of(schema: Schema, path: str, definitions: Schema) -> Iterator[Line]:
    """The fields of a JSON schema, each with its bound. Raises Unbounded."""
    if bounds_text := schema.get("x-bounds"):
        yield path, bounds_text
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
            bounds_text = f"`{only}`"
        case {"enum": values}:
            bounds_text = "one of " + ", ".join(f"`{one}`" for one in values)
        case {"type": "boolean"}:
            bounds_text = "true or false"
        case {"type": "integer", "minimum": least, "maximum": most}:
            # OpenAPI has them as floats, which are not exact that far out.
            bounds_text = (
                f"a whole number, {int(least)} to {min(int(most), bounds.LARGEST_INTEGER)}"
            )
        case {"format": "date", "formatMinimum": least, "formatMaximum": most}:
            bounds_text = f"a date, {least} to {most}"
        case {"format": "date-time", "formatMinimum": least, "formatMaximum": most}:
            bounds_text = f"a moment, {least[:10]} to {most[:10]}"
        case {"type": "string", "maxLength": most, "pattern": pattern}:
            bounds_text = (
                f"{schema.get('minLength', 0)} to {most} characters, `{_printable(pattern)}`"
            )
        case {"type": "string", "maxLength": most}:
            bounds_text = f"{schema.get('minLength', 0)} to {most} characters"
        case _:
            raise Unbounded(path)
    return bounds_text


def _printable(pattern: str) -> str:
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in pattern)
