"""Follow an order's parcels until the customer has them, or they are lost and paid back.

What the carrier says may come in any order, twice, or not at all: then they are lost. The first to
tell how it ended is believed; who says otherwise after that is shown to a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NoReturn

from temporalio import workflow

from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId, Sku
from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from handrail.kernel import Money
from handrail.sagas.child_workflows import READING, Child, run_saga, show_parked, show_running
from handrail.sagas.events import SagaEnded
from handrail.sagas.saga_type import SagaType
from handrail.sagas.visibility import FAILURE_CODE, SAGA_STATUS
from handrail.sagas.worker_versions import MovesOn, continue_as_new, is_version_changed
from workflows import parcels, return_order
from workflows.carrier_notice import CarrierNotice
from workflows.options import ShopOptions
from workflows.parcels import Parcels
from workflows.return_order import ReturnOrder

TYPE: Final = "DeliverOrder"
TRIES_AT_ONCE: Final = 5
"""How often the refund is quoted anew, because an instalment was paid meanwhile."""
TRIES_AGAIN: Final = timedelta(days=1)
NOTICES_A_RUN: Final = 500
"""Then the workflow continues as a new run: Temporal takes a limited number of signals in each."""
REMEMBERED: Final = 1_000  # ids of notices

State = Literal["booked", "dispatched", "delivered", "lost"]

_SAGAS: Final[Mapping[str, SagaType[Parcels]]] = {
    "dispatched": parcels.DISPATCH_SAGA,
    "delivered": parcels.DELIVERED_SAGA,
    "lost": parcels.LOSS_SAGA,
}
_FIRST_HEARD: Final = ("delivered", "lost", "dispatched")
"""Of what is told at once: parcels that were found are not lost, nor under way."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What one run hands on to the next. `heard` are the ids of notices, `untold` those that had no
    effect yet; `attempts` are those at each saga so far, by its id.
    """

    state: State
    until: datetime
    heard: tuple[str, ...]
    untold: tuple[CarrierNotice, ...]
    attempts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class DeliverOrder:
    """The days are those after which parcels are given up that nobody has heard of. `progress` is
    what an earlier run hands on: an argument of its own would hide the types of all others from
    runs that were begun without it.
    """

    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    skus: tuple[Sku, ...]
    total: Money
    days_to_dispatch: int = 5
    days_to_deliver: int = 14
    progress: Progress | None = None


def workflow_id(order: str) -> str:
    return f"delivery-{order}"


@workflow.defn(name=TYPE)
class DeliverOrderWorkflow(MovesOn):
    @workflow.init
    def __init__(self, asked: DeliverOrder, options: ShopOptions, actor: str) -> None:
        progress = asked.progress
        self._asked = asked
        self._options = options
        self._actor = actor
        self._state: State = progress.state if progress else "booked"
        self._seen = dict.fromkeys(progress.heard if progress else ())
        self._pending = list(progress.untold if progress else ())
        self._attempts = dict(progress.attempts if progress else {})
        self._until = progress.until if progress else self._deadline()
        self._notices = 0

    @workflow.run
    async def run(self, _asked: DeliverOrder, _options: ShopOptions, _actor: str) -> State:
        self._show()
        while self._state in {"booked", "dispatched"}:
            if (notice := await self._next()) is None:
                self._go_on_as_new()
            await self._handle(notice)
            self._show()
        if self._state == "lost":
            await self._pay_back()
        ended: list[Any] = [SAGA_STATUS.value_set("completed")]
        if other := self._contradiction:
            ended.append(FAILURE_CODE.value_set(f"told to be {other.kind}, too: {other.id}"[:100]))
        workflow.upsert_search_attributes(ended)
        return self._state

    @workflow.signal(description="What the carrier says became of the parcels.")
    def carrier_told(self, notice: CarrierNotice) -> None:
        self._notices += 1
        if notice.id not in self._seen:
            self._seen[notice.id] = None
            self._pending.append(notice)
            self._show()

    @workflow.query(description="What became of the parcels, as far as it is known.")
    def state(self) -> State:
        return self._state

    async def _next(self) -> CarrierNotice | None:
        """What the carrier says or, once it is silent for too long, that the parcels are lost. None
        where this run has heard enough.
        """
        wait = max(self._until - workflow.now(), timedelta())
        try:
            await workflow.wait_condition(
                lambda: bool(self._news()) or self._is_full,
                timeout=wait,
                timeout_summary="silence of the carrier",
            )
        except TimeoutError:
            return self._overdue()
        if not self._news():
            return None
        notice = self._news()[0]
        self._pending.remove(notice)
        return notice

    @property
    def _is_full(self) -> bool:
        is_long = workflow.info().is_continue_as_new_suggested()
        return self._notices >= NOTICES_A_RUN or is_long or is_version_changed()

    def _go_on_as_new(self) -> NoReturn:
        progress = Progress(
            state=self._state,
            until=self._until,
            heard=tuple(self._seen)[-REMEMBERED:],
            untold=tuple(self._pending),
            attempts=self._attempts,
        )
        asked = replace(self._asked, progress=progress)
        continue_as_new([asked, self._options, self._actor])

    @property
    def _contradiction(self) -> CarrierNotice | None:
        """A notice that the parcels have ended otherwise than is believed."""
        ended = {"delivered", "lost"} - {self._state}
        if self._state not in {"delivered", "lost"}:
            return None
        return next((one for one in self._pending if one.kind in ended), None)

    def _news(self) -> list[CarrierNotice]:
        """What is not known yet, the most telling first."""
        news = [one for one in self._pending if one.kind != self._state]
        return sorted(news, key=lambda one: _FIRST_HEARD.index(one.kind))

    def _overdue(self) -> CarrierNotice:
        cause = f"not heard of within {self._days} days after it was {self._state}"
        return CarrierNotice(id="overdue", kind="lost", at=workflow.now(), cause=cause)

    async def _handle(self, notice: CarrierNotice) -> None:
        """A report that a person has had taken back, does not hold: the parcels are waited for."""
        asked = self._asked
        told = Parcels(
            order=asked.order,
            merchant=asked.merchant,
            skus=asked.skus,
            value=asked.total,
            at=notice.at,
            customer=asked.customer,
            cause=notice.cause,
        )
        ended = await self._run_saga(_SAGAS[notice.kind].child(told))
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
            if self._is_full:
                self._go_on_as_new()

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
        return await self._run_saga(return_order.SAGA.child(lost))

    async def _run_saga(self, child: Child) -> SagaEnded:
        saga = child.id
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
        other = self._contradiction
        but = f", though notice {other.id} says {other.kind} at {other.at}" if other else ""
        workflow.set_current_details(f"**{self._state}**{until if waits else but}")
