"""What must be true of a store as a whole: asked of the database, and not id by id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS
from handrail.verify.feed_invariants import page_in_order
from handrail.verify.violations import Violation

_PAGE: Final = 500
_LAST: Final = 2**63 - 1


async def feed_once_in_order(connection: Connection) -> AsyncIterator[Violation]:
    """The feed delivers every stored event once, in the order of the positions."""
    cursor, after, fed_in_all = BEGINNING, 0, 0
    while True:
        page = await read_page(connection, cursor, range(SHARDS), _PAGE)
        fed = [one.position for one in page.events]
        upto = _LAST if page.ends_batch or not fed else max(fed)
        rows = await connection.execute(
            "SELECT position FROM events WHERE position > %s AND position <= %s"
            " ORDER BY position LIMIT %s",
            (after, upto, 10 * _PAGE),
        )
        stored = [position for (position,) in await rows.fetchall()]
        for one in page_in_order(after, fed, stored):
            yield one
        fed_in_all += len(fed)
        cursor, after = page.next, max([after, *fed])
        if page.ends_batch:
            break
    [(stray,)] = await (
        await connection.execute(
            "SELECT count(*) FROM events e WHERE NOT EXISTS"
            " (SELECT FROM streams s WHERE s.name = e.stream)"
        )
    ).fetchall()
    if stray:
        yield Violation(f"{stray} events are in no stream")


async def no_message_parked(connection: Connection) -> AsyncIterator[Violation]:
    """No consumer has messages that wait for a person."""
    rows = await connection.execute(
        "SELECT consumer, count(*) FROM parked_messages WHERE settled_at IS NULL"
        " GROUP BY consumer ORDER BY consumer"
    )
    for consumer, messages in await rows.fetchall():
        yield Violation(f"{consumer}: {messages} messages wait in parked_messages")


async def read_models_equal_fold(connection: Connection) -> AsyncIterator[Violation]:
    """No event waits for a person because a projection could not apply it."""
    [(parked,)] = await (await connection.execute("SELECT count(*) FROM parked_events")).fetchall()
    if parked:
        yield Violation(f"{parked} events wait in parked_events")


async def kept_states_have_their_events(connection: Connection) -> AsyncIterator[Violation]:
    """No folded state was kept of a version that its stream has not reached."""
    rows = await connection.execute(
        "SELECT k.stream, k.version, coalesce(s.version, 0) FROM state_snapshots k"
        " LEFT JOIN streams s ON s.name = k.stream"
        " WHERE k.version > coalesce(s.version, 0) ORDER BY k.stream LIMIT 10"
    )
    for stream, version, reached in await rows.fetchall():
        yield Violation(f"{stream} is at version {reached}, and a state was kept of {version}")


STORE_INVARIANTS: Final[Mapping[str, Callable[[Connection], AsyncIterator[Violation]]]] = {
    "feed_once_in_order": feed_once_in_order,
    "kept_states_have_their_events": kept_states_have_their_events,
    "no_message_parked": no_message_parked,
    "read_models_equal_fold": read_models_equal_fold,
}
