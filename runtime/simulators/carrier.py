"""A carrier that speaks HTTP and does as the address says.

| ship_to                | the carrier                                                          |
|------------------------|----------------------------------------------------------------------|
| addr_ok                | books everything                                                     |
| addr_undeliverable     | declines the booking: `undeliverable`                                |
| addr_slow              | books after 1.5 s, and answers then                                  |
| addr_late_N            | books after N seconds, even if the client has hung up by then        |
| addr_error, addr_error_N | fails (500) on the first try, or the first N tries, of a key       |
| addr_down_N            | fails (503) until N seconds after the first try of a key             |
| addr_broken            | fails (500) always                                                   |
| addr_lost              | books, and the answer is lost (504); asked again, it answers         |
| addr_cancel_WORD       | books, and WORD (`declined`, `late_N`, `lost`, …) is the cancellation |
| addr_parcel_lost       | books, and the parcel is lost after its dispatch                     |
| addr_parcel_late_N     | books, and the parcel is delivered N seconds later than others       |
| addr_parcel_silent     | books, and after the dispatch nothing more is heard                  |
| addr_parcel_undispatched | books, and nothing more is heard                                   |
| addr_parcel_twice      | books, and every webhook is sent twice at once                       |
| anything else          | declines: `unknown_address`                                          |

A key closed by a cancellation declines as `cancelled`, whenever its request lands.

What was booked is told by webhook: `parcel.dispatched`, then `parcel.delivered` or `parcel.lost`,
when `POST /timetable` says; of a cancelled booking nothing more is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, assert_never

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.request_journal import Answer, approved, declined, reference_of
from handrail.simulators.statement import add_statement
from handrail.simulators.webhook_sender import Target, WebhookSender
from runtime.simulators.parcels import Timetable, course, news_of

State = Literal["booked", "cancelled"]
Stage = Literal["book", "cancel"]
Text = Annotated[str, Field(min_length=1)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Text


class Book(_Asked):
    stage: Literal["book"] = "book"
    merchant: Text
    ship_to: Text
    parcels: Annotated[int, Field(gt=0, strict=True)]


class Cancel(_Asked):
    stage: Literal["cancel"] = "cancel"
    closes: Text


CarrierRequest = Annotated[Book | Cancel, Field(discriminator="stage")]


@dataclass(kw_only=True)
class Booking:
    order: str
    key: str
    merchant: str
    parcels: int
    reference: str
    ship_to: str
    state: State = "booked"

    def in_ledger(self) -> dict[str, object]:
        """Without the address: others read it."""
        return {name: value for name, value in asdict(self).items() if name != "ship_to"}


class CarrierBook:
    def __init__(self, teller: WebhookSender) -> None:
        self.timetable = Timetable()
        self._teller = teller
        self._addresses: dict[str, str] = {}
        self._bookings: dict[str, Booking] = {}
        self._of_order: defaultdict[str, list[Booking]] = defaultdict(list)
        self._closed_keys: set[str] = set()
        self._declines = Declines()

    def arrives(self, asked: Book | Cancel) -> Behaviour:
        if isinstance(asked, Book):
            self._addresses[asked.order] = asked.ship_to
        return _behaviour_of(self._addresses.get(asked.order), asked.stage) or Behaviour()

    def lands(self, key: str, asked: Book | Cancel) -> Answer:
        if key in self._closed_keys:
            return declined("cancelled")
        match asked:
            case Book():
                return self._book(key, asked)
            case Cancel():
                return self._cancel(asked)
            case _:
                assert_never(asked)

    def ledger(self) -> dict[str, object]:
        parcels: Counter[str] = Counter(booked=0, cancelled=0)
        for booking in self._bookings.values():
            parcels[booking.state] += booking.parcels
        return {
            "bookings": [booking.in_ledger() for booking in self._bookings.values()],
            "parcels": parcels,
        }

    def accounts(self) -> Iterable[str]:
        return self._of_order

    def entries_of(self, about: str) -> Mapping[str, list[dict[str, object]]]:
        return {"bookings": [one.in_ledger() for one in self._of_order.get(about, ())]}

    def _book(self, key: str, asked: Book) -> Answer:
        self._addresses[asked.order] = asked.ship_to
        behaviour = _behaviour_of(asked.ship_to, "book")
        if behaviour is None:
            return declined("unknown_address")
        if self._declines.declined(behaviour, asked.order, "book"):
            return declined("undeliverable")
        booking = Booking(
            order=asked.order,
            key=key,
            merchant=asked.merchant,
            parcels=asked.parcels,
            reference=reference_of("booking", key),
            ship_to=asked.ship_to,
        )
        self._bookings[key] = booking
        self._of_order[asked.order].append(booking)
        self._schedule_webhooks(booking)
        return approved(booking.reference)

    def _schedule_webhooks(self, booking: Booking) -> None:
        follows = course(booking.ship_to)
        if follows is not None:
            news = news_of(booking.order, booking.reference, follows, self.timetable)
            self._teller.schedule(booking.order, booking.key, news)

    def _cancel(self, asked: Cancel) -> Answer:
        found = self._bookings.get(asked.closes)
        if found is not None and found.order != asked.order:
            return declined("other_order")
        behaviour = _behaviour_of(found.ship_to if found else None, "cancel")
        if self._declines.declined(behaviour, asked.order, "cancel"):
            return declined("cancel_declined")
        self._closed_keys.add(asked.closes)
        self._teller.withdraw(asked.closes)
        if found is not None:
            found.state = "cancelled"
        return approved(reference_of("cancellation", asked.closes))


def create_carrier(ledger_path: Path | None, target: Target | None = None) -> FastAPI:
    lines: TypeAdapter[tuple[str, Book | Cancel]] = TypeAdapter(tuple[str, CarrierRequest])
    teller = WebhookSender(target, ledger_path)
    book_ = CarrierBook(teller)
    app, desk = open_company("Simulated carrier", book_, lines, ledger_path, teller)
    add_statement(app, book_)

    @app.post("/bookings")
    async def book(http: Request, key: Key, asked: Book) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/cancellations")
    async def cancel(http: Request, key: Key, asked: Cancel) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/timetable")
    async def timetable(asked: Timetable) -> Timetable:
        book_.timetable = asked
        return asked

    return app


def _behaviour_of(address: str | None, stage: Stage) -> Behaviour | None:
    if address is not None and address.startswith("addr_parcel_"):
        return Behaviour() if course(address) else None
    return behaviour(address or "addr_ok", stage=stage, stages=("book", "cancel"))
