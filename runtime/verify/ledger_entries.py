"""What must be true of finance's ledger as a whole: asked of the database, and not id by id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from consumers import finance
from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.coverage import covers
from handrail.verify.violations import Violation

FINANCE: Final = {"consumer": finance.CONSUMER.name, "follower": finance.CONSUMER.follower}
PASSED_BY_FINANCE: Final = (
    "EXISTS (SELECT FROM checkpoints c WHERE c.projection = %(follower)s AND c.shard = e.shard"
    f" AND {covers('c', 'e')})"
)
"""Whether its checkpoint has passed the event `e`; its parameters are those of FINANCE."""


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
