"""What `verify` looks at: everything the stores say, as of one moment.

The event store and the read models are read in one transaction, so they belong together whatever
runs meanwhile. The ledgers of bank and carrier come after it: what had ended by then stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from psycopg.rows import dict_row

from domain.credit import credit_line
from domain.inventory import stock
from domain.kernel import Event
from domain.ordering import order
from domain.payments import payment, plan, transfer
from domain.sagas.events import SagaEvent
from domain.settlement import application, merchant_account
from domain.shipping import shipment
from eventstore.codec import Codec
from eventstore.feed import BEGINNING, read_page
from eventstore.pool import Connection
from eventstore.store import SHARDS, Recorded

_AGGREGATES: Mapping[str, tuple[Any, Any]] = {
    order.CATEGORY: (order.Order(), order.evolve),
    stock.CATEGORY: (stock.StockItem(), stock.evolve),
    credit_line.CATEGORY: (credit_line.CreditLine(), credit_line.evolve),
    payment.CATEGORY: (payment.Payment(), payment.evolve),
    plan.CATEGORY: (plan.InstalmentPlan(), plan.evolve),
    transfer.CATEGORY: (transfer.Transfer(), transfer.evolve),
    shipment.CATEGORY: (shipment.Shipment(), shipment.evolve),
    merchant_account.CATEGORY: (merchant_account.MerchantAccount(), merchant_account.evolve),
    application.CATEGORY: (application.Application(), application.evolve),
}


@dataclass(frozen=True)
class Stored:
    """An event, and the transaction that wrote it."""

    txid: int
    recorded: Recorded
    event: Event


@dataclass(frozen=True)
class LedgerLine:
    event: str
    account: str
    party: str
    amount: int
    currency: str


@dataclass
class Evidence:
    stored: list[Stored] = field(default_factory=list)
    fed: list[tuple[int, str, int]] = field(default_factory=list)
    """What the feed delivers from its beginning: position, stream, version."""
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The folded aggregates by category and id."""
    answered: set[tuple[str, int, str, str]] = field(default_factory=set)
    """Keys of steps the fence has an answer for: saga, attempt, step, direction."""
    never_happened: set[tuple[str, int, str]] = field(default_factory=set)
    """Forward keys that were shut before anything took effect: saga, attempt, step."""
    heads: dict[str, int] = field(default_factory=dict)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    parked_events: int = 0
    parked_messages: dict[str, int] = field(default_factory=dict)
    """How many wait at each consumer that has any."""
    ledger: list[LedgerLine] = field(default_factory=list)
    """What finance has booked."""
    handled_by_finance: set[str] = field(default_factory=set)
    """The ids of events in its inbox, but for those that a person discarded."""
    bank: dict[str, Any] | None = None
    carrier: dict[str, Any] | None = None

    def of(self, category: str) -> Mapping[str, Any]:
        return self.states.get(category, {})

    def events_of(self, category: str) -> Iterator[tuple[str, Event]]:
        for one in self.stored:
            found, _, identity = one.recorded.stream.partition("-")
            if found == category:
                yield identity, one.event

    def sagas(self) -> Mapping[str, Sequence[SagaEvent]]:
        found: dict[str, list[SagaEvent]] = {}
        for identity, event in self.events_of("saga"):
            found.setdefault(identity, []).append(event)  # type: ignore[arg-type]  # of its stream
        return found


async def gather(connection: Connection, codec: Codec) -> Evidence:
    """Read the stores. The connection must be inside a REPEATABLE READ transaction."""
    evidence = Evidence()
    async with connection.cursor(name="events") as cursor:
        await cursor.execute(
            "SELECT txid::text::bigint, position, stream, version, type, schema, data, metadata,"
            " recorded_at FROM events ORDER BY position"
        )
        async for txid, *columns in cursor:
            recorded = Recorded(*columns)
            event = codec.decode(recorded.type, recorded.schema, recorded.data)
            evidence.stored.append(Stored(txid, recorded, event))
            folded(evidence, recorded.stream, event)
    cursor_at = BEGINNING
    while True:
        page = await read_page(connection, cursor_at, range(SHARDS), 5_000)
        evidence.fed += [(one.position, one.stream, one.version) for one in page.events]
        cursor_at = page.next
        if page.ends_batch:
            break
    rows = await connection.execute(
        "SELECT saga, attempt, split_part(step, '~', 1), direction, answer IS NOT NULL"
        " FROM commands WHERE saga NOT LIKE 'request-%' AND step NOT LIKE 'journal:%'"
    )
    for saga, attempt, step, direction, answered in await rows.fetchall():
        if answered:
            evidence.answered.add((saga, attempt, step, direction))
        else:
            evidence.never_happened.add((saga, attempt, step))
    rows = await connection.execute("SELECT name, version FROM streams")
    evidence.heads = {name: version for name, version in await rows.fetchall()}  # noqa: C416  # rows
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT projection, shard, since::text, until::text, after_position FROM checkpoints"
        )
        evidence.checkpoints = await cursor.fetchall()
    [(evidence.parked_events,)] = await (
        await connection.execute("SELECT count(*) FROM parked_events")
    ).fetchall()
    await _consumers(connection, evidence)
    return evidence


async def _consumers(connection: Connection, evidence: Evidence) -> None:
    rows = await connection.execute(
        "SELECT consumer, count(*) FROM parked_messages WHERE settled_at IS NULL GROUP BY consumer"
    )
    evidence.parked_messages = dict(await rows.fetchall())
    rows = await connection.execute(
        "SELECT id FROM inbox i WHERE consumer = 'finance' AND NOT EXISTS ("
        " SELECT FROM parked_messages p WHERE p.consumer = i.consumer"
        " AND p.stream || '/' || p.version = i.id AND p.settled_as = 'discarded')"
    )
    evidence.handled_by_finance = {id_ for (id_,) in await rows.fetchall()}
    rows = await connection.execute(
        "SELECT event, account, party, amount, currency FROM ledger_lines"
    )
    evidence.ledger = [LedgerLine(*row) for row in await rows.fetchall()]


async def ledger(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = await client.get("/ledger")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def folded(evidence: Evidence, stream: str, event: Event) -> None:
    category, _, identity = stream.partition("-")
    if category in _AGGREGATES:
        initial, evolve = _AGGREGATES[category]
        states = evidence.states.setdefault(category, {})
        states[identity] = evolve(states.get(identity, initial), event)
