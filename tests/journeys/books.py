"""The books of the bank, of the carrier and of finance, held against each other to the cent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from runtime.verify.companies import STANDS

Sums = Counter[tuple[str, str]]
"""Minor units by what it is about (an order or a payout) and currency."""


@dataclass(frozen=True)
class Books:
    """`by_hand` are the orders in which a person skipped or resolved a step, and said why."""

    bank: Sums
    finance: Sums
    parcels: Counter[str]
    completed: frozenset[str]
    by_hand: frozenset[str]

    def differences(self) -> Iterator[str]:
        """Of what nobody did by hand."""
        for about, currency in sorted(self.bank.keys() | self.finance.keys()):
            theirs, ours = self.bank[about, currency], self.finance[about, currency]
            if theirs != ours and about not in self.by_hand:
                yield f"{about}: the bank has {theirs} {currency}, finance {ours}"
        for order in sorted(self.parcels.keys() | self.completed):
            if self.parcels[order] != (order in self.completed) and order not in self.by_hand:
                what = "completed" if order in self.completed else "not completed"
                yield f"{order} is {what}: the carrier has {self.parcels[order]} parcels"

    def totals(self, sums: Sums) -> Mapping[str, int]:
        """In each currency, without the orders in which something was done by hand."""
        found = Counter[str]()
        for (about, currency), amount in sums.items():
            if about not in self.by_hand:
                found[currency] += amount
        return found


async def read(database_url: str, bank_url: str, carrier_url: str) -> Books:
    async with httpx.AsyncClient(timeout=60) as client:
        bank = (await client.get(f"{bank_url}/ledger")).raise_for_status().json()
        carrier = (await client.get(f"{carrier_url}/ledger")).raise_for_status().json()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        return Books(
            bank=_at_the_bank(bank),
            finance=await _in_the_ledger(connection),
            parcels=Counter(one["order"] for one in carrier["bookings"] if one["state"] in STANDS),
            completed=await _completed(connection),
            by_hand=await _by_hand(connection),
        )


def _at_the_bank(ledger: Mapping[str, Any]) -> Sums:
    found = Sums()
    for kind, about, sign in (
        ("authorisations", "order", 1),
        ("charges", "order", 1),
        ("refunds", "order", -1),
        ("payouts", "payout", -1),
    ):
        for one in ledger[kind]:
            if one["state"] in {"captured", "paid"}:
                found[one[about], one["currency"]] += sign * one["amount"]
    return found


async def _in_the_ledger(connection: psycopg.AsyncConnection) -> Sums:
    """An event's stream is named after what it is about: `payment-{order}`, `transfer-{payout}`."""
    rows = await connection.execute(
        "SELECT substring(event FROM '^[^-]+-(.*)/[0-9]+$'), currency, sum(amount)"
        " FROM ledger_lines WHERE account = 'bank' GROUP BY 1, 2"
    )
    return Sums(
        {(about, currency): int(amount) for about, currency, amount in await rows.fetchall()}
    )


async def _completed(connection: psycopg.AsyncConnection) -> frozenset[str]:
    rows = await connection.execute(
        "SELECT DISTINCT s.data->>'saga' FROM events s JOIN events e USING (stream)"
        " WHERE s.type = 'SagaStarted' AND s.data->>'saga_type' = 'Checkout'"
        " AND e.type = 'SagaEnded' AND e.data->>'ending' = 'completed'"
    )
    return frozenset(saga for (saga,) in await rows.fetchall())


async def _by_hand(connection: psycopg.AsyncConnection) -> frozenset[str]:
    """A return is about its order."""
    rows = await connection.execute(
        "WITH told AS (SELECT DISTINCT data->>'saga' AS saga FROM events"
        " WHERE type = 'SagaResumed' AND data->>'kind' IN ('skip', 'resolve'))"
        " SELECT saga FROM told"
        " UNION SELECT data->>'order' FROM events"
        " JOIN told ON told.saga = 'return-' || (data->>'return_id')"
        " WHERE type = 'ReturnAccepted'"
    )
    return frozenset(id_ for (id_,) in await rows.fetchall())
