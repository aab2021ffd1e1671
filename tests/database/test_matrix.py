"""What each login may do is what is declared, in a new database and after every change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, make_url

from handrail.access.database_roles import READ_MODEL, DatabaseRoles, Grant, OwnTable
from handrail.app import App
from handrail.eventstore.business_tables import BusinessTables
from handrail.eventstore.grants import Dangerous, dangers_of
from handrail.migrate import migrate
from handrail.projections.rebuild import start
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL
from runtime.grants_page import PAGE, page
from tests.database.logins import LOGINS, ROLES, Logins

RIGHTS = """
SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
WHERE a.grantee = %s::regrole AND c.relnamespace = 'public'::regnamespace
"""
READ_MODELS = [table.name for one in HANDRAIL.read_models for table in one.tables]


def declared(role: str) -> set[tuple[str, str]]:
    tables = dict(ROLES.tables_of(role))
    tables |= {name: READ_MODEL[role] for name in READ_MODELS if role in READ_MODEL}
    return {(table, right) for table, some in tables.items() for right in some}


@contextmanager
def owner(logins: Logins) -> Iterator[Connection]:
    engine = create_engine(make_url(logins.owner).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.mark.parametrize("role", ROLES.all)
async def test_a_login_has_exactly_the_rights_that_are_declared(logins: Logins, role: str) -> None:
    found = set(await logins.sql(RIGHTS, ROLES.name(role)))
    assert found == declared(role)


async def test_a_right_that_is_too_much_is_taken_back_by_the_next_migration(
    logins: Logins,
) -> None:
    await logins.sql("GRANT ALL ON events, notification_contacts TO handrail_lake")
    await logins.sql("GRANT EXECUTE ON FUNCTION append_events TO PUBLIC, handrail_lake")
    await logins.sql("REVOKE SELECT ON outbox FROM handrail_lake")

    await asyncio.to_thread(migrate, logins.owner, "handrail_app", app=HANDRAIL)

    assert set(await logins.sql(RIGHTS, "handrail_lake")) == declared("lake")
    async with logins.connected("lake") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT append_events('[]', '[]', '{}', NULL)")


async def test_rights_of_other_roles_are_left_alone(logins: Logins) -> None:
    await logins.sql("CREATE ROLE a_report; GRANT SELECT ON events TO a_report")
    try:
        await asyncio.to_thread(migrate, logins.owner, "handrail_app", app=HANDRAIL)
        assert await logins.sql(RIGHTS, "a_report") == [("events", "SELECT")]
    finally:
        await logins.sql("DROP OWNED BY a_report; DROP ROLE a_report")


async def test_a_read_model_that_is_built_anew_has_the_rights_of_the_one_in_use(
    logins: Logins,
) -> None:
    name = HANDRAIL.read_models[0].name
    table = HANDRAIL.read_models[0].table.name
    await asyncio.to_thread(start, logins.owner, None, [name], HANDRAIL.read_models)

    for role in LOGINS:
        found = await logins.sql(RIGHTS + " AND c.relname = %s", ROLES.name(role), f"{table}__next")
        assert {right for _, right in found} == set(READ_MODEL.get(role, ())), role


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ALTER ROLE handrail_relay CREATEROLE", "may make roles"),
        ("GRANT pg_read_all_data TO handrail_relay", "is a member of pg_read_all_data"),
    ],
)
async def test_a_role_that_may_become_more_stops_the_migration(
    logins: Logins, given: str, said: str
) -> None:
    await logins.sql(given)
    try:
        with pytest.raises(Dangerous, match=f"handrail_relay {said}: take that from it"):
            await asyncio.to_thread(migrate, logins.owner, "handrail_app", app=HANDRAIL)
    finally:
        await logins.sql("ALTER ROLE handrail_relay NOCREATEROLE")
        await logins.sql("REVOKE pg_read_all_data FROM handrail_relay")
    with owner(logins) as connection:
        assert dangers_of(connection, ROLES) == []


def test_a_table_for_a_role_that_there_is_not_is_a_mistake() -> None:
    roles = DatabaseRoles(
        consumers=["billing"],
        own={"seats": OwnTable(("SELECT",), ("consumer:biling",))},
        grants=[Grant("sender", "notifications", ("SELECT",))],
    )
    assert [one.partition(", which")[0] for one in roles.mistakes()] == [
        "the table notifications is for the role sender",
        "the table seats is for the role consumer:biling",
    ]


@pytest.mark.parametrize("consumers", [["a-b", "a_b"], ["c" * 50]])
def test_a_consumer_whose_login_could_not_be_named_is_a_mistake(consumers: list[str]) -> None:
    said = DatabaseRoles(consumers=consumers).mistakes()
    assert len(said) == len(consumers)
    assert all("give the consumer another name" in one for one in said)


def test_an_app_with_a_table_for_a_process_that_there_is_not_is_refused(tmp_path: Path) -> None:
    tables = BusinessTables(
        revisions=tmp_path, rights={"seats": ("SELECT",)}, used_by={"seats": ("consumer:x",)}
    )
    with pytest.raises(WronglyDeclared, match="seats is for the role consumer:x, which is not"):
        App(contexts=[], tables=tables)


def test_a_business_that_says_nothing_lets_workers_api_and_consumers_write_its_tables() -> None:
    roles = DatabaseRoles(consumers=["billing"], own={"seats": OwnTable(("SELECT", "INSERT"))})
    found = {role: roles.tables_of(role).get("seats", ()) for role in roles.logins}
    assert {role: some for role, some in found.items() if some} == {
        "api": ("SELECT", "INSERT"),
        "worker": ("SELECT", "INSERT"),
        "operator": ("SELECT",),
        "consumer:billing": ("SELECT", "INSERT"),
    }


@pytest.mark.parametrize("prefix", ["", "a-b", "drop table", "a" * 21])
def test_a_prefix_that_is_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin the names of roles"):
        DatabaseRoles(prefix=prefix)


def test_the_page_of_the_database_has_the_table_of_today() -> None:
    assert PAGE.read_text() == page(), "`make grants` brings it up to date"
