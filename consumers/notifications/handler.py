"""The consumer: events become rows of the queue, in the transaction that notes them in the inbox.

Whose order it is, only the order's own stream tells. What other streams tell earlier is kept until
then, and written about in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from psycopg.types.json import Jsonb

from consumers.notifications.event_rules import TOLD, notice_of
from consumers.notifications.reminders import HEARD, remind
from consumers.notifications.templates import MESSAGES
from domain.ordering.events import OrderPlaced
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.kernel import Event
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.envelope import Received, id_of
from handrail.notifications.contact_rows import COLUMNS, contact_of
from handrail.notifications.contacts import NOBODY, Contact
from handrail.notifications.enqueue import Message, Recipient, rows_now, write

WANTS: Final[tuple[type[Event], ...]] = (OrderPlaced, *dict.fromkeys((*TOLD, *HEARD)))


async def handle(connection: Connection, received: Received) -> None:
    await handle_at(connection, received, datetime.now(UTC))


async def handle_at(connection: Connection, received: Received, now: datetime) -> None:
    """`now` tells what is too old to be told: a consumer that begins late reads old events."""
    event = received.event
    order = str(cast("Any", event).order)
    if isinstance(event, OrderPlaced):
        await _placed(connection, order, event.customer)
        contact = await _contact(connection, event.customer)
        to = Recipient(id=event.customer, about=order, contact=contact)
        for early in await _take_early(connection, order, received.codec):
            await _tell(connection, early, to, now)
        return
    known = await _recipient(connection, order)
    if known is None:
        if await _nobody_yet(connection, order):
            await _keep_early(connection, order, received)
            return
        known = await _recipient(connection, order)
        assert known is not None
    await _tell(connection, received, known, now)


async def _tell(connection: Connection, received: Received, to: Recipient, now: datetime) -> None:
    event = received.event
    if isinstance(event, HEARD):
        await remind(connection, received, to, now)
    if (notice := notice_of(event)) is not None:
        message = Message(
            source=received.id,
            kind=notice.kind,
            values=notice.values,
            expires_at=received.recorded_at + notice.kind.fresh,
        )
        await write(connection, rows_now(message, to, now, MESSAGES))


async def _placed(connection: Connection, order: str, customer: str) -> None:
    await connection.execute(
        "INSERT INTO notification_orders (order_id, customer) VALUES (%s, %s)"
        " ON CONFLICT (order_id) DO UPDATE SET customer = excluded.customer",
        (order, customer),
    )


async def _nobody_yet(connection: Connection, order: str) -> bool:
    """Whether the order has not come. Until this transaction ends, it will not: its row is locked.

    So none of its early events can be kept after they were looked for.
    """
    cursor = await connection.execute(
        "INSERT INTO notification_orders AS o (order_id) VALUES (%s)"
        " ON CONFLICT (order_id) DO UPDATE SET order_id = o.order_id RETURNING customer IS NULL",
        (order,),
    )
    [(nobody,)] = await cursor.fetchall()
    return bool(nobody)


async def _recipient(connection: Connection, order: str) -> Recipient | None:
    cursor = await connection.execute(
        f"SELECT o.customer, {COLUMNS} FROM notification_orders o"
        " LEFT JOIN notification_contacts c ON c.customer = o.customer"
        " WHERE o.order_id = %s AND o.customer IS NOT NULL",
        (order,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    customer, *columns = row
    return Recipient(id=customer, about=order, contact=contact_of(columns))


async def _contact(connection: Connection, customer: str) -> Contact:
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM notification_contacts c WHERE customer = %s", (customer,)
    )
    row = await cursor.fetchone()
    return NOBODY if row is None else contact_of(row)


async def _keep_early(connection: Connection, order: str, received: Received) -> None:
    await connection.execute(
        "INSERT INTO notification_early (order_id, stream, version, position, type, schema,"
        " recorded_at, metadata, data) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            order,
            received.stream,
            received.version,
            received.position,
            received.type,
            received.schema,
            received.recorded_at,
            _json(received.metadata),
            _json(received.data),
        ),
    )


async def _take_early(connection: Connection, order: str, codec: Codec) -> Sequence[Received]:
    cursor = await connection.execute(
        "WITH taken AS (DELETE FROM notification_early WHERE order_id = %s RETURNING *)"
        " SELECT stream, version, position, type, schema, recorded_at, metadata, data FROM taken"
        " ORDER BY stream, version",
        (order,),
    )
    return [
        Received(
            id=id_of(stream, version),
            type=type_,
            schema=schema,
            stream=stream,
            version=version,
            position=position,
            recorded_at=recorded_at,
            metadata=metadata,
            data=data,
            codec=codec,
        )
        for stream, version, position, type_, schema, recorded_at, metadata, data in (
            await cursor.fetchall()
        )
    ]


def _json(value: Mapping[str, Any]) -> Jsonb:
    return Jsonb(dict(value))


CONSUMER: Final = Consumer(
    name="notifications",
    vhost="customers",
    queue="notifications",
    wants=WANTS,
    handle=handle,
    repeated="nothing: a message is written once for each event, and old ones are not sent",
)
