"""What workflows read of the contexts' streams. It appends nothing, so it has no key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.ordering import order as ordering
from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from domain.ordering.returns import left_of, value_of
from domain.payments import plan
from domain.payments.events import InstalmentMissed
from domain.payments.plan import InstalmentPlan
from handrail.activities.load_state import state_of
from handrail.errors import DomainError, UnknownAggregate
from handrail.eventstore.store import EventStore
from handrail.kernel import stream_name
from handrail.sagas.step_keys import NOT_DONE


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    reading = Reading(store)

    @activity.defn(name="ReadPlan")
    async def read_plan(order: str) -> InstalmentPlan:
        return await reading.plan(order)

    @activity.defn(name="ReadMisses")
    async def read_misses(order: str) -> dict[int, int]:
        return await reading.misses(order)

    @activity.defn(name="QuoteReturn")
    async def quote_return(of: QuoteReturnOf) -> ReturnQuote:
        try:
            return await reading.quote(of)
        except DomainError as broken:
            raise ApplicationError(
                str(broken), NOT_DONE, type=type(broken).__name__, non_retryable=True
            ) from broken

    return [read_plan, read_misses, quote_return]


class Reading:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def plan(self, order: str) -> InstalmentPlan:
        """Its status is `none` where no plan was opened."""
        return await state_of(self._store, plan.CATEGORY, order, InstalmentPlan(), plan.evolve)

    async def misses(self, order: str) -> dict[int, int]:
        """How often each instalment that is due was asked for in vain."""
        stream = stream_name(plan.CATEGORY, order)
        events: Sequence[Any] = (await self._store.load({stream: 0}))[stream].events
        missed = Counter(event.number for event in events if isinstance(event, InstalmentMissed))
        now = reduce(plan.evolve, events, InstalmentPlan())
        return {one.number: missed[one.number] for one in now.due if one.number in missed}

    async def quote(self, of: QuoteReturnOf) -> ReturnQuote:
        """What the return would come to now. Whether it is taken, the order decides later.

        Raises UnknownAggregate where no such order stands.
        """
        order = await state_of(
            self._store, ordering.CATEGORY, of.order, ordering.Order(), ordering.evolve
        )
        if order.content is None:
            raise UnknownAggregate(f"{of.order} does not stand")
        lines = of.lines or left_of(order.content, order.taken)
        value = value_of(order.content, order.taken, lines)
        paying = await self.plan(of.order)
        absorbed = value * 0 if paying.status == "none" else min(value, paying.outstanding)
        return ReturnQuote(
            lines=lines,
            delivered=order.status in {"completed", "returned"},
            customer=order.content.customer,
            merchant=order.content.merchant,
            value=value,
            absorbed=absorbed,
            refund=value - absorbed,
        )
