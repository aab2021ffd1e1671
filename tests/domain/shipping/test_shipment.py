import pytest

from domain.errors import NotPositive, OutOfOrder, OutsideAnswerMissing
from domain.kernel import Event
from domain.shipping import shipment
from domain.shipping.commands import (
    Booked,
    BookShipment,
    CancelShipment,
    CarrierReply,
    NotBooked,
)
from domain.shipping.events import ShipmentBooked, ShipmentCancelled, ShipmentDeclined
from domain.shipping.shipment import Shipment
from tests.controls import a_merchant, an_order_id
from tests.scenario import Scenario

shipping = Scenario(shipment, Shipment())
ORDER, MERCHANT = an_order_id(), a_merchant()
YES, NO = Booked(reference="truck-1"), NotBooked(code="too-far")


def book(reply: CarrierReply | None, parcels: int = 1) -> BookShipment:
    return BookShipment(
        order=ORDER, merchant=MERCHANT, ship_to="address-1", parcels=parcels, reply=reply
    )


def cancel(reply: CarrierReply | None) -> CancelShipment:
    return CancelShipment(order=ORDER, reply=reply)


BOOKED = ShipmentBooked(order=ORDER, booking="truck-1")
DECLINED = ShipmentDeclined(order=ORDER, code="too-far")
CANCELLED = ShipmentCancelled(order=ORDER)
NOT_BOOKED: list[tuple[Event, ...]] = [(), (DECLINED,), (BOOKED, CANCELLED)]


@pytest.mark.parametrize("history", NOT_BOOKED)
def test_the_carrier_comes(history: tuple[Event, ...]) -> None:
    shipping.given(*history).when(book(YES)).then(BOOKED)


@pytest.mark.parametrize("history", NOT_BOOKED)
def test_the_carrier_may_say_no(history: tuple[Event, ...]) -> None:
    shipping.given(*history).when(book(NO)).then(DECLINED)


def test_a_shipment_is_booked_once_and_the_carrier_need_not_be_asked() -> None:
    for reply in (YES, NO, None):
        shipping.given(BOOKED).when(book(reply)).then()


def test_silence_of_the_carrier_is_no_answer() -> None:
    shipping.when(book(None)).then_refuses_rule(OutsideAnswerMissing)


def test_a_shipment_has_parcels() -> None:
    shipping.when(book(None, parcels=0)).then_refuses_rule(NotPositive)


def test_a_booked_shipment_is_cancelled() -> None:
    shipping.given(BOOKED).when(cancel(YES)).then(CANCELLED)


@pytest.mark.parametrize("history", NOT_BOOKED)
def test_where_nothing_is_booked_nothing_is_cancelled(history: tuple[Event, ...]) -> None:
    shipping.given(*history).when(cancel(YES)).then()


@pytest.mark.parametrize("history", [*NOT_BOOKED, (BOOKED,)])
def test_only_the_carriers_yes_proves_that_it_stays_away(history: tuple[Event, ...]) -> None:
    shipping.given(*history).when(cancel(None)).then_refuses_rule(OutsideAnswerMissing)
    shipping.given(*history).when(cancel(NO)).then_refuses_rule(OutOfOrder)


def test_a_cancellation_before_the_booking_does_not_prevent_it() -> None:
    shipping.when(cancel(YES)).then().when(book(YES)).then(BOOKED)
    shipping.when(book(YES)).then(BOOKED).when(cancel(YES)).then(CANCELLED)
