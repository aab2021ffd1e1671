"""Follow an order's parcels until the customer has them, or they are lost and paid back.

What the carrier says may come in any order, twice, or not at all: then they are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from temporalio import workflow

from domain.kernel import CustomerId, MerchantId, Money, OrderId, ReturnId, Sku
from domain.sagas.events import SagaEnded
from domain.sagas.quotes import QuoteReturnOf, ReturnQuote
from workflows import parcels, return_order
from workflows.children import READING, Child, run_saga, show_parked, show_running
from workflows.messages import CarrierNotice, RunOptions
from workflows.parcels import Parcels
from workflows.return_order import ReturnOrder, ReturnOrderWorkflow
from workflows.timeline import SAGA_STATUS

TYPE: Final = "DeliverOrder"
TRIES_AT_ONCE: Final = 5
"""How often the refund is quoted anew, because an instalment was paid meanwhile."""
TRIES_AGAIN: Final = timedelta(days=1)

_SAGAS: Final[Mapping[str, tuple[str, type[Any], str]]] = {
    "dispatched": (parcels.DISPATCH, parcels.DispatchWorkflow, "dispatch"),
    "delivered": (parcels.DELIVERED, parcels.DeliveredWorkflow, "delivered"),
    "lost": (parcels.LOSS, parcels.LossWorkflow, "lost"),
}
_FIRST_HEARD: Final = ("delivered", "lost", "dispatched")
"""Of what is told at once: parcels that were found are not lost, nor under way."""


@dataclass(frozen=True, kw_only=True)
class DeliverOrder:
    """The days are those after which parcels are given up that nobody has heard of."""

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    skus: tuple[Sku, ...]
    total: Money
    days_to_dispatch: int = 5
    days_to_deliver: int = 14


State = Literal["booked", "dispatched", "delivered", "lost"]


def workflow_id(order: str) -> str:
    return f"delivery-{order}"


@workflow.defn(name=TYPE)
class DeliverOrderWorkflow:
    @workflow.init
    def __init__(self, asked: DeliverOrder, options: RunOptions, actor: str) -> None:
        self._asked = asked
        self._options = options
        self._actor = actor
        self._state: State = "booked"
        self._heard: set[str] = set()
        self._untold: list[CarrierNotice] = []
        self._attempts: dict[str, int] = {}
        self._until = self._deadline()

    @workflow.run
    async def run(self, _asked: DeliverOrder, _options: RunOptions, _actor: str) -> State:
        self._show()
        while self._state in {"booked", "dispatched"}:
            await self._hear(await self._next())
            self._show()
        if self._state == "lost":
            await self._pay_back()
        workflow.upsert_search_attributes([SAGA_STATUS.value_set("completed")])
        return self._state

    @workflow.signal(description="What the carrier says became of the parcels.")
    def carrier_told(self, notice: CarrierNotice) -> None:
        if notice.id not in self._heard:
            self._heard.add(notice.id)
            self._untold.append(notice)

    @workflow.query(description="What became of the parcels, as far as it is known.")
    def state(self) -> State:
        return self._state

    async def _next(self) -> CarrierNotice:
        """What the carrier says or, once it is silent for too long, that the parcels are lost."""
        left = max(self._until - workflow.now(), timedelta())
        try:
            await workflow.wait_condition(
                lambda: bool(self._news()), timeout=left, timeout_summary="silence of the carrier"
            )
        except TimeoutError:
            return self._overdue()
        notice = self._news()[0]
        self._untold.remove(notice)
        return notice

    def _news(self) -> list[CarrierNotice]:
        """What is not known yet, the most telling first."""
        news = [one for one in self._untold if one.kind != self._state]
        return sorted(news, key=lambda one: _FIRST_HEARD.index(one.kind))

    def _overdue(self) -> CarrierNotice:
        cause = f"not heard of within {self._days} days after it was {self._state}"
        return CarrierNotice(id="overdue", kind="lost", at=workflow.now(), cause=cause)

    async def _hear(self, notice: CarrierNotice) -> None:
        """A report that a person has had taken back, does not hold: the parcels are waited for."""
        asked = self._asked
        type_, workflow_, prefix = _SAGAS[notice.kind]
        told = Parcels(
            order=asked.order,
            merchant=asked.merchant,
            skus=asked.skus,
            value=asked.total,
            at=notice.at,
            cause=notice.cause,
        )
        ended = await self._run_saga(
            type_, workflow_, f"{prefix}-{asked.order}", told, parcels.summary(told)
        )
        if ended.ending == "completed":
            self._state = notice.kind
        if ended.ending == "completed" or notice.kind == "lost":
            self._until = self._deadline()

    async def _pay_back(self) -> None:
        """The customer is owed it, so it is not given up."""
        tries = 1
        while (quote := await self._quote()).lines:
            ended = await self._return(quote)
            if ended.ending == "completed":
                return
            if ended.because != "PlanMovedOn" or tries % TRIES_AT_ONCE == 0:
                show_parked(ended.saga, f"{ended.because}: {ended.reason}")
                await workflow.sleep(TRIES_AGAIN, summary="until the refund is tried again")
                show_running()
            tries += 1

    async def _quote(self) -> ReturnQuote:
        of = QuoteReturnOf(order=self._asked.order, lines=(), why="lost")
        quote: ReturnQuote = await workflow.execute_local_activity(
            "QuoteReturn", of, result_type=ReturnQuote, **READING
        )
        return quote

    async def _return(self, quote: ReturnQuote) -> SagaEnded:
        order = self._asked.order
        return_id = ReturnId(f"{order}-lost")
        lost = ReturnOrder(
            return_id=return_id,
            order=order,
            customer=quote.customer,
            merchant=quote.merchant,
            lines=quote.lines,
            value=quote.value,
            absorbed=quote.absorbed,
            refund=quote.refund,
            why="lost",
            accepted_at=workflow.now(),
        )
        return await self._run_saga(
            return_order.TYPE,
            ReturnOrderWorkflow,
            return_order.saga_id(return_id),
            lost,
            return_order.summary(lost),
        )

    async def _run_saga(
        self, type_: str, workflow_: type[Any], saga: str, asked: Any, summary: str
    ) -> SagaEnded:
        child = Child(
            name=type_,
            workflow=workflow_,
            input=asked,
            id=saga,
            merchant=self._asked.merchant,
            summary=summary,
        )
        attempt = self._attempts.get(saga, 0) + 1
        ended = await run_saga(child, self._options, self._actor, attempt)
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        self._attempts[saga] = ended.attempt
        return ended

    @property
    def _days(self) -> int:
        asked = self._asked
        return asked.days_to_dispatch if self._state == "booked" else asked.days_to_deliver

    def _deadline(self) -> datetime:
        return workflow.now() + timedelta(days=self._days)

    def _show(self) -> None:
        until = f", awaited until {self._until:%Y-%m-%d %H:%M} UTC"
        waits = self._state in {"booked", "dispatched"}
        workflow.set_current_details(f"**{self._state}**{until if waits else ''}")
