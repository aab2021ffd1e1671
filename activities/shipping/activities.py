"""Shipments: one stream for each order. The carrier is asked, and its answer is decided on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from activities.shipping.gateway import Carrier
from domain.shipping import shipment
from domain.shipping.commands import (
    Booked,
    BookShipment,
    CancelShipment,
    CarrierReply,
    NotBooked,
    RecordDelivery,
    RecordDispatch,
    RecordLoss,
)
from handrail.activities.command_activity import DeclinedForGood, closed_by, serve, serve_void
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore, StepClosed
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, carrier: Carrier) -> Sequence[Callable[..., Any]]:
    shipments = Shipments(store, carrier)
    return [
        serve(BookShipment, shipments.book),
        serve(CancelShipment, shipments.cancel),
        serve_void(BookShipment, shipments.let_go, store),
        serve(RecordDispatch, shipments.record),
        serve(RecordDelivery, shipments.record),
        serve(RecordLoss, shipments.record),
    ]


class Shipments:
    def __init__(self, store: EventStore, carrier: Carrier) -> None:
        self._carrier = carrier
        self._shipments = CommandHandler(
            store,
            single_stream(
                shipment.CATEGORY,
                shipment.Shipment(),
                lambda message: message.order,
                shipment.decide,
                shipment.evolve,
                begun_by=(BookShipment,),
            ),
        )

    async def book(self, command: BookShipment, context: StepContext) -> Answer:
        """Book, once nothing can come any more of the bookings that this one replaces."""
        await self.let_go(command, context)
        key = context.key
        reply = await self._carrier.book(
            key=str(key),
            order=command.order,
            merchant=command.merchant,
            ship_to=command.ship_to,
            parcels=command.parcels,
        )
        try:
            return await self._shipments.handle(replace(command, reply=reply), context)
        except StepClosed:
            if isinstance(reply, Booked):
                # The cancellation has been and gone: cancel once more what came after it.
                await self._carrier.cancel(key=f"{key}/late", order=command.order, closes=str(key))
            raise

    async def cancel(self, command: CancelShipment, context: StepContext) -> Answer:
        reply = await self._shut(command.order, context)
        _check(reply, command.order)
        return await self._shipments.handle(replace(command, reply=reply), context)

    async def let_go(self, command: BookShipment, context: StepContext) -> None:
        """Raises DeclinedForGood where the carrier does not cancel."""
        _check(await self._shut(command.order, context), command.order)

    async def record(
        self, command: RecordDispatch | RecordDelivery | RecordLoss, context: StepContext
    ) -> Answer:
        return await self._shipments.handle(command, context)

    async def _shut(self, order: str, context: StepContext) -> CarrierReply | None:
        """Shut at the carrier every door that is shut here, each under a key of its own.

        None where there is none.
        """
        reply: CarrierReply | None = None
        asked_anew = f"~{context.key.ask}" if context.key.ask > 1 else ""
        for closed in closed_by(context):
            key = f"{replace(closed, direction='undo')}{asked_anew}"
            reply = await self._carrier.cancel(key=key, order=order, closes=str(closed))
            if isinstance(reply, NotBooked):
                break
        return reply


def _check(reply: CarrierReply | None, order: str) -> None:
    if isinstance(reply, NotBooked):
        raise DeclinedForGood(f"the carrier does not cancel {order}: {reply.code}")
