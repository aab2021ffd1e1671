"""Makes the roles of processes, and gives each exactly what `access/database_roles.py` declares.

Every function says the statements it ran: a second run says nothing. Who migrates may have less
than a superuser: CREATEROLE is enough, and where a DBA has made the roles, owning the tables is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import Connection

from handrail.access.database_roles import READ_MODEL, STORE, DatabaseRoles

_log = structlog.get_logger(__name__)

_SET_AND_INHERIT_ARE_OPTIONS: Final = (16, 0)
_APPEND: Final = (
    "append_events(jsonb, jsonb, jsonb, jsonb)",
    "append_audit(jsonb, jsonb, jsonb)",
)

Access = tuple[str, str]
"""A role's name in PostgreSQL, and a right."""


class Dangerous(Exception):
    """A role of a process may do more than any process has to."""


def make_roles(connection: Connection, roles: DatabaseRoles) -> list[str]:
    """Makes those that are missing, where the session may. The logins have no password yet, and so
    cannot log in. Raises Dangerous where one may become more than it is.
    """
    missing = missing_roles(connection, roles)
    if missing and not _may_make_roles(connection):
        _log.warning(
            "roles are missing, and this login may not make them",
            missing=", ".join(missing),
            next="handrail database roles --sql",
        )
        missing = []
    done = [_run(connection, statement) for statement in _made(connection, roles, missing)]
    if not _is_superuser(connection) and roles.name(STORE) in _existing(connection, roles):
        done += _become_member(connection, roles.name(STORE))
    if dangers := dangers_of(connection, roles):
        raise Dangerous("; ".join(dangers))
    return done


def set_passwords(
    connection: Connection, roles: DatabaseRoles, passwords: Mapping[str, str]
) -> list[str]:
    """Of these logins, by role; answers their names. The server, and its log, get the verifier of
    SCRAM alone.
    """
    driver: psycopg.Connection[object] = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
    for role, password in passwords.items():
        name = roles.name(role)
        verifier = driver.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        ).decode()
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(name), sql.Literal(verifier)
        )
        driver.execute(statement)
    return [roles.name(role) for role in passwords]


def missing_roles(connection: Connection, roles: DatabaseRoles) -> Sequence[str]:
    there = _existing(connection, roles)
    return [role for role in roles.all if roles.name(role) not in there]


def sql_of_roles(connection: Connection, roles: DatabaseRoles) -> list[str]:
    """What a DBA runs where the owner of the database may not make roles."""
    quote = connection.dialect.identifier_preparer.quote
    owner = connection.exec_driver_sql("SELECT current_user").scalar_one()
    made = [_create(quote(roles.name(one)), login=one != STORE) for one in roles.all]
    return [*made, _membership(connection, quote(roles.name(STORE)), quote(owner))]


def dangers_of(connection: Connection, roles: DatabaseRoles) -> list[str]:
    """A sentence for each of the roles that may become more than it is."""
    found = connection.exec_driver_sql(_DANGERS, {"names": [*map(roles.name, roles.all)]})
    return [f"the role {name} {what}: take that from it" for name, what in found if what]


_DANGERS: Final = """
SELECT r.rolname, concat_ws(' and ',
    CASE WHEN r.rolsuper THEN 'is a superuser' END,
    CASE WHEN r.rolcreaterole THEN 'may make roles' END,
    CASE WHEN r.rolcreatedb THEN 'may make databases' END,
    CASE WHEN r.rolreplication THEN 'may replicate' END,
    CASE WHEN r.rolbypassrls THEN 'passes row-level security' END,
    (SELECT 'is a member of ' || string_agg(m.roleid::regrole::text, ', ')
     FROM pg_auth_members m WHERE m.member = r.oid))
FROM pg_roles r WHERE r.rolname = ANY (%(names)s) ORDER BY 1
"""


def grant_tables(
    connection: Connection, roles: DatabaseRoles, *, only: Sequence[str] = ()
) -> list[str]:
    """Gives what is missing, on the tables of the library and the business, or on `only` some.
    What is to go is left to `rights_to_withdraw`; of read models see `grant_read_models`.
    """
    there = _existing(connection, roles)
    wanted = _wanted(roles, there)
    if only:
        wanted = {table: wanted[table] for table in only}
    given = [
        _run(connection, one) for one in _differences(connection, roles, wanted, withdraws=False)
    ]
    if only:
        return given
    quote = connection.dialect.identifier_preparer.quote
    schema = _run_unless(
        connection,
        "SELECT bool_and(has_schema_privilege(rolname, 'public', 'USAGE')) FROM pg_roles"
        " WHERE rolname = ANY (%(names)s)",
        {"names": sorted(there)},
        f"GRANT USAGE ON SCHEMA public TO {', '.join(map(quote, sorted(there)))}",
    )
    return [*schema, *_no_room_for_others(connection), *given]


def rights_to_withdraw(connection: Connection, roles: DatabaseRoles) -> list[str]:
    """The statements that take from the roles of processes what they have on tables of the library
    and the business, and no longer need.
    """
    wanted = _wanted(roles, _existing(connection, roles))
    return _differences(connection, roles, wanted, gives=False)


def _wanted(roles: DatabaseRoles, there: set[str]) -> dict[str, set[Access]]:
    wanted: dict[str, set[Access]] = {}
    for role in roles.all:
        for table, some in roles.tables_of(role).items():
            rows = wanted.setdefault(table, set())
            if roles.name(role) in there:
                rows.update((roles.name(role), right) for right in some)
    return wanted


def grant_read_models(
    connection: Connection, roles: DatabaseRoles, tables: Iterable[str]
) -> list[str]:
    """To those that read or write read models: of tables in use, and of those being built."""
    there = _existing(connection, roles)
    rows: set[Access] = {
        (roles.name(role), right)
        for role, some in READ_MODEL.items()
        if roles.name(role) in there
        for right in some
    }
    return [
        _run(connection, one)
        for one in _differences(connection, roles, dict.fromkeys(tables, rows))
    ]


def grant_functions(
    connection: Connection, roles: DatabaseRoles, names: Sequence[str], application: str
) -> list[str]:
    """`names` are all functions of the library: of each, PUBLIC may call none. `application` is the
    role that processes switch to which log in
    as the owner, and may be empty.
    """
    there = _existing(connection, roles)
    callers: dict[str, set[str]] = {}
    for role in roles.all:
        for call in roles.calls_of(role):
            callers.setdefault(call, set()).add(roles.name(role))
    signatures = connection.exec_driver_sql(_SIGNATURES, {"names": list(names)}).all()
    done = []
    for signature, name, has in signatures:
        # Where two functions share a name, a call with `()` is the one without parameters.
        called = callers.get(signature, set()) | (
            callers.get(name, set()) if f"{name}()" not in callers else set()
        )
        wanted = called & there
        if application and (called or name == "maintain_partitions"):
            wanted = wanted | {application}
        done += _exchange_callers(connection, signature, set(has), wanted)
    return done


def own_append(connection: Connection, roles: DatabaseRoles) -> list[str]:
    """Gives the functions that append to the role that may write events, and cannot log in."""
    store = roles.name(STORE)
    if store not in _existing(connection, roles):
        return []
    quoted = connection.dialect.identifier_preparer.quote(store)
    return [one for signature in _APPEND for one in _own(connection, signature, quoted)]


def _own(connection: Connection, signature: str, quoted: str) -> list[str]:
    owner = connection.exec_driver_sql(
        f"SELECT proowner::regrole::text FROM pg_proc WHERE oid = '{signature}'::regprocedure"
    ).scalar_one()
    if owner == quoted:
        return []
    give = f"ALTER FUNCTION {signature} OWNER TO {quoted}"
    if _is_superuser(connection):
        return [_run(connection, give)]
    # A new owner has to have the right to make functions, for as long as it takes to become it.
    _run(connection, f"GRANT CREATE ON SCHEMA public TO {quoted}")
    _run(connection, give)
    _run(connection, f"REVOKE CREATE ON SCHEMA public FROM {quoted}")
    return [give]


_SIGNATURES: Final = """
SELECT p.oid::regprocedure::text, p.proname,
    ARRAY(SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END
          FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
          WHERE a.grantee <> p.proowner)
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (%(names)s) ORDER BY 1
"""


def _exchange_callers(
    connection: Connection, signature: str, has: set[str], wanted: set[str]
) -> list[str]:
    def named(some: Iterable[str]) -> str:
        quote = connection.dialect.identifier_preparer.quote
        return ", ".join(one if one == "PUBLIC" else quote(one) for one in sorted(some))

    done = []
    if lost := has - wanted:
        done.append(f"REVOKE EXECUTE ON FUNCTION {signature} FROM {named(lost)}")
    if new := wanted - has:
        done.append(f"GRANT EXECUTE ON FUNCTION {signature} TO {named(new)}")
    return [_run(connection, statement) for statement in done]


def _differences(
    connection: Connection,
    roles: DatabaseRoles,
    wanted: Mapping[str, set[Access]],
    *,
    gives: bool = True,
    withdraws: bool = True,
) -> list[str]:
    """What makes the rights on these tables those that are wanted. Other roles keep theirs."""
    names = [roles.name(one) for one in roles.all]
    found = connection.exec_driver_sql(_RIGHTS, {"tables": list(wanted), "names": names})
    has: dict[str, set[Access]] = {}
    for table, name, right in found:
        rows = has.setdefault(table, set())
        if name is not None:
            rows.add((name, right))
    done = []
    quote = connection.dialect.identifier_preparer.quote
    for table, rows in sorted(has.items()):
        for verb, some, word in (
            ("REVOKE", rows - wanted[table] if withdraws else set(), "FROM"),
            ("GRANT", wanted[table] - rows if gives else set(), "TO"),
        ):
            alike: dict[str, list[str]] = {}
            for name in sorted({name for name, _ in some}):
                listed = ", ".join(sorted(right for other, right in some if other == name))
                alike.setdefault(listed, []).append(quote(name))
            for listed, those in alike.items():
                done.append(f"{verb} {listed} ON {quote(table)} {word} {', '.join(those)}")
    return done


_RIGHTS: Final = """
SELECT c.relname, r.rolname, a.privilege_type
FROM pg_class c
LEFT JOIN LATERAL aclexplode(c.relacl) a
    ON a.grantee IN (SELECT oid FROM pg_roles WHERE rolname = ANY (%(names)s))
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(tables)s)
"""


def _no_room_for_others(connection: Connection) -> list[str]:
    """Where everybody may make tables, one may be made that a function takes for another."""
    return _run_unless(
        connection,
        "SELECT NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a"
        " WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE')",
        {},
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )


def _made(connection: Connection, roles: DatabaseRoles, missing: Sequence[str]) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    return [
        # Roles belong to the server: another of its databases may make this one at the same time.
        f"DO $$ BEGIN {_create(quote(roles.name(one)), login=one != STORE)};"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        for one in missing
    ]


def _create(name: str, *, login: bool) -> str:
    return f"CREATE ROLE {name} {'LOGIN' if login else 'NOLOGIN'} NOINHERIT"


def _membership(connection: Connection, role: str, member: str) -> str:
    options = ""
    if (connection.dialect.server_version_info or ()) >= _SET_AND_INHERIT_ARE_OPTIONS:
        options = " WITH INHERIT TRUE, SET TRUE"
    return f"GRANT {role} TO {member}{options}"


def _become_member(connection: Connection, name: str) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    me = connection.exec_driver_sql("SELECT current_user").scalar_one()
    return _run_unless(
        connection,
        "SELECT pg_has_role(%(name)s, 'USAGE')",
        {"name": name},
        _membership(connection, quote(name), quote(me)),
    )


def _existing(connection: Connection, roles: DatabaseRoles) -> set[str]:
    names = [roles.name(one) for one in roles.all]
    found = connection.exec_driver_sql(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)", {"names": names}
    )
    return set(found.scalars())


def _is_superuser(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT current_setting('is_superuser')").scalar_one()
    return bool(found == "on")


def _may_make_roles(connection: Connection) -> bool:
    found = connection.exec_driver_sql(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    )
    return bool(found.scalar_one())


def _run(connection: Connection, statement: str) -> str:
    connection.exec_driver_sql(statement)
    return statement


def _run_unless(
    connection: Connection, query: str, parameters: Mapping[str, object], statement: str
) -> list[str]:
    if connection.exec_driver_sql(query, dict(parameters)).scalar_one() in {True, None}:
        return []
    return [_run(connection, statement)]
