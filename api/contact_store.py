"""The rows behind `/customers/{customer}/contact` and `…/messages`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.notifications.contact_rows import COLUMNS, contact_of
from handrail.notifications.contacts import CHANNELS, Channel, Contact
from handrail.notifications.tables import campaigns, notification_contacts, notifications
from handrail.paging import After, Slice, slice_of

State = Literal["waiting", "sent", "failed", "parked", "withheld", "withdrawn", "discarded"]
_ORDER: Final = (notifications.c.created_at, notifications.c.source, notifications.c.channel)


@dataclass(frozen=True, kw_only=True)
class Told:
    source: str
    channel: Channel
    kind: str
    state: State
    order_id: str | None
    subject: str
    text: str
    reason: str | None
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    provider_id: str | None


async def keep(connection: AsyncConnection, customer: str, contact: Contact, actor: str) -> None:
    quiet = contact.quiet_hours
    values: dict[str, Any] = {
        "language": contact.language,
        "time_zone": contact.time_zone,
        "quiet_from": quiet and quiet.begin,
        "quiet_until": quiet and quiet.end,
        **{channel: contact.addresses.get(channel) for channel in CHANNELS},
        "choices": contact.choices,
        "changed_at": func.clock_timestamp(),
        "changed_by": actor,
    }
    await connection.execute(
        insert(notification_contacts)
        .values(customer=customer, **values)
        .on_conflict_do_update(index_elements=["customer"], set_=values)
    )


async def find(connection: AsyncConnection, customer: str) -> Contact | None:
    query = text(f"SELECT {COLUMNS} FROM notification_contacts c WHERE customer = :customer")
    row = (await connection.execute(query, {"customer": customer})).first()
    return None if row is None else contact_of(tuple(row))


async def forget(connection: AsyncConnection, customer: str) -> None:
    """Also the addresses of messages; so those that wait and were tried already are not sent to
    where they went, either.
    """
    await connection.execute(
        delete(notification_contacts).where(notification_contacts.c.customer == customer)
    )
    await connection.execute(
        update(notifications)
        .where(notifications.c.customer == customer, notifications.c.address.is_not(None))
        .values(address=None)
    )


async def told(
    connection: AsyncConnection,
    customer: str,
    *,
    state: State | None,
    channel: Channel | None,
    after: After | None,
    limit: int,
) -> Slice[Told]:
    row = notifications.c
    worded = campaigns.c.texts[row.language]
    query = (
        select(
            *(row.source, row.channel, row.kind, row.state, row.order_id, row.reason),
            *(row.attempts, row.created_at, row.due_at, row.settled_at, row.provider_id),
            func.coalesce(row.subject, worded["subject"].astext).label("subject"),
            func.coalesce(row.body, worded["body"].astext).label("text"),
        )
        .join_from(notifications, campaigns, row.campaign == campaigns.c.name, isouter=True)
        .where(row.customer == customer)
    )
    if state is not None:
        query = query.where(row.state == state)
    if channel is not None:
        query = query.where(row.channel == channel)
    return await slice_of(
        connection, query, Told, by=_ORDER, after=after, limit=limit, newest_first=True
    )
