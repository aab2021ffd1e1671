"""The Delta table `events`: written batch by batch, each batch once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog
from arro3.core import Table
from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError

from handrail.lake.columns import PARTITIONS, Column, columns_of, schema

_log = structlog.get_logger(__name__)

_WRITER: Final = "handrail"
"""Under this name the log of the table says which batch was the last."""

_LOOKED_UP: Final = ("position", "stream", "type", "recorded_at", "saga")
"""Of these, and of the tenant, the log keeps the least and the greatest value in each file."""

_SMALL: Final = 32 * 1024 * 1024  # bytes
_TARGET: Final = 64 * 1024 * 1024  # bytes
_MANY: Final = 32
"""So many small files of one day and context are made into few; of a day that is over, two."""
_AT_ONCE: Final = 50
"""The most partitions that are tidied in one go, so that new events do not wait for long."""
_RETENTION_HOURS: Final = 7 * 24


def last_batch_in(table: DeltaTable) -> int:
    """The number of the newest batch in a version of the table, 0 where there is none."""
    return table.transaction_version(_WRITER) or 0


class Lake:
    """One folder of an App that calls its tenant so; `columns` are what this code writes, and the
    table gets those it lacks.

    What is here blocks: call it in a thread. One call at a time.
    """

    def __init__(self, folder: Path, tenant: str, columns: Sequence[Column] | None = None) -> None:
        self._columns = columns = columns or columns_of(tenant)
        folder.mkdir(parents=True, exist_ok=True)
        self._table = DeltaTable.create(
            folder / "events",
            schema(columns),
            mode="ignore",
            name="events",
            description="Every event of the store, once.",
            partition_by=list(PARTITIONS),
            configuration={"delta.dataSkippingStatsColumns": ",".join((*_LOOKED_UP, tenant))},
        )
        self._left: Mapping[tuple[str, str], int] = {}
        """How many small files were left of days that are over: those do not get fewer."""

    @property
    def id(self) -> str:
        return str(self._table.metadata().id)

    @property
    def version(self) -> int:
        return self._table.version()

    def last_batch(self) -> int:
        """The number of the newest batch there is, 0 where there is none."""
        self._table.update_incremental()
        return last_batch_in(self._table)

    def write(self, batch: int, rows: Table) -> int:
        """Write a batch, unless it is there; answers a version of the table that has it.

        Of two writers of one batch, one finds that the other was faster: the log knows the number,
        and takes it from one of those only who saw the same state of the table.
        """
        if self.last_batch() >= batch:
            return self.version
        try:
            write_deltalake(
                self._table,
                rows,
                mode="append",
                schema_mode="merge",
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(_WRITER, batch)],
                    custom_metadata={"batch": str(batch)},
                ),
            )
        except CommitFailedError:
            if self.last_batch() < batch:
                raise
            _log.info("batch was written by another process", batch=batch)
        return self.version

    def compact(self, today: str) -> int:
        """Make many small files into few; answers how many are gone. `today` is `2026-03-02`."""
        self._table.update_incremental()
        gone = 0
        for day, context in self._untidy(today)[:_AT_ONCE]:
            done = self._table.optimize.compact(
                partition_filters=[("day", "=", day), ("context", "=", context)],
                target_size=_TARGET,
                max_concurrent_tasks=1,
            )
            gone += int(done["numFilesRemoved"]) - int(done["numFilesAdded"])
        self._left = self._small_files()
        return gone

    def vacuum(self) -> int:
        """Remove the files that no version of the last seven days has: those that were made into
        one, and those of writers that were killed. Answers how many.
        """
        self._table.update_incremental()
        return len(self._table.vacuum(retention_hours=_RETENTION_HOURS, dry_run=False, full=True))

    def _untidy(self, today: str) -> list[tuple[str, str]]:
        return sorted(
            (day, context)
            for (day, context), count in self._small_files().items()
            if count >= (_MANY if day == today else 2) and count > self._left.get((day, context), 1)
        )

    def _small_files(self) -> Mapping[tuple[str, str], int]:
        """How many there are of each day and context."""
        files = self._table.get_add_actions(flatten=True)
        if files.num_rows == 0:
            return {}
        columns = ("size_bytes", "partition.day", "partition.context")
        rows = zip(*(files[name].to_pylist() for name in columns), strict=True)
        return Counter((str(day), context) for size, day, context in rows if size < _SMALL)
