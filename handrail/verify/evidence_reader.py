"""Reads the evidence in pages of ids, so that memory does not grow with the store.

The event store and the read models are read in one transaction, so they belong together whatever
runs meanwhile. Other companies and Temporal are asked behind it: what had ended by then stays so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, ClassVar, Final, Generic

from psycopg.rows import dict_row

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.prune_tables import COMMANDS_KEPT
from handrail.eventstore.store import Recorded
from handrail.kernel import Event, stream_name
from handrail.projections.projection import Projection, id_of
from handrail.sagas.interventions import SagaTold
from handrail.verify.evidence import FenceRow, Mention, SagaEvidence, Seen, Stored
from handrail.verify.read_model_invariants import seen_by
from handrail.verify.saga_facts import SagaFacts, facts_of
from handrail.verify.sorted_rows import SortedRows, first_id
from handrail.verify.violations import EvidenceT

IDS_A_PAGE: Final = 100
EVENTS_A_PAGE: Final = 1_000
"""A page ends with the id that reaches it; the events of a longer stream are not kept."""
_COLUMNS: Final = 8
"""Of a recorded event."""
_AT_ONCE: Final = 200
"""Rows fetched at a time."""

_ID: Final = "substr({0}, strpos({0}, '-') + 1) COLLATE \"C\""
_STREAMS: Final = f"SELECT {_ID.format('name')} AS id, name, version FROM streams ORDER BY 1, name"
_OWN: Final = (
    "SELECT event_number(e.position, e.txid)::text::bigint, e.position, e.stream, e.version,"
    " e.type, e.schema, e.data, e.metadata, e.recorded_at{more} FROM events e"
    " WHERE e.stream = ANY(%(streams)s)"
    f" ORDER BY {_ID.format('e.stream')}, e.position"
)
_MENTIONS: Final = (
    'SELECT (e.data ->> m.field) COLLATE "C" AS id, e.stream, e.type, e.schema, e.data,'
    " coalesce(e.metadata ->> 'correlation', ''){more}"
    " FROM events e JOIN unnest(%(types)s::text[], %(fields)s::text[]) AS m (type, field)"
    " ON m.type = e.type AND e.data ->> m.field IS NOT NULL ORDER BY 1, e.position"
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
_SAGAS: Final = (
    "SELECT stream, type, schema, data FROM events WHERE stream = ANY(%s)"
    " AND type IN ('SagaStarted', 'SagaEnded', 'SagaResumed') ORDER BY stream, version"
)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the evidence is read from.

    `connection` must be inside a REPEATABLE READ transaction, which began at `at`. `live` is
    another one, outside of it: what is not in the transaction may be there by now.
    """

    connection: Connection
    live: Connection
    codec: Codec
    projections: Sequence[Projection[Any]]
    at: datetime


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


class EvidenceReader(ABC, Generic[EvidenceT]):
    """Reads the evidence of every app; a business overrides what it adds to it.

    `mentions` are the events that name an id beside that of their stream, and the field that holds
    it. `more_of_events` is a column of `events e` that the business wants beside the library's,
    with `parameters` of its own.
    """

    mentions: ClassVar[Mapping[type[Event], str]] = {SagaTold: "saga"}
    more_of_events: ClassVar[str] = ""
    parameters: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, sources: Sources) -> None:
        self.connection, self.live = sources.connection, sources.live
        self.codec, self.projections = sources.codec, sources.projections
        self._looked_at = sources.at
        more = f", {self.more_of_events}" if self.more_of_events else ""
        self._own = _OWN.replace("{more}", more)
        self._streams = SortedRows(self.rows("streams", _STREAMS))
        self._fence = SortedRows(self.rows("fence", _FENCE))
        mentioned = [
            stored
            for one, field in self.mentions.items()
            for stored in sorted(self.codec.lineages.stored_keys(one.__name__, field))
        ]
        named = {
            **self.parameters,
            "types": [name for name, _ in mentioned],
            "fields": [field for _, field in mentioned],
        }
        query = _MENTIONS.replace("{more}", more)
        self._mentions = SortedRows(self.rows("mentions", query, named))
        self._models = {one.name: SortedRows(self._model(one)) for one in self.projections}

    # What a business adds.

    @abstractmethod
    def new(self, id_: str) -> EvidenceT:
        """The evidence of an id, with nothing in it."""

    def stored(self, txid: int, recorded: Recorded, event: Event, *_more: Any) -> Stored:
        """`more` is the value of `more_of_events`, where there is one."""
        return Stored(txid, recorded, event)

    def mention(self, stream: str, event: Event, *_more: Any) -> Mention:
        return Mention(stream, event)

    def more_sources(self) -> Sequence[SortedRows[Any]]:
        """Rows of other stores and companies, by the ids that they are about."""
        return ()

    async def add_more(self, found: EvidenceT) -> None:
        """Add what `more_sources` have of the evidence's id."""

    def sagas_about(self, evidence: EvidenceT) -> set[str]:
        """The ids of sagas that may have acted for an id."""
        return {evidence.id, *evidence.acted} - {""}

    def asked_by(self, _evidence: EvidenceT) -> set[str]:
        """The sagas that asked other companies, as those say."""
        return set()

    async def pages(self) -> AsyncIterator[Sequence[EvidenceT]]:
        """All ids that any store or company knows, in their order."""
        seen = await self._checkpoints()
        self._fence_since, self._fence_months = await self._kept_of_the_fence()
        while page := await self._page():
            await self._read_streams(page, seen)
            await self._read_sagas(page)
            await self._add_what_came_later(page)
            yield page

    async def _page(self) -> list[EvidenceT]:
        sources: list[SortedRows[Any]] = [
            *(self._streams, self._fence, self._mentions),
            *self._models.values(),
            *self.more_sources(),
        ]
        page, events = list[EvidenceT](), 0
        while len(page) < IDS_A_PAGE and events < EVENTS_A_PAGE:
            id_ = await first_id(sources)
            if id_ is None:
                break
            found = await self._collect(id_)
            events += sum(found.heads.values())
            page.append(found)
        return page

    async def _collect(self, id_: str) -> EvidenceT:
        """All but the events of its own streams."""
        found = self.new(id_)
        found.projections, found.looked_at = self.projections, self._looked_at
        found.fence_since, found.fence_months = self._fence_since, self._fence_months
        found.heads = dict(await self._streams.of(id_))
        found.fence = [FenceRow(*row) for row in await self._fence.of(id_)]
        for stream, type_, schema, data, acted, *more in await self._mentions.of(id_):
            for event in self.codec.decode_all(type_, schema, data):
                found.mention(self.mention(stream, event, *more), acted)
        for name, rows in self._models.items():
            for (row,) in await rows.of(id_):
                found.rows[name] = row
        await self.add_more(found)
        return found

    async def _read_streams(self, page: Sequence[EvidenceT], seen: Seen) -> None:
        by_id = {one.id: one for one in page}
        streams = [stream for one in page for stream in one.heads]
        async with self.connection.cursor(name="own") as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(self._own, {**self.parameters, "streams": streams})
            async for txid, *columns in cursor:
                recorded = Recorded(*columns[:_COLUMNS])
                parts = self.codec.decode_all(recorded.type, recorded.schema, recorded.data)
                for part, event in enumerate(parts):
                    stored = self.stored(txid, recorded, event, *columns[_COLUMNS:])
                    taken = replace(stored, part=part) if part else stored
                    by_id[id_of(recorded.stream)].take(taken, seen)

    async def _read_sagas(self, page: Sequence[EvidenceT]) -> None:
        """How those ended that acted for the ids of the page."""
        wanted = {one.id: self.sagas_about(one) for one in page}
        streams = {stream_name("saga", saga) for sagas in wanted.values() for saga in sagas}
        stories: dict[str, list[Any]] = {}
        rows = await self.connection.execute(_SAGAS, (sorted(streams),))
        for stream, type_, schema, data in await rows.fetchall():
            stories.setdefault(stream, []).append(self.codec.decode(type_, schema, data))
        facts = {id_of(stream): facts_of(story) for stream, story in stories.items()}
        for one in page:
            one.sagas = {saga: facts[saga] for saga in wanted[one.id] if saga in facts}

    async def _add_what_came_later(self, page: Sequence[EvidenceT]) -> None:
        """A company may have been asked by a saga that has begun since the stores were read."""
        unknown = {one.id: self.asked_by(one) - one.sagas.keys() for one in page}
        streams = {stream_name("saga", saga) for sagas in unknown.values() for saga in sagas}
        if not streams:
            return
        rows = await self.live.execute(
            "SELECT name FROM streams WHERE name = ANY(%s)", (sorted(streams),)
        )
        begun = {id_of(name) for (name,) in await rows.fetchall()}
        for one in page:
            one.sagas |= {saga: SagaFacts() for saga in unknown[one.id] & begun}

    async def _checkpoints(self) -> Seen:
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT projection, shard, since::text, until::text, after_position"
                " FROM checkpoints WHERE projection = ANY(%s)",
                ([one.name for one in self.projections],),
            )
            return seen_by(await cursor.fetchall())

    async def _kept_of_the_fence(self) -> tuple[date, frozenset[date]]:
        rows = await self.connection.execute(_KEPT_OF_THE_FENCE, (COMMANDS_KEPT,))
        [(since, months)] = await rows.fetchall()
        return since, frozenset(months)

    async def rows(
        self, name: str, query: str, parameters: Mapping[str, Any] | None = None
    ) -> AsyncIterator[tuple[str, Any]]:
        """Of a query whose first column is the id, in its order."""
        async with self.connection.cursor(name=name) as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(query, parameters)
            async for id_, *row in cursor:
                yield id_, tuple(row)

    async def _model(self, one: Projection[Any]) -> AsyncIterator[tuple[str, Any]]:
        table, key = one.table.name, one.key
        async with self.connection.cursor(name=table, row_factory=dict_row) as cursor:
            cursor.itersize = _AT_ONCE
            await cursor.execute(f'SELECT * FROM "{table}" ORDER BY "{key}" COLLATE "C"')
            async for row in cursor:
                yield row[key], (one.by_field(row),)


class SagaEvidenceReader(EvidenceReader[SagaEvidence]):
    """Of a business that adds nothing."""

    def new(self, id_: str) -> SagaEvidence:
        return SagaEvidence(id_)
