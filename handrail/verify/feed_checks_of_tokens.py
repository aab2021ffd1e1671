"""Whether a token is answered as seen exactly when the row has what it stands for: `verify --feed`.

Of the newest transactions only, and of rows whose history is not too long: each is folded anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.dialects.postgresql import psycopg as dialect

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded, shard_of
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.eventstore.tokens import SEEN_OR_PARKED
from handrail.projections.fold import apply, read
from handrail.projections.projection import Projection, id_of
from handrail.verify.read_model_invariants import as_json, seen_by
from handrail.verify.violations import Violation

TRANSACTIONS: Final = 20
"""How many of the newest are asked about."""
_ROWS: Final = 500
"""Of the outbox, in which those are looked for."""
_LONGEST: Final = 2_000
"""Events of a row that is folded."""

# Tokens of earlier epochs are not answered at all.
_NEWEST: Final = (
    "SELECT o.txid::text, array_agg(DISTINCT e.stream) FROM"
    " (SELECT position, txid FROM outbox WHERE position >="
    "   (SELECT coalesce(max(first_position), 1) FROM store_epochs)"
    "  ORDER BY txid DESC LIMIT %s) AS o JOIN events e USING (position)"
    " GROUP BY o.txid ORDER BY o.txid DESC LIMIT %s"
)
_EVENTS: Final = (
    "SELECT event_number(position, txid)::text::bigint, position, stream, version, type, schema,"
    " data, metadata, recorded_at FROM events WHERE stream = ANY (%s) AND type = ANY (%s)"
    " ORDER BY position LIMIT %s"
)
_CHECKPOINTS: Final = (
    "SELECT projection, shard, since::text, until::text, after_position FROM checkpoints"
    " WHERE projection = ANY (%s)"
)
_PARKED: Final = (
    "SELECT position FROM parked_events WHERE projection = %s"
    " AND substr(stream, strpos(stream, '-') + 1) = %s"
)


@dataclass(frozen=True)
class _Answer:
    seen: bool
    parked: bool


async def tokens_are_exact(
    projections: Sequence[Projection[Any]], codec: Codec, connection: Connection
) -> AsyncIterator[Violation]:
    """A token is seen exactly when the row is the fold of its events, too."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CHECKPOINTS, ([one.name for one in projections],))
        checkpoints = await cursor.fetchall()
    seen = seen_by(checkpoints)
    between = {
        (one["projection"], one["shard"]): one["until"] is None and one["since"] != NOTHING_SEEN
        for one in checkpoints
    }
    found = await connection.execute(_NEWEST, (_ROWS, TRANSACTIONS))
    for token, streams in await found.fetchall():
        for id_ in sorted({id_of(stream) for stream in streams}):
            for projection in projections:
                if not between.get((projection.name, shard_of(f"-{id_}"))):
                    continue
                if wrong := await _wrong(connection, projection, codec, token, id_, seen=seen):
                    yield Violation(f"{projection.name} {id_}: token {token} {wrong}")


async def _wrong(
    connection: Connection,
    projection: Projection[Any],
    codec: Codec,
    token: str,
    id_: str,
    *,
    seen: Callable[[str, int, int, str], bool],
) -> str:
    streams = [f"{category}-{id_}" for category in projection.categories]
    cursor = await connection.execute(_EVENTS, (streams, sorted(projection.types), _LONGEST + 1))
    events = [(number, Recorded(*columns)) for number, *columns in await cursor.fetchall()]
    own = {one.position for number, one in events if number == int(token)}
    if not own or len(events) > _LONGEST:
        return ""
    answer = await _answer(connection, projection.name, token, id_)
    cursor = await connection.execute(_PARKED, (projection.name, id_))
    if parked := {position for (position,) in await cursor.fetchall()}:
        is_parked = bool(parked & own)
        return "" if answer.parked == is_parked else f"is {'not ' if is_parked else ''}said parked"
    passed = {
        one.position
        for number, one in events
        if seen(projection.name, number, one.position, one.stream)
    }
    row = await _row(connection, projection, id_)
    if answer.seen:
        has = [one for _, one in events if one.position in passed | own]
        lacks = row != _folded(projection, codec, has)
        return "is answered as seen, and the row does not have its events" if lacks else ""
    before = [one for number, one in events if number < int(token) or one.position in passed - own]
    has = [one for _, one in events if one in before or one.position in own]
    if row == _folded(projection, codec, has) != _folded(projection, codec, before):
        return "is answered as not seen, and the row has its events"
    return ""


_QUESTION: Final = str(
    SEEN_OR_PARKED.compile(dialect=dialect.dialect(paramstyle="pyformat"))  # type: ignore[no-untyped-call]  # SQLAlchemy's
)


async def _answer(connection: Connection, projection: str, token: str, id_: str) -> _Answer:
    cursor = await connection.execute(
        _QUESTION.encode(),
        {
            "projection": projection,
            "token": token,
            "shards": [shard_of(f"-{id_}")],
            "nothing": NOTHING_SEEN,
            "id": id_,
        },
    )
    [(_, _, _, seen, stream, *_)] = await cursor.fetchall()
    return _Answer(bool(seen), stream is not None)


async def _row(connection: Connection, projection: Projection[Any], id_: str) -> Any:
    async with connection.cursor(row_factory=dict_row) as cursor:
        query = f'SELECT * FROM "{projection.table.name}" WHERE "{projection.key}" = %s'
        await cursor.execute(query.encode(), (id_,))
        row = await cursor.fetchone()
    return None if row is None else as_json(projection.by_field(row))


def _folded(projection: Projection[Any], codec: Codec, events: Sequence[Recorded]) -> Any:
    row = None
    for event in events:
        try:
            row = apply(projection, row, read(event, codec))
        except Exception:  # noqa: BLE001  # the read model parks whatever it is
            break
    return None if row is None else as_json(asdict(row))
