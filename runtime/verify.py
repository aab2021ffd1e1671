"""Prove the invariants over the database one points at, and show each with a tick or a cross."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import orjson
import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from rich.console import Console
from rich.table import Table

from eventstore.messages import CODEC
from projections.catalogue import PROJECTIONS
from runtime import evidence as stores
from runtime.invariants import INVARIANTS, read_model_equals_fold
from runtime.settings import Settings

SHOWN = 5
"""Violations shown of each invariant; all of them are counted."""


@dataclass(frozen=True)
class Proof:
    """What was looked at, and what of it is wrong: empty where an invariant holds."""

    violations: Mapping[str, Sequence[str]]
    events: int
    sagas: int

    @property
    def holds(self) -> bool:
        return not any(self.violations.values())

    def as_json(self) -> dict[str, bool]:
        return {name: not found for name, found in self.violations.items()}


async def prove(database_url: str, bank_url: str | None, carrier_url: str | None) -> Proof:
    async with await psycopg.AsyncConnection.connect(
        database_url, options="-c timezone=UTC"
    ) as connection:
        set_json_loads(orjson.loads, connection)
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        evidence = await stores.gather(connection, CODEC)
        models: list[str] = []
        for projection in PROJECTIONS:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(f'SELECT * FROM "{projection.table.name}"')
                rows = {row[projection.key]: row for row in await cursor.fetchall()}
            models += read_model_equals_fold(evidence, projection, rows)
    if evidence.parked_events:
        models.append(f"{evidence.parked_events} events wait in parked_events")
    evidence.bank = await stores.ledger(bank_url) if bank_url else None
    evidence.carrier = await stores.ledger(carrier_url) if carrier_url else None
    violations = {name: list(check(evidence)) for name, check in INVARIANTS.items()}
    return Proof(
        {**violations, "read_models_equal_fold": models},
        events=len(evidence.stored),
        sagas=len(evidence.sagas()),
    )


def show(proof: Proof, console: Console) -> None:
    table = Table("", "invariant", "what is wrong")
    for name, found in proof.violations.items():
        mark = "[red]✗[/red]" if found else "[green]✓[/green]"
        more = [f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        table.add_row(mark, name.replace("_", " "), "\n".join([*found[:SHOWN], *more]))
    console.print(table)
    console.print(f"{proof.events} events of {proof.sagas} sagas were read.")


async def verify(settings: Settings, *, json: bool) -> int:
    """0 where every invariant holds, 1 where one does not."""
    proof = await prove(cast("str", settings.database_url), settings.bank_url, settings.carrier_url)
    show(proof, Console(stderr=json))
    if json:
        print(orjson.dumps({"invariants": proof.as_json(), "events": proof.events}).decode())
    return 0 if proof.holds else 1
