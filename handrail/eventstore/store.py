"""Load streams and append to them, one round trip each."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import orjson
from psycopg import errors

from handrail.eventstore.codec import Codec, Encoded, Unstorable
from handrail.eventstore.folds.fold_revision import revision_of
from handrail.eventstore.pool import Pool, epoch_of
from handrail.kernel import Event
from handrail.personal import holds_sealed, subject_of
from handrail.privacy.texts import CLEAR, PersonalTexts
from handrail.sagas.step_keys import StepContext
from handrail.tracing import spans

SHARDS: Final = 16
"""Streams are spread over so many shards of the feed. Stored with every event: never change it."""

ANY_VERSION: Final = None

_SHOWN_STREAMS: Final = 16

# Few parameters, of text: adapting one that is an array takes the driver as long as all of these.
_APPEND: Final = "SELECT append_events(" + ", ".join(["%b::text::jsonb"] * 4) + ")"


# The own row is locked first, which counting it makes sure of, and of the others none that anybody
# works on: so nobody waits who holds what another one waits for.
_KEEP: Final = """
WITH kept AS (
    INSERT INTO state_snapshots AS s (stream, revision, version, state)
    VALUES (%(stream)s, %(revision)s, %(version)s, %(state)s::text::jsonb)
    ON CONFLICT (stream, revision) DO UPDATE
    SET version = excluded.version, state = excluded.state, kept_at = excluded.kept_at
    WHERE s.version < excluded.version RETURNING 1
)
DELETE FROM state_snapshots WHERE stream = %(stream)s AND revision = ANY (ARRAY(
    SELECT revision FROM state_snapshots
    WHERE stream = %(stream)s AND revision <> %(revision)s AND (SELECT count(*) FROM kept) >= 0
    ORDER BY kept_at DESC, revision OFFSET 1
    FOR UPDATE SKIP LOCKED))
"""


class VersionConflict(Exception):
    """Somebody else appended first: load the stream again and decide anew."""


class StepClosed(Exception):
    """The step was taken back, or its attempt is over: it may no longer take effect."""


@dataclass(frozen=True)
class Recorded:
    """An event as it is stored; `Codec.decode` makes it a message."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    data: dict[str, Any]
    metadata: Mapping[str, Any]
    recorded_at: datetime


@dataclass(frozen=True)
class Loaded:
    """The newest part of a stream: a snapshot, where one was usable, and the events after it."""

    version: int
    snapshot: Any | None
    events: Sequence[Event]
    epoch: int = 0
    """Of the store it was read from."""


@dataclass(frozen=True)
class ReadBack:
    """Events of a stream as the next reader sees them: without what an older form cannot keep.
    `stored` is how many they are in the store, where parts of an event are one.
    """

    stored: int
    events: Sequence[Event]


@dataclass(frozen=True)
class Appended:
    """`answer` is this append's, or the first one's where the fence had been passed before.

    `token` names the transaction that wrote it, for reads that must see it.
    """

    status: Literal["appended", "repeated"]
    answer: Mapping[str, Any] | None
    token: str
    epoch: int = field(default=0, compare=False)
    """Of the store it was appended to."""
    read_back: Mapping[str, ReadBack] = field(default_factory=dict, compare=False)
    """The streams of which some events were written in an older form (`handrail/evolution/`)."""


def shard_of(stream: str) -> int:
    """All streams with the same id, whatever their category, share a shard.

    CRC-32 (ITU-T V.42), because it is the same in every language and in every version.
    """
    return zlib.crc32(stream.partition("-")[2].encode()) % SHARDS


class EventStore:
    """Loads streams and appends to them, a round trip each."""

    def __init__(self, pool: Pool, codec: Codec, personal: PersonalTexts = CLEAR) -> None:
        self._pool = pool
        self._codec = codec
        self.personal = personal
        """Seals what is appended; an event is read with its personal texts as they are stored."""

    @property
    def tenant(self) -> str:
        """The App's word for its tenant: the key under which metadata names one."""
        return self._codec.tenant

    @property
    def epoch(self) -> int:
        """The newest that a connection has come to: what was read before it may be gone."""
        return getattr(self._pool, "epoch", 0)

    def revision_of(self, initial: Any, evolve: Callable[[Any, Any], Any]) -> str:
        """Of the states that a fold makes: those that another one kept are never used."""
        return revision_of(self._codec, initial, evolve)

    async def load(self, streams: Mapping[str, int], revision: str = "") -> Mapping[str, Loaded]:
        """Each stream's events after the given version, in one round trip.

        With a `revision`, a state that was kept for it stands in for the events it holds.
        """
        rows, epoch = await self._fetch(
            "SELECT * FROM load_states(%s::text[], %s::bigint[], %s::text)",
            (list(streams), list(streams.values()), revision),
        )
        found: dict[str, tuple[int, Any | None, list[Event]]] = {
            name: (after, None, []) for name, after in streams.items()
        }
        for stream, version, type_, schema, data in rows:
            _, snapshot, events = found[stream]
            if type_ is None:
                found[stream] = (version, data, events)
            else:
                events += self._codec.decode_all(type_, schema, data)
                found[stream] = (version, snapshot, events)
        return {name: Loaded(*parts, epoch) for name, parts in found.items()}

    async def append(
        self,
        appends: Sequence[tuple[str, int | None, Sequence[Event]]],
        *,
        context: StepContext | None = None,
        answer: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        epoch: int | None = None,
    ) -> Appended:
        """Append to some streams, all or none, in one round trip.

        Each of `appends` is a stream's name, the version it must be at (ANY_VERSION for none) and
        its new events; an empty sequence only checks the version. `context` is the fence, and
        `epoch` the one in which the versions were read.

        Raises ValueError when a stream is given twice: which version would the second one expect?
        Raises VersionConflict when a stream has moved, or the epoch is another one, where the same
        version may be of other events; StepClosed when the fence is shut. When the connection
        breaks the outcome is unknown: append again with the same `context` to learn it.
        """
        if len({stream for stream, _, _ in appends}) < len(appends):
            raise ValueError("a stream is given twice: " + ", ".join(s for s, _, _ in appends))
        appends = [
            (stream, version, await self.sealed(events, context, stream))
            for stream, version, events in appends
        ]
        encoded = {stream: self._codec.encode_all(events) for stream, _, events in appends}
        # In the order of their names, which is the order they are locked in.
        ordered = sorted(appends, key=lambda one: one[0])
        places = {stream: place for place, (stream, _, _) in enumerate(ordered)}
        parameters = (
            [_stream(name, version, encoded[name]) for name, version, _ in ordered],
            [
                _event(places[stream], nth, one)
                for stream, events in encoded.items()
                for nth, one in enumerate(events, start=1)
            ],
            metadata or {},
            _step(context, answer) if context else None,
        )
        with spans.span("append", kind=spans.CLIENT) as span:
            if span.is_recording():
                span.set_attributes(_said(ordered))
            try:
                given = [_json(one) for one in parameters]
                [(result,)], now = await self._fetch(_APPEND, given, epoch)
            except errors.DatabaseError as error:
                if error.sqlstate == "HR409":
                    raise VersionConflict(error.diag.message_primary) from None
                if error.sqlstate == "HR410":
                    raise StepClosed(error.diag.message_primary) from None
                raise
            if result["status"] == "closed":
                raise StepClosed(str(context and context.key))
            span.set_attribute("handrail.append", result["status"])
        return Appended(
            result["status"],
            result.get("answer", answer or {}),
            result["token"],
            now,
            self._read_back(appends, encoded),
        )

    async def sealed(
        self, events: Sequence[Event], context: StepContext | None, stream: str = ""
    ) -> Sequence[Event]:
        """The events as they are stored: no personal text of theirs is in clear.

        Raises ValueError for a stream that is named by a personal text.
        """
        if holds_sealed(stream):
            raise ValueError("a stream is named by a personal text")
        otherwise = context.of_texts if context else subject_of("stream", stream)
        return await self.personal.seal_all(events, otherwise)

    def _read_back(
        self,
        appends: Sequence[tuple[str, int | None, Sequence[Event]]],
        encoded: Mapping[str, Sequence[Encoded]],
    ) -> Mapping[str, ReadBack]:
        found = {}
        for stream, _, events in appends:
            if self._codec.are_lowered(events, encoded[stream]):
                read = [
                    event
                    for one in encoded[stream]
                    for event in self._codec.decode_all(
                        one.type, one.schema, orjson.loads(one.data)
                    )
                ]
                found[stream] = ReadBack(len(encoded[stream]), read)
        return found

    async def save_snapshot(
        self, stream: str, version: int, revision: str, state: bytes, *, epoch: int = 0
    ) -> None:
        """Keep the folded state of a stream, unless a newer one of the revision is there already.

        Beside it stays the newest one of another revision, and no third. `epoch` is the one that
        the version is of, where the store has one: in another one nothing is kept.
        """
        async with self._pool.connection() as connection:
            if epoch and epoch != epoch_of(connection):
                return  # the events that were folded may be gone
            await connection.execute(
                _KEEP,
                {
                    "stream": stream,
                    "revision": revision,
                    "version": version,
                    "state": state.decode(),
                },
            )

    async def _fetch(
        self, query: str, parameters: Sequence[Any], epoch: int | None = None
    ) -> tuple[list[tuple[Any, ...]], int]:
        async with self._pool.connection() as connection:
            now = epoch_of(connection)
            if epoch is not None and epoch != now:
                raise VersionConflict(f"what was read in epoch {epoch} is appended to in {now}")
            try:
                cursor = await connection.execute(query, parameters)
            except errors.CheckViolation as error:
                if not _is_of_an_attached_partition(error) or not connection.autocommit:
                    raise
                cursor = await connection.execute(query, parameters)
            return await cursor.fetchall(), now


def _is_of_an_attached_partition(error: errors.CheckViolation) -> bool:
    """The partition of a row was attached while the row was on its way to the default one.

    Partitions are attached where that cannot be (`attach_partition`); this is for who jumps ahead,
    further than a partition is long. What fails so was rolled back, and finds its partition now.
    """
    return error.diag.table_name in ("outbox_default", "commands_default")


def _said(ordered: Sequence[tuple[str, int | None, Sequence[Event]]]) -> Mapping[str, Any]:
    """What a span says of an append; -1 is a stream at any version."""
    shown = ordered[:_SHOWN_STREAMS]
    return {
        "handrail.streams": [stream for stream, _, _ in shown],
        "handrail.expected_versions": [-1 if at is None else at for _, at, _ in shown],
        "handrail.events": sum(len(events) for _, _, events in ordered),
    }


def _stream(name: str, expected: int | None, events: Sequence[Encoded]) -> Mapping[str, Any]:
    return {"name": name, "shard": shard_of(name), "expected": expected, "added": len(events)}


def _event(of: int, nth: int, encoded: Encoded) -> Mapping[str, Any]:
    return {
        "of": of,
        "nth": nth,
        "type": encoded.type,
        "schema": encoded.schema,
        "data": orjson.Fragment(encoded.data),
    }


def _step(context: StepContext, answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    key = context.key
    step = {
        "opened_on": key.opened_on,
        "saga": key.saga,
        "attempt": key.attempt,
        "step": key.asked_step,
        "direction": key.direction,
        "answer": answer or {},
    }
    return {**step, "closes": context.closes} if context.closes else step


def _json(value: Any) -> str | None:
    try:
        return None if value is None else orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise Unstorable(str(error)) from None
