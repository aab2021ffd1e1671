"""The instalments of a plan that are still to come, folded from its stream in the store.

Reminders follow the plan's events one by one. Where one comes late, or again, what it does to the
rows depends on those that were handled before it: then they are folded anew, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

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
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.kernel import Event, Money

FOLDED: tuple[type[Event], ...] = (
    PlanOpened,
    InstalmentCollected,
    InstalmentRescheduled,
    PlanSettled,
    PlanWrittenOff,
    PlanAdjusted,
    AdjustmentReverted,
)
Instalments = Mapping[int, PlannedInstalment]


async def advance(connection: Connection, order: str, version: int) -> int:
    """Answers the version of the plan that the order's instalments are made from, once an event of
    this version is among those: a greater one, or the same, where it came late or again.
    """
    cursor = await connection.execute(
        "UPDATE notification_orders AS o SET plan_from = greatest(o.plan_from, %(version)s)"
        " FROM (SELECT order_id, plan_from FROM notification_orders WHERE order_id = %(order)s"
        "  FOR UPDATE) AS before"
        " WHERE o.order_id = before.order_id RETURNING before.plan_from",
        {"order": order, "version": version},
    )
    [(before,)] = await cursor.fetchall()
    return int(before)


async def folded(connection: Connection, stream: str, version: int, codec: Codec) -> Instalments:
    """What is still to come, as of this version of the plan's stream."""
    cursor = await connection.execute(
        "SELECT type, schema, data FROM events"
        " WHERE stream = %s AND version <= %s AND type = ANY (%s) ORDER BY version",
        (stream, version, [one.__name__ for one in FOLDED]),
    )
    rows = await cursor.fetchall()
    return fold(codec.decode(*row) for row in rows)


def fold(events: Iterable[Event]) -> Instalments:
    found: dict[int, PlannedInstalment] = {}
    for event in events:
        match event:
            case PlanOpened(instalments=instalments) | AdjustmentReverted(instalments=instalments):
                found |= {instalment.number: instalment for instalment in instalments}
            case InstalmentRescheduled(number=number, due=due):
                if number in found:
                    found[number] = replace(found[number], due=due)
            case PlanAdjusted(reductions=reductions):
                for reduction in reductions:
                    if (known := found.get(reduction.number)) is not None:
                        found[reduction.number] = replace(
                            known, amount=known.amount - reduction.amount
                        )
            case InstalmentCollected(number=number):
                found.pop(number, None)
            case PlanSettled() | PlanWrittenOff():
                found.clear()
            case _:
                pass
    return found


async def stored(connection: Connection, order: str) -> Instalments:
    cursor = await connection.execute(
        "SELECT number, due, amount, currency FROM notification_instalments WHERE order_id = %s",
        (order,),
    )
    return {
        number: PlannedInstalment(number=number, due=due, amount=Money(amount, currency))
        for number, due, amount, currency in await cursor.fetchall()
    }


def changed(before: Instalments, after: Instalments) -> Sequence[PlannedInstalment]:
    """Those that are new or different."""
    return [one for number, one in sorted(after.items()) if before.get(number) != one]
