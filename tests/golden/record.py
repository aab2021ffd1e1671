"""Records what this release writes: `make golden` (three minutes).

It drives the shop through its story, stops what writes, and writes one file of
`tests/fixtures/golden/`, which later releases have to read. Once a release is out its file stays.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.eventstore.store import EventStore
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from tests.golden.folding import states_of
from tests.golden.releases import is_out, this_release
from tests.golden.store import (
    DIGESTS,
    FOLDER,
    SUFFIX,
    Golden,
    digest_of,
    digests,
    values_in,
    written,
)
from tests.golden.story import WholeStory, other_commands
from tests.recorded import histories, rows
from tests.recorded.product import CODEC, PROJECTIONS, Settings, open_pool
from tests.recorded.record import _caught_up
from tests.recorded.rows import TABLES
from tests.recorded.story import REVIEW_ABOVE


async def record(console: Console, release: str) -> None:
    with tempfile.TemporaryDirectory(prefix="handrail-golden-") as folder:
        settings = Settings(
            api_port=0,
            step_deadline_seconds=6,
            step_patience_seconds=20,
            review_above=REVIEW_ABOVE,
        )
        stack = Stack(HANDRAIL, settings, data_dir=Path(folder), notifiers=1, consumers=True)
        async with stack:
            temporal = await connect(
                stack.temporal_address, settings.temporal_namespace, HANDRAIL.codec
            )
            async with httpx.AsyncClient(base_url=stack.api_url, timeout=60) as http:
                await WholeStory(stack, http, temporal).happens(console)
            assert stack.api
            for service in (stack.api, *stack.workers):
                await service.stop()
            with psycopg.connect(stack.database_url, autocommit=True) as connection:
                async with open_pool(stack.database_url, size=1) as pool:
                    await other_commands(EventStore(pool, CODEC), connection)
                await _caught_up(connection)
                golden = _rows(connection, release)
                golden.histories = await _histories(temporal, connection)
            golden.states = states_of(golden)
    if lacking := {one.__name__ for one in HANDRAIL.events} - {
        row["type"] for row in golden.events
    }:
        raise SystemExit(f"the story comes to none of these: {', '.join(sorted(lacking))}")
    path = FOLDER / f"{release}{SUFFIX}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(written(golden))
    known = {**digests(), release: digest_of(path)}
    DIGESTS.write_text("".join(f"{name} {one}\n" for name, one in known.items()))
    console.print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def _rows(store: psycopg.Connection, release: str) -> Golden:
    [*revisions] = store.execute("SELECT version_num FROM alembic_version ORDER BY 1").fetchall()
    versions = {one.name: one.version for one in PROJECTIONS}
    golden = Golden(
        release,
        {"release": release, "revisions": [one for (one,) in revisions], "versions": versions},
    )
    models = [table.name for one in PROJECTIONS for table in one.tables]
    for into, tables in ((golden.tables, TABLES), (golden.models, models)):
        for table in tables:
            columns, key = rows.columns_of(store, table), rows.key_of(store, table)
            if found := values_in(rows.dumped(store, table, columns, key)):
                into[table] = found
    return golden


async def _histories(temporal: Any, store: psycopg.Connection) -> dict[str, Any]:
    """As the first recording keeps them: of each kind of workflow and ending the longest ones."""
    with tempfile.TemporaryDirectory() as folder:
        await histories.record(temporal, store, Path(folder))
        return {
            path.name.removesuffix(histories.SUFFIX): histories.document_in(path)
            for path in histories.saved(Path(folder))
        }


if __name__ == "__main__":
    wanted = this_release()
    if is_out(wanted) and wanted in digests():
        sys.exit(f"{wanted} is out: its file stays as it is. Raise the version in pyproject.toml")
    asyncio.run(record(Console(), wanted))
