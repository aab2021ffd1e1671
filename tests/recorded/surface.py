"""What others rely on, by name and line by line: a line that disappears breaks something of theirs.

Not here is what stands under `docs/contracts` and in `tests/eventstore/registered_names.txt`: the
fields of events and commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg
from cyclopts import App
from fastapi import FastAPI
from temporalio import activity, workflow

from tests.recorded import product
from tests.recorded.rows import FOLDER

SAVED: Final = FOLDER / "surface.txt"
_INNER: Final = frozenset({"*", "--help", "-h", "--version"})
_PROBLEMS: Final = 400
"""From this status on every answer has the same fields."""
_PARTITION: Final = re.compile(r"_(to_\d+|\d{4}_\d{2}|default)$")


async def lines(url: str) -> list[str]:
    """Of the product over a migrated database, sorted."""
    with TemporaryDirectory() as folder:
        metrics = await product.process_metrics(url, Path(folder))
    found = {
        *_of_temporal(),
        *(f"metric {name} {kind} {','.join(labels)}".rstrip() for name, kind, labels in metrics),
        *_of_http(await product.api(url)),
        *(f"problem {kind.type} {kind.status}" for kind in product.KINDS.values()),
        *(f"setting {product.variable(name)}" for name in product.Settings.model_fields),
        *_of_commands(product.app, "handrail"),
        *_of_commands(product.OWN_COMMANDS, "handrail"),
        *(f"broker {one}" for one in product.broker_objects()),
        *_of_tables(url),
    }
    return sorted(found)


def _of_temporal() -> Iterator[str]:
    for queue, activities in product.activities().items():
        yield f"task queue {queue}"
        for one in activities:
            name = activity._Definition.must_from_callable(one).name
            yield f"activity {name} on {queue}"
    for queue in product.CONTEXTS:
        yield f"task queue {queue}"
    for one in product.WORKFLOWS:
        definition = workflow._Definition.must_from_class(one)
        yield f"workflow {definition.name}"
        for kind in ("signals", "queries", "updates"):
            for name in getattr(definition, kind):
                yield f"workflow {definition.name} {kind} {name}"
    for one in product.SEARCH_ATTRIBUTES:
        yield f"search attribute {one.name} {one.indexed_value_type.name}"


def _of_http(app: FastAPI) -> Iterator[str]:
    """Routes with their parameters, and the fields of what is sent and answered, by their paths.

    The names of schemas are not on the wire, so they are not here.
    """
    for path, methods in _routes(app.routes):
        for method in methods:
            yield f"route {method} {path}"
    document = app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for one in _of_operation(operation, document):
                yield f"route {method.upper()} {path} {one}"


def _of_operation(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for one in operation.get("parameters", ()):
        yield f"{one['in']} {one['name']}"
    for field in _fields(operation.get("requestBody", {}), document):
        yield f"takes {field}"
    for status, response in operation["responses"].items():
        yield status
        yield from (f"{status} header {name}" for name in response.get("headers", {}))
        if int(status) < _PROBLEMS:
            yield from (f"{status} {field}" for field in _fields(response, document))
        else:
            yield from (f"{status} {media}" for media in response.get("content", {}))


def _routes(routes: Iterable[Any]) -> Iterator[tuple[str, Iterable[str]]]:
    """Those that are not in the document, too."""
    for one in routes:
        if included := getattr(one, "original_router", None):
            yield from _routes(included.routes)
        else:
            yield one.path, one.methods


def _fields(body: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for media, content in body.get("content", {}).items():
        yield media
        for field in _paths(content.get("schema", {}), document, (), ""):
            yield f"{media} {field}"


def _paths(
    schema: Mapping[str, Any], document: Mapping[str, Any], inside: tuple[str, ...], path: str
) -> Iterator[str]:
    """`inside` are the schemas that contain this one, which is expanded once at most."""
    if reference := schema.get("$ref"):
        if reference not in inside:
            found = document["components"]["schemas"][reference.rpartition("/")[2]]
            yield from _paths(found, document, (*inside, reference), path)
        return
    for name, one in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below
        yield from _paths(one, document, inside, below)
    for kind in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(kind, ()):
            yield from _paths(one, document, inside, path)
    if isinstance(items := schema.get("items"), Mapping):
        yield from _paths(items, document, inside, f"{path}[]")
    for one in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
        yield f"{path} = {one}"


def _of_commands(app: App, path: str) -> Iterator[str]:
    for name in app:
        if name in _INNER:
            continue
        command, called = app[name], f"{path} {name}"
        yield f"command {called}"
        if command.default_command:
            for argument in command.assemble_argument_collection(
                default_parameter=product.app.default_parameter, parse_docstring=False
            ):
                for option in argument.names:
                    if option not in _INNER:
                        yield f"command {called} {option}"
        yield from _of_commands(command, called)


def _of_tables(url: str) -> Iterator[str]:
    """Columns of every table but its partitions, which come and go."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT table_name, column_name, udt_name, is_nullable"
            " FROM information_schema.columns WHERE table_schema = 'public'"
        )
        for table, column, type_, nullable in found:
            if not _PARTITION.search(table):
                may = " null" if nullable == "YES" else ""
                yield f"column {table}.{column} {type_}{may}"
