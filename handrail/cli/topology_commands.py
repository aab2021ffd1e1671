"""The topology of the broker that the settings name: made, compared, written down, looked at."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson

from handrail.dev.supervisor import FailedToStart
from handrail.load_app import BAD_APP, the_app
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.address import tls_of_management, upstream_address
from handrail.messaging.broker.definitions import (
    Access,
    Difference,
    Key,
    Objects,
    difference,
    document,
    found_in,
    objects_of,
)
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.broker.management_api import BrokerSaidNo, Management, login_in
from handrail.messaging.broker.management_api import apply as make
from handrail.messaging.broker.plan import NoBroker
from handrail.messaging.broker.topology import OPERATOR, Topology, topology
from handrail.refused_settings import BAD_SETTINGS, variable
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

_FED_WITHIN: Final = 30.0
"""Seconds for federation to get going."""
NEEDS: Final = ("broker_url", "broker_management_url", "broker_passwords")


def has_operator(settings: Settings) -> bool:
    """Whether the settings have a password for the user of dead messages."""
    return OPERATOR in settings.passwords_at_the_broker


class LacksPasswords(Exception):
    """The settings have none of a user."""


def access(settings: Settings, wanted: Topology) -> Access:
    """Raises LacksPasswords."""
    passwords = settings.passwords_at_the_broker
    if missing := [user for user in wanted.users if user not in passwords]:
        said = f"lacks {', '.join(missing)}: user=password, comma-separated"
        raise LacksPasswords(f"{variable('broker_passwords')}: {said}")
    management_url = cast("str", settings.broker_management_url)
    parts = urlsplit(cast("str", settings.broker_url))
    _, _, address = parts.netloc.rpartition("@")
    upstream = upstream_address(parts.scheme, address, settings)
    return Access(passwords, upstream, login_in(management_url))


async def apply(settings: Settings, *, prune: bool) -> int:
    """0 where all is as it should be afterwards, and every event that is wanted comes."""
    console = terminal(json=True)

    async def work(management: Management, wanted: Topology, objects: Objects) -> int:
        found = await _found(management, wanted)
        unlike = difference(objects, found)
        left = await make(management, objects, found, unlike, prune=prune)
        for key in (*unlike.missing, *unlike.different, *(unlike.extra if prune else ())):
            if key not in left:
                console.print(f"{_done(key, unlike):8}{key}", highlight=False, markup=False)
        for key, why in left.items():
            console.print(f"left    {key}: {why}", highlight=False, markup=False, style="red")
        if unlike.extra and not prune:
            console.print(f"{len(unlike.extra)} more are there: `diff` shows them, --prune deletes")
        lacking = await federation_status.complete(management, wanted, _FED_WITHIN)
        for one in lacking:
            console.print(_lacks(one), highlight=False, markup=False, style="red")
        return int(bool(left or lacking))

    return await _connected(settings, work)


async def diff(settings: Settings, *, json: bool) -> int:
    """0 where the broker has what it should have, and no more."""
    console = terminal(json=json)

    async def work(management: Management, wanted: Topology, objects: Objects) -> int:
        unlike = difference(objects, await _found(management, wanted))
        for key in unlike.missing:
            console.print(f"missing    {key}", highlight=False, markup=False)
        for key, said in unlike.different.items():
            console.print(f"different  {key}: {said}", highlight=False, markup=False)
        for key in unlike.extra:
            console.print(f"unknown    {key}", highlight=False, markup=False)
        if not unlike:
            console.print(f"the broker has all of {len(objects)} objects, and no more")
        if json:
            print(orjson.dumps(_as_json(unlike)).decode())
        return int(bool(unlike))

    return await _connected(settings, work)


async def status(settings: Settings, *, json: bool, wide: bool = False) -> int:
    """0 where every event that is wanted comes, and nothing waits for a person."""
    console = terminal(json=json, wide=wide)

    async def work(management: Management, wanted: Topology, _: Objects) -> int:
        found = await federation_status.look(management, wanted)
        table_of(found).print(console)
        for one in found:
            if one.missing:
                console.print(_lacks(one), highlight=False, markup=False)
        if json:
            print(orjson.dumps({"federation": found}).decode())
        return int(any(not one.complete or one.dead or one.unrouted for one in found))

    return await _connected(settings, work)


def table_of(found: Sequence[Fed]) -> Table:
    table = Table(
        (
            Column("virtual host"),
            Column("follows", rank=1),
            Column("link", kind="text"),
            *(Column(name, right=True) for name in ("not fetched", "dead", "unrouted")),
        )
    )
    for one in found:
        counts = map(str, (one.waiting, one.dead, one.unrouted))
        table.add(one.vhost, one.exchange, one.link, *counts)
    return table


def export(settings: Settings) -> int:
    """Print what a fresh broker imports when it begins."""
    wanted = _wanted_or_end(settings)
    found = document(wanted, _access_or_end(settings, wanted))
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    return 0


async def establish(settings: Settings) -> None:
    """For those who start a stack: everything is there, and events come. Raises FailedToStart."""
    app = the_app()
    try:
        wanted = topology(app.routing, app.consumers, operator=has_operator(settings))
        objects = objects_of(wanted, access(settings, wanted))
        async with _management(settings) as management:
            found = await _found(management, wanted)
            left = await make(management, objects, found, difference(objects, found))
            lacking = (
                [] if left else await federation_status.complete(management, wanted, _FED_WITHIN)
            )
    except (BrokerSaidNo, LacksPasswords, NoBroker) as error:
        raise FailedToStart("topology", f"failed: {error}") from error
    if said := [*(f"{key}: {why}" for key, why in left.items()), *map(_lacks, lacking)]:
        raise FailedToStart("topology", "is not as it should be", "\n".join(said))


def _management(settings: Settings) -> Management:
    url = cast("str", settings.current("broker_management_url"))
    return Management(url, verify=tls_of_management(settings))


async def _connected(
    settings: Settings, work: Callable[[Management, Topology, Objects], Awaitable[int]]
) -> int:
    wanted = _wanted_or_end(settings)
    objects = objects_of(wanted, _access_or_end(settings, wanted))
    try:
        async with _management(settings) as management:
            return await work(management, wanted, objects)
    except BrokerSaidNo as error:
        print(error, file=sys.stderr)
        return 1


def _wanted_or_end(settings: Settings) -> Topology:
    app = the_app()
    try:
        return topology(app.routing, app.consumers, operator=has_operator(settings))
    except NoBroker as missing:
        print(missing, file=sys.stderr)
        raise SystemExit(BAD_APP) from None


def _access_or_end(settings: Settings, wanted: Topology) -> Access:
    try:
        return access(settings, wanted)
    except LacksPasswords as error:
        print(error, file=sys.stderr)
        raise SystemExit(BAD_SETTINGS) from None


async def _found(management: Management, wanted: Topology) -> Objects:
    return found_in(await management.definitions(), [one.name for one in wanted.hosts])


def _done(key: Key, unlike: Difference) -> str:
    if key in unlike.missing:
        return "made"
    return "changed" if key in unlike.different else "deleted"


def _lacks(one: Fed) -> str:
    said: Sequence[str] = [f"its link is not running: {one.link}"] if one.link != "running" else []
    if one.missing:
        said = [*said, f"does not come yet: {', '.join(one.missing)}"]
    return f"{one.vhost} ({one.exchange}): {'; '.join(said)}"


def _as_json(unlike: Difference) -> dict[str, Any]:
    return {
        "missing": [str(key) for key in unlike.missing],
        "different": {str(key): said for key, said in unlike.different.items()},
        "unknown": [str(key) for key in unlike.extra],
    }
