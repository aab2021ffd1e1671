"""What stands at other companies beside what our books say of it: every kind of money, and parcels.

Both sides are told in the same words, so that they are compared as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import httpx

from domain.payments import payment, plan, transfer
from domain.payments.events import (
    InstalmentCollected,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
    PayoutTransferred,
    PlanSettled,
    RefundPaid,
)
from domain.shipping import shipment
from domain.shipping.events import ShipmentBooked, ShipmentCancelled
from handrail.eventstore.pool import Pool
from handrail.kernel import Event, Money, stream_name
from handrail.testing.books import Books
from handrail.testing.companies import Stand
from runtime.app import HANDRAIL
from tests.world import World

STANDING: Final[Mapping[str, frozenset[str]]] = {
    "authorisations": frozenset({"authorised", "captured"}),
    "charges": frozenset({"captured"}),
    "refunds": frozenset({"paid"}),
    "payouts": frozenset({"paid"}),
    "bookings": frozenset({"booked", "dispatched", "delivered", "lost"}),
}
"""By kind of the companies' ledgers, in which states something stands."""

CATEGORIES: Final = (payment.CATEGORY, plan.CATEGORY, transfer.CATEGORY, shipment.CATEGORY)

Line = tuple[str, str, str, int, str]
"""Kind, the company's own name for it, state, amount and currency."""


@dataclass(frozen=True)
class ShopCompanies:
    """Bank and carrier, as their own ledgers say."""

    world: World

    async def ledgers(self, names: frozenset[str]) -> Books:
        return await ledgers((self.world.bank, self.world.carrier), names)

    async def stand(self, names: frozenset[str]) -> Stand:
        return await stand(self.world.pool, (self.world.bank, self.world.carrier), names)


async def ledgers(companies: Iterable[httpx.AsyncClient], about: frozenset[str]) -> Books:
    """What the companies hold, took, pay and carry for what the saga is about."""
    standing = {"authorised", "captured", "paid", "booked"}
    found: dict[str, Any] = {}
    for company in companies:
        for kind, entries in (await company.get("/ledger")).json().items():
            if not isinstance(entries, list):
                continue
            lines = sorted(
                (entry.get("state", ""), entry.get("amount", 0))
                for entry in entries
                if about.intersection(map(str, entry.values())) and entry["state"] in standing
            )
            if lines:
                found[f"ledger-{kind}"] = [list(line) for line in lines]
    return found


async def stand(pool: Pool, companies: Iterable[httpx.AsyncClient], about: Iterable[str]) -> Stand:
    """For what the names are about: orders, payouts, merchants, returns."""
    names = frozenset(about)
    entries = [
        (kind, entry)
        for company in companies
        for kind, found in (await company.get("/ledger")).json().items()
        if kind in STANDING
        for entry in found
        if names.intersection(map(str, entry.values())) and entry["state"] in STANDING[kind]
    ]
    return Stand(
        theirs=sorted(_line(kind, entry) for kind, entry in entries),
        ours=sorted(_ours(await _events(pool, names)).values()),
        effects=Counter(_asked_for_by(entry["key"]) for _, entry in entries),
    )


def _line(kind: str, entry: Mapping[str, Any]) -> Line:
    # A parcel has no price; how far it is, each side hears at its own time.
    state = entry["state"] if kind != "bookings" else "booked"
    return (kind, entry["reference"], state, entry.get("amount", 0), entry.get("currency", ""))


def _asked_for_by(key: str) -> tuple[str, str]:
    """The saga and the step: all its attempts, and all keys of the step, are one."""
    saga, _, step, _ = unquote(key).rsplit("/", 3)
    return saga, step.partition("~")[0]


async def _events(pool: Pool, names: frozenset[str]) -> Sequence[Event]:
    streams = [stream_name(category, name) for category in CATEGORIES for name in names]
    async with pool.connection() as connection:
        rows = await connection.execute(
            "SELECT type, schema, data FROM events WHERE stream = ANY(%s) ORDER BY position",
            (streams,),
        )
        return [HANDRAIL.codec.decode(*row) for row in await rows.fetchall()]


def _ours(events: Sequence[Event]) -> Mapping[tuple[str, str], Line]:
    """What our books say that stands, by what it is about."""
    found: dict[tuple[str, str], Line] = {}
    for event in events:
        match event:
            case PaymentVoided(order=order) | PaymentRefunded(order=order):
                del found["authorisations", order]
            case ShipmentCancelled(order=order):
                del found["bookings", order]
            case PaymentCaptured(order=order, amount=amount):
                # The bank keeps the name of what it had authorised.
                reference = found["authorisations", order][1]
                found["authorisations", order] = _money(
                    "authorisations", reference, "captured", amount
                )
            case _:
                found |= _new(event)
    return found


def _new(event: Event) -> Mapping[tuple[str, str], Line]:
    """What the event says that stands from now on."""
    match event:
        case PaymentAuthorised(order=order, amount=amount, authorisation=reference):
            line = _money("authorisations", reference, "authorised", amount)
            return {("authorisations", order): line}
        case InstalmentCollected() | PlanSettled() as paid:
            line = _money("charges", paid.charge, "captured", paid.principal + paid.fees)
            return {("charges", paid.charge): line}
        case RefundPaid(refund=reference, amount=amount) if reference:
            return {("refunds", reference): _money("refunds", reference, "paid", amount)}
        case PayoutTransferred(payout=payout, amount=amount, transfer=reference):
            return {("payouts", payout): _money("payouts", reference, "paid", amount)}
        case ShipmentBooked(order=order, booking=reference):
            return {("bookings", order): ("bookings", reference, "booked", 0, "")}
        case _:
            return {}


def _money(kind: str, reference: str, state: str, amount: Money) -> Line:
    return (kind, reference, state, amount.amount, amount.currency)
