from __future__ import annotations

import pytest

from domain.identifiers import OrderId, ReturnId, Sku
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderRejected,
    ReturnAccepted,
    ReturnCompleted,
    ReturnLine,
    ReturnWithdrawn,
)
from domain.payments.events import (
    CaptureDeclined,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from handrail.kernel import Event
from handrail.projections.projection import OutOfPlace
from handrail.sagas.events import SagaDecided, SagaEnded
from projections.order_status import PROJECTION, OrderStatus
from tests.controls import NOON, eur
from tests.projections.folds import after, at, folded, told
from tests.projections.stories import placed

ORDER = OrderId("1")
PLACED = placed(ORDER)
CONFIRMED = OrderConfirmed(order=ORDER)
REJECTED = OrderRejected(order=ORDER)
APPROVED = SagaDecided(saga=ORDER, attempt=1, approved=True, because="", reason="")
AUTHORISED = PaymentAuthorised(order=ORDER, amount=eur(25_00), authorisation="a")


COMPLETED = OrderCompleted(order=ORDER, completed_at=NOON)
ACCEPTED = ReturnAccepted(
    order=ORDER,
    return_id=ReturnId("return-1"),
    lines=(ReturnLine(sku=Sku("cup"), quantity=1),),
    value=eur(50_00),
    why="returned",
    accepted_at=NOON,
)
WITHDRAWN = ReturnWithdrawn(order=ORDER, return_id=ReturnId("return-1"))


def came_back(*, everything: bool) -> ReturnCompleted:
    return ReturnCompleted(order=ORDER, return_id=ReturnId("return-1"), everything=everything)


def decided_against(because: str, reason: str = "so it is") -> SagaDecided:
    return SagaDecided(saga=ORDER, attempt=1, approved=False, because=because, reason=reason)


def test_a_placed_order_shows_what_was_ordered() -> None:
    assert after(PROJECTION, PLACED) == OrderStatus(
        order="1",
        customer="customer-1",
        merchant="merchant-1",
        status="placed",
        total=100_00,
        down_payment=25_00,
        currency="EUR",
        instalments=3,
        lines=[{"sku": "cup", "quantity": 2, "unit_price": 50_00}],
        placed_at=NOON,
        updated_at=at(1),
        position=1,
    )


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "placed"),
        ([APPROVED], "approved"),
        ([APPROVED, CONFIRMED], "confirmed"),
        ([CONFIRMED], "confirmed"),
        ([REJECTED], "refused"),
        ([decided_against("CreditRefused")], "refused"),
        ([decided_against("cancelled")], "cancelled"),
        ([decided_against("unknown")], "failed"),
        ([decided_against("failed"), REJECTED], "failed"),
        ([decided_against("cancelled"), REJECTED], "cancelled"),
        ([REJECTED, PLACED], "placed"),
        ([decided_against("cancelled"), REJECTED, PLACED, APPROVED], "approved"),
        ([CONFIRMED, COMPLETED], "completed"),
        ([CONFIRMED, COMPLETED, ACCEPTED], "completed"),
        ([CONFIRMED, COMPLETED, ACCEPTED, came_back(everything=False)], "completed"),
        ([CONFIRMED, COMPLETED, ACCEPTED, came_back(everything=True)], "returned"),
        ([CONFIRMED, ACCEPTED, came_back(everything=True)], "returned"),
    ],
)
def test_the_status_follows_from_the_decision(events: list[Event], status: str) -> None:
    assert after(PROJECTION, PLACED, *events).status == status


def test_an_order_that_was_turned_back_says_why() -> None:
    row = after(PROJECTION, PLACED, decided_against("CreditRefused", "12.00 EUR over"))

    assert (row.because, row.reason) == ("CreditRefused", "12.00 EUR over")


def test_an_order_that_is_placed_again_has_no_reason_any_more() -> None:
    row = after(PROJECTION, PLACED, decided_against("cancelled"), REJECTED, PLACED)

    assert (row.because, row.reason) == ("", "")


def test_a_saga_that_completed_changes_nothing_here() -> None:
    ended = SagaEnded(saga=ORDER, attempt=1, ending="completed", because="", reason="")

    assert after(PROJECTION, PLACED, APPROVED, CONFIRMED, ended).status == "confirmed"


@pytest.mark.parametrize(
    ("event", "payment"),
    [
        (AUTHORISED, "authorised"),
        (PaymentDeclined(order=ORDER, amount=eur(1), code="c"), "declined"),
        (PaymentVoided(order=ORDER, amount=eur(1)), "voided"),
        (PaymentCaptured(order=ORDER, amount=eur(1), capture="c"), "captured"),
        (CaptureDeclined(order=ORDER, amount=eur(1), code="c"), "authorised"),
        (PaymentRefunded(order=ORDER, amount=eur(1)), "refunded"),
    ],
)
def test_the_payment_is_as_the_bank_said_last(event: Event, payment: str) -> None:
    assert after(PROJECTION, PLACED, AUTHORISED, event).payment == payment


@pytest.mark.parametrize(
    ("event", "shipment", "booking"),
    [
        (ShipmentBooked(order=ORDER, booking="new"), "booked", "new"),
        (ShipmentDeclined(order=ORDER, code="c"), "declined", "old"),
        (ShipmentCancelled(order=ORDER), "cancelled", "old"),
        (ShipmentDispatched(order=ORDER, at=NOON), "dispatched", "old"),
        (ShipmentDelivered(order=ORDER, at=NOON), "delivered", "old"),
        (ShipmentLost(order=ORDER, at=NOON, cause="c"), "lost", "old"),
    ],
)
def test_the_shipment_is_as_the_carrier_said_last(
    event: Event, shipment: str, booking: str
) -> None:
    row = after(PROJECTION, PLACED, ShipmentBooked(order=ORDER, booking="old"), event)

    assert (row.shipment, row.booking) == (shipment, booking)


def test_a_return_is_shown_with_what_it_is_worth() -> None:
    row = after(PROJECTION, PLACED, CONFIRMED, COMPLETED, ACCEPTED)

    assert row.returned == 0
    assert row.returns == {
        "return-1": {
            "state": "accepted",
            "why": "returned",
            "value": 50_00,
            "lines": [{"sku": "cup", "quantity": 1}],
            "accepted_at": NOON.isoformat(),
        }
    }


@pytest.mark.parametrize(
    ("events", "state", "returned"),
    [
        ([WITHDRAWN], "withdrawn", 0),
        ([came_back(everything=False)], "completed", 50_00),
        ([WITHDRAWN, ACCEPTED, came_back(everything=False)], "completed", 50_00),
    ],
)
def test_only_what_came_back_counts_as_returned(
    events: list[Event], state: str, returned: int
) -> None:
    row = after(PROJECTION, PLACED, CONFIRMED, COMPLETED, ACCEPTED, *events)

    assert (row.returns["return-1"]["state"], row.returned) == (state, returned)


def test_a_saga_that_turned_back_before_the_order_leaves_no_order() -> None:
    assert folded(PROJECTION, told([decided_against("cancelled")])) is None


def test_a_payment_of_no_order_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(PROJECTION, AUTHORISED)


def test_every_event_that_is_handled_can_be_folded() -> None:
    tried = {PaymentDeclined, PaymentVoided, PaymentCaptured, CaptureDeclined, PaymentRefunded}
    tried |= {ShipmentBooked, ShipmentDeclined, ShipmentCancelled, SagaDecided, SagaEnded}
    tried |= {ShipmentDispatched, ShipmentDelivered, ShipmentLost}
    tried |= {type(PLACED), OrderConfirmed, OrderRejected, PaymentAuthorised}
    tried |= {OrderCompleted, ReturnAccepted, ReturnWithdrawn, ReturnCompleted}

    assert tried == set(PROJECTION.handles)
