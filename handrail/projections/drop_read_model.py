"""Take a read model away that no release reads any more: its tables, checkpoints and parked events.

A version with other columns gets a name of its own, so that two releases serve side by side, each
from its own table. The older one goes here, once the older release is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from handrail.eventstore.short_locks import in_short_locks, wait_briefly
from handrail.projections.earlier_keys import earlier_keys_name
from handrail.projections.install import lock, owner_engine, version_of
from handrail.projections.projection import Projection
from handrail.projections.read_model import NEXT
from handrail.projections.rebuild import UnknownReadModel
from handrail.projections.tables import drop
from handrail.projections.totals import totals_name


class StillUsed(Exception):
    """A release that runs reads or keeps this read model."""


_SERVED: Final = text("""
SELECT owner FROM followers
WHERE alive_until > clock_timestamp()
  AND EXISTS (SELECT FROM unnest(string_to_array(serves, ' ')) AS s (one)
              WHERE split_part(s.one, '@', 1) = :name)
ORDER BY owner LIMIT 1
""")


def drop_read_model(url: str, name: str, projections: Sequence[Projection[Any]]) -> None:
    """Its table is the one with its name. Raises UnknownReadModel, which names those that could be
    dropped; StillUsed for one of these `projections`, and where a projector lives that keeps it;
    TablesBusy.
    """
    used = {one.name for one in projections}
    tables = {table.name for one in projections for table in one.tables}
    if name in used or name in tables:
        raise StillUsed(f"this release has the read model {name}: deploy one without it first")
    engine = owner_engine(url)

    def work(connection: Connection) -> None:
        lock(connection)
        if version_of(connection, name) is None:
            known = connection.execute(text("SELECT name FROM read_models")).scalars()
            others = sorted({one.removesuffix(NEXT) for one in known} - used)
            raise UnknownReadModel(f"{name}: only {', '.join(others) or 'none'} can be dropped")
        keeper = connection.execute(_SERVED, {"name": name}).scalar_one_or_none()
        if keeper is not None:
            raise StillUsed(f"the projector {keeper} keeps {name}: stop its release first")
        wait_briefly(connection)
        for each in (name, name + NEXT):
            suffix = each.removeprefix(name)
            for table in (each, totals_name(name) + suffix, earlier_keys_name(name) + suffix):
                drop(connection, table)
            for table, column in (
                ("checkpoints", "projection"),
                ("parked_events", "projection"),
                ("read_models", "name"),
            ):
                connection.execute(
                    text(f"DELETE FROM {table} WHERE {column} = :name"), {"name": each}
                )

    try:
        in_short_locks(engine, work)
    finally:
        engine.dispose()
