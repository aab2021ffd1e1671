"""A simulated company that holds things under keys: a whole one, for steps at another company.

It keeps the protocol of docs/own-business.md. A request without `what` and `closes` confirms what
is held for `about`. The name that is held says how the request goes (`seat_declined`, `room_lost`;
`handrail/simulators/fault_injection.py` has the words).
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.request_journal import Answer, approved, declined


class Asked(BaseModel, extra="forbid", frozen=True):
    """`what` is held for `about`; `closes` is the key that is closed."""

    about: str
    what: str = ""
    closes: str = ""


class Reservations:
    """What is held under each key, and what was confirmed."""

    def __init__(self) -> None:
        self._held: dict[str, str] = {}
        self._closed: set[str] = set()
        self._confirmed: set[str] = set()
        self._declines = Declines()

    def arrives(self, asked: Asked) -> Behaviour:
        return _behaviour(asked) or Behaviour()

    def lands(self, key: str, asked: Asked) -> Answer:
        if asked.closes:
            self._closed.add(asked.closes)
            self._held.pop(asked.closes, None)
        elif not asked.what:
            self._confirmed.add(asked.about)
        elif key in self._closed:
            return declined("cancelled")
        elif self._declines.declined(_behaviour(asked), asked.about, "hold"):
            return declined("full")
        else:
            self._held[key] = asked.about
        return approved(sha256(key.encode()).hexdigest()[:12])

    def ledger(self) -> dict[str, object]:
        return {"held": sorted(self._held.values()), "confirmed": sorted(self._confirmed)}


def create_company(ledger: Path | None, _: object = None) -> FastAPI:
    """An ASGI application; `ledger` is the file that remembers, None: its memory alone."""
    lines: TypeAdapter[tuple[str, Asked]] = TypeAdapter(tuple[str, Asked])
    app, desk = open_company("Simulated company", Reservations(), lines, ledger)

    async def answer(http: Request, key: Key, asked: Asked) -> JSONResponse:
        return await desk.answer(http, key, asked)

    for path in ("/holds", "/cancellations", "/confirmations"):
        app.add_api_route(path, answer, methods=["POST"], response_model=None)
    return app


def _behaviour(asked: Asked) -> Behaviour | None:
    return behaviour(asked.what, stage="hold", stages=("hold",)) if asked.what else None
