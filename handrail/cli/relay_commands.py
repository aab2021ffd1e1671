"""What an operator sees of the relay, and decides about events of newer code there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson

from handrail.cli.newer_code import form_of, show_waiting
from handrail.cli.newer_code import park_unknown as decided
from handrail.connections import store_engine, store_pool
from handrail.counted import counted
from handrail.eventstore.pool import Connection
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.kernel import Attribution
from handrail.load_app import the_app
from handrail.messaging.relay.parked_messages import RELAY
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal


async def status(settings: Settings, *, json: bool, wide: bool = False) -> int:
    """0 where nothing is parked or waits, 1 where something does."""
    console = terminal(json=json, wide=wide)
    async with store_engine(settings, size=1) as engine, engine.connect() as connection:
        standing = [one for one in await lag(connection) if one.follower == RELAY]
    table_of(standing).print(console)
    async with _connected(settings) as connected:
        waits, waiting = await show_waiting(
            connected, console, [RELAY], "handrail relay park-unknown EVENT.vN --reason …"
        )
    if json:
        figures = {
            "relay": [
                {
                    "events": one.events,
                    "seconds": one.seconds,
                    "parked": one.parked,
                    "waiting_shards": one.waiting,
                }
                for one in standing
            ],
            **waiting,
        }
        print(orjson.dumps(figures).decode())
    return 1 if waits or any(one.parked for one in standing) else 0


def table_of(standing: Sequence[Lag]) -> Table:
    table = Table(
        (
            Column("relay"),
            *(Column(name, right=True) for name in ("behind by", "for", "parked events")),
            Column("shards that wait", rank=1, right=True),
        )
    )
    for one in standing:
        behind, since = counted(one.events, "event"), f"{one.seconds:.1f} s"
        table.add(one.follower, behind, since, str(one.parked), str(one.waiting))
    return table


async def park_unknown(
    settings: Settings, event: str, by: Attribution, *, withdraw: bool, json: bool
) -> int:
    """0 once it is decided; 1 where this code knows the event."""
    async with _connected(settings) as connection:
        code, figures = await decided(
            connection,
            terminal(json=json),
            [RELAY],
            form_of(event),
            by,
            codec=the_app().codec,
            withdraw=withdraw,
        )
    if json:
        print(orjson.dumps(figures).decode())
    return code


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    async with (
        store_pool(settings, size=1, name="handrail-relay") as pool,
        pool.connection() as connection,
    ):
        yield connection
