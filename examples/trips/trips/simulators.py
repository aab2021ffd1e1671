"""A simulated airline and hotel: the name asked for says how it goes (`seat_lost`, `room_full`)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.request_journal import Answer, approved, declined
from handrail.simulators.simulator import Simulator


class Asked(BaseModel, extra="forbid", frozen=True):
    """`what` is held, `closes` is the key that is closed; neither confirms what is held."""

    trip: str
    what: str = ""
    closes: str = ""


class Reservations:
    """What stands for each trip, by the key under which it was held."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}
        self._closed: set[str] = set()
        self._tickets: set[str] = set()
        self._declines = Declines()

    def arrives(self, asked: Asked) -> Behaviour:
        return self._told(asked) or Behaviour()

    def lands(self, key: str, asked: Asked) -> Answer:
        if asked.closes:
            self._closed.add(asked.closes)
            self._held.pop(asked.closes, None)
        elif not asked.what:
            self._tickets.add(asked.trip)
        elif key in self._closed:
            return declined("cancelled")
        elif self._declines.declined(self._told(asked), asked.trip, "hold"):
            return declined("full")
        else:
            self._held[key] = asked.trip
        return approved(sha256(key.encode()).hexdigest()[:12])

    def ledger(self) -> dict[str, object]:
        return {"held": sorted(self._held.values()), "tickets": sorted(self._tickets)}

    def _told(self, asked: Asked) -> Behaviour | None:
        return behaviour(asked.what, stage="hold", stages=("hold",)) if asked.what else None


def create_company(title: str, ledger: Path | None) -> FastAPI:
    lines: TypeAdapter[tuple[str, Asked]] = TypeAdapter(tuple[str, Asked])
    app, desk = open_company(title, Reservations(), lines, ledger)

    async def answer(http: Request, key: Key, asked: Asked) -> JSONResponse:
        return await desk.answer(http, key, asked)

    for path in ("/holds", "/cancellations", "/tickets"):
        app.add_api_route(path, answer, methods=["POST"], response_model=None)
    return app


AIRLINE = Simulator(
    name="airline",
    purpose="Simulate the airline.",
    create=lambda ledger, _: create_company("Simulated airline", ledger),
    address="airline_url",
)
HOTEL = Simulator(
    name="hotel",
    purpose="Simulate the hotel.",
    create=lambda ledger, _: create_company("Simulated hotel", ledger),
    address="hotel_url",
)
