"""Finance keeps its own ledger, from events alone: one entry for each event, under its id.

What it says a merchant is owed has to be what settlement says: `handrail verify` compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consumers.ledger import Line, lines_of
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    LateFeeCharged,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    PayoutTransferred,
    PlanAdjusted,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.settlement.events import (
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutPrepared,
)
from handrail.eventstore.pool import Connection
from handrail.kernel import Money
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.envelope import Received


class NothingToRevert(Exception):
    """The event takes back an entry that is not in the ledger."""


async def handle(connection: Connection, received: Received) -> None:
    event = received.event
    match event:
        case AdjustmentReverted(return_id=about):
            lines = await _taken_back(connection, received, about)
        case PlanAdjusted(return_id=about):
            lines = lines_of(event)
        case _:
            about, lines = "", lines_of(event)  # type: ignore[assignment]  # no return at all
    await _book(connection, received, about, lines)


async def _taken_back(connection: Connection, received: Received, about: str) -> Sequence[Line]:
    """What brings every account back to where it was before the entries about this."""
    cursor = await connection.execute(
        "SELECT account, party, -sum(amount)::bigint, currency FROM ledger_lines"
        " WHERE about = %s AND event <> %s GROUP BY account, party, currency"
        " HAVING sum(amount) <> 0 ORDER BY account, party",
        (about, received.id),
    )
    lines = [
        Line(account, party, Money(amount, currency))
        for account, party, amount, currency in await cursor.fetchall()
    ]
    if not lines:
        raise NothingToRevert(f"no entry about {about}")
    return lines


async def _book(
    connection: Connection, received: Received, about: str, lines: Sequence[Line]
) -> None:
    await connection.execute(
        "INSERT INTO ledger_lines (event, line, account, party, amount, currency, about, booked_at)"
        " SELECT %s, l.line, l.account, l.party, l.amount, l.currency, %s, %s FROM"
        " unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) WITH ORDINALITY"
        " AS l (account, party, amount, currency, line) ON CONFLICT (event, line) DO NOTHING",
        (
            received.id,
            about,
            received.recorded_at,
            [line.account for line in lines],
            [line.party for line in lines],
            [line.money.amount for line in lines],
            [line.money.currency for line in lines],
        ),
    )


CONSUMER: Final = Consumer(
    name="finance",
    vhost="finance",
    queue="ledger",
    wants=(
        PaymentCaptured,
        PaymentRefunded,
        PaymentDisputed,
        PlanOpened,
        LateFeeCharged,
        InstalmentCollected,
        PlanSettled,
        PlanWrittenOff,
        PlanAdjusted,
        AdjustmentReverted,
        RefundPaid,
        PayableAccrued,
        PayableClawedBack,
        PayoutPrepared,
        PayoutCancelled,
        PayoutTransferred,
    ),
    handle=handle,
    repeated="nothing: an event has one entry, under its id",
)
