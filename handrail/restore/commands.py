"""`handrail restore check` and `handrail restore adopt`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

import orjson
import psycopg
from rich.console import Console

from handrail.eventstore.business_tables import EventIds
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.restore import lake
from handrail.restore.boundary import Store, store_of
from handrail.restore.findings import Finding, around_the_events
from handrail.restore.histories import Histories, lost_steps
from handrail.restore.lake import CannotBeTakenBack, InTheLake
from handrail.settings import Settings
from handrail.temporal.connection import connect
from handrail.terminal_tables import Terminal

_SHOWN: Final = 20
"""Of each list; `--json` has all."""
_ROOM: Final = 100_000
"""Transaction numbers that may be used up to have room below a new cluster's."""

# In the order in which `begin_epoch` does it.
_ALONE: Final = (
    "SET LOCAL lock_timeout = '5s'",
    "LOCK TABLE events, outbox, checkpoints IN EXCLUSIVE MODE",
)
_HAS_BEGIN_EPOCH: Final = "SELECT to_regprocedure('begin_epoch(text, text, integer)') IS NOT NULL"


class AdoptedMeanwhile(Exception):
    """Another process was faster: what was found is not so any more."""


@dataclass
class Found:
    store: Store
    around: list[Finding]
    histories: Histories | None = None
    in_the_lake: InTheLake | None = None
    not_asked: list[str] = field(default_factory=list)

    @property
    def newest_epoch(self) -> int:
        """That is known outside: it may have been lost with a server."""
        return self.histories.newest_epoch if self.histories else 0

    @property
    def all_is_well(self) -> bool:
        histories = self.histories
        return not (
            self.store.refusal
            or self.around
            or (histories and histories.lost)
            or (self.in_the_lake and self.in_the_lake.is_ahead)
        )


async def check(
    settings: Settings, codec: Codec, *, event_ids: Sequence[EventIds] = (), json: bool
) -> int:
    """0 where the store is the one that was adopted, and nothing is known that it does not have."""
    async with _owner(settings) as connection:
        found = await _look(settings, codec, event_ids, connection)
    _show(found, Terminal(stderr=json, width=80, highlight=False, markup=False))
    if json:
        print(orjson.dumps(_figures(found)).decode())
    return 0 if found.all_is_well else 1


async def adopt(
    settings: Settings,
    codec: Codec,
    *,
    event_ids: Sequence[EventIds] = (),
    because: str,
    by: str,
    yes: bool,
    same_server: bool,
    json: bool,
) -> int:
    """0 once the store is in a new epoch; 0, too, where it was only said what would be done."""
    console = Terminal(stderr=json, width=80, highlight=False, markup=False)
    async with _owner(settings) as connection:
        found = await _look(settings, codec, event_ids, connection)
        if refusal := await _may_not(connection, found.store, same_server=same_server):
            console.print(refusal)
            return 1
        _show(found, console)
        for line in _plan(found):
            console.print(line)
        if not yes:
            console.print("Nothing was changed. To do it: the same command with --yes")
            figures = {"adopted": False, "epoch": found.store.standing.epoch}
        else:
            try:
                await _make_room(connection)
                async with connection.transaction():
                    await _alone(connection, found.store.standing.epoch)
                    epoch = await _begin_epoch(connection, because, by, found.newest_epoch)
                    if found.in_the_lake and found.in_the_lake.is_ahead:
                        console.print(await _mend_lake(settings, connection, epoch))
            except AdoptedMeanwhile as error:
                console.print(f"not adopted, and nothing was changed: {error}")
                return 1
            except psycopg.Error as error:
                console.print(f"not adopted, and nothing was changed: {error.diag.message_primary}")
                return 1
            console.print(f"epoch {epoch} has begun; every process goes on by itself")
            figures = {"adopted": True, "epoch": epoch}
    if json:
        print(orjson.dumps({**figures, "found": _figures(found)}).decode())
    return 0


async def _alone(connection: Connection, epoch: int) -> None:
    """Lock all others out until the end of the transaction. Raises AdoptedMeanwhile where the
    store is not in this epoch any more.
    """
    for statement in _ALONE:
        await connection.execute(statement)
    rows = await connection.execute("SELECT coalesce(max(epoch), 0) FROM store_epochs")
    [(now,)] = await rows.fetchall()
    if now != epoch:
        raise AdoptedMeanwhile(f"another process has begun epoch {now} meanwhile")


async def _begin_epoch(connection: Connection, because: str, by: str, above: int) -> int:
    """In the schema of an earlier release, too: it is migrated once it was adopted."""
    rows = await connection.execute(_HAS_BEGIN_EPOCH)
    [(has,)] = await rows.fetchall()
    if has:
        rows = await connection.execute("SELECT begin_epoch(%s, %s, %s)", (because, by, above))
    else:
        rows = await connection.execute("SELECT adopt_store(%s, %s)", (because, by))
    [(epoch,)] = await rows.fetchall()
    return int(epoch)


async def _may_not(connection: Connection, store: Store, *, same_server: bool) -> str:
    if store.standing.now.timeline is None:
        return str(store.refusal)
    if not store.refusal and not same_server:
        return (
            "the server is the one of the newest epoch: there is nothing to adopt. Where its disk"
            " was put back all the same, stop every process, and say --same-server"
        )
    found = await connection.execute(
        "SELECT count(*) FROM followers WHERE alive_until > clock_timestamp()"
    )
    [(alive,)] = await found.fetchall()
    if alive and not store.refusal:
        return f"{alive} processes follow the feed: stop them first"
    return ""


async def _mend_lake(settings: Settings, connection: Connection, epoch: int) -> str:
    try:
        batch = await lake.take_back(connection, settings.lake_folder, epoch)
    except CannotBeTakenBack as error:
        return (
            f"the lake: {error}; have all exported anew into an empty folder after"
            " `handrail lake forget --yes`"
        )
    return f"the lake was put back to batch {batch}, and goes on from there"


async def _make_room(connection: Connection) -> None:
    """A new cluster may have given out fewer numbers than there are snapshots to be renumbered."""
    found = await connection.execute(
        "SELECT count(DISTINCT s) FROM (SELECT since::text FROM checkpoints UNION ALL"
        " SELECT until::text FROM checkpoints) AS known (s)"
    )
    [(snapshots,)] = await found.fetchall()
    for _ in range(_ROOM):
        rows = await connection.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s", (snapshots + 20,)
        )
        [(enough,)] = await rows.fetchall()
        if enough:
            return
        await connection.execute("SELECT pg_current_xact_id()")


async def _look(
    settings: Settings, codec: Codec, event_ids: Sequence[EventIds], connection: Connection
) -> Found:
    store = await store_of(connection)
    found = Found(store, await around_the_events(connection, event_ids))
    if settings.temporal_address:
        try:
            client = await connect(settings, codec)
            found.histories = await lost_steps(client, connection, store.boundary)
        except Exception as error:  # noqa: BLE001  # what else is known is to be seen all the same
            found.not_asked.append(f"Temporal does not answer: {error}")
    else:
        found.not_asked.append("HANDRAIL_TEMPORAL_ADDRESS is not set: no history was asked")
    if not lake.is_there(settings.lake_folder):
        found.not_asked.append(f"there is no lake in {settings.lake_folder}")
    elif not (find_spec("deltalake") and find_spec("duckdb")):
        found.not_asked.append("the lake was not asked: pip install 'handrail[lake]'")
    else:
        found.in_the_lake = await lake.look(connection, settings.lake_folder, store.boundary)
    return found


def _plan(found: Found) -> list[str]:
    store = found.store
    lines = [
        "",
        f"Adopting begins epoch {max(store.standing.epoch, found.newest_epoch) + 1}:",
        "- positions go on 100 million or more behind the last one",
        "- tokens that were given before are answered as such",
        "- checkpoints are taken from whoever had them",
    ]
    before, now = store.standing.adopted, store.standing.now
    if store.numbers_ahead or (before and before.system_identifier != now.system_identifier):
        lines.append("- the outbox and the checkpoints get numbers of this cluster")
    if found.in_the_lake and found.in_the_lake.is_ahead:
        lines.append("- the lake is put back to the last batch that the store knows")
    if found.histories and found.histories.lost:
        lines.append("- sagas stay as they are: what to do about each is said above")
    return lines


def _show(found: Found, console: Console) -> None:
    store = found.store
    for epoch in store.epochs:
        console.print(
            f"epoch {epoch.epoch} since {epoch.began_at:%F %T}, positions from"
            f" {epoch.first_position}: {epoch.cause} ({epoch.decided_by})"
        )
    console.print(f"adopted: {store.standing.adopted}")
    console.print(f"now:     {store.standing.now}")
    if store.refusal:
        console.print(str(store.refusal))
    boundary = store.boundary
    at = f", recorded at {boundary.at:%F %T}" if boundary.at else ""
    console.print(f"the last event that came through: position {boundary.position}{at}")
    if histories := found.histories:
        complete = "" if histories.complete else "; there are more than can be looked at"
        console.print(f"{histories.looked_at} workflows were looked at in Temporal{complete}")
        _list(
            console,
            "steps that Temporal knows, and the store does not have",
            [f"{', '.join(one.steps)}: {one.advice}" for one in histories.lost],
        )
    if inside := found.in_the_lake:
        console.print(f"the lake has {inside.batch} batches, the store knows {inside.known}")
        _list(console, "events that the lake has, and the store does not", inside.lost)
    for of in dict.fromkeys(one.of for one in found.around):
        _list(console, of, [one.said for one in found.around if one.of == of])
    for said in found.not_asked:
        console.print(f"({said})")
    if found.all_is_well:
        console.print("nothing is known that the store does not have")


def _list(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(f"{title}: {len(lines)}")
        for line in lines[:_SHOWN]:
            console.print(f"- {line}")
        if len(lines) > _SHOWN:
            console.print(f"- and {len(lines) - _SHOWN} more: --json has them")


def _figures(found: Found) -> dict[str, Any]:
    store, histories, inside = found.store, found.histories, found.in_the_lake
    return {
        "adopted": str(store.standing.adopted),
        "now": str(store.standing.now),
        "refused": str(store.refusal) if store.refusal else None,
        "epoch": store.standing.epoch,
        "epochs": [vars(one) for one in store.epochs],
        "numbers_ahead": store.numbers_ahead,
        "boundary": {**vars(store.boundary), "known": sorted(store.boundary.known)},
        "sagas": [
            {
                "workflow": one.workflow,
                "type": one.workflow_type,
                "running": one.running,
                "steps": list(one.steps),
                "events_in_store": one.in_store,
                "advice": one.advice,
            }
            for one in (histories.lost if histories else ())
        ],
        "workflows": {
            "looked_at": histories.looked_at if histories else 0,
            "complete": bool(histories and histories.complete),
            "newest_epoch": found.newest_epoch,
        },
        "lake": vars(inside) if inside else None,
        "around": [vars(one) for one in found.around],
        "not_asked": found.not_asked,
        "all_is_well": found.all_is_well,
    }


@asynccontextmanager
async def _owner(settings: Settings) -> AsyncIterator[Connection]:
    """The owner of the database, who is let in where nobody else is."""
    connection = await psycopg.AsyncConnection.connect(
        str(settings.owner_url), autocommit=True, options="-c timezone=UTC", connect_timeout=5
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(Exception):
            await connection.close()
