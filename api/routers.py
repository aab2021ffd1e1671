"""The routers of the shop, in the order of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from api import applications, contacts, customers, merchants, payouts, plans, returns
from api.orders import place_order
from api.orders import routes as orders
from handrail.http.routes.changes import past_of
from projections import (
    customer_account,
    instalment_plan,
    merchant_application,
    merchant_balance,
    order_status,
    stock_level,
)

ROUTERS: Final[Sequence[APIRouter]] = (
    place_order.router,
    orders.router,
    plans.router,
    returns.router,
    customers.router,
    contacts.router,
    merchants.router,
    applications.router,
    payouts.router,
    past_of("/orders/{order}", order_status.PROJECTION, "orders:read", tags=["orders"]),
    past_of("/orders/{order}/plan", instalment_plan.PROJECTION, "plans:read", tags=["orders"]),
    past_of(
        "/merchants/{merchant}/application",
        merchant_application.PROJECTION,
        "applications:read",
        tags=["merchants"],
    ),
    past_of(
        "/customers/{customer}", customer_account.PROJECTION, "customers:read", tags=["customers"]
    ),
    past_of(
        "/merchants/{merchant}/balance",
        merchant_balance.PROJECTION,
        "balances:read",
        tags=["merchants"],
    ),
    past_of(
        "/merchants/{merchant}/stock/{sku}",
        stock_level.PROJECTION,
        "stock:read",
        key=lambda path: f"{path['merchant']}:{path['sku']}",
        tags=["merchants"],
    ),
)
