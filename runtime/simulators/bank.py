"""A bank that speaks HTTP and does as the card says.

| card                   | the bank                                                             |
|------------------------|----------------------------------------------------------------------|
| card_ok                | approves everything                                                  |
| card_declined          | declines the authorisation: `insufficient_funds`                     |
| card_slow              | authorises after 1.5 s, and answers then                             |
| card_late_N            | authorises after N seconds, even if the client has hung up by then   |
| card_error, card_error_N | fails (500) on the first try, or the first N tries, of a key       |
| card_down_N            | fails (503) until N seconds after the first try of a key             |
| card_broken            | fails (500) always                                                   |
| card_lost              | authorises, and the answer is lost (504); asked again, it answers    |
| card_capture_WORD      | authorises, and WORD (`declined`, `late_N`, `lost`, …) is the capture |
| card_void_WORD         | authorises and captures, and WORD is the void                        |
| anything else          | declines: `unknown_card`                                             |

A key closed by a void declines as `voided`, whenever its request lands. `GET /ledger` is for who
compares books: `held`, `captured` and `refunded` sum up the present states, so a refunded amount
is not among the captured ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, assert_never

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.simulators.desk import Key, open_company
from runtime.simulators.ledger import Answer
from runtime.simulators.misbehaviour import Behaviour, behaviour

State = Literal["authorised", "captured", "voided", "refunded"]
Stage = Literal["authorise", "capture", "void"]
Text = Annotated[str, Field(min_length=1)]
Amount = Annotated[int, Field(ge=0, strict=True)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Text


class Authorise(_Asked):
    stage: Literal["authorise"] = "authorise"
    amount: Amount
    currency: Currency
    card: Text


class Capture(_Asked):
    stage: Literal["capture"] = "capture"
    amount: Amount
    currency: Currency


class Void(_Asked):
    stage: Literal["void"] = "void"
    closes: Text


BankRequest = Annotated[Authorise | Capture | Void, Field(discriminator="stage")]


@dataclass(kw_only=True)
class Authorisation:
    order: str
    key: str
    amount: int
    currency: str
    reference: str
    card: str
    state: State = "authorised"

    def in_ledger(self) -> dict[str, object]:
        """Without the card: others read it."""
        return {name: value for name, value in asdict(self).items() if name != "card"}


class BankBook:
    def __init__(self) -> None:
        self._cards: dict[str, str] = {}
        self._by_order: defaultdict[str, list[Authorisation]] = defaultdict(list)
        self._by_key: dict[str, Authorisation] = {}
        self._closed_keys: set[str] = set()
        self._voided_orders: set[str] = set()

    def arrives(self, asked: Authorise | Capture | Void) -> Behaviour:
        if isinstance(asked, Authorise):
            self._cards[asked.order] = asked.card
        return _told(self._cards.get(asked.order), asked.stage) or Behaviour()

    def lands(self, key: str, asked: Authorise | Capture | Void) -> Answer:
        if key in self._closed_keys:
            return _declined("voided")
        match asked:
            case Authorise():
                return self._authorise(key, asked)
            case Capture():
                return self._capture(key, asked)
            case Void():
                return self._void(asked)
            case _:
                assert_never(asked)

    def ledger(self) -> dict[str, object]:
        authorisations = [one for several in self._by_order.values() for one in several]
        totals: defaultdict[State, Counter[str]] = defaultdict(Counter)
        for one in authorisations:
            totals[one.state][one.currency] += one.amount
        return {
            "authorisations": [one.in_ledger() for one in authorisations],
            "held": totals["authorised"],
            "captured": totals["captured"],
            "refunded": totals["refunded"],
        }

    def _authorise(self, key: str, asked: Authorise) -> Answer:
        self._cards[asked.order] = asked.card
        told = _told(asked.card, "authorise")
        if told is None:
            return _declined("unknown_card")
        if told.declined:
            return _declined("insufficient_funds")
        held = Authorisation(
            order=asked.order,
            key=key,
            amount=asked.amount,
            currency=asked.currency,
            reference=_reference("authorisation", key),
            card=asked.card,
        )
        self._by_order[asked.order].append(held)
        self._by_key[key] = held
        return _approved(held.reference)

    def _capture(self, key: str, asked: Capture) -> Answer:
        held = self._held(asked.order)
        if held is None:
            return _declined(self._why_nothing_is_held(asked.order))
        if (asked.amount, asked.currency) != (held.amount, held.currency):
            return _declined("amount_differs")
        told = _told(held.card, "capture")
        if told is not None and told.declined:
            return _declined("capture_declined")
        held.state = "captured"
        self._by_key[key] = held
        return _approved(_reference("capture", key))

    def _void(self, asked: Void) -> Answer:
        found = self._by_key.get(asked.closes)
        if found is not None and found.order != asked.order:
            return _declined("other_order")
        told = _told(found.card if found else None, "void")
        if told is not None and told.declined:
            return _declined("void_declined")
        self._closed_keys.add(asked.closes)
        self._voided_orders.add(asked.order)
        if found is not None and found.state == "authorised":
            found.state = "voided"
        elif found is not None and found.state == "captured":
            found.state = "refunded"
        return _approved(_reference("void", asked.closes))

    def _held(self, order: str) -> Authorisation | None:
        newest_first = reversed(self._by_order.get(order, []))
        return next((one for one in newest_first if one.state == "authorised"), None)

    def _why_nothing_is_held(self, order: str) -> str:
        if any(one.state == "captured" for one in self._by_order.get(order, [])):
            return "already_captured"
        return "voided" if order in self._voided_orders else "nothing_authorised"


def create_bank(ledger_path: Path | None) -> FastAPI:
    lines: TypeAdapter[tuple[str, Authorise | Capture | Void]] = TypeAdapter(
        tuple[str, BankRequest]
    )
    app, desk = open_company("Simulated bank", BankBook(), lines, ledger_path)

    @app.post("/authorisations")
    async def authorise(http: Request, key: Key, asked: Authorise) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/captures")
    async def capture(http: Request, key: Key, asked: Capture) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/voids")
    async def void(http: Request, key: Key, asked: Void) -> JSONResponse:
        return await desk.answer(http, key, asked)

    return app


def _told(card: str | None, stage: Stage) -> Behaviour | None:
    return behaviour(card or "card_ok", stage=stage, stages=("authorise", "capture", "void"))


def _approved(reference: str) -> Answer:
    return Answer(201, {"status": "approved", "reference": reference})


def _declined(code: str) -> Answer:
    return Answer(402, {"status": "declined", "code": code})


def _reference(kind: str, key: str) -> str:
    return f"{kind}-{sha256(key.encode()).hexdigest()[:12]}"
