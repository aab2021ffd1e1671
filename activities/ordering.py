"""Orders: one stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.handling import Handler, single
from activities.serving import serve
from domain.ordering import order
from domain.ordering.commands import COMMANDS, PlaceOrder
from eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    orders = Handler(
        store,
        single(
            order.CATEGORY,
            order.Order(),
            lambda message: message.order,
            order.decide,
            order.evolve,
            begun_by=(PlaceOrder,),
        ),
    )
    return [serve(command, orders.handle) for command in COMMANDS]
