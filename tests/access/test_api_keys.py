"""API keys: what is stored of them, and how soon they begin and end to work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from handrail.access import key_records
from handrail.access.api_keys import ApiKeys
from handrail.access.authentication import NotSignedIn
from handrail.access.key_records import KeyRefused, KeyRights
from handrail.access.principal import Visibility
from handrail.access.secrets import KeyText
from handrail.database_engine import open_engine
from runtime.app import HANDRAIL
from tests.access.issuer import Clock

RIGHTS = KeyRights(name="shop-frontend", roles=["service"])
LASTS = timedelta(days=90)


class Database:
    """The application's engine, whose connections are counted."""

    def __init__(self, owner: AsyncEngine, application: AsyncEngine, url: str) -> None:
        self.owner, self.application, self.url = owner, application, url
        self.asked = 0

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        self.asked += 1
        return self.application.connect()

    async def create(self, rights: KeyRights = RIGHTS, *, lasts: timedelta = LASTS) -> KeyText:
        async with self.owner.connect() as connection:
            return await key_records.create(connection, rights, by="ann", lasts=lasts)

    async def rotate(self, *, overlap: timedelta = timedelta(days=1)) -> KeyText:
        async with self.owner.connect() as connection:
            return await key_records.rotate(
                connection, RIGHTS.name, by="bob", lasts=LASTS, overlap=overlap
            )

    async def revoke(self, key: KeyText) -> None:
        async with self.owner.connect() as connection:
            await key_records.revoke(connection, key.id, by="carl", reason="it leaked")

    def sql(self, query: str, *parameters: object) -> Sequence[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()


@pytest.fixture
async def database(database_with_read_models: str) -> AsyncIterator[Database]:
    url = database_with_read_models
    async with (
        open_engine(url, size=2) as owner,
        open_engine(url, role="handrail_app", size=4) as application,
    ):
        yield Database(owner, application, url)


def api_keys(database: Database, clock: Clock | None = None) -> ApiKeys:
    return ApiKeys(database.connect, HANDRAIL.access, seconds=5, clock=clock or Clock())


async def refused(keys: ApiKeys, text: str, said: str) -> None:
    with pytest.raises(NotSignedIn, match=said):
        await keys.principal(text)


async def test_a_key_is_its_owner_with_its_rights(database: Database) -> None:
    key = await database.create(
        KeyRights(name="acme", kind="company", roles=["merchant"], tenant="m-1")
    )
    found = await api_keys(database).principal(str(key))
    assert found.actor == "company:acme"
    assert found.scopes == HANDRAIL.access.granted(["merchant"])
    assert found.visibility == Visibility(tenant="m-1")


async def test_no_column_has_the_secret(database: Database) -> None:
    key = await database.create()
    [(row,)] = database.sql("SELECT api_keys::text FROM api_keys")
    assert key.id in str(row)
    assert key.secret not in str(row)
    assert key.secret not in repr(key)


async def test_a_key_with_another_secret_is_not_known(database: Database) -> None:
    key = await database.create()
    wrong = KeyText(key.id, KeyText.new().secret)
    await refused(api_keys(database), str(wrong), "not known")


@pytest.mark.parametrize("text", ["hr_", "hr_a_b", "hr_" + "a" * 12 + "_" + "b" * 42, "hr_\x00"])
async def test_what_does_not_look_like_a_key_asks_no_database(
    database: Database, text: str
) -> None:
    await refused(api_keys(database), text, "does not look like")
    assert database.asked == 0


async def test_a_key_is_looked_up_once_in_a_few_seconds(database: Database) -> None:
    key, clock = await database.create(), Clock()
    keys = api_keys(database, clock)
    for _ in range(10):
        await keys.principal(str(key))
    assert database.asked == 1
    clock.now += 5
    await keys.principal(str(key))
    assert database.asked == 2


async def test_a_revoked_key_ends_within_the_time_that_keys_are_remembered(
    database: Database,
) -> None:
    key, clock = await database.create(), Clock()
    keys = api_keys(database, clock)
    await keys.principal(str(key))
    await database.revoke(key)
    clock.now += 5
    await refused(keys, str(key), "was revoked")


async def test_a_key_that_has_expired_is_refused_at_once(database: Database) -> None:
    key = await database.create(lasts=timedelta(seconds=-1))
    await refused(api_keys(database), str(key), "has expired")


async def test_two_keys_are_valid_while_one_replaces_the_other(database: Database) -> None:
    old = await database.create()
    new = await database.rotate()
    keys = api_keys(database)
    assert (await keys.principal(str(old))) == (await keys.principal(str(new)))


async def test_an_old_key_ends_once_the_overlap_is_over(database: Database) -> None:
    old = await database.create()
    await database.rotate(overlap=timedelta(0))
    await refused(api_keys(database), str(old), "has expired")


async def test_no_name_has_more_than_two_valid_keys(database: Database) -> None:
    old = await database.create()
    await database.rotate()
    with pytest.raises(KeyRefused, match=f"2 valid keys, of which {old.id} is the oldest"):
        await database.rotate()
    with pytest.raises(KeyRefused, match=f"has the valid key {old.id}: rotate it"):
        await database.create()


async def test_a_key_is_revoked_once(database: Database) -> None:
    key = await database.create()
    await database.revoke(key)
    with pytest.raises(KeyRefused, match="was revoked before, by carl"):
        await database.revoke(key)
    with pytest.raises(KeyRefused, match="there is no key"):
        await database.revoke(KeyText.new())


async def test_who_made_replaced_and_revoked_a_key_is_kept(database: Database) -> None:
    old = await database.create()
    new = await database.rotate()
    await database.revoke(old)
    found = database.sql(
        "SELECT id, created_by, replaces, revoked_by, revoked_because FROM api_keys"
        " ORDER BY created_at"
    )
    assert found == [
        (old.id, "ann", None, "carl", "it leaked"),
        (new.id, "bob", old.id, None, None),
    ]


async def test_when_keys_were_used_is_written_beside_the_requests(database: Database) -> None:
    key = await database.create()
    keys = api_keys(database)
    for _ in range(10):
        await keys.principal(str(key))
    assert database.sql("SELECT * FROM api_key_uses") == []
    before = database.asked
    await keys.write_used()
    await keys.write_used()
    assert database.asked == before + 1
    [(used,)] = database.sql("SELECT clock_timestamp() - last_used_at FROM api_key_uses")
    assert isinstance(used, timedelta)
    assert used < timedelta(minutes=1)


async def test_the_application_can_neither_make_nor_change_keys(database: Database) -> None:
    await database.create()
    for attack in (
        "UPDATE api_keys SET roles = '{operator}'",
        "UPDATE api_keys SET secret_hash = sha256('mine')",
        "UPDATE api_keys SET expires_at = 'infinity'",
        "DELETE FROM api_keys",
        "INSERT INTO api_keys SELECT * FROM api_keys",
    ):
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SET ROLE handrail_app")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(attack)
