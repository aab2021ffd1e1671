from datetime import timedelta

import pytest

from domain.shipping import shipment
from domain.shipping.commands import (
    BookShipment,
    CancelShipment,
    RecordDelivery,
    RecordDispatch,
    RecordLoss,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from domain.shipping.shipment import Shipment
from handrail.errors import NotPositive, OutOfOrder, OutsideAnswerMissing
from handrail.kernel import Event
from handrail.replies import Accepted, Declined, Reply
from handrail.testing.scenario import Scenario
from tests.controls import NOON, a_merchant, an_order_id

shipping = Scenario(shipment, Shipment())
ORDER, MERCHANT = an_order_id(), a_merchant()
YES, NO = Accepted(reference="truck-1"), Declined(code="too-far")


def book(reply: Reply | None, parcels: int = 1) -> BookShipment:
    return BookShipment(
        order=ORDER, merchant=MERCHANT, ship_to="address-1", parcels=parcels, reply=reply
    )


def cancel(reply: Reply | None) -> CancelShipment:
    return CancelShipment(order=ORDER, reply=reply)


BOOKED = ShipmentBooked(order=ORDER, booking="truck-1")
DECLINED = ShipmentDeclined(order=ORDER, code="too-far")
CANCELLED = ShipmentCancelled(order=ORDER)
DISPATCH, DELIVER = RecordDispatch(order=ORDER, at=NOON), RecordDelivery(order=ORDER, at=NOON)
LOSE = RecordLoss(order=ORDER, at=NOON, cause="fell off the truck")
DISPATCHED = ShipmentDispatched(order=ORDER, at=NOON)
DELIVERED = ShipmentDelivered(order=ORDER, at=NOON)
LOST = ShipmentLost(order=ORDER, at=NOON, cause="fell off the truck")
HANDED_OVER = [(DISPATCHED,), (DELIVERED,), (LOST,), (DISPATCHED, DELIVERED), (DISPATCHED, LOST)]
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


@pytest.mark.parametrize("history", HANDED_OVER)
def test_what_the_carrier_has_is_neither_booked_again_nor_cancelled(
    history: tuple[Event, ...],
) -> None:
    gone = shipping.given(BOOKED, *history)
    gone.when(book(YES)).then()
    gone.when(cancel(YES)).then_refuses_rule(OutOfOrder)
    gone.when(cancel(None)).then_refuses_rule(OutOfOrder)


def test_a_booked_shipment_is_dispatched() -> None:
    shipping.given(BOOKED).when(DISPATCH).then(DISPATCHED)


@pytest.mark.parametrize("history", HANDED_OVER)
def test_a_report_of_the_dispatch_comes_twice_or_too_late(history: tuple[Event, ...]) -> None:
    later = RecordDispatch(order=ORDER, at=NOON + timedelta(hours=1))
    shipping.given(BOOKED, *history).when(later).then()


@pytest.mark.parametrize("report", [DISPATCH, DELIVER, LOSE])
@pytest.mark.parametrize("history", NOT_BOOKED)
def test_what_was_not_booked_is_not_on_its_way(
    report: RecordDispatch | RecordDelivery | RecordLoss, history: tuple[Event, ...]
) -> None:
    shipping.given(*history).when(report).then_refuses_rule(OutOfOrder)


@pytest.mark.parametrize("history", [(), (DISPATCHED,)], ids=["unreported", "dispatched"])
def test_a_shipment_arrives_or_is_lost(history: tuple[Event, ...]) -> None:
    on_its_way = shipping.given(BOOKED, *history)
    on_its_way.when(DELIVER).then(DELIVERED)
    on_its_way.when(LOSE).then(LOST)


def test_a_report_of_the_end_comes_twice() -> None:
    shipping.given(BOOKED, DELIVERED).when(RecordDelivery(order=ORDER, at=NOON)).then()
    shipping.given(BOOKED, LOST).when(RecordLoss(order=ORDER, at=NOON, cause="again")).then()


def test_of_delivery_and_loss_the_first_report_is_believed() -> None:
    on_its_way = shipping.given(BOOKED, DISPATCHED)
    on_its_way.when(DELIVER).then(DELIVERED).when(LOSE).then_refuses_rule(OutOfOrder)
    on_its_way.when(LOSE).then(LOST).when(DELIVER).then_refuses_rule(OutOfOrder)


def test_of_dispatch_and_cancellation_the_first_wins() -> None:
    booked = shipping.given(BOOKED)
    booked.when(DISPATCH).then(DISPATCHED).when(cancel(YES)).then_refuses_rule(OutOfOrder)
    booked.when(cancel(YES)).then(CANCELLED).when(DISPATCH).then_refuses_rule(OutOfOrder)
