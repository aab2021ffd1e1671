"""API keys in the database: made, replaced, revoked, listed. As the owner of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.secrets import KeyText
from handrail.access.tables import api_key_uses, api_keys
from handrail.paging import one_of

KeyKind = Literal["person", "service", "company"]
AT_ONCE: Final = 2
"""How many keys of one name are valid at the same time: the old and the new one of a rotation."""
LONGEST_DAYS: Final = 400
_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtext('api key ' || :name))")


class KeyRefused(Exception):
    """It cannot be done; the message says why, and what to do next."""


@dataclass(frozen=True, kw_only=True)
class KeyRights:
    """Who a key is for, and what it may do. `name` is the subject of its principal."""

    name: str
    kind: KeyKind = "service"
    roles: Sequence[str] = ()
    scopes: Sequence[str] = ()
    tenant: str = ""
    party: str = ""


@dataclass(frozen=True, kw_only=True)
class KeyRecord(KeyRights):
    """A key without its secret."""

    id: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    replaces: str | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None
    secret_hash: bytes

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether it may be used."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if now < self.expires_at else "expired"


async def create(
    connection: AsyncConnection, rights: KeyRights, *, by: str, lasts: timedelta
) -> KeyText:
    """A new key. Raises KeyRefused where the name has a valid key already."""
    await connection.execute(_TURN, {"name": rights.name})
    if valid := await _valid(connection, rights.name):
        raise KeyRefused(
            f"{rights.name} has the valid key {valid[0].id}: rotate it, or name the new key"
            " otherwise"
        )
    return await _add(connection, rights, by=by, until=_now() + lasts, replaces=None)


async def rotate(
    connection: AsyncConnection, name: str, *, by: str, lasts: timedelta, overlap: timedelta
) -> KeyText:
    """A key with the same rights; the old one ends after `overlap`. Raises KeyRefused."""
    await connection.execute(_TURN, {"name": name})
    valid = await _valid(connection, name)
    if not valid:
        raise KeyRefused(f"{name} has no valid key: create one")
    if len(valid) >= AT_ONCE:
        raise KeyRefused(
            f"{name} has {len(valid)} valid keys, of which {valid[0].id} is the oldest: revoke it"
        )
    [old] = valid
    ends = min(old.expires_at, _now() + overlap)
    await connection.execute(
        update(api_keys).where(api_keys.c.id == old.id).values(expires_at=ends)
    )
    return await _add(connection, old, by=by, until=_now() + lasts, replaces=old.id)


async def revoke(connection: AsyncConnection, id_: str, *, by: str, reason: str) -> KeyRecord:
    """End a key now; API processes follow within `HANDRAIL_AUTH_KEY_SECONDS`. Raises KeyRefused."""
    done = await connection.execute(
        update(api_keys)
        .where(api_keys.c.id == id_, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp(), revoked_by=by, revoked_because=reason)
    )
    found = await find(connection, id_)
    if found is None:
        raise KeyRefused(f"there is no key {id_}: see `handrail keys list`")
    if not done.rowcount:
        raise KeyRefused(f"the key {id_} was revoked before, by {found.revoked_by}")
    return found


async def find(connection: AsyncConnection, id_: str) -> KeyRecord | None:
    """By its id."""
    return await one_of(connection, _keys().where(api_keys.c.id == id_), KeyRecord)


async def listed(connection: AsyncConnection, *, ended: bool, limit: int) -> Sequence[KeyRecord]:
    """The newest first; with those that were revoked or have expired where `ended` is said."""
    query = _keys().order_by(api_keys.c.created_at.desc(), api_keys.c.id).limit(limit)
    return await _all(connection, query if ended else query.where(_IS_VALID))


async def used(connection: AsyncConnection, ids: Sequence[str], at: datetime) -> None:
    """Keep when these keys were used last."""
    new = insert(api_key_uses).values([{"id": one, "last_used_at": at} for one in sorted(ids)])
    newest = func.greatest(api_key_uses.c.last_used_at, new.excluded.last_used_at)
    await connection.execute(
        new.on_conflict_do_update(index_elements=["id"], set_={"last_used_at": newest})
    )


_IS_VALID: Final = api_keys.c.revoked_at.is_(None) & (
    api_keys.c.expires_at > func.clock_timestamp()
)


def _keys() -> Select[Any]:
    return select(api_keys, api_key_uses.c.last_used_at).outerjoin(
        api_key_uses, api_key_uses.c.id == api_keys.c.id
    )


async def _valid(connection: AsyncConnection, name: str) -> Sequence[KeyRecord]:
    """The oldest first."""
    query = _keys().where(api_keys.c.name == name, _IS_VALID)
    return await _all(connection, query.order_by(api_keys.c.created_at))


async def _all(connection: AsyncConnection, query: Select[Any]) -> list[KeyRecord]:
    rows = (await connection.execute(query)).mappings()
    return [KeyRecord(**row) for row in rows]


async def _add(
    connection: AsyncConnection,
    rights: KeyRights,
    *,
    by: str,
    until: datetime,
    replaces: str | None,
) -> KeyText:
    key = KeyText.new()
    await connection.execute(
        insert(api_keys).values(
            id=key.id,
            name=rights.name,
            kind=rights.kind,
            secret_hash=key.hash,
            roles=list(rights.roles),
            scopes=list(rights.scopes),
            tenant=rights.tenant,
            party=rights.party,
            created_by=by,
            expires_at=until,
            replaces=replaces,
        )
    )
    return key


def _now() -> datetime:
    return datetime.now(UTC)
