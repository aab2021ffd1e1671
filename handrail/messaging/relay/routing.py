"""Where each event goes at the broker: its key, and the exchanges it is published to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from handrail import kernel
from handrail.eventstore.codec import UnknownMessage
from handrail.messaging.broker.plan import EVENTS, SAGAS, BrokerPlan, NoBroker
from handrail.tenant_word import TENANT_WORD


@dataclass(frozen=True)
class Routing:
    """`contexts` has the context of each event, by the event's name. Without a `plan` there is no
    broker, and events have a context and a key all the same. `tenant` is the App's word for it.
    """

    contexts: Mapping[str, str]
    plan: BrokerPlan | None
    tenant: str = TENANT_WORD

    @classmethod
    def of(
        cls,
        events: Iterable[type[kernel.Message]],
        plan: BrokerPlan | None,
        *,
        tenant: str = TENANT_WORD,
    ) -> Routing:
        names = {event.__name__: kernel.context_of(event) for event in events}
        return cls(names, plan, tenant)

    @property
    def broker(self) -> BrokerPlan:
        """Raises NoBroker."""
        if self.plan is None:
            raise NoBroker
        return self.plan

    @cached_property
    def exchanges(self) -> tuple[str, ...]:
        return self.plan.exchange_names if self.plan else ()

    def context_of(self, event_type: str) -> str:
        """The context an event belongs to: `credit` for CreditHeld.

        Raises UnknownMessage for an event that this code does not know.
        """
        try:
            return self.contexts[event_type]
        except KeyError:
            raise UnknownMessage(event_type) from None

    def routing_key(self, event_type: str, schema: int) -> str:
        """As in `credit.CreditHeld.v1`. Raises UnknownMessage."""
        return f"{self.context_of(event_type)}.{event_type}.v{schema}"

    def exchanges_of(self, event_type: str) -> tuple[str, ...]:
        """To which exchanges the event is published; without a broker to none.

        Raises UnknownMessage.
        """
        return self._by_context[self.context_of(event_type)]

    @cached_property
    def _by_context(self) -> Mapping[str, tuple[str, ...]]:
        return {context: self._exchanges(context) for context in self.contexts.values()}

    def _exchanges(self, context: str) -> tuple[str, ...]:
        if self.plan is None:
            return ()
        if context == SAGAS:
            return (SAGAS,)
        further = (
            exchange.name for exchange in self.plan.exchanges if context in exchange.contexts
        )
        return (EVENTS, *further)
