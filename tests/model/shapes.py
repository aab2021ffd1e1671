"""The sagas of the model: up to four steps, of every kind of step there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from domain.identifiers import MerchantId, OrderId, PayoutId
from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    TransferPayout,
    VoidPayment,
)
from handrail.kernel import Money
from handrail.sagas.definition import Parallel, Saga, Step
from tests.model.books import (
    Confirm,
    Hold,
    LetGo,
    Place,
    Prepare,
    Release,
    Reserve,
    Ship,
    Withdraw,
)

ORDER, PRICE = OrderId("order"), Money(100, "EUR")

RESERVE: Final = Step(do=Reserve(), undo=Release())
HOLD: Final = Step(do=Hold(), undo=LetGo())
PREPARE: Final = Step(do=Prepare(), undo=Withdraw())
AUTHORISE: Final = Step(
    do=AuthoriseDownPayment(order=ORDER, amount=PRICE, card="card"), undo=VoidPayment(order=ORDER)
)
CAPTURE: Final = CapturePayment(order=ORDER, amount=PRICE)
TRANSFER: Final = TransferPayout(
    payout=PayoutId("payout"), merchant=MerchantId("merchant"), amount=PRICE
)
REVIEWED: Final = Step(do=Hold(), undo=LetGo(), answered_within=timedelta(days=1))
PARKS: Final = Step(do=Hold(), undo=LetGo(), on_unknown="park", on_failure="park")

SHAPES: Final[Mapping[str, Saga]] = {
    "ours": Saga(
        compensatable=[RESERVE, HOLD], pivot=Place(), retriable=[Confirm()], repeats="never"
    ),
    "paid": Saga(
        compensatable=[RESERVE, AUTHORISE], pivot=CAPTURE, retriable=[Confirm()], repeats="never"
    ),
    "paid alone": Saga(
        compensatable=[AUTHORISE], pivot=CAPTURE, retriable=[Confirm()], repeats="never"
    ),
    "payout": Saga(compensatable=[PREPARE], pivot=TRANSFER, retriable=[Confirm()], repeats="never"),
    "beside": Saga(compensatable=[Parallel(RESERVE, AUTHORISE)], pivot=Place(), repeats="never"),
    "answered": Saga(compensatable=[RESERVE, REVIEWED], pivot=Place(), repeats="never"),
    "parking": Saga(compensatable=[Parallel(PARKS, RESERVE)], pivot=Place(), retriable=[Confirm()]),
    "corrected": Saga(
        compensatable=[replace(AUTHORISE, on_unknown="park")], pivot=CAPTURE, repeats="never"
    ),
    "last two": Saga(
        compensatable=[RESERVE], pivot=Place(), retriable=[Parallel(Confirm(), Ship())]
    ),
}
