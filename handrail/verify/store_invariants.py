"""What must be true of a store as a whole: asked of the database, and not id by id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from consumers import finance
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS
from handrail.messaging.consumers.coverage import covers
from handrail.verify.feed_invariants import page_in_order
from handrail.verify.violations import Violation

FINANCE: Final = {"consumer": finance.CONSUMER.name, "follower": finance.CONSUMER.follower}
PASSED_BY_FINANCE: Final = (
    "EXISTS (SELECT FROM checkpoints c WHERE c.projection = %(follower)s AND c.shard = e.shard"
    f" AND {covers('c', 'e')})"
)
"""Whether its checkpoint has passed the event `e`; its parameters are those of FINANCE."""
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


async def ledger_agrees(connection: Connection) -> AsyncIterator[Violation]:
    """Every entry of finance adds up to nothing, and is of an event that finance has handled.

    An inbox is pruned: that finance has handled an event is also known from its checkpoint.
    """
    unbalanced = connection.cursor(name="unbalanced")
    await unbalanced.execute(
        "SELECT event, currency, sum(amount)::bigint FROM ledger_lines"
        " GROUP BY event, currency HAVING sum(amount) <> 0 ORDER BY event"
    )
    async for event, currency, amount in unbalanced:
        yield Violation(f"ledger: the entry of {event} is off by {amount} {currency}")
    await unbalanced.close()
    unknown = connection.cursor(name="unknown")
    await unknown.execute(
        "SELECT DISTINCT l.event FROM ledger_lines l"
        " WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = %(consumer)s AND i.id = l.event)"
        " AND NOT EXISTS (SELECT FROM events e"
        "  WHERE e.stream = regexp_replace(l.event, '/[0-9]+$', '')"
        f"  AND e.version = substring(l.event FROM '[0-9]+$')::bigint AND {PASSED_BY_FINANCE})",
        FINANCE,
    )
    async for (event,) in unknown:
        text = f"ledger: there is an entry of {event}, which finance has not handled"
        yield Violation(text)
    await unknown.close()


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


STORE_INVARIANTS: Final[Mapping[str, Callable[[Connection], AsyncIterator[Violation]]]] = {
    "feed_once_in_order": feed_once_in_order,
    "ledger_agrees": ledger_agrees,
    "no_message_parked": no_message_parked,
    "read_models_equal_fold": read_models_equal_fold,
}
