"""Webhooks of bank and carrier: the data of each type, and its effect, if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from api.shop_processes import ShopProcesses
from domain.identifiers import OrderId
from domain.payments.commands import RecordDispute
from handrail.http import stream_reader
from handrail.http.dependencies import Services
from handrail.http.problems import Problem
from handrail.http.problems import at as problem_at
from handrail.http.schemas import AskedPrice, Cause, Id, Moment
from handrail.http.webhook_sources import Received, Told, Webhooks, WebhookSource, WebhookType
from handrail.kernel import stream_name
from workflows.carrier_notice import CarrierNotice


class Parcel(Told):
    """`booking` is the carrier's reference; `at` is when it happened, and `cause` why."""

    order: Id
    booking: Cause
    at: Moment
    cause: Cause | None = None


class _Amount(AskedPrice):
    model_config = ConfigDict(extra="ignore")


class Dispute(Told):
    """`dispute` is the bank's name for it; `at` is when the customer disputed, if the bank says."""

    order: Id
    dispute: Id
    amount: _Amount
    at: Moment | None = None


class Noted(Told):
    """What our own books say already: it is kept, and does nothing."""

    order: Id | None = None


ParcelNews = Literal["dispatched", "delivered", "lost"]
_CLOCKS_APART: Final = timedelta(minutes=5)
_ALL_OF_A_SHIPMENT: Final = 100  # events; it has a handful
_PARCELS: Final[Mapping[str, ParcelNews]] = {
    "parcel.dispatched": "dispatched",
    "parcel.delivered": "delivered",
    "parcel.lost": "lost",
}


async def _tell_delivery(services: Services, received: Received) -> None:
    parcel: Parcel = received.data
    kind = _PARCELS[received.type]
    await _compare(services, parcel, kind)
    notice = CarrierNotice(received.id, kind, parcel.at, parcel.cause or "")
    await ShopProcesses(services.processes, services.database).tell_carrier_notice(
        parcel.order, notice
    )


async def _compare(services: Services, parcel: Parcel, kind: ParcelNews) -> None:
    """With what our books say of the shipment; where they say nothing, its process decides.

    Raises Problem where the notice is about another booking, or contradicts how that ended.
    """
    stream = stream_name("shipment", parcel.order)
    async with services.database.connection() as connection:
        found = await stream_reader.read(connection, stream, after=0, limit=_ALL_OF_A_SHIPMENT)
        await _in_its_time(connection, parcel.order, parcel.at)
    booked = [one for one in found if one.type in {"ShipmentBooked", "ShipmentCancelled"}]
    if booked and booked[-1].data.get("booking") != parcel.booking:
        message = f"no parcel of {parcel.order} is booked as {parcel.booking}"
        raise Problem("webhook-subject-unknown", message)
    for ended in {"delivered", "lost"} - {kind} if kind != "dispatched" else set[str]():
        if any(one.type == f"Shipment{ended.capitalize()}" for one in found):
            raise Problem("out-of-order", f"the parcel of {parcel.order} is {ended} already")


async def _in_its_time(connection: AsyncConnection, order: str, at: datetime) -> None:
    """When something became true: not before its order was placed, nor in the future, by more than
    clocks are apart. Of an order that our books do not know, only the future is refused.
    """
    if at > datetime.now(UTC) + _CLOCKS_APART:
        raise _out_of_time(f"{at.isoformat()} is in the future")
    stream = stream_name("order", order)
    placed = await stream_reader.read(connection, stream, after=0, limit=1)
    if placed and at < placed[0].recorded_at - _CLOCKS_APART:
        raise _out_of_time(f"{at.isoformat()} is before {order} was placed")


def _out_of_time(message: str) -> Problem:
    return Problem("invalid-request", f"#/data/at: {message}", [problem_at("#/data/at", message)])


async def _record_dispute(services: Services, received: Received) -> None:
    dispute: Dispute = received.data
    async with services.database.connection() as connection:
        payment = stream_name("payment", dispute.order)
        if await stream_reader.newest_version(connection, payment) is None:
            raise Problem("webhook-subject-unknown", f"there is no payment for {dispute.order}")
        if dispute.at is not None:
            await _in_its_time(connection, dispute.order, dispute.at)
    await services.processes.do(
        RecordDispute(
            order=OrderId(dispute.order),
            dispute=dispute.dispute,
            amount=dispute.amount.to_domain(),
            effective_at=dispute.at,
        ),
        key=f"webhook-bank-{received.id}",
        actor=received.actor,
    )


def _order_of(data: Parcel | Dispute | Noted) -> str | None:
    return data.order


WEBHOOKS: Final = Webhooks(
    subject="order",
    sources=(
        WebhookSource(
            name="bank",
            secrets="bank_webhook_secrets",  # the name of a setting, and no secret
            types={
                "payment.captured": WebhookType(Noted),
                "payment.disputed": WebhookType(Dispute, _record_dispute),
                "payment.refunded": WebhookType(Noted),
                "payout.paid": WebhookType(Noted),
            },
        ),
        WebhookSource(
            name="carrier",
            secrets="carrier_webhook_secrets",  # likewise
            types=dict.fromkeys(_PARCELS, WebhookType(Parcel, _tell_delivery)),
        ),
    ),
    subject_of=_order_of,
    links=lambda order: {"order": f"/orders/{order}"},
    summary="Tell what happened at the bank, or to a parcel",
    example={
        "type": "parcel.delivered",
        "timestamp": "2026-03-02T12:00:00Z",
        "data": {"order": "ord-7d4k2m9q", "booking": "b-1", "at": "2026-03-02T11:58:00Z"},
    },
)
