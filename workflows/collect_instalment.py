"""Collect one instalment: what was paid of it can be borrowed again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Annotated, Any, Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from domain.credit.commands import RestoreCredit
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import CollectInstalment
from handrail.kernel import Money
from handrail.personal import Personal
from handrail.sagas.definition import Saga
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaResult
from handrail.sagas.saga_type import SagaType
from workflows.customers import subject_of_customer

TYPE: Final = "CollectInstalment"
TELLS: Final = "tells-that-it-waits"
"""The patch from which on it tells the process that began it when it waits for a person."""


@dataclass(frozen=True, kw_only=True)
class DueInstalment:
    """As it stands when it is asked for: a plan that has moved on since then refuses.

    `card` is a reference, never a number.
    """

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    number: int
    principal: Money
    fees: Money
    card: Annotated[str, Personal(subject="customer")]

    @property
    def amount(self) -> Money:
        return self.principal + self.fees


def saga(i: DueInstalment) -> Saga:
    return Saga(
        compensatable=[],
        pivot=CollectInstalment(order=i.order, number=i.number, amount=i.amount, card=i.card),
        retriable=[
            RestoreCredit(
                customer=i.customer,
                order=i.order,
                payment=f"instalment-{i.number}",
                amount=i.principal,
            )
        ],
    )


EXAMPLE: Final = DueInstalment(
    order=OrderId("order-1"),
    customer=CustomerId("customer-1"),
    merchant=MerchantId("merchant-1"),
    number=1,
    principal=Money(25_00, "EUR"),
    fees=Money(5_00, "EUR"),
    card="card-1",
)


def saga_id(order: str, number: int) -> str:
    return f"instalment-{order}-{number}"


def summary(i: DueInstalment) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{i.merchant}: {i.amount}, instalment {i.number}"


async def _run(
    execution: SagaExecution, asked: DueInstalment, _options: Any, _actor: str
) -> SagaResult:
    # Kept, because the loop keeps no task; it ends with the workflow at the latest.
    signalling = asyncio.create_task(_signal_when_parked(execution, asked.number))
    result = await execution.run()
    del signalling
    return result


async def _signal_when_parked(execution: SagaExecution, number: int) -> None:
    """To the process that collects the plan: it goes on with others meanwhile."""
    if (collector := workflow.info().parent) is None:
        return
    await workflow.wait_condition(lambda: _is_parked(execution))
    if workflow.patched(TELLS):
        handle = workflow.get_external_workflow_handle(collector.workflow_id)
        with contextlib.suppress(FailureError):
            await handle.signal("collection_waits", number)


def _is_parked(execution: SagaExecution) -> bool:
    try:
        execution.parked_command("")
    except ApplicationError:
        return False
    return True


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Collect one instalment, which can then be borrowed again.",
    saga=saga,
    example_input=EXAMPLE,
    id=lambda asked: saga_id(asked.order, asked.number),
    summary=summary,
    tenant=lambda asked: asked.merchant,
    at_stake=lambda asked: asked.amount,
    subject=lambda asked: subject_of_customer(asked.customer),
    run=_run,
)
CollectInstalmentWorkflow = SAGA.workflow
