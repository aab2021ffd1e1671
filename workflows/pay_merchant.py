"""Pay one merchant what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.identifiers import MerchantId, PayoutId
from domain.payments.commands import TransferPayout
from domain.settlement.commands import CancelPayout, ConfirmPayout, PreparePayout
from handrail.kernel import Money
from handrail.sagas.definition import Saga, Step
from handrail.sagas.saga_type import SagaType

TYPE: Final = "PayMerchant"


@dataclass(frozen=True, kw_only=True)
class PayMerchant:
    payout: PayoutId
    merchant: MerchantId
    amount: Money


def saga(p: PayMerchant) -> Saga:
    return Saga(
        compensatable=[
            Step(
                do=PreparePayout(merchant=p.merchant, payout=p.payout, amount=p.amount),
                undo=CancelPayout(merchant=p.merchant, payout=p.payout),
            ),
        ],
        pivot=TransferPayout(payout=p.payout, merchant=p.merchant, amount=p.amount),
        retriable=[ConfirmPayout(merchant=p.merchant, payout=p.payout)],
        repeats="never",
    )


EXAMPLE: Final = PayMerchant(
    payout=PayoutId("2026-01-01-merchant-1"),
    merchant=MerchantId("merchant-1"),
    amount=Money(100_00, "EUR"),
)


def saga_id(payout: str) -> str:
    return f"payout-{payout}"


def summary(p: PayMerchant) -> str:
    """One line for the list of workflows in the Temporal UI."""
    return f"{p.merchant}: {p.amount}"


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Pay one merchant what is owed.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.payout),
    summary=summary,
    tenant=lambda asked: asked.merchant,
    at_stake=lambda asked: asked.amount,
)
PayMerchantWorkflow = SAGA.workflow
