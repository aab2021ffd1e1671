"""Prove the invariants over the database one points at, and show each with a tick or a cross."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

import httpx
import orjson
import psycopg
from psycopg import IsolationLevel
from psycopg.types.json import set_json_loads
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from temporalio.client import Client

from handrail.eventstore.pool import Connection
from handrail.restore.lake import is_there
from handrail.temporal.client import connect
from handrail.verify.feed_checks import FEED_CHECKS, REMEDIES
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK, lake_equals_events
from handrail.verify.store_invariants import STORE_INVARIANTS
from handrail.verify.temporal_comparison import ask_temporal, parked_in_stores
from handrail.verify.unreachable import Unreachable
from handrail.verify.violations import Violation
from handrail.verify.workflow_states import WorkflowStates
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from runtime.verify import companies
from runtime.verify.evidence import Evidence
from runtime.verify.evidence_reader import EvidenceReader, size_of
from runtime.verify.invariants import INVARIANTS
from runtime.verify.processes import COMPARED

SHOWN: Final = 5
"""Violations shown of each invariant; all of them are counted."""
KEPT: Final = 100
"""Violations of each invariant whose text is kept."""
NAMES: Final = tuple(dict.fromkeys([*INVARIANTS, *STORE_INVARIANTS]))

Step = Callable[[int, int], None]
"""Called with the ids that were read, and how many there are."""


@dataclass
class Findings:
    """What is wrong, and what only differs because a person did it by hand and said so, or because
    one of the two sides was deleted after its retention.
    """

    count: int = 0
    texts: list[str] = field(default_factory=list)
    explained: int = 0
    explanations: list[str] = field(default_factory=list)

    def add(self, violation: Violation, explained_by: str | None = None) -> None:
        if explained_by is None:
            self.count += 1
            if len(self.texts) < KEPT:
                self.texts.append(violation.text)
        else:
            self.explained += 1
            if len(self.explanations) < KEPT:
                self.explanations.append(f"{violation.text}: {explained_by}")


@dataclass(frozen=True)
class Proof:
    """What was looked at, and what of it is wrong."""

    findings: Mapping[str, Findings]
    events: int
    sagas: int

    @property
    def violations(self) -> Mapping[str, Sequence[str]]:
        """Of each invariant the first ones; empty where it holds."""
        return {name: found.texts for name, found in self.findings.items()}

    @property
    def holds(self) -> bool:
        return not any(found.count for found in self.findings.values())

    def as_json(self) -> dict[str, bool]:
        return {name: not found.count for name, found in self.findings.items()}

    def explained(self) -> dict[str, int]:
        """How many differences are explained, where there are any."""
        return {name: one.explained for name, one in self.findings.items() if one.explained}


async def prove(
    database_url: str,
    bank_url: str | None,
    carrier_url: str | None,
    temporal: Client | None = None,
    step: Step | None = None,
    *,
    feed: bool = False,
    lake: Path | None = None,
) -> Proof:
    """Without a bank, a carrier or a Temporal, what they would have to say is not asked for; the
    store, the feed and its followers themselves are looked at where `feed` says so, and the lake in
    the folder `lake` where there is one.
    """
    checks = {**STORE_INVARIANTS, **FEED_CHECKS} if feed else STORE_INVARIANTS
    of_the_lake = [LAKE_CHECK] if feed and lake else []
    findings = {name: Findings() for name in dict.fromkeys([*NAMES, *checks, *of_the_lake])}
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
        reader = EvidenceReader(
            connection,
            live,
            HANDRAIL.codec,
            {
                "bank": companies.entries(bank_url) if bank_url else None,
                "carrier": companies.entries(carrier_url) if carrier_url else None,
            },
            looked_at=size.at.astimezone(UTC),
        )
        states = WorkflowStates(temporal) if temporal else None
        read = 0
        async for page in reader.pages():
            if states:
                await ask_temporal(states, live, page, COMPARED)
            for evidence in page:
                judge(evidence, findings)
            read += len(page)
            if step:
                step(min(read, size.ids), size.ids)
        if states:
            async for violation in parked_in_stores(states, live, HANDRAIL.codec):
                findings["parked_in_temporal"].add(violation)
    return Proof(findings, events=size.events, sagas=size.sagas)


async def _ask_the_stores(
    checks: Mapping[str, Callable[[Connection], AsyncIterator[Violation]]],
    connection: Connection,
    findings: Mapping[str, Findings],
) -> None:
    for name, check in checks.items():
        async for violation in check(connection):
            findings[name].add(violation)


def judge(evidence: Evidence, findings: Mapping[str, Findings]) -> None:
    for name, invariant in INVARIANTS.items():
        for violation in invariant(evidence):
            findings[name].add(violation, violation.explained_by(evidence))


async def _connect(url: str, *, autocommit: bool = False) -> Connection:
    connection = await psycopg.AsyncConnection.connect(
        url, options="-c timezone=UTC", autocommit=autocommit
    )
    set_json_loads(orjson.loads, connection)
    return connection


def show(proof: Proof, console: Console) -> None:
    table = Table("", "invariant", "what is wrong")
    for name, found in proof.findings.items():
        mark = "[red]✗[/red]" if found.count else "[green]✓[/green]"
        rest = found.count - SHOWN
        remedy = [f"→ {REMEDIES[name]}"] if found.count and name in REMEDIES else []
        lines = [*found.texts[:SHOWN], *([f"… and {rest} more"] if rest > 0 else []), *remedy]
        if found.explained:
            lines.append(f"{found.explained} explained: {found.explanations[0]}")
        table.add_row(mark, name.replace("_", " "), "\n".join(lines))
    console.print(table)
    console.print(f"{proof.events} events of {proof.sagas} sagas were read.")


async def _temporal(settings: ShopSettings) -> Client | None:
    address = settings.temporal_address
    if address is None:
        return None
    try:
        return await connect(address, settings.temporal_namespace, HANDRAIL.codec)
    except RuntimeError:
        raise Unreachable(f"Temporal at {address} does not answer: is it up?") from None


def _lake(settings: ShopSettings) -> Path | None:
    """Where there is one, and what it is read with is installed."""
    can = find_spec("deltalake") and find_spec("duckdb")
    return settings.lake_folder if can and is_there(settings.lake_folder) else None


async def verify(settings: ShopSettings, *, json: bool, feed: bool = False) -> int:
    """0 where every invariant holds, 1 where one does not.

    Raises Unreachable where one that has to be asked does not answer.
    """
    console = Console(stderr=json)
    temporal = await _temporal(settings)
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
                settings.bank_url,
                settings.carrier_url,
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
        said = {
            "invariants": proof.as_json(),
            "events": proof.events,
            "explained": proof.explained(),
        }
        print(orjson.dumps(said).decode())
    return 0 if proof.holds else 1
