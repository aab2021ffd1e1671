"""The context `trips`: what is wanted, whether a travel manager is asked, and the invoice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never, get_args

from handrail.errors import UnknownAggregate
from handrail.kernel import Money, TenantId
from trips.domain.messages import TripCommand, TripEvent


@dataclass(frozen=True, kw_only=True)
class RequestTrip(TripCommand, context="trips"):
    team: TenantId
    flight: str
    hotel: str
    price: Money


class AbandonTrip(TripCommand, context="trips"): ...


class AskApproval(TripCommand, context="trips"):
    """Have the travel manager decide."""


class WithdrawApproval(TripCommand, context="trips"): ...


class SendInvoice(TripCommand, context="trips"): ...


@dataclass(frozen=True, kw_only=True)
class TripRequested(TripEvent, context="trips"):
    team: TenantId
    flight: str
    hotel: str
    price: Money


class TripAbandoned(TripEvent, context="trips"): ...


class ApprovalAsked(TripEvent, context="trips"): ...


class ApprovalWithdrawn(TripEvent, context="trips"): ...


class InvoiceSent(TripEvent, context="trips"): ...


RequestCommand = RequestTrip | AbandonTrip | AskApproval | WithdrawApproval | SendInvoice
RequestEvent = TripRequested | TripAbandoned | ApprovalAsked | ApprovalWithdrawn | InvoiceSent
COMMANDS: tuple[type, ...] = get_args(RequestCommand)
EVENTS: tuple[type, ...] = get_args(RequestEvent)


@dataclass(frozen=True)
class Trip:
    status: Literal["none", "requested", "abandoned"] = "none"
    approval: Literal["none", "asked"] = "none"
    invoiced: bool = False


def decide(command: RequestCommand, trip: Trip) -> Sequence[RequestEvent]:
    match command:
        case RequestTrip():
            return [] if trip.status == "requested" else [TripRequested(**vars(command))]
        case AbandonTrip():
            return [TripAbandoned(trip=command.trip)] if trip.status == "requested" else []
        case WithdrawApproval():
            return [ApprovalWithdrawn(trip=command.trip)] if trip.approval == "asked" else []
        case _ if trip.status != "requested":
            raise UnknownAggregate(command.trip)
        case AskApproval():
            return [] if trip.approval == "asked" else [ApprovalAsked(trip=command.trip)]
        case SendInvoice():
            return [] if trip.invoiced else [InvoiceSent(trip=command.trip)]
        case _:
            assert_never(command)


def evolve(trip: Trip, event: RequestEvent) -> Trip:
    match event:
        case TripRequested():
            return Trip(status="requested")
        case TripAbandoned():
            return replace(trip, status="abandoned")
        case ApprovalAsked():
            return replace(trip, approval="asked")
        case ApprovalWithdrawn():
            return replace(trip, approval="none")
        case InvoiceSent():
            return replace(trip, invoiced=True)
        case _:
            assert_never(event)
