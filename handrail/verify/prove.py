"""Proves the invariants of the library and those of the App over a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import IsolationLevel
from psycopg.types.json import set_json_loads
from temporalio.client import Client

from handrail.catalogue import Catalogue
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.verify.evidence_reader import (
    Sources,
    size_of,
)
from handrail.verify.feed_checks import Check, feed_checks
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK, lake_equals_events
from handrail.verify.proof import Findings, Proof
from handrail.verify.store_invariants import STORE_INVARIANTS
from handrail.verify.temporal_comparison import ask_temporal, parked_in_stores
from handrail.verify.verification import OF_EVERY_APP, Verification
from handrail.verify.violations import EvidenceT, Invariant
from handrail.verify.workflow_states import WorkflowStates

__all__ = ["OF_EVERY_APP", "Step", "Verification", "judge", "prove"]

Step = Callable[[int, int], None]
"""Called with the ids that were read, and how many there are."""


async def prove(
    database_url: str,
    app: Catalogue,
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
