"""The carrier, as Handrail needs it, and the carrier over HTTP."""

from __future__ import annotations

from typing import Protocol

from handrail.activities.http_gateway import HttpGateway, wire_key
from handrail.replies import Reply


class Carrier(Protocol):
    """What Handrail demands of a carrier: of keys and answers, the same as of a bank.

    The same key with the same content answers what it answered first, and books once. A
    cancellation holds against bookings that the carrier has yet to receive. What is no definite
    answer is raised, as the errors in `handrail.activities.http_gateway`.
    """

    async def book(
        self, *, key: str, order: str, merchant: str, ship_to: str, parcels: int
    ) -> Reply:
        """Have the parcels fetched. A later attempt comes with a key of its own."""
        ...

    async def cancel(self, *, key: str, subject: str, closes: str) -> Reply:
        """From now on nothing is booked under the key `closes`.

        A booking that has not arrived yet is declined as `cancelled` when it does. To cancel twice
        changes nothing.
        """
        ...


class HttpCarrier:
    """The carrier over HTTP."""

    def __init__(self, carrier: HttpGateway) -> None:
        self._carrier = carrier

    async def book(
        self, *, key: str, order: str, merchant: str, ship_to: str, parcels: int
    ) -> Reply:
        body = {"order": order, "merchant": merchant, "ship_to": ship_to, "parcels": parcels}
        return await self._carrier.request("/bookings", key=key, body=body)

    async def cancel(self, *, key: str, subject: str, closes: str) -> Reply:
        body = {"order": subject, "closes": wire_key(closes)}
        return await self._carrier.request("/cancellations", key=key, body=body)
