"""Reads the evidence in pages of ids, so that memory does not grow with the store.

The event store and the read models are read in one transaction, so they belong together whatever
runs meanwhile. Other companies and Temporal are asked behind it: what had ended by then stays so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from psycopg.rows import dict_row

from consumers import finance
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.kernel import stream_name
from handrail.processes.prune_tables import COMMANDS_KEPT
from handrail.projections.projection import id_of
from handrail.verify.evidence import FenceRow, Seen
from handrail.verify.evidence import Mention as AnyMention
from handrail.verify.read_model_invariants import seen_by
from handrail.verify.saga_facts import SagaFacts, facts_of
from handrail.verify.sorted_rows import SortedRows, first_id
from handrail.verify.store_invariants import FINANCE, PASSED_BY_FINANCE
from runtime.registry.projections import PROJECTIONS
from runtime.verify.companies import Entry, step_of
from runtime.verify.evidence import MENTIONS, Evidence, Mention, Stored
from workflows import (
    collect_instalment,
    pay_merchant,
    return_order,
    settle_early,
    write_off,
)

IDS_A_PAGE: Final = 100
EVENTS_A_PAGE: Final = 1_000
"""A page ends with the id that reaches it; the events of a longer stream are not kept."""
_AT_ONCE: Final = 200
"""Rows fetched at a time."""

_ID: Final = "substr({0}, strpos({0}, '-') + 1) COLLATE \"C\""
# An inbox is pruned: that finance has handled an event is also known from its checkpoint, and that
# the event is parked, or was discarded, from what is kept of it.
_UNBOOKED: Final = (
    "(e.type = ANY(%(booked)s)"
    " AND NOT EXISTS (SELECT FROM ledger_lines l WHERE l.event = e.stream || '/' || e.version)"
    " AND (EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
    "  AND p.stream = e.stream AND p.version = e.version"
    "  AND (p.settled_as = 'discarded' OR p.settled_at IS NULL))"
    " OR NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = %(consumer)s"
    f"  AND i.id = e.stream || '/' || e.version) AND NOT {PASSED_BY_FINANCE}))"
)
_BOOKED: Final = {"booked": sorted(finance.CONSUMER.types), **FINANCE}

_STREAMS: Final = f"SELECT {_ID.format('name')} AS id, name, version FROM streams ORDER BY 1, name"
_OWN: Final = (
    "SELECT event_number(e.position, e.txid)::text::bigint, e.position, e.stream, e.version,"
    f" e.type, e.schema, e.data, e.metadata, e.recorded_at, {_UNBOOKED} FROM events e"
    " WHERE e.stream = ANY(%(streams)s)"
    f" ORDER BY {_ID.format('e.stream')}, e.position"
)
_MENTIONS: Final = (
    'SELECT (e.data ->> m.field) COLLATE "C" AS id, e.stream, e.type, e.schema, e.data,'
    f" coalesce(e.metadata ->> 'correlation', ''), {_UNBOOKED}"
    " FROM events e JOIN unnest(%(types)s::text[], %(fields)s::text[]) AS m (type, field)"
    " ON m.type = e.type ORDER BY 1, e.position"
)
_FENCE: Final = (
    "SELECT saga COLLATE \"C\" AS id, attempt, split_part(step, '~', 1), direction,"
    " answer IS NOT NULL FROM commands"
    " WHERE saga NOT LIKE 'request-%' AND step NOT LIKE 'journal:%' ORDER BY 1"
)
_KEPT_OF_THE_FENCE: Final = (
    "SELECT (current_date - %s::interval)::date,"
    " coalesce(array_agg(to_date(substr(name, 10), 'YYYY_MM')), '{}') FROM ("
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
    " WHERE inhparent = 'commands'::regclass) AS partitions"
    " WHERE name ~ '^commands_[0-9]{4}_[0-9]{2}$'"
)
_BALANCES: Final = (
    'SELECT party COLLATE "C" AS id, account, sum(amount)::bigint FROM ledger_lines'
    " WHERE party <> '' GROUP BY party, account ORDER BY 1"
)
_SAGAS: Final = (
    "SELECT stream, type, schema, data FROM events WHERE stream = ANY(%s)"
    " AND type IN ('SagaStarted', 'SagaEnded', 'SagaResumed') ORDER BY stream, version"
)

Companies = Mapping[str, AsyncIterator[tuple[str, Entry]] | None]


@dataclass(frozen=True)
class Size:
    """What there is to read."""

    ids: int
    events: int
    sagas: int
    at: datetime


async def size_of(connection: Connection) -> Size:
    [row] = await (
        await connection.execute(
            f"SELECT count(DISTINCT {_ID.format('name')}), coalesce(sum(version), 0)::bigint,"
            " count(*) FILTER (WHERE name LIKE 'saga-%'), clock_timestamp() FROM streams"
        )
    ).fetchall()
    return Size(*row)


class EvidenceReader:
    """The connection must be inside a REPEATABLE READ transaction.

    `live` is another one, outside of it: what is not in the transaction may be there by now.
    `companies` are the entries of `bank` and `carrier`, or None where there is no such company.
    """

    def __init__(
        self,
        connection: Connection,
        live: Connection,
        codec: Codec,
        companies: Companies,
        looked_at: datetime,
    ) -> None:
        self._connection = connection
        self._live = live
        self._codec = codec
        self._looked_at = looked_at
        self._companies = {
            name: SortedRows(rows) for name, rows in companies.items() if rows is not None
        }
        self._streams = SortedRows(self._rows("streams", _STREAMS))
        self._fence = SortedRows(self._rows("fence", _FENCE))
        self._balances = SortedRows(self._rows("balances", _BALANCES))
        self._mentions = SortedRows(
            self._rows(
                "mentions",
                _MENTIONS,
                {
                    **_BOOKED,
                    "types": [one.__name__ for one in MENTIONS],
                    "fields": list(MENTIONS.values()),
                },
            )
        )
        self._models = {
            one.name: SortedRows(self._model(one.table.name, one.key)) for one in PROJECTIONS
        }

    async def pages(self) -> AsyncIterator[Sequence[Evidence]]:
        """All ids that any store or company knows, in their order."""
        seen = await self._checkpoints()
        self._fence_since, self._fence_months = await self._kept_of_the_fence()
        while page := await self._page():
            await self._read_streams(page, seen)
            await self._read_sagas(page)
            await self._add_what_came_later(page)
            yield page

    async def _page(self) -> list[Evidence]:
        sources: list[SortedRows[Any]] = [
            *(self._streams, self._fence, self._balances, self._mentions),
            *self._models.values(),
            *self._companies.values(),
        ]
        page, events = list[Evidence](), 0
        while len(page) < IDS_A_PAGE and events < EVENTS_A_PAGE:
            id_ = await first_id(sources)
            if id_ is None:
                break
            found = await self._collect(id_)
            events += sum(found.heads.values())
            page.append(found)
        return page

    async def _collect(self, id_: str) -> Evidence:
        """All but the events of its own streams."""
        found = Evidence(
            id_,
            looked_at=self._looked_at,
            fence_since=self._fence_since,
            fence_months=self._fence_months,
        )
        found.heads = dict(await self._streams.of(id_))
        found.fence = [FenceRow(*row) for row in await self._fence.of(id_)]
        found.balances = dict(await self._balances.of(id_))
        for stream, type_, schema, data, acted, unbooked in await self._mentions.of(id_):
            event = self._codec.decode(type_, schema, data)
            found.mention(Mention(stream, event, unbooked), acted)
        for name, rows in self._models.items():
            for (row,) in await rows.of(id_):
                found.rows[name] = row
        for name, entries in self._companies.items():
            kinds: dict[str, list[Mapping[str, Any]]] = {}
            for kind, entry in await entries.of(id_):
                kinds.setdefault(kind, []).append(entry)
            setattr(found, name, kinds)
        return found

    async def _read_streams(self, page: Sequence[Evidence], seen: Seen) -> None:
        by_id = {one.id: one for one in page}
        streams = [stream for one in page for stream in one.heads]
        async with self._connection.cursor(name="own") as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(_OWN, {**_BOOKED, "streams": streams})
            async for txid, *columns, unbooked in cursor:
                recorded = Recorded(*columns)
                event = self._codec.decode(recorded.type, recorded.schema, recorded.data)
                stored = Stored(txid, recorded, event, unbooked)
                by_id[id_of(recorded.stream)].take(stored, seen)

    async def _read_sagas(self, page: Sequence[Evidence]) -> None:
        """How those ended that acted for the ids of the page."""
        wanted = {one.id: sagas_about(one) for one in page}
        streams = {stream_name("saga", saga) for sagas in wanted.values() for saga in sagas}
        stories: dict[str, list[Any]] = {}
        rows = await self._connection.execute(_SAGAS, (sorted(streams),))
        for stream, type_, schema, data in await rows.fetchall():
            stories.setdefault(stream, []).append(self._codec.decode(type_, schema, data))
        facts = {id_of(stream): facts_of(story) for stream, story in stories.items()}
        for one in page:
            one.sagas = {saga: facts[saga] for saga in wanted[one.id] if saga in facts}

    async def _add_what_came_later(self, page: Sequence[Evidence]) -> None:
        """A company may have been asked by a saga that has begun since the stores were read."""
        unknown = {one.id: _asked_by(one) - one.sagas.keys() for one in page}
        streams = {stream_name("saga", saga) for sagas in unknown.values() for saga in sagas}
        if not streams:
            return
        rows = await self._live.execute(
            "SELECT name FROM streams WHERE name = ANY(%s)", (sorted(streams),)
        )
        begun = {id_of(name) for (name,) in await rows.fetchall()}
        for one in page:
            one.sagas |= {saga: SagaFacts() for saga in unknown[one.id] & begun}

    async def _checkpoints(self) -> Seen:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT projection, shard, since::text, until::text, after_position"
                " FROM checkpoints WHERE projection = ANY(%s)",
                ([one.name for one in PROJECTIONS],),
            )
            return seen_by(await cursor.fetchall())

    async def _kept_of_the_fence(self) -> tuple[date, frozenset[date]]:
        rows = await self._connection.execute(_KEPT_OF_THE_FENCE, (COMMANDS_KEPT,))
        [(since, months)] = await rows.fetchall()
        return since, frozenset(months)

    async def _rows(
        self, name: str, query: str, parameters: Mapping[str, Any] | None = None
    ) -> AsyncIterator[tuple[str, Any]]:
        async with self._connection.cursor(name=name) as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(query, parameters)
            async for id_, *row in cursor:
                yield id_, tuple(row)

    async def _model(self, table: str, key: str) -> AsyncIterator[tuple[str, Any]]:
        async with self._connection.cursor(name=table, row_factory=dict_row) as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(f'SELECT * FROM "{table}" ORDER BY "{key}" COLLATE "C"')
            async for row in cursor:
                yield row[key], (row,)


def sagas_about(evidence: Evidence) -> set[str]:
    """The ids of sagas that may have acted for an id: those that appended its events, asked a
    company for it, or are named after it.
    """
    id_ = evidence.id
    found = {id_, *evidence.acted, *_asked_by(evidence)}
    if "payment" in evidence.states or "order" in evidence.states or "plan" in evidence.states:
        found |= {settle_early.saga_id(id_), write_off.saga_id(id_)}
        found |= {f"{prefix}-{id_}" for prefix in ("dispatch", "delivered", "lost")}
        found |= {return_order.saga_id(one) for one in _returns(evidence)}
        plan = evidence.state("plan")
        for one in plan.instalments if plan else ():
            found.add(collect_instalment.saga_id(id_, one.number))
    if any(_payout_of(one) == id_ for one in evidence.mentions) or "transfer" in evidence.states:
        found.add(pay_merchant.saga_id(id_))
    return found - {""}


def _payout_of(mention: AnyMention) -> str | None:
    return getattr(mention.event, "payout", None)


def _returns(evidence: Evidence) -> Iterable[str]:
    own = (*evidence.of("order"), *evidence.of("plan"))
    events = (*own, *(one.event for one in evidence.mentions))
    return {found for one in events if (found := getattr(one, "return_id", ""))}


def _asked_by(evidence: Evidence) -> set[str]:
    entries = (
        one
        for company in (evidence.bank, evidence.carrier)
        for several in (company or {}).values()
        for one in several
    )
    return {step_of(one).saga for one in entries if "key" in one}
