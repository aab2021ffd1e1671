"""What other companies tell us, and what it does: one signal, one command, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from domain.identifiers import OrderId
from domain.payments.commands import RecordDispute
from handrail.http import stream_reader
from handrail.http.dependencies import Services
from handrail.http.problems import Problem, at, pointer_to
from handrail.http.schemas import AskedPrice, Cause, Id, Moment
from handrail.http.webhook_store import Source
from handrail.kernel import stream_name
from workflows.carrier_notice import CarrierNotice


class _Told(BaseModel):
    """Unlike a client's body it may have more than we know: senders add fields as they please."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Parcel(_Told):
    """`booking` is the carrier's reference; `at` is when it happened, and `cause` why."""

    order: Id
    booking: Cause
    at: Moment
    cause: Cause | None = None


class _Amount(AskedPrice):
    model_config = ConfigDict(extra="ignore")


class Dispute(_Told):
    """`dispute` is the bank's name for it."""

    order: Id
    dispute: Id
    amount: _Amount


class Noted(_Told):
    """What our own books say already: it is kept, and does nothing."""

    order: Id | None = None


Data = Parcel | Dispute | Noted

ParcelNews = Literal["dispatched", "delivered", "lost"]
_ALL_OF_A_SHIPMENT: Final = 100  # events; it has a handful
_PARCELS: Final[Mapping[str, ParcelNews]] = {
    "parcel.dispatched": "dispatched",
    "parcel.delivered": "delivered",
    "parcel.lost": "lost",
}
TYPES: Final[Mapping[Source, Mapping[str, type[Data]]]] = {
    "bank": {
        "payment.captured": Noted,
        "payment.disputed": Dispute,
        "payment.refunded": Noted,
        "payout.paid": Noted,
    },
    "carrier": dict.fromkeys(_PARCELS, Parcel),
}


class Envelope(_Told):
    """The form that Standard Webhooks recommends for bodies."""

    type: Cause
    data: dict[str, Any] = Field(
        json_schema_extra={"x-bounds": "as its type says; what it does not know is passed over"}
    )


@dataclass(frozen=True)
class Message:
    """A body as far as it is understood: with a `problem` instead of `data` where it is not."""

    type: str
    data: Data | None = None
    problem: Problem | None = None

    @property
    def order(self) -> str | None:
        return None if self.data is None else self.data.order


def read(source: Source, body: bytes) -> Message:
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError as error:
        return Message("", problem=_not_understood(error))
    shape = TYPES[source].get(envelope.type)
    if shape is None:
        said = f"not one of {', '.join(TYPES[source])}"
        problem = Problem("webhook-not-understood", f"#/type: {said}", [at("#/type", said)])
        return Message(envelope.type, problem=problem)
    try:
        return Message(envelope.type, shape.model_validate(envelope.data))
    except ValidationError as error:
        return Message(envelope.type, problem=_not_understood(error, "data"))


async def act(services: Services, id_: str, message: Message, actor: str) -> None:
    """Do what the message asks for; the same `id_` twice has one effect. Raises Problem."""
    match message.data:
        case Parcel() as parcel:
            kind, cause = _PARCELS[message.type], parcel.cause or ""
            await _compare(services, parcel, kind)
            await services.processes.tell_carrier_notice(
                parcel.order, CarrierNotice(id_, kind, parcel.at, cause)
            )
        case Dispute() as dispute:
            await _record(services, id_, dispute, actor)
        case Noted():
            pass
        case None:
            assert message.problem is not None
            raise message.problem


async def _compare(services: Services, parcel: Parcel, kind: ParcelNews) -> None:
    """With what our books say of the shipment; where they say nothing, its process decides.

    Raises Problem where the notice is about another booking, or contradicts how that ended.
    """
    stream = stream_name("shipment", parcel.order)
    async with services.database.connection() as connection:
        found = await stream_reader.read(connection, stream, after=0, limit=_ALL_OF_A_SHIPMENT)
    booked = [one for one in found if one.type in {"ShipmentBooked", "ShipmentCancelled"}]
    if booked and booked[-1].data.get("booking") != parcel.booking:
        said = f"no parcel of {parcel.order} is booked as {parcel.booking}"
        raise Problem("webhook-subject-unknown", said)
    for ended in {"delivered", "lost"} - {kind} if kind != "dispatched" else set[str]():
        if any(one.type == f"Shipment{ended.capitalize()}" for one in found):
            raise Problem("out-of-order", f"the parcel of {parcel.order} is {ended} already")


async def _record(services: Services, id_: str, dispute: Dispute, actor: str) -> None:
    async with services.database.connection() as connection:
        payment = stream_name("payment", dispute.order)
        if await stream_reader.newest_version(connection, payment) is None:
            raise Problem("webhook-subject-unknown", f"there is no payment for {dispute.order}")
    await services.processes.do(
        RecordDispute(
            order=OrderId(dispute.order),
            dispute=dispute.dispute,
            amount=dispute.amount.to_domain(),
        ),
        key=f"webhook-bank-{id_}",
        actor=actor,
    )


def _not_understood(error: ValidationError, *within: str) -> Problem:
    """Names what is wrong and where, and never repeats what was sent."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    items = [at(pointer_to(*within, *one["loc"]), one["msg"]) for one in found]
    first = items[0]
    return Problem("webhook-not-understood", f"{first.pointer}: {first.detail}", items)
