"""Erasures: one stream for each customer. What is open is looked up, what is to go is deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from domain.credit import credit_line
from domain.customers import customer
from domain.customers.commands import (
    ConfirmErasure,
    DestroyCustomerKeys,
    RemoveCustomerData,
    RequestErasure,
)
from domain.customers.events import Removed
from domain.identifiers import OrderId
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.activities.load_state import state_of
from handrail.eventstore.store import EventStore
from handrail.personal import subject_of
from handrail.sagas.step_keys import Answer, StepContext


class CustomerRows(Protocol):
    """What tables hold of a customer."""

    async def open_orders(self, customer: str) -> Sequence[OrderId]:
        """Those that have not come to an end."""
        ...

    async def remove(self, customer: str) -> Mapping[str, int]:
        """Delete them; how many of each kind. To remove twice changes nothing."""
        ...


def activities(store: EventStore, rows: CustomerRows) -> Sequence[Callable[..., Any]]:
    customers = Customers(store, rows)
    return [
        serve(RequestErasure, customers.request),
        serve(DestroyCustomerKeys, customers.destroy_keys),
        serve(RemoveCustomerData, customers.remove),
        serve(ConfirmErasure, customers.confirm),
    ]


class Customers:
    def __init__(self, store: EventStore, rows: CustomerRows) -> None:
        self._store = store
        self._rows = rows
        self._customers = CommandHandler(
            store,
            single_stream(
                customer.CATEGORY,
                customer.Customer(),
                lambda message: message.customer,
                customer.decide,
                customer.evolve,
            ),
        )

    async def request(self, command: RequestErasure, context: StepContext) -> Answer:
        line = await state_of(
            self._store,
            credit_line.CATEGORY,
            command.customer,
            credit_line.CreditLine(),
            credit_line.evolve,
        )
        orders = {*line.promised, *await self._rows.open_orders(command.customer)}
        owed = line.held + line.used
        command = replace(
            command, open_orders=tuple(sorted(orders)), owed=owed if owed.amount else None
        )
        return await self._customers.handle(command, context)

    async def destroy_keys(self, command: DestroyCustomerKeys, context: StepContext) -> Answer:
        subject = subject_of("customer", command.customer)
        destroyed = await self._store.personal.destroy(subject, command.by)
        keys = tuple(sorted({*destroyed.now, *destroyed.before}))
        return await self._customers.handle(replace(command, keys=keys), context)

    async def remove(self, command: RemoveCustomerData, context: StepContext) -> Answer:
        counts = await self._rows.remove(command.customer)
        removed = tuple(Removed(what=what, count=count) for what, count in counts.items())
        return await self._customers.handle(replace(command, removed=removed), context)

    async def confirm(self, command: ConfirmErasure, context: StepContext) -> Answer:
        return await self._customers.handle(replace(command, erased_at=datetime.now(UTC)), context)
