"""Row-level security: the API's login sees of a table what the principal of its statement may see.

`handrail/access/row_owner.py` says which columns decide. The settings that a policy compares with
are local to a transaction (`handrail/database_visibility.py`); without them there are no rows. The
logins of all other processes have a policy that lets them work on every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, exc

from handrail.access.database_roles import READ_MODEL, DatabaseRoles
from handrail.access.row_owner import RowOwner
from handrail.eventstore.short_locks import LOCK

CONFINED: Final = "api"
"""The role whose statements are a principal's."""
_EVERYTHING: Final = "(SELECT current_setting('handrail.everything', true)) = 'on'"
_TENANT: Final = "(SELECT coalesce(current_setting('handrail.tenant', true), ''))"
_PARTY: Final = "(SELECT coalesce(current_setting('handrail.party', true), ''))"
SUBSCRIBERS: Final = ("checkpoints", "parked_events")
"""The tables whose rows are of one subscriber each."""
_CONSUMER: Final = "consumer/"
"""Before the name of a consumer, among subscribers."""
_TRIES: Final = 10
"""How often a lock on a table in use is asked for."""


class TableBusy(Exception):
    """A table could not be locked: a transaction has had it for long."""


@dataclass(frozen=True)
class Access:
    """The names of those who work with a table: `confined` see what a principal may see, and
    `unconfined`, beside the table's owner, all rows. Those that do not exist do not matter.
    """

    confined: str
    unconfined: Sequence[str]


def access_of(roles: DatabaseRoles, table: str, application: str) -> Access:
    """To a table of the library or the business."""
    using = [one for one in roles.logins if table in roles.tables_of(one)]
    return _access(roles, using, application)


def access_of_read_model(roles: DatabaseRoles, application: str) -> Access:
    return _access(roles, READ_MODEL, application)


def _access(roles: DatabaseRoles, using: Iterable[str], application: str) -> Access:
    names = [roles.name(one) for one in using if one != CONFINED]
    return Access(roles.name(CONFINED), [*names, *([application] if application else [])])


def secure(connection: Connection, table: str, owner: RowOwner, access: Access) -> list[str]:
    """Forces row-level security on a table, with the policies of today; what that changed."""
    found = connection.exec_driver_sql(_STANDING, {"table": table}).first()
    if found is None:
        return []
    enabled, forced, owned_by, policies, columns = found
    # A read model in use may be of an earlier version, which names fewer owners.
    owner = RowOwner(
        tenant=owner.tenant if owner.tenant in columns else "",
        party=owner.party if owner.party in columns else "",
    )
    quote = connection.dialect.identifier_preparer.quote
    there = _existing(connection, [access.confined, *access.unconfined, owned_by])
    confined = {access.confined} & there
    wanted = {
        _named("seen", sees(connection, owner), confined): (sees(connection, owner), confined),
        _named("all", "true", there - confined): ("true", there - confined),
    }
    done = [f"DROP POLICY {quote(one)} ON {quote(table)}" for one in policies if one not in wanted]
    if not enabled:
        done.append(f"ALTER TABLE {quote(table)} ENABLE ROW LEVEL SECURITY")
    if not forced:
        done.append(f"ALTER TABLE {quote(table)} FORCE ROW LEVEL SECURITY")
    done += [
        f"CREATE POLICY {quote(name)} ON {quote(table)} TO {', '.join(map(quote, sorted(to)))}"
        f" USING ({expression})"
        for name, (expression, to) in wanted.items()
        if name not in policies and to
    ]
    return _done(connection, done)


def secure_subscribers(
    connection: Connection, roles: DatabaseRoles, table: str, application: str
) -> list[str]:
    """Lets each subscriber move its own checkpoints, or park events of its own, and no other's: of
    the table whose column `projection` names the subscriber.
    """
    found = connection.exec_driver_sql(_STANDING, {"table": table}).first()
    if found is None:
        return []
    enabled, forced, owned_by, policies, _ = found
    quote = connection.dialect.identifier_preparer.quote
    using = {one: roles.name(one) for one in roles.logins if table in roles.tables_of(one)}
    there = _existing(connection, [*using.values(), application, owned_by])
    own = {role: _of_subscriber(role) for role in using}
    rest = there - {name for role, name in using.items() if own[role]}
    wanted = {_named("read", "SELECT", there): ("SELECT", "true", there)}
    wanted |= {_named("all", "true", rest): ("ALL", "true", rest)}
    wanted |= {
        _named("own", condition, {using[role]}): ("ALL", condition, {using[role]} & there)
        for role, condition in own.items()
        if condition
    }
    done = [f"DROP POLICY {quote(one)} ON {quote(table)}" for one in policies if one not in wanted]
    if not enabled:
        done.append(f"ALTER TABLE {quote(table)} ENABLE ROW LEVEL SECURITY")
    if not forced:
        done.append(f"ALTER TABLE {quote(table)} FORCE ROW LEVEL SECURITY")
    done += [
        f"CREATE POLICY {quote(name)} ON {quote(table)} FOR {command}"
        f" TO {', '.join(map(quote, sorted(to)))} USING ({condition})"
        for name, (command, condition, to) in wanted.items()
        if name not in policies and to
    ]
    return _done(connection, done)


def _of_subscriber(role: str) -> str:
    """Which rows are the role's own; empty for one that has no subscriber."""
    kind, _, name = role.partition(":")
    match kind:
        case "relay":
            return "projection = 'relay' OR projection ^@ 'relay/'"
        case "lake":
            return "projection = 'lake'"
        case "dispatcher":
            return "projection = 'webhooks'"
        case "consumer":
            quoted = name.replace("'", "''")
            return f"projection = '{_CONSUMER}{quoted}'"
        case "projector":
            return (
                "NOT (projection IN ('relay', 'lake', 'webhooks') OR projection ^@ 'relay/'"
                f" OR projection ^@ '{_CONSUMER}')"
            )
        case _:
            return ""


def _done(connection: Connection, statements: list[str]) -> list[str]:
    for statement in statements:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    return statements


def secure_in_use(
    engine: Engine, owners: Mapping[str, RowOwner], accesses: Mapping[str, Access]
) -> list[str]:
    """The same of tables that processes work with: each in a transaction of its own, so that it
    waits for one table alone. Raises TableBusy.
    """
    done = []
    for table, owner in owners.items():
        secured = partial(secure, table=table, owner=owner, access=accesses[table])
        done += in_turn(engine, table, secured)
    return done


def in_turn(engine: Engine, table: str, work: Callable[[Connection], list[str]]) -> list[str]:
    """Changes a table that processes work with, in a transaction of its own. Raises TableBusy."""
    for _ in range(_TRIES):
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(LOCK)
                # Who waits for a lock makes all others wait behind it.
                connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
                return work(connection)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != "55P03":
                raise
    raise TableBusy(f"a transaction has the table {table} for long: end it, and migrate again")


def sees(connection: Connection, owner: RowOwner) -> str:
    """Whether a row is one that the settings of the transaction let its reader see.

    A tenant or a party that is set has to be the row's: of a table that does not say whose its rows
    are, such a principal sees none.
    """
    if not owner.columns():
        return f"CASE WHEN {_EVERYTHING} THEN true ELSE false END"
    quote = connection.dialect.identifier_preparer.quote
    tenant, party = f"{_TENANT} = ''", f"{_PARTY} = ''"
    if owner.tenant:
        tenant = f"({tenant} OR {quote(owner.tenant)} = {_TENANT})"
    if owner.party:
        party = f"({party} OR {quote(owner.party)} = {_PARTY})"
    # As CASE, which the planner takes to be true of every other row: of conditions like these it
    # would expect next to none, and then sort all rows of a tenant for a page of twenty.
    return (
        f"CASE WHEN {_EVERYTHING} THEN true WHEN {_TENANT} = '' AND {_PARTY} = '' THEN false"
        f" ELSE {tenant} AND {party} END"
    )


_STANDING: Final = """
SELECT c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
    ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1),
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = %(table)s
"""


def _existing(connection: Connection, names: list[str]) -> set[str]:
    found = connection.exec_driver_sql(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)", {"names": names}
    )
    return set(found.scalars())


def _named(kind: str, expression: str, to: set[str]) -> str:
    """A policy says in its name what it is of: another expression is another policy."""
    said = "|".join([expression, *sorted(to)])
    return f"handrail_{kind}_{hashlib.sha256(said.encode()).hexdigest()[:12]}"
