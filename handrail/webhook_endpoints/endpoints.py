"""Webhook endpoints in the database, as the API registers and changes them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.principal import Visibility
from handrail.paging import After, Slice, one_of, slice_of
from handrail.personal import subject_of
from handrail.privacy.texts import PersonalTexts
from handrail.webhook_endpoints.tables import webhook_endpoints
from handrail.webhook_signatures import new_secret

State = Literal["active", "disabled"]
SEALED_FIELD: Final = "webhook_secret"
"""What a sealed secret is bound to, beside its key."""
DELETED: Final = "deleted"
_IDLE: Final[dict[str, Any]] = {"failures": 0, "failing_since": None, "paused_until": None}
_BY_TIME: Final = (webhook_endpoints.c.created_at, webhook_endpoints.c.id)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Without its secrets. `failing_since` is None where the last try succeeded, or none was
    made.
    """

    id: str
    tenant: str
    url: str
    description: str
    events: Sequence[str]
    state: State
    state_by: str
    state_because: str
    state_since: datetime
    earlier_until: datetime | None
    created_at: datetime
    created_by: str
    paused_until: datetime | None
    failures: int
    failing_since: datetime | None
    last_problem: str | None
    last_delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewEndpoint:
    tenant: str
    url: str
    description: str
    events: Sequence[str]


@dataclass(frozen=True)
class WithSecret:
    """An endpoint and the secret that was made for it, which is shown once."""

    endpoint: Endpoint
    secret: str


def subject_of_secrets(endpoint: str) -> str:
    """Under whose key the secrets of an endpoint are sealed."""
    return subject_of("webhook-endpoint", endpoint)


async def register(
    connection: AsyncConnection,
    texts: PersonalTexts,
    new: NewEndpoint,
    *,
    by: str,
    most: int,
) -> WithSecret | None:
    """None where the tenant has `most` endpoints. Raises NoSubjectKeys."""
    id_, secret = f"we_{secrets.token_hex(12)}", new_secret()
    sealed = await texts.seal_secret(secret, SEALED_FIELD, subject_of_secrets(id_))
    there = (
        select(func.count())
        .select_from(webhook_endpoints)
        .where(webhook_endpoints.c.tenant == new.tenant, webhook_endpoints.c.state != DELETED)
        .scalar_subquery()
    )
    values = {
        "id": id_,
        "tenant": new.tenant,
        "url": new.url,
        "description": new.description,
        "state_by": by,
        "state_because": "registered",
        "secret": sealed,
        "created_by": by,
    }
    row = select(
        *(literal(value).label(name) for name, value in values.items()),
        bindparam("events", list(new.events), webhook_endpoints.c.events.type).label("events"),
    ).where(there < most)
    done = await connection.execute(
        insert(webhook_endpoints).from_select([*values, "events"], row).returning(*_columns())
    )
    found = done.first()
    return WithSecret(Endpoint(**found._mapping), secret) if found else None  # noqa: SLF001  # public, by its docs


async def find(connection: AsyncConnection, id_: str, visible: Visibility) -> Endpoint | None:
    """One that the principal may see, and that was not deleted."""
    return await one_of(connection, _seen(visible).where(webhook_endpoints.c.id == id_), Endpoint)


async def listed(
    connection: AsyncConnection,
    visible: Visibility,
    *,
    tenant: str | None,
    state: State | None,
    after: After | None,
    limit: int,
) -> Slice[Endpoint]:
    """The newest first."""
    query = _seen(visible)
    if tenant is not None:
        query = query.where(webhook_endpoints.c.tenant == tenant)
    if state is not None:
        query = query.where(webhook_endpoints.c.state == state)
    return await slice_of(
        connection, query, Endpoint, by=_BY_TIME, after=after, limit=limit, newest_first=True
    )


async def rotate(
    connection: AsyncConnection, texts: PersonalTexts, endpoint: Endpoint, *, overlap: timedelta
) -> WithSecret | None:
    """Another secret; the one before signs beside it for `overlap`. None where there are two
    already. Raises NoSubjectKeys.
    """
    secret = new_secret()
    sealed = await texts.seal_secret(secret, SEALED_FIELD, subject_of_secrets(endpoint.id))
    now, earlier = func.clock_timestamp(), webhook_endpoints.c.earlier_until
    found = await _changed(
        connection,
        endpoint.id,
        earlier.is_(None) | (earlier <= now),
        secret=sealed,
        earlier_secret=webhook_endpoints.c.secret,
        earlier_until=now + overlap,
    )
    return WithSecret(found, secret) if found else None


async def disable(
    connection: AsyncConnection, endpoint: str, *, by: str, reason: str
) -> Endpoint | None:
    """Nothing is sent from now on, and what comes is kept. None where it was not active."""
    return await _changed(
        connection,
        endpoint,
        webhook_endpoints.c.state == "active",
        state="disabled",
        state_by=by,
        state_because=reason,
        state_since=func.clock_timestamp(),
    )


async def enable(
    connection: AsyncConnection, endpoint: str, *, by: str, reason: str
) -> Endpoint | None:
    """What came meanwhile is sent. None where it was not disabled."""
    return await _changed(
        connection,
        endpoint,
        webhook_endpoints.c.state == "disabled",
        state="active",
        state_by=by,
        state_because=reason,
        state_since=func.clock_timestamp(),
        next_at=func.clock_timestamp(),
        **_IDLE,
    )


async def delete(connection: AsyncConnection, endpoint: str, *, by: str) -> bool:
    """Nothing is sent from now on; its secrets go now, its rows in time. False where it was
    deleted before.
    """
    found = await _changed(
        connection,
        endpoint,
        true(),
        state=DELETED,
        state_by=by,
        state_because="deleted",
        state_since=func.clock_timestamp(),
        secret="",  # it is gone
        earlier_secret=None,
        earlier_until=None,
        url="",
        next_at=None,
    )
    return found is not None


async def wake(connection: AsyncConnection, endpoint: str) -> None:
    """Have a dispatcher look at once at what waits for the endpoint, also where it rested."""
    await connection.execute(
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint)
        .values(next_at=func.clock_timestamp(), paused_until=None)
    )


@dataclass(frozen=True)
class Standing:
    """Of all endpoints; deliveries are counted up to 10,000. `overdue_seconds` is since when an
    active endpoint has something due to which no process sends.
    """

    active: int
    failing: int
    disabled: int
    waiting: int
    parked: int
    overdue_seconds: float


_STANDING: Final = text("""
SELECT count(*) FILTER (WHERE state = 'active'),
    count(*) FILTER (WHERE state = 'active' AND failing_since IS NOT NULL),
    count(*) FILTER (WHERE state = 'disabled'),
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'waiting' LIMIT 10000) w),
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'parked' LIMIT 10000) p),
    coalesce(extract(epoch FROM clock_timestamp() - min(next_at)
        FILTER (WHERE state = 'active' AND next_at < clock_timestamp()
            AND (owner IS NULL OR leased_until < clock_timestamp()))), 0)
FROM webhook_endpoints WHERE state <> 'deleted'
""")


async def standing(connection: AsyncConnection) -> Standing:
    """For operators' figures."""
    row = (await connection.execute(_STANDING)).one()
    active, failing, disabled, waiting, parked, overdue = row
    return Standing(active, failing, disabled, waiting, parked, float(overdue))


async def _changed(
    connection: AsyncConnection, endpoint: str, where: ColumnElement[bool], **values: Any
) -> Endpoint | None:
    table = webhook_endpoints
    done = await connection.execute(
        update(table)
        .where(table.c.id == endpoint, table.c.state != DELETED, where)
        .values(**values)
        .returning(*_columns())
    )
    found = done.first()
    return Endpoint(**found._mapping) if found else None  # noqa: SLF001  # public, by its docs


def _columns() -> Sequence[Any]:
    return [webhook_endpoints.c[one.name] for one in fields(Endpoint)]


def _seen(visible: Visibility) -> Select[Any]:
    """Of what the principal may see; row-level security says the same a second time."""
    query = select(*_columns()).where(webhook_endpoints.c.state != DELETED)
    return query.where(seen(visible, webhook_endpoints.c.tenant))


def seen(visible: Visibility, tenant: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row of this tenant is one that the principal may see."""
    if visible.everything:
        return true()
    return (tenant == visible.tenant) & literal(bool(visible.tenant and not visible.party))
