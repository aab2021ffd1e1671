"""What the library `eventsourcing` does for an append: its recorder, without its aggregates."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from urllib.parse import unquote, urlsplit

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from benchmarks.appends import Append


class EventsourcingLibrary:
    """Its recorder of applications, whose events can be followed as ours can.

    It is synchronous, so each writer is a thread. As it comes it inserts by a pipeline of
    statements under a lock of the table; `unlocked` by its function in the database.
    """

    def __init__(self, url: str, *, writers: int, unlocked: bool) -> None:
        self.name = "eventsourcing" + (" unlocked" if unlocked else "")
        parts = urlsplit(url)
        self._datastore = PostgresDatastore(
            dbname=parts.path.removeprefix("/"),
            host=parts.hostname or "",
            port=parts.port or 0,
            user=parts.username or "",
            password=unquote(parts.password or ""),
            pool_size=writers,
            max_overflow=0,
            originator_id_type="text",
            enable_db_functions=unlocked,
        )
        self._recorder = PostgresApplicationRecorder(
            self._datastore, events_table_name="es_unlocked" if unlocked else "es_events"
        )
        self._threads = ThreadPoolExecutor(writers)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._recorder.create_table)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._datastore.close()

    async def write(self, appends: Sequence[Append], writer: int) -> None:  # noqa: ARG002
        stored = [_stored(append) for append in appends]

        def insert() -> None:
            for events in stored:
                self._recorder.insert_events(events)

        await asyncio.get_running_loop().run_in_executor(self._threads, insert)


def _stored(append: Append) -> list[StoredEvent]:
    return [
        StoredEvent(
            originator_id=row.stream,
            originator_version=row.version,
            topic=row.type,
            state=f'{{"data":{row.data},"metadata":{row.metadata}}}'.encode(),
        )
        for row in append.rows
    ]
