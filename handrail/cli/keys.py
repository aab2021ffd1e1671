"""`handrail keys`: API keys, made and revoked in the database by its owner."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from cyclopts import App, Parameter, validators
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail import bounds, logs
from handrail.access import key_records
from handrail.access.claims import unconfined
from handrail.access.key_records import (
    LONGEST_DAYS,
    KeyKind,
    KeyRecord,
    KeyRefused,
    KeyRights,
)
from handrail.access.principal import Principal
from handrail.access.secrets import KeyText
from handrail.cli.api_client import login_name
from handrail.cli.bounded_options import within
from handrail.cli.command_runner import run_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import USAGE
from handrail.cli.sealed_reason import opened, sealed
from handrail.database_engine import open_engine
from handrail.dev.lock import joined
from handrail.kernel import Attribution
from handrail.load_app import load_settings, the_app
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

keys = App(name="keys", help="API keys: what services and other companies sign in with.")

_MOST: Final = 1_000
Name = Annotated[
    str, Parameter(help="Who it is for: events name it.", validator=within(bounds.PRINCIPAL))
]
Actor = Annotated[
    str | None, Parameter(help="Who. Without: the login name.", validator=within(bounds.ACTOR))
]
Days = Annotated[
    int,
    Parameter(
        help="After how many days it expires.", validator=validators.Number(gte=1, lte=LONGEST_DAYS)
    ),
]
Confined = Annotated[str, Parameter(validator=within(bounds.ID))]
Work = Callable[[AsyncConnection, Console], Awaitable[tuple[int, dict[str, Any]]]]


@keys.command
def create(  # each is an option
    name: Name,
    /,
    *,
    role: Annotated[list[str] | None, Parameter(help="A role; may be repeated.")] = None,
    scope: Annotated[list[str] | None, Parameter(help="A scope; may be repeated.")] = None,
    tenant: Annotated[Confined | None, Parameter(help="The tenant it is confined to.")] = None,
    party: Annotated[Confined | None, Parameter(help="The party it is confined to.")] = None,
    kind: Annotated[KeyKind, Parameter(help="What its owner is.")] = "service",
    days: Days = 90,
    actor: Actor = None,
    json: Json = False,
) -> int:
    """Make a key, and print it: it cannot be shown again."""
    rights = KeyRights(
        name=name,
        kind=kind,
        roles=role or [],
        scopes=scope or [],
        tenant=tenant or "",
        party=party or "",
    )
    if wrong := _wrong_with(rights):
        print(wrong, file=sys.stderr)
        return USAGE

    async def work(connection: AsyncConnection, console: Console) -> tuple[int, dict[str, Any]]:
        key = await key_records.create(
            connection, rights, by=actor or login_name(), lasts=timedelta(days=days)
        )
        return await _shown(connection, console, key)

    may = " ".join((*rights.roles, *rights.scopes, *filter(None, (rights.tenant, rights.party))))
    return _run(work, json=json, act=OperatorAct("keys create", f"{name} {may}", actor))


@keys.command
def rotate(
    name: Name,
    /,
    *,
    overlap_hours: Annotated[
        int,
        Parameter(
            help="How long the old key stays valid.", validator=validators.Number(gte=0, lte=720)
        ),
    ] = 24,
    days: Days = 90,
    actor: Actor = None,
    json: Json = False,
) -> int:
    """Make another key with the same rights, and have the old one end a little later."""

    async def work(connection: AsyncConnection, console: Console) -> tuple[int, dict[str, Any]]:
        key = await key_records.rotate(
            connection,
            name,
            by=actor or login_name(),
            lasts=timedelta(days=days),
            overlap=timedelta(hours=overlap_hours),
        )
        return await _shown(connection, console, key)

    return _run(work, json=json, act=OperatorAct("keys rotate", name, actor))


@keys.command
def revoke(
    id_: Annotated[str, Parameter(name="id", help="The key's id, as `list` shows it.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why: it is kept.", validator=within(bounds.REASON))],
    actor: Actor = None,
    json: Json = False,
) -> int:
    """End a key now. API processes follow within `HANDRAIL_AUTH_KEY_SECONDS`."""

    async def work(connection: AsyncConnection, console: Console) -> tuple[int, dict[str, Any]]:
        by = await sealed(Attribution(actor or login_name(), reason))
        done = await key_records.revoke(connection, id_, by=by.actor, reason=by.reason)
        console.print(f"the key {id_} of {done.name} is revoked", markup=False)
        return 0, _as_json(replace(done, revoked_because=reason))

    return _run(work, json=json, act=OperatorAct("keys revoke", id_, actor, reason))


@keys.command(name="list")
def list_keys(
    *,
    ended: Annotated[
        bool, Parameter(name="--all", negative="", help="With expired and revoked keys.")
    ] = False,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List keys, the newest first. Their secrets are known nowhere."""

    async def work(connection: AsyncConnection, console: Console) -> tuple[int, dict[str, Any]]:
        found = await key_records.listed(connection, ended=ended, limit=_MOST)
        key_table(found).print(console)
        if len(found) == _MOST:
            console.print(f"and maybe more: these are {_MOST}")
        reasons = await opened([one.revoked_because for one in found])
        shown = [
            replace(one, revoked_because=reason) for one, reason in zip(found, reasons, strict=True)
        ]
        return 0, {"keys": [_as_json(one) for one in shown]}

    return _run(work, wide=wide, json=json)


def _wrong_with(rights: KeyRights) -> str:
    access = the_app().access
    for role in rights.roles:
        if role not in access.all_roles:
            return f"there is no role {role}: one of {', '.join(access.all_roles)}"
    for scope in rights.scopes:
        if scope not in access.all_scopes:
            return f"there is no scope {scope}: one of {', '.join(access.all_scopes)}"
    if not rights.roles and not rights.scopes:
        return "say what it may do: --role or --scope"
    principal = Principal(
        rights.kind, rights.name, frozenset(), tenant=rights.tenant, party=rights.party
    )
    wrong = unconfined(principal, set(rights.roles), access)
    return f"the key {wrong}: --tenant or --party" if wrong else ""


async def _shown(
    connection: AsyncConnection, console: Console, key: KeyText
) -> tuple[int, dict[str, Any]]:
    made = await key_records.find(connection, key.id)
    assert made is not None
    until = f"{made.expires_at:%F %T}"
    console.print(f"{key}\nvalid until {until}; it is not shown again", markup=False)
    return 0, {"key": str(key), **_as_json(made)}


def key_table(found: Sequence[KeyRecord]) -> Table:
    table = Table(
        (
            Column("id"),
            Column("name"),
            Column("may"),
            Column("of", rank=2),
            Column("state"),
            Column("expires", rank=1),
            Column("last used", rank=3),
        )
    )
    for one in found:
        may = ", ".join((*one.roles, *one.scopes))
        used = f"{one.last_used_at:%F %T}" if one.last_used_at else ""
        confined = " ".join(filter(None, (one.tenant, one.party)))
        state = one.state(datetime.now(UTC))
        table.add(one.id, one.name, may, confined, state, f"{one.expires_at:%F %T}", used)
    return table


def _as_json(one: KeyRecord) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "roles": one.roles,
        "scopes": one.scopes,
        "tenant": one.tenant,
        "party": one.party,
        "state": one.state(datetime.now(UTC)),
        "created_at": one.created_at,
        "created_by": one.created_by,
        "expires_at": one.expires_at,
        "replaces": one.replaces,
        "last_used_at": one.last_used_at,
        "revoked_at": one.revoked_at,
        "revoked_by": one.revoked_by,
        "revoked_because": one.revoked_because,
    }


def _run(work: Work, *, json: bool, wide: bool = False, act: OperatorAct | None = None) -> int:
    settings = joined(load_settings())
    if settings.owner_url is None:
        require(settings, "database_url")
    logs.configure(settings, "keys")

    async def job(settings: Settings) -> int:
        console = terminal(json=json, wide=wide)
        async with (
            open_engine(str(settings.owner_url), role="", size=1, name="handrail keys") as engine,
            engine.connect() as connection,
        ):
            # The engine commits every statement by itself; these belong together.
            await connection.execution_options(isolation_level="READ COMMITTED")
            try:
                async with connection.begin():
                    code, found = await work(connection, console)
            except KeyRefused as refused:
                print(refused, file=sys.stderr)
                return 1
        if json:
            print(orjson.dumps(found).decode(), flush=True)
        return code

    as_owner = settings.model_copy(
        update={"database_url": settings.owner_url, "database_passwords": (), "database_role": ""}
    )
    return run_job(settings, "keys", job, act=act, audit=as_owner)
