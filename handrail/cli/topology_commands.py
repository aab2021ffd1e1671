"""The topology of the broker that the settings name: made, compared, written down, looked at."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson

from handrail.load_app import BAD_APP, the_app
from handrail.messaging.broker import federation_status
from handrail.messaging.broker.administration import (
    FED_WITHIN,
    LacksPasswords,
    access_of,
    found_at,
    has_operator,
    management_of,
    said_of,
)
from handrail.messaging.broker.definitions import (
    Access,
    Difference,
    Key,
    Objects,
    difference,
    document,
    objects_of,
)
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from handrail.messaging.broker.management_api import apply as make
from handrail.messaging.broker.plan import NoBroker
from handrail.messaging.broker.topology import Topology, topology
from handrail.refused_settings import BAD_SETTINGS
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

NEEDS: Final = ("broker_url", "broker_management_url", "broker_passwords")


async def apply(settings: Settings, *, prune: bool) -> int:
    """0 where all is as it should be afterwards, and every event that is wanted comes."""
    console = terminal(json=True)

    async def work(management: Management, wanted: Topology, objects: Objects) -> int:
        found = await found_at(management, wanted)
        unlike = difference(objects, found)
        left = await make(management, objects, found, unlike, prune=prune)
        for key in (*unlike.missing, *unlike.different, *(unlike.extra if prune else ())):
            if key not in left:
                console.print(f"{_done(key, unlike):8}{key}", highlight=False, markup=False)
        for key, why in left.items():
            console.print(f"left    {key}: {why}", highlight=False, markup=False, style="red")
        if unlike.extra and not prune:
            console.print(f"{len(unlike.extra)} more are there: `diff` shows them, --prune deletes")
        lacking = await federation_status.complete(management, wanted, FED_WITHIN)
        for one in lacking:
            console.print(said_of(one), highlight=False, markup=False, style="red")
        return int(bool(left or lacking))

    return await _connected(settings, work)


async def diff(settings: Settings, *, json: bool) -> int:
    """0 where the broker has what it should have, and no more."""
    console = terminal(json=json)

    async def work(management: Management, wanted: Topology, objects: Objects) -> int:
        unlike = difference(objects, await found_at(management, wanted))
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
                console.print(said_of(one), highlight=False, markup=False)
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


async def _connected(
    settings: Settings, work: Callable[[Management, Topology, Objects], Awaitable[int]]
) -> int:
    wanted = _wanted_or_end(settings)
    objects = objects_of(wanted, _access_or_end(settings, wanted))
    try:
        async with management_of(settings) as management:
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
        return access_of(settings, wanted)
    except LacksPasswords as error:
        print(error, file=sys.stderr)
        raise SystemExit(BAD_SETTINGS) from None


def _done(key: Key, unlike: Difference) -> str:
    if key in unlike.missing:
        return "made"
    return "changed" if key in unlike.different else "deleted"


def _as_json(unlike: Difference) -> dict[str, Any]:
    return {
        "missing": [str(key) for key in unlike.missing],
        "different": {str(key): said for key, said in unlike.different.items()},
        "unknown": [str(key) for key in unlike.extra],
    }
