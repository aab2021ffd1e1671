"""The carrier, as Handrail needs it, and the carrier over HTTP."""

from __future__ import annotations

from typing import Protocol

from domain.shipping.commands import Booked, CarrierReply, NotBooked
from handrail.activities.http_gateway import Accepted, HttpGateway, Rejected, wire_key
from handrail.privacy.texts import CLEAR, PersonalTexts


class Carrier(Protocol):
    """What Handrail demands of a carrier: of keys and answers, the same as of a bank.

    The same key with the same content answers what it answered first, and books once. A
    cancellation holds against bookings that the carrier has yet to receive. What is no definite
    answer is raised, as the errors in `handrail.activities.http_gateway`.
    """

    async def book(
        self, *, key: str, order: str, merchant: str, ship_to: str, parcels: int
    ) -> CarrierReply:
        """Have the parcels fetched. A later attempt comes with a key of its own."""
        ...

    async def cancel(self, *, key: str, order: str, closes: str) -> CarrierReply:
        """From now on nothing is booked under the key `closes`.

        A booking that has not arrived yet is declined as `cancelled` when it does. To cancel twice
        changes nothing.
        """
        ...


class HttpCarrier:
    """The carrier over HTTP."""

    def __init__(self, carrier: HttpGateway, personal: PersonalTexts = CLEAR) -> None:
        self._carrier = carrier
        self._personal = personal

    async def book(
        self, *, key: str, order: str, merchant: str, ship_to: str, parcels: int
    ) -> CarrierReply:
        ship_to = await self._personal.reveal(ship_to)
        body = {"order": order, "merchant": merchant, "ship_to": ship_to, "parcels": parcels}
        return _reply(await self._carrier.ask("/bookings", key=key, body=body))

    async def cancel(self, *, key: str, order: str, closes: str) -> CarrierReply:
        body = {"order": order, "closes": wire_key(closes)}
        return _reply(await self._carrier.ask("/cancellations", key=key, body=body))


def _reply(answer: Accepted | Rejected) -> CarrierReply:
    match answer:
        case Accepted():
            return Booked(reference=answer.reference)
        case Rejected():
            return NotBooked(code=answer.code)
