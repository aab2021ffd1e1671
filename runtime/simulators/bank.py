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
| card_charge_WORD       | authorises and captures, and WORD is every charge; `declined_N` is   |
|                        | the first N charges of the order                                     |
| card_refund_WORD       | approves everything, and WORD is the refund                          |
| card_disputed          | approves everything, and tells of a dispute after the capture        |
| anything else          | declines: `unknown_card`                                             |

A merchant whose id holds `payout_WORD`, such as `m1-payout_declined`, has WORD for payouts.

Never more is refunded than was taken for the order (`over_captured`), no refund and no payout is
made twice (`already_refunded`, `already_paid`). A key closed by a void declines as `voided`,
whenever its request lands; what was done under it is taken back. `GET /ledger` is for who compares
books: `held`, `captured` and `refunded` sum up the present states of authorisations and charges, so
what a void gave back is not among the captured ones. What `refunds` lists still is.
`GET /ledger/entries?after=ID&limit=N` has the same entries in pages, in the order of what each is
about: an order or a payout.

What was captured, refunded and paid out is told by webhook: `payment.captured`, `payment.disputed`,
`payment.refunded` and `payout.paid`.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.statement import add_statement
from handrail.simulators.webhook_sender import Target, WebhookSender
from runtime.simulators.bank_accounts import BankBook
from runtime.simulators.bank_requests import (
    AnyRequest,
    Authorise,
    BankRequest,
    Capture,
    Charge,
    PayOut,
    Refund,
    Void,
)


def create_bank(ledger_path: Path | None, target: Target | None = None) -> FastAPI:
    lines: TypeAdapter[tuple[str, AnyRequest]] = TypeAdapter(tuple[str, BankRequest])
    teller = WebhookSender(target, ledger_path)
    book = BankBook(teller)
    app, desk = open_company("Simulated bank", book, lines, ledger_path, teller)
    add_statement(app, book)

    @app.post("/authorisations")
    async def authorise(http: Request, key: Key, asked: Authorise) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/captures")
    async def capture(http: Request, key: Key, asked: Capture) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/charges")
    async def charge(http: Request, key: Key, asked: Charge) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/refunds")
    async def refund(http: Request, key: Key, asked: Refund) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/payouts")
    async def pay_out(http: Request, key: Key, asked: PayOut) -> JSONResponse:
        return await desk.answer(http, key, asked)

    @app.post("/voids")
    async def void(http: Request, key: Key, asked: Void) -> JSONResponse:
        return await desk.answer(http, key, asked)

    return app
