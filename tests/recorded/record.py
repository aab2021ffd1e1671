"""Records what must stay as it is: `python -m tests.recorded.record` (two minutes).

It drives the shop, stops what writes, and writes `tests/fixtures/recorded/`: the event store row by
row, the rows of every read model, histories of workflows, and the surface. A recording stands for
the code that made it: it is made again only where a release breaks with what came before.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from tests.recorded import histories, rows, surface
from tests.recorded.product import PROJECTIONS, Settings
from tests.recorded.rows import FOLDER, READ_MODELS, STORE, TABLES
from tests.recorded.story import REVIEW_ABOVE, Story

# An idle checkpoint's snapshot stays behind: what counts is that no event is new to it.
_UNSEEN: Final = (
    "SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard"
    " WHERE c.projection = ANY (%s) AND NOT pg_visible_in_snapshot(o.txid, c.since)"
)


async def record(console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="handrail-recording-") as folder:
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
                await Story(stack, http, temporal).happens(console)
            assert stack.api
            for service in (stack.api, *stack.workers):
                await service.stop()
            with psycopg.connect(stack.database_url, autocommit=True) as store:
                await _caught_up(store)
                shutil.rmtree(FOLDER, ignore_errors=True)
                about = _rows(store)
                about["histories"] = await histories.record(temporal, store)
            surface.SAVED.write_text("\n".join(await surface.lines(stack.database_url)) + "\n")
            (FOLDER / "about.json").write_text(json.dumps(about, indent=2) + "\n")
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    console.print(f"{FOLDER}: {size / 1024:.0f} KiB")


async def _caught_up(store: psycopg.Connection) -> None:
    names = [one.name for one in PROJECTIONS]
    async with asyncio.timeout(60):
        while store.execute(_UNSEEN, (names,)).fetchone() != (0,):  # noqa: ASYNC110  # its database
            await asyncio.sleep(0.1)
    assert store.execute("SELECT count(*) FROM parked_events").fetchone() == (0,)


def _rows(store: psycopg.Connection) -> dict[str, Any]:
    """Returns the revision of the schema, and how many rows each table had."""
    [(revision,)] = store.execute("SELECT version_num FROM alembic_version").fetchall()
    counts = {}
    models = [table.name for one in PROJECTIONS for table in one.tables]
    for folder, tables in ((STORE, TABLES), (READ_MODELS, models)):
        for table in tables:
            content = rows.dumped(
                store, table, rows.columns_of(store, table), rows.key_of(store, table)
            )
            rows.write(folder / f"{table}{rows.SUFFIX}", content)
            counts[table] = content.count("\n") - 1
    types = store.execute("SELECT type, count(*) FROM events GROUP BY type ORDER BY type")
    return {"revision": revision, "rows": counts, "events": dict(types.fetchall())}


if __name__ == "__main__":
    asyncio.run(record(Console()))
