"""The context `trips`: what is wanted, whether a travel manager is asked, and the invoice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from handrail.errors import UnknownAggregate
from handrail.kernel import Command, Event, Money, TenantId
from trips.domain.messages import TripCommand, TripEvent, TripId


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Of a command or an event: who wants which trip."""

    trip: TripId
    team: TenantId
    flight: str
    hotel: str
    price: Money


class RequestTrip(Wish, Command, context="trips"): ...


class AbandonTrip(TripCommand, context="trips"): ...


class AskApproval(TripCommand, context="trips"):
    """Have the travel manager decide."""


class WithdrawApproval(TripCommand, context="trips"): ...


class SendInvoice(TripCommand, context="trips"): ...


class TripRequested(Wish, Event, context="trips"): ...


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
    stands: bool = False
    approval_asked: bool = False
    invoiced: bool = False


def decide(command: RequestCommand, trip: Trip) -> Sequence[RequestEvent]:
    match command:
        case RequestTrip():
            return [] if trip.stands else [TripRequested(**vars(command))]
        case AbandonTrip():
            return [TripAbandoned(trip=command.trip)] if trip.stands else []
        case WithdrawApproval():
            return [ApprovalWithdrawn(trip=command.trip)] if trip.approval_asked else []
        case AskApproval() | SendInvoice() if not trip.stands:
            raise UnknownAggregate(command.trip)
        case AskApproval():
            return [] if trip.approval_asked else [ApprovalAsked(trip=command.trip)]
        case SendInvoice():
            return [] if trip.invoiced else [InvoiceSent(trip=command.trip)]


def evolve(trip: Trip, event: RequestEvent) -> Trip:
    match event:
        case TripRequested():
            return Trip(stands=True)
        case TripAbandoned():
            return replace(trip, stands=False)
        case ApprovalAsked():
            return replace(trip, approval_asked=True)
        case ApprovalWithdrawn():
            return replace(trip, approval_asked=False)
        case InvoiceSent():
            return replace(trip, invoiced=True)
