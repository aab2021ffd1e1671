"""A customer's erasure, step by step. It may be asked for again: then it is done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.customers.commands import (
    ConfirmErasure,
    CustomerCommand,
    DestroyCustomerKeys,
    RemoveCustomerData,
    RequestErasure,
)
from domain.customers.events import (
    CustomerDataRemoved,
    CustomerErased,
    CustomerErasureRefused,
    CustomerErasureRequested,
    CustomerEvent,
    CustomerKeysDestroyed,
    Removed,
)
from handrail.errors import OutOfOrder

CATEGORY: Final = "customer"


@dataclass(frozen=True)
class Customer:
    """`status` is none, requested, unreadable (its keys are destroyed), removed, or erased."""

    status: Literal["none", "requested", "unreadable", "removed", "erased"] = "none"
    by: str = ""
    keys: tuple[str, ...] = ()
    removed: tuple[Removed, ...] = ()


def evolve(customer: Customer, event: CustomerEvent) -> Customer:
    match event:
        case CustomerErasureRequested(by=by):
            return Customer(status="requested", by=by)
        case CustomerErasureRefused():
            return customer
        case CustomerKeysDestroyed(keys=keys):
            return replace(customer, status="unreadable", keys=keys)
        case CustomerDataRemoved(removed=removed):
            return replace(customer, status="removed", removed=removed)
        case CustomerErased():
            return replace(customer, status="erased")
        case _ as never:
            assert_never(never)


def decide(command: CustomerCommand, customer: Customer) -> Sequence[CustomerEvent]:
    """Raises OutOfOrder where a step comes before the one that it follows."""
    match command:
        case RequestErasure():
            return _request(command, customer)
        case DestroyCustomerKeys():
            return _destroy(command, customer)
        case RemoveCustomerData():
            return _remove(command, customer)
        case ConfirmErasure():
            return _confirm(command, customer)
        case _ as never:
            assert_never(never)


def _request(command: RequestErasure, customer: Customer) -> Sequence[CustomerEvent]:
    who, orders, owed = command.customer, command.open_orders, command.owed
    if orders or (owed and owed.amount):
        return [CustomerErasureRefused(customer=who, open_orders=orders, owed=owed)]
    if customer.status not in {"none", "erased"}:
        return []  # it goes on
    return [
        CustomerErasureRequested(customer=who, by=command.by, requested_at=command.requested_at)
    ]


def _destroy(command: DestroyCustomerKeys, customer: Customer) -> Sequence[CustomerEvent]:
    who = command.customer
    if customer.status == "none":
        raise OutOfOrder(f"the erasure of {who} was not asked for")
    if customer.status != "requested":
        return []
    return [CustomerKeysDestroyed(customer=who, by=command.by, keys=command.keys)]


def _remove(command: RemoveCustomerData, customer: Customer) -> Sequence[CustomerEvent]:
    who = command.customer
    if customer.status in {"none", "requested"}:
        raise OutOfOrder(f"the keys of {who} are not destroyed")
    if customer.status != "unreadable":
        return []
    return [CustomerDataRemoved(customer=who, removed=command.removed)]


def _confirm(command: ConfirmErasure, customer: Customer) -> Sequence[CustomerEvent]:
    who, at = command.customer, command.erased_at
    if customer.status == "erased":
        return []
    if customer.status != "removed" or at is None:
        raise OutOfOrder(f"the data of {who} is not removed")
    return [
        CustomerErased(
            customer=who,
            by=customer.by,
            keys=customer.keys,
            removed=customer.removed,
            erased_at=at,
        )
    ]
