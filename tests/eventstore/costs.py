"""What is asked again and again, and how many pages that touches at two sizes, ten times apart.

`python -m tests.eventstore.costs` shows the table; `test_costs.py` holds each ratio to `AT_MOST`.
Pages are counted instead of milliseconds: they say the same on every machine. To add a row, add a
`Cost` to `COSTS`.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import StaticPool
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from handrail.audit.causation import causes_of
from handrail.audit.event_search import EventFilter, search
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.feed import Cursor, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.prune_tables import prune
from handrail.eventstore.subscriptions.lag import lag
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.store_consumer import has_caught_up, snapshot
from handrail.messaging.envelope import Received
from handrail.migrations import upgrade
from handrail.projections.parked_rows import WAITING
from handrail.testing.database_copies import to_be_copied
from tests.eventstore.interleaving import ALL_SHARDS, Lab, notes, step, store_over
from tests.eventstore.plans import Plans, plans_of

AT_MOST: Final = 1.3
LEVELS: Final = 4
PER_TRANSACTION: Final = 100


@dataclass(frozen=True)
class Cost:
    """`fill` makes a database of this size; `ask` is what is measured, the second time."""

    what: str
    size: int
    fill: Callable[[Lab, int], Awaitable[None]]
    ask: Callable[[Connection], Awaitable[object]]
    levels: int = LEVELS
    """Pages more that ten times as much may cost, whatever the ratio."""


@dataclass(frozen=True)
class Measured:
    what: str
    once: int
    ten_times: int
    levels: int = LEVELS

    def __str__(self) -> str:
        return f"{self.what} · {self.once} · {self.ten_times} · {self.ratio:.2f}"

    @property
    def ratio(self) -> float:
        return self.ten_times / max(self.once, 1)

    @property
    def has_grown(self) -> bool:
        """By more than another level or two of an index, where hardly any page is touched."""
        return self.ratio > AT_MOST and self.ten_times - self.once > self.levels


# Sizes.


async def events(lab: Lab, count: int) -> None:
    """Stored and not seen by the follower `behind`, of whom nothing is kept but the first ones."""
    await lab.sql.execute(
        "CREATE TABLE oldest AS SELECT pg_current_xact_id()::text::bigint AS txid"
    )
    await lab.sql.execute(
        f"DO $$ BEGIN FOR i IN 0..{count // PER_TRANSACTION} LOOP"
        " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$".encode()
    )
    await lab.sql.execute(
        "INSERT INTO events (position, txid, stream, version, shard, type, schema, data, metadata)"
        " OVERRIDING SYSTEM VALUE"
        f" SELECT n, ((SELECT txid FROM oldest) + n / {PER_TRANSACTION})::text::xid8,"
        "  'order-' || n % 1000, 1 + n / 1000, n % 16, 'Noted', 1, '{}', '{}'"
        f" FROM generate_series(1, {count}) AS n".encode()
    )
    await lab.sql.execute("INSERT INTO outbox SELECT position, txid, shard FROM events")
    await lab.value("SELECT setval('events_position_seq', %s)", count)
    await lab.sql.execute(
        "INSERT INTO streams SELECT stream, max(version) FROM events GROUP BY stream"
    )


async def a_follower(lab: Lab, name: str, since: str) -> None:
    await lab.sql.execute(
        "INSERT INTO checkpoints (projection, shard, since)"
        f" SELECT %s, s, ({since})::pg_snapshot FROM generate_series(0, 15) AS s".encode(),
        [name],
    )


async def events_unseen(lab: Lab, count: int) -> None:
    await events(lab, count)
    await a_follower(lab, CONSUMER.follower, "SELECT txid || ':' || txid || ':' FROM oldest")


async def events_seen_in_part(lab: Lab, count: int) -> None:
    """In the middle of a batch that is nearly read."""
    await events(lab, count)
    await a_follower(lab, CONSUMER.follower, "SELECT txid || ':' || txid || ':' FROM oldest")
    await lab.sql.execute(
        "UPDATE checkpoints SET until = pg_current_snapshot(), after_position = %s", [count - 50]
    )


async def events_seen(lab: Lab, count: int) -> None:
    await events(lab, count)
    await a_follower(lab, CONSUMER.follower, "SELECT pg_current_snapshot()")


async def events_of_people(lab: Lab, count: int) -> None:
    """A hundredth of them of one actor, ten of each saga, a second apart."""
    await lab.sql.execute(
        "INSERT INTO events (position, stream, version, shard, type, schema, data, metadata,"
        " recorded_at) OVERRIDING SYSTEM VALUE"
        " SELECT n, 'order-' || n, 1, n % 16, 'Noted', 1, '{}',"
        "  jsonb_build_object('actor', CASE WHEN n % 100 = 0 THEN 'person:ann' ELSE 'api' END,"
        "   'correlation', 'o-' || n / 10, 'causation', 'o-' || n / 10 || '/1/Note/do'),"
        f"  clock_timestamp() - interval '1 second' * ({count} - n)"
        f" FROM generate_series(1, {count}) AS n".encode()
    )


async def parked(lab: Lab, count: int) -> None:
    await a_follower(lab, "p", "SELECT pg_current_snapshot()")
    await lab.sql.execute(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        f" SELECT 'p', 'order-' || n, n, 'poison' FROM generate_series(1, {count}) AS n".encode()
    )


async def young_rows(lab: Lab, count: int) -> None:
    """Of all tables that are pruned by age: none is old."""
    for what in (
        "requests (route, key, fingerprint, claimed_until) SELECT 'r', n::text, '', now()",
        "saga_places (merchant, saga) SELECT 'm' || n % 10, n::text",
        "webhooks (source, id, type, body, status) SELECT 'bank', n::text, 't', '', 'accepted'",
    ):
        await lab.sql.execute(f"INSERT INTO {what} FROM generate_series(1, {count}) AS n".encode())


async def an_old_month(lab: Lab, count: int) -> None:
    """Of attempts that have nothing to ask any more."""
    await lab.value(
        "SELECT attach_partition('commands', 'commands_2020_01', '2020-01-01', '2020-02-01')"
    )
    await _fence(lab, count)


async def old_attempts_that_may_ask(lab: Lab, count: int) -> None:
    """In no month, of sagas that have not ended."""
    await _fence(lab, count)
    await lab.sql.execute(
        f"INSERT INTO streams SELECT 'saga-s-' || n, 1 FROM generate_series(1, {count}) n".encode()
    )


async def _fence(lab: Lab, count: int) -> None:
    await lab.sql.execute(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        f" SELECT '2020-01-15', 's-' || n, 1, s, 'do', '{{}}' FROM generate_series(1, {count}) n,"
        " (VALUES ('A'), ('B'), ('C')) AS steps (s)".encode()
    )


async def an_outbox_that_nobody_lets_go(lab: Lab, count: int) -> None:
    """So many times as long as a partition, since a follower does not move."""
    await a_follower(lab, "stands still", "SELECT pg_current_snapshot()")
    store = await lab.store()
    await lab.value("SELECT setval('events_position_seq', 2000001)")
    for _ in range(count):
        await store.append([("a-1", None, notes(1000))])
        await lab.value("SELECT maintain_partitions(1000, '1 year')")


# Questions.


async def how_far_behind(connection: Connection) -> None:
    async with _over(connection) as over:
        assert await lag(over)


@asynccontextmanager
async def _over(connection: Connection) -> AsyncIterator[AsyncConnection]:
    """The same connection, as SQLAlchemy has it."""

    async def same() -> Connection:
        return connection

    engine = create_async_engine("postgresql+psycopg://", async_creator=same, poolclass=StaticPool)
    async with engine.connect() as over:
        yield over


async def is_it_done(connection: Connection) -> None:
    await has_caught_up(connection, CONSUMER, await snapshot(connection))


async def which_rows_wait(connection: Connection) -> None:
    await connection.execute(WAITING, (["p", "q"], [str(n) for n in range(1, 400, 40)]))


async def prune_by_age(connection: Connection) -> None:
    await prune(connection)


async def maintain(connection: Connection) -> None:
    await connection.execute("SELECT maintain_partitions(1000000, '1 year')")


async def poll(connection: Connection) -> None:
    """Of a follower that has seen everything."""
    now = await snapshot(connection)
    await read_page(connection, Cursor(now), ALL_SHARDS, 1000)


async def search_by_actor(connection: Connection) -> None:
    await _search(connection, EventFilter(actor="person:ann"))


async def search_by_saga_and_type(connection: Connection) -> None:
    await _search(connection, EventFilter(saga="o-7", types=["Noted"]))


async def search_by_a_rare_type(connection: Connection) -> None:
    """No index has it: a page looks at a bounded number of events."""
    await _search(connection, EventFilter(types=["Rare"]))


async def search_by_time(connection: Connection) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1)
    await _search(connection, EventFilter(since=moment, until=moment + timedelta(seconds=1)))


async def the_causes_of_an_event(connection: Connection) -> None:
    async with _over(connection) as over:
        assert await causes_of(over, "order-7", 1)


async def _search(connection: Connection, wanted: EventFilter) -> None:
    async with _over(connection) as over:
        await search(over, wanted, tenant_word="tenant", limit=50)


async def append(connection: Connection) -> None:
    """Two streams, one of them only checked, with the fence."""
    store = store_over(connection)
    key = step(f"step-{secrets.token_hex(4)}")
    await store.append([("order-7", None, notes(2)), ("order-new", 0, [])], context=key)


async def _nothing(_connection: Connection, _received: Received) -> None:
    """What the consumer does with an event is not measured."""


CONSUMER: Final = Consumer(name="c", vhost="/", queue="c", wants=(), handle=_nothing)

COSTS: Final = (
    Cost("how far a follower is behind", 20_000, events_unseen, how_far_behind),
    Cost(
        "how far a follower in a long batch is behind", 20_000, events_seen_in_part, how_far_behind
    ),
    Cost("how far a follower with parked events is behind", 20_000, parked, how_far_behind),
    Cost("has a consumer that read everything caught up", 8_000, events_seen, is_it_done),
    Cost("has a consumer that read nothing caught up", 8_000, events_unseen, is_it_done),
    Cost("has a consumer in a long batch caught up", 8_000, events_seen_in_part, is_it_done),
    Cost("which rows of a page wait behind parked events", 7_000, parked, which_rows_wait),
    Cost("prune by age, nothing is old", 20_000, young_rows, prune_by_age),
    Cost("look through an old month of the fence", 5_000, an_old_month, maintain),
    Cost("look at old attempts that may ask", 5_000, old_attempts_that_may_ask, maintain),
    Cost("poll in vain", 20_000, events_seen, poll),
    Cost("poll beside a follower that stands still", 20, an_outbox_that_nobody_lets_go, poll),
    Cost("append, and check another stream", 20_000, events_seen, append),
    Cost("search events by actor", 20_000, events_of_people, search_by_actor),
    Cost("search events by saga and type", 20_000, events_of_people, search_by_saga_and_type),
    Cost("search events by a rare type", 20_000, events_of_people, search_by_a_rare_type),
    # Both ends of the span are found by halving: four steps more, each down an index.
    Cost("search events by time", 20_000, events_of_people, search_by_time, levels=70),
    Cost("the causes of an event", 20_000, events_of_people, the_causes_of_an_event),
)


async def measure(cost: Cost, postgres: EmbeddedPostgres, template: str) -> Measured:
    pages = []
    for factor in (1, 10):
        name = f"costs_{secrets.token_hex(4)}"
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
            await admin.execute(
                f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode()
            )
            async with Lab(postgres.url_of(name)) as lab:
                await lab.sql.execute("SET synchronous_commit = off")
                await cost.fill(lab, factor * cost.size)
                await _vacuumed(lab)
                pages.append((await _plans(lab, cost.ask)).buffers())
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    once, ten_times = pages
    return Measured(cost.what, once, ten_times, cost.levels)


async def _vacuumed(lab: Lab) -> None:
    """Rows whose commit is not on disk, or not yet old to everybody, are not marked as visible to
    all, and an index alone does not answer for them: such a table is looked through once more.
    """
    await lab.sql.execute("CHECKPOINT")
    for _ in range(_VACUUMS):
        await lab.sql.execute("VACUUM ANALYZE")
        cursor = await lab.sql.execute(
            "SELECT relallvisible = relpages FROM pg_class WHERE relname = 'events'"
        )
        if await cursor.fetchone() == (True,):
            return


_VACUUMS: Final = 5


async def _plans(lab: Lab, ask: Callable[[Connection], Awaitable[object]]) -> Plans:
    """The second time: only then are the connection's caches full."""
    connection = await lab.connect(autocommit=True)
    connection.prepare_threshold = 0
    await connection.execute("LOAD 'auto_explain'")
    async with plans_of(connection) as plans:
        # The pages of a function's statements are in those of its caller: each is counted once.
        await connection.execute("SET auto_explain.log_nested_statements = off")
        await ask(connection)
        plans.found.clear()
        await ask(connection)
    return plans


def table_of(measured: Sequence[Measured]) -> Table:
    table = Table("what", "1x", "10x", "ratio", title="pages touched")
    for one in measured:
        table.add_row(one.what, str(one.once), str(one.ten_times), f"{one.ratio:.2f}")
    return table


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="handrail-costs-") as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as postgres:
            async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as own:
                await own.execute("CREATE DATABASE template_of_costs")
            await asyncio.to_thread(upgrade, postgres.url_of("template_of_costs"))
            await to_be_copied(postgres.url_of("template_of_costs"))
            measured = [await measure(one, postgres, "template_of_costs") for one in COSTS]
    Console().print(table_of(measured))


if __name__ == "__main__":
    asyncio.run(main())
