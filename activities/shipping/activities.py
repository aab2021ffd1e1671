"""Shipments: one stream for each order. The carrier replies first, and its reply is decided on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.shipping.gateway import Carrier
from domain.shipping import shipment
from domain.shipping.commands import (
    BookShipment,
    CancelShipment,
    RecordDelivery,
    RecordDispatch,
    RecordLoss,
)
from handrail.activities.command_handler import single_stream
from handrail.activities.remote_steps import RemoteSteps
from handrail.eventstore.store import EventStore
from handrail.replies import Reply


def activities(store: EventStore, carrier: Carrier) -> Sequence[Callable[..., Any]]:
    async def book(command: BookShipment, key: str) -> Reply:
        return await carrier.book(
            key=key,
            order=command.order,
            merchant=command.merchant,
            ship_to=command.ship_to,
            parcels=command.parcels,
        )

    shipments = RemoteSteps(
        store,
        single_stream(
            shipment.CATEGORY,
            shipment.Shipment(),
            lambda message: message.order,
            shipment.decide,
            shipment.evolve,
            begun_by=(BookShipment,),
        ),
        carrier.cancel,
        company="the carrier",
    )
    return [
        *shipments.compensatable(BookShipment, CancelShipment, book),
        *shipments.local(RecordDispatch, RecordDelivery, RecordLoss),
    ]
