"""Pay one merchant what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio import workflow

from domain.identifiers import MerchantId, PayoutId
from domain.payments.commands import TransferPayout
from domain.settlement.commands import CancelPayout, ConfirmPayout, PreparePayout
from handrail.kernel import Money
from handrail.sagas.definition import Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.options import ShopOptions

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


def example() -> Saga:
    """That of some payout: its steps are the same for all of them."""
    payout = PayMerchant(
        payout=PayoutId("2026-01-01-merchant-1"),
        merchant=MerchantId("merchant-1"),
        amount=Money(100_00, "EUR"),
    )
    return saga(payout)


def saga_id(payout: str) -> str:
    return f"payout-{payout}"


def summary(p: PayMerchant) -> str:
    """One line for the list of workflows in the Temporal UI."""
    return f"{p.merchant}: {p.amount}"


@workflow.defn(name=TYPE)
class PayMerchantWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: PayMerchant, options: ShopOptions, actor: str, attempt: int) -> None:
        self._saga = SagaExecution(
            saga(asked),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=TYPE,
                tenant=asked.merchant,
                at_stake=asked.amount,
                actor=actor,
                attempt=attempt,
                input=asked,
            ),
            options,
        )

    @workflow.run
    async def run(
        self, _asked: PayMerchant, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Pay one merchant what is owed.",
    workflow=PayMerchantWorkflow,
    example=example,
)
