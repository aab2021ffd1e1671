"""Reminders of instalments: written when a plan is opened, and taken back when it changes.

The instalments still to come are kept as the plan's own events tell them, in the order of their
stream: what comes out of that order has them folded anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from consumers.notifications import plan_instalments
from consumers.notifications.kinds import KINDS
from consumers.notifications.plan_instalments import FOLDED, Instalments, changed, folded, stored
from consumers.notifications.templates import MESSAGES
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentRescheduled,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
)
from handrail.eventstore.pool import Connection
from handrail.kernel import Event, Money
from handrail.messaging.envelope import Received
from handrail.notifications.contacts import Contact
from handrail.notifications.enqueue import Message, Recipient, Row, rows_later, write
from handrail.notifications.kinds import Values

HEARD: Final[tuple[type[Event], ...]] = FOLDED
DAYS_BEFORE: Final = timedelta(days=3)
AT: Final = time(10)
"""When customers are reminded, in their own time."""
_KIND: Final = KINDS["instalment-due"]


async def remind(connection: Connection, received: Received, to: Recipient, now: datetime) -> None:
    """Bring the reminders of the order up to date with an event of its plan.

    An event that comes late, or again, does not turn them back.
    """
    order, source = to.about, received.id
    made_from = await plan_instalments.advance(connection, order, received.version)
    if made_from >= received.version:
        left = await folded(connection, received.stream, made_from, received.codec)
        await _fold_anew(connection, source, left, to, now)
        return
    match received.event:
        case PlanOpened(instalments=instalments) | AdjustmentReverted(instalments=instalments):
            await _keep(connection, order, instalments)
            await _again(connection, source, instalments, to, now)
        case InstalmentRescheduled(number=number, due=due):
            await _again(connection, source, await _moved(connection, order, number, due), to, now)
        case PlanAdjusted(reductions=reductions):
            by = {reduction.number: reduction.amount.amount for reduction in reductions}
            await _again(connection, source, await _reduced(connection, order, by), to, now)
        case InstalmentCollected(number=number):
            await _forget(connection, order, [number])
        case PlanSettled() | PlanWrittenOff():
            await _forget(connection, order, None)
        case _:
            pass


async def _fold_anew(
    connection: Connection, source: str, after: Instalments, to: Recipient, now: datetime
) -> None:
    before = await stored(connection, to.about)
    if gone := sorted(before.keys() - after.keys()):
        await _forget(connection, to.about, gone)
    if different := changed(before, after):
        await _keep(connection, to.about, different)
        await _again(connection, source, different, to, now)


@dataclass(frozen=True)
class Window:
    """A reminder makes sense from one moment until another."""

    begin: datetime
    end: datetime


def window(contact: Contact, due: date, now: datetime) -> Window | None:
    """None where it is the day already, or later: it is being collected."""
    zone = ZoneInfo(contact.time_zone)
    begin = datetime.combine(due - DAYS_BEFORE, AT, zone)
    end = datetime.combine(due, time(0), zone)
    begin = contact.awake_from(max(begin, now))
    return Window(begin, end) if begin < end else None


async def _again(
    connection: Connection,
    source: str,
    instalments: Iterable[PlannedInstalment],
    to: Recipient,
    now: datetime,
) -> None:
    """Of these, earlier reminders are wrong now; write new ones for those still to be paid."""
    rows: list[Row] = []
    numbers: list[int] = []
    for instalment in instalments:
        numbers.append(instalment.number)
        when = window(to.contact, instalment.due, now)
        if instalment.amount.amount > 0 and when is not None:
            reminder = _reminder(f"{source}#{instalment.number}", instalment, to.about, when)
            rows += rows_later(reminder, to, when.begin, MESSAGES)
    await _withdraw(connection, to.about, numbers)
    await write(connection, rows)


def _reminder(source: str, one: PlannedInstalment, order: str, when: Window) -> Message:
    values: Values = {
        "order": order,
        "number": one.number,
        "due": one.due,
        "amount": one.amount,
    }
    return Message(source=source, kind=_KIND, values=values, expires_at=when.end)


async def _keep(
    connection: Connection, order: str, instalments: Sequence[PlannedInstalment]
) -> None:
    await connection.execute(
        "INSERT INTO notification_instalments (order_id, number, due, amount, currency)"
        " SELECT %s, * FROM unnest(%s::int[], %s::date[], %s::bigint[], %s::text[])"
        " ON CONFLICT (order_id, number) DO UPDATE SET due = excluded.due,"
        " amount = excluded.amount, currency = excluded.currency",
        (
            order,
            [instalment.number for instalment in instalments],
            [one.due for one in instalments],
            [one.amount.amount for one in instalments],
            [one.amount.currency for one in instalments],
        ),
    )


async def _moved(
    connection: Connection, order: str, number: int, due: date
) -> Sequence[PlannedInstalment]:
    cursor = await connection.execute(
        "UPDATE notification_instalments SET due = %s WHERE order_id = %s AND number = %s"
        " RETURNING number, due, amount, currency",
        (due, order, number),
    )
    return [_instalment(*row) for row in await cursor.fetchall()]


async def _reduced(
    connection: Connection, order: str, by: dict[int, int]
) -> Sequence[PlannedInstalment]:
    cursor = await connection.execute(
        "UPDATE notification_instalments AS i SET amount = i.amount - r.amount"
        " FROM unnest(%s::int[], %s::bigint[]) AS r (number, amount)"
        " WHERE i.order_id = %s AND i.number = r.number"
        " RETURNING i.number, i.due, i.amount, i.currency",
        (list(by), list(by.values()), order),
    )
    return [_instalment(*row) for row in await cursor.fetchall()]


async def _forget(connection: Connection, order: str, numbers: Sequence[int] | None) -> None:
    """These are paid or given up; None: all of them."""
    await connection.execute(
        "DELETE FROM notification_instalments WHERE order_id = %s"
        " AND (%s::int[] IS NULL OR number = ANY (%s))",
        (order, numbers, numbers),
    )
    await _withdraw(connection, order, numbers)


async def _withdraw(connection: Connection, order: str, numbers: Sequence[int] | None) -> None:
    await connection.execute(
        "UPDATE notifications SET state = 'withdrawn', settled_at = clock_timestamp(),"
        " reason = 'the plan has changed'"
        " WHERE lane = 'transactional' AND order_id = %s AND kind = 'instalment-due'"
        " AND state = 'waiting'"
        " AND (%s::int[] IS NULL OR split_part(source, '#', 2)::int = ANY (%s))",
        (order, numbers, numbers),
    )


def _instalment(number: int, due: date, amount: int, currency: str) -> PlannedInstalment:
    return PlannedInstalment(number=number, due=due, amount=Money(amount, currency))
