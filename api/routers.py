"""The routers of the shop, in the order of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from api import applications, contacts, customers, merchants, payouts, plans, returns
from api.orders import place_order
from api.orders import routes as orders

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
)
