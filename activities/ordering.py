"""Orders: one stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from domain.ordering import order
from domain.ordering.commands import COMMANDS, PlaceOrder
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    orders = CommandHandler(
        store,
        single_stream(
            order.CATEGORY,
            order.Order(),
            lambda message: message.order,
            order.decide,
            order.evolve,
            begun_by=(PlaceOrder,),
        ),
    )
    return [serve(command, orders.handle) for command in COMMANDS]
