"""The shop's pages in the operator console: orders, customers and merchants."""

from __future__ import annotations

from typing import Final

from handrail.console.declared import Console, EntityPage
from projections import customer_account, merchant_balance, order_status

_AROUND: Final = ("dispatch", "delivered", "lost", "settle", "writeoff")
"""Before the order's id, in the ids of the sagas of its delivery and its plan."""
_ORDER: Final = EntityPage(
    name="orders",
    projection=order_status.PROJECTION,
    money=("total", "down_payment", "returned"),
    links=(("customer", "customers"), ("merchant", "merchants")),
    has_webhooks=True,
    notified="customer",
    notified_scope="contacts:read",
    sagas=lambda order: (order, *(f"{one}-{order}" for one in _AROUND)),
)
_CUSTOMER: Final = EntityPage(
    name="customers",
    projection=customer_account.PROJECTION,
    notified="customer",
    notified_scope="contacts:read",
)
_MERCHANT: Final = EntityPage(
    name="merchants",
    projection=merchant_balance.PROJECTION,
    scope="balances:read",
    is_tenant=True,
)
CONSOLE: Final = Console(title="Shop", entities=(_ORDER, _CUSTOMER, _MERCHANT))
