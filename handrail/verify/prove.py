"""`handrail verify`: proves the invariants of the library and those of the app over a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import psycopg
from psycopg import IsolationLevel
from psycopg.types.json import set_json_loads
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio.client import Client

from handrail.app import App
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.restore.lake import is_there
from handrail.settings import Settings
from handrail.temporal.connection import connect
from handrail.terminal_tables import terminal
from handrail.verify.evidence_reader import (
    Sources,
    size_of,
)
from handrail.verify.feed_checks import Check, feed_checks
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK, lake_equals_events
from handrail.verify.proof import Findings, Proof, show
from handrail.verify.store_invariants import STORE_INVARIANTS
from handrail.verify.temporal_comparison import ask_temporal, parked_in_stores
from handrail.verify.unreachable import Unreachable
from handrail.verify.verification import OF_EVERY_APP, Verification
from handrail.verify.violations import EvidenceT, Invariant
from handrail.verify.workflow_states import WorkflowStates

Step = Callable[[int, int], None]
"""Called with the ids that were read, and how many there are."""


async def prove(
    database_url: str,
    app: App,
    verification: Verification[Any],
    temporal: Client | None = None,
    step: Step | None = None,
    *,
    feed: bool = False,
    lake: Path | None = None,
) -> Proof:
    """Without a Temporal, what it would have to say is not asked for; the store, the feed and its
    followers themselves are looked at where `feed` says so, and the lake in the folder `lake` where
    there is one.
    """
    stores = {**STORE_INVARIANTS, **verification.stores}
    invariants = verification.everything
    of_the_feed: Mapping[str, Check] = {}
    if feed:
        of_the_feed = feed_checks(app.read_models, app.consumers, app.codec, app.event_ids)
    checks = {**stores, **of_the_feed}
    of_the_lake = [LAKE_CHECK] if feed and lake else []
    names = dict.fromkeys([*invariants, *checks, *of_the_lake])
    findings = {name: Findings() for name in names}
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(await _connect(database_url))
        live = await stack.enter_async_context(await _connect(database_url, autocommit=True))
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        size = await size_of(connection)
        await _ask_the_stores(checks, connection, findings)
        if of_the_lake and lake:
            checks = {LAKE_CHECK: lambda one: lake_equals_events(one, live, lake)}
            await _ask_the_stores(checks, connection, findings)
        reader = verification.reader(
            Sources(
                connection=connection,
                live=live,
                codec=app.codec,
                projections=app.read_models,
                at=size.at.astimezone(UTC),
            )
        )
        states = WorkflowStates(temporal) if temporal else None
        read = 0
        async for page in reader.pages():
            if states:
                await ask_temporal(states, live, page, verification.compared)
            for evidence in page:
                judge(evidence, invariants, findings)
            read += len(page)
            if step:
                step(min(read, size.ids), size.ids)
        if states:
            await _ask_the_board(states, live, app.codec, findings["parked_in_temporal"])
    return Proof(findings, events=size.events, sagas=size.sagas)


async def _ask_the_stores(
    checks: Mapping[str, Check], connection: Connection, findings: Mapping[str, Findings]
) -> None:
    for name, check in checks.items():
        async for violation in check(connection):
            findings[name].add(violation)


async def _ask_the_board(
    states: WorkflowStates, live: Connection, codec: Codec, findings: Findings
) -> None:
    async for violation in parked_in_stores(states, live, codec):
        findings.add(violation)


def judge(
    evidence: EvidenceT,
    invariants: Mapping[str, Invariant[EvidenceT]],
    findings: Mapping[str, Findings],
) -> None:
    for name, invariant in invariants.items():
        for violation in invariant(evidence):
            findings[name].add(violation, violation.explained_by(evidence))


async def _connect(url: str, *, autocommit: bool = False) -> Connection:
    connection = await psycopg.AsyncConnection.connect(
        url, options="-c timezone=UTC", autocommit=autocommit
    )
    set_json_loads(orjson.loads, connection)
    return connection


async def _temporal(settings: Settings, codec: Codec) -> Client | None:
    address = settings.temporal_address
    if address is None:
        return None
    try:
        return await connect(settings, codec)
    except RuntimeError:
        raise Unreachable(f"Temporal at {address} does not answer: is it up?") from None


def _lake(settings: Settings) -> Path | None:
    """Where there is one, and what it is read with is installed."""
    can = find_spec("deltalake") and find_spec("duckdb")
    return settings.lake_folder if can and is_there(settings.lake_folder) else None


async def verify(
    app: App, settings: Settings, *, json: bool, feed: bool = False, wide: bool = False
) -> int:
    """0 where every invariant holds, 1 where one does not.

    Raises Unreachable where one that has to be asked does not answer.
    """
    console = terminal(json=json, wide=wide)
    temporal = await _temporal(settings, app.codec)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        bar = bars.add_task("ids read", total=None)
        try:
            proof = await prove(
                cast("str", settings.database_url),
                app,
                app.verification(settings) if app.verification else OF_EVERY_APP,
                temporal,
                lambda read, of: bars.update(bar, completed=read, total=of),
                feed=feed,
                lake=_lake(settings) if feed else None,
            )
        except httpx.TransportError as error:
            url = error.request.url.copy_with(path="/")
            raise Unreachable(f"{url} does not answer: is it up?") from None
    show(proof, console)
    if json:
        report = {
            "invariants": proof.as_json(),
            "events": proof.events,
            "explained": proof.explained(),
        }
        print(orjson.dumps(report).decode())
    return 0 if proof.holds else 1
