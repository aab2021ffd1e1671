"""Prints as JSON what clients, readers of the broker and operators see of an App.

The App is the one that the pyproject.toml of the working directory names.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from handrail.access.authentication import Development
from handrail.activities.command_handler import metadata_of
from handrail.app import App
from handrail.cli.app_commands import name_tenant_options
from handrail.cli.main import app as command_line
from handrail.connections import store_engine
from handrail.eventstore.store import Recorded
from handrail.lake.columns import columns_of
from handrail.load_app import find_app
from handrail.messaging.cloud_events import message_of
from handrail.messaging.contracts.examples import example_of
from handrail.processes.api import lazy_client
from handrail.processes.http_application import create_app
from handrail.sagas.step_keys import StepContext, StepKey


async def openapi(app: App) -> dict[str, Any]:
    settings = app.settings_type(database_url="postgresql://nobody@127.0.0.1:1/none")
    async with store_engine(settings, size=1) as engine:
        client = await lazy_client("127.0.0.1:1", "default", app.codec)
        options, development = app.options_of(settings), Development(app.access)
        return create_app(app, engine, client, options, authentication=development).openapi()


def messages(app: App) -> list[Any]:
    """An example of each event, as the broker has it."""
    key = StepKey(saga="saga-1", attempt=1, step="Step", opened_on=date(2026, 3, 2))
    metadata = metadata_of(StepContext(key=key, actor="ann", tenant="of-tenant"), app.tenant)
    found = []
    for event in app.events:
        encoded = app.codec.encode(example_of(event, app.examples, app.tenant))
        recorded = Recorded(
            position=1,
            stream="stream-1",
            version=1,
            type=encoded.type,
            schema=encoded.schema,
            data=orjson.loads(encoded.data),
            metadata=metadata,
            recorded_at=datetime(2026, 3, 2, tzinfo=UTC),
        )
        headers, body, _ = message_of(recorded, app.routing)
        found.append({"headers": headers, "body": json.loads(body)})
    return found


def helps(app: App) -> dict[str, str]:
    """What `handrail sagas … --help` prints, by the command."""
    name_tenant_options(command_line, app.tenant)
    commands = [name for name in command_line["sagas"] if not name.startswith("-")]
    found = {}
    for words in ([], *([name] for name in commands)):
        console = Console(file=StringIO(), width=100)
        command_line.help_print(["sagas", *words], console=console)
        found[" ".join(words)] = console.file.getvalue()  # type: ignore[attr-defined]  # it is one
    return found


def surface(app: App) -> dict[str, Any]:
    return {
        "openapi": asyncio.run(openapi(app)),
        "asyncapi": app.event_contracts(),
        "messages": messages(app),
        "tables": {
            one.table.name: [column.name for column in one.table.columns] for one in app.read_models
        },
        "help": helps(app),
        "lake": [one.name for one in columns_of(app.tenant)],
    }


if __name__ == "__main__":
    json.dump(surface(find_app(Path.cwd())), sys.stdout)
