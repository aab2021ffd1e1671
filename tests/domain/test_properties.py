"""What holds for any commands in any order; `walk` also decides twice and stores each state."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.credit import credit_line
from domain.credit.credit_line import CreditLine
from domain.credit.events import (
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
    LimitAssigned,
)
from domain.identifiers import Sku
from domain.inventory import stock
from domain.inventory.events import (
    StockReceived,
    StockReturned,
    StockShipped,
    StockUnavailable,
)
from domain.inventory.stock import StockItem
from domain.ordering import order
from domain.ordering.events import OrderConfirmed, OrderPlaced, OrderRejected, ReturnCompleted
from domain.ordering.order import Order
from domain.ordering.terms import down_payment
from domain.payments import payment
from domain.payments.events import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from domain.payments.payment import Payment
from domain.settlement import merchant_account
from domain.settlement.events import (
    MerchantAccountClosed,
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutConfirmed,
    PayoutPrepared,
)
from domain.settlement.merchant_account import MerchantAccount
from domain.shipping import shipment
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentLost,
)
from domain.shipping.shipment import Shipment
from handrail.kernel import Money
from handrail.testing.scenario import Keyed
from tests.controls import eur
from tests.domain import walks
from tests.domain.walks import walk
from tests.inputs import inputs

SHELF = Keyed(stock, StockItem(), key="sku")

patiently = inputs(200)


@patiently
@given(walks.credit_commands())
def test_holds_never_exceed_the_limit(commands: list[Any]) -> None:
    for event, line in walk(credit_line, CreditLine(), commands):
        if isinstance(event, CreditHeld):
            assert line.held + line.used <= line.limit


@patiently
@given(walks.credit_commands())
def test_exposure_is_what_was_held_and_not_given_back(commands: list[Any]) -> None:
    sign = {CreditHeld: 1, CreditReleased: -1, CreditRestored: -1, DebtWrittenOff: -1}
    exposure = 0
    for event, line in walk(credit_line, CreditLine(), commands):
        if type(event) in sign:
            assert event.amount.amount > 0
            exposure += sign[type(event)] * event.amount.amount
        assert line.held.amount + line.used.amount == exposure
        assert sum(amount.amount for amount in line.promised.values()) == exposure
        assert all(amount.amount > 0 for amount in line.promised.values())
        assert not set(line.holds) & set(line.debts)
        assert set(line.restored) <= set(line.debts)


@patiently
@given(walks.credit_commands())
def test_credit_events_carry_the_lines_figures(commands: list[Any]) -> None:
    before = CreditLine()
    for event, line in walk(credit_line, CreditLine(), commands):
        if isinstance(event, CreditRefused):
            assert line == before
            wanted = line.held.amount + line.used.amount + event.amount.amount
            assert event.missing.amount == wanted - line.limit.amount > 0
        else:
            assert (event.held, event.used) == (line.held, line.used)
        if isinstance(event, LimitAssigned | DebtWrittenOff):
            assert event.limit == line.limit
        before = line


@patiently
@given(walks.credit_commands())
def test_what_was_written_off_is_not_lent_again(commands: list[Any]) -> None:
    before = CreditLine()
    for event, line in walk(credit_line, CreditLine(), commands):
        if isinstance(event, DebtWrittenOff):
            assert line.limit.amount == max(before.limit.amount - event.amount.amount, 0)
            assert line.available == before.available or line.limit.amount == 0
        before = line


@patiently
@given(walks.stock_commands())
def test_stock_is_never_negative_and_none_is_lost(commands: list[Any]) -> None:
    sign = {StockReceived: 1, StockReturned: 1, StockShipped: -1}
    in_the_house = Counter[Sku]()
    for event, shelf in walk(SHELF, {}, commands):
        in_the_house[event.sku] += sign.get(type(event), 0) * getattr(event, "quantity", 0)
        for sku, item in shelf.items():
            assert item.available >= 0
            assert item.available + item.reserved == in_the_house[sku]


@patiently
@given(walks.stock_commands())
def test_stock_events_carry_the_items_figures(commands: list[Any]) -> None:
    before: dict[Sku, StockItem] = {}
    for event, shelf in walk(SHELF, {}, commands):
        item = shelf[event.sku]
        if isinstance(event, StockUnavailable):
            assert item == before.get(event.sku, StockItem())
            assert event.requested > event.available == item.available
        else:
            assert (event.available, event.reserved) == (item.available, item.reserved)
        before = shelf


@patiently
@given(walks.merchant_commands())
def test_a_balance_is_what_was_accrued_less_what_came_back_and_was_paid_out(
    commands: list[Any],
) -> None:
    sign = {PayableClawedBack: -1, PayoutPrepared: -1, PayoutCancelled: 1}
    owed = eur(0)
    for event, account in walk(merchant_account, MerchantAccount(), commands):
        if isinstance(event, PayableAccrued):
            owed += event.gross - event.fee
        owed += getattr(event, "amount", eur(0)) * sign.get(type(event), 0)
        assert getattr(event, "balance", owed) == owed
        assert account.balance == owed or isinstance(event, MerchantAccountClosed)


@patiently
@given(walks.merchant_commands())
def test_a_payout_is_on_its_way_once_and_never_of_more_than_is_owed(commands: list[Any]) -> None:
    on_its_way: set[str] = set()
    arrived: set[str] = set()
    for event, account in walk(merchant_account, MerchantAccount(), commands):
        match event:
            case PayoutPrepared(payout=payout):
                assert payout not in on_its_way | arrived
                assert event.balance >= eur(0)
                on_its_way.add(payout)
            case PayoutCancelled(payout=payout):
                on_its_way.remove(payout)
            case PayoutConfirmed(payout=payout):
                on_its_way.remove(payout)
                arrived.add(payout)
            case MerchantAccountClosed():
                assert not on_its_way
                arrived.clear()
            case _:
                pass
        assert set(account.payouts.pending) == on_its_way


@patiently
@given(walks.merchant_commands())
def test_a_fee_is_part_of_the_gross_and_off_by_half_a_cent_at_most(commands: list[Any]) -> None:
    for event, account in walk(merchant_account, MerchantAccount(), commands):
        if isinstance(event, PayableAccrued):
            assert eur(0) <= event.fee <= event.gross
            assert account.unpaid[event.order] + event.fee == event.gross
            exact = event.gross.amount * account.fee_bps
            assert abs(event.fee.amount * 10_000 - exact) <= 5_000


@patiently
@given(walks.payment_commands())
def test_the_bank_holds_or_took_one_payment_or_none(commands: list[Any]) -> None:
    hold = {PaymentAuthorised: 1, PaymentVoided: -1, PaymentCaptured: -1}
    take = {PaymentCaptured: 1, PaymentRefunded: -1}
    held = taken = eur(0)
    for event, paying in walk(payment, Payment(), commands):
        held += event.amount * hold.get(type(event), 0)
        taken += event.amount * take.get(type(event), 0)
        amount = paying.amount or eur(0)
        assert held == amount * (paying.status == "authorised")
        assert taken == amount * (paying.status == "captured")
        assert held + taken == amount


@patiently
@given(walks.shipment_commands())
def test_a_carrier_comes_once_or_not_at_all(commands: list[Any]) -> None:
    booked = 0
    for event, shipped in walk(shipment, Shipment(), commands):
        booked += isinstance(event, ShipmentBooked) - isinstance(event, ShipmentCancelled)
        assert booked == (shipped.status in {"booked", "dispatched", "delivered", "lost"})


@patiently
@given(walks.shipment_commands())
def test_parcels_arrive_or_are_lost_and_not_both(commands: list[Any]) -> None:
    ended = None
    for event, _ in walk(shipment, Shipment(), commands):
        assert ended is None, f"{event} after {ended}"
        if isinstance(event, ShipmentDelivered | ShipmentLost):
            ended = event


@patiently
@given(walks.order_commands())
def test_a_confirmed_order_stands_for_ever(commands: list[Any]) -> None:
    standing = confirmed = None
    for event, ordered in walk(order, Order(), commands):
        if isinstance(event, OrderConfirmed | OrderPlaced | OrderRejected):
            assert not confirmed, f"{event} after the confirmation"
        if isinstance(event, OrderConfirmed):
            confirmed = event
        elif isinstance(event, OrderPlaced):
            standing = event
        elif isinstance(event, OrderRejected):
            standing = None
        assert ordered.content == standing


@patiently
@given(walks.order_commands())
def test_never_more_comes_back_than_was_bought_and_never_for_more_money(
    commands: list[Any],
) -> None:
    for event, ordered in walk(order, Order(), commands):
        if ordered.content is None:
            continue
        bought = Counter[tuple[Sku, Money]]()
        for line in ordered.content.lines:
            bought[line.sku, line.unit_price] += line.quantity
        back = Counter[tuple[Sku, Money]]()
        for piece in ordered.taken:
            back[piece.sku, piece.unit_price] += piece.quantity
        assert back <= bought
        worth = sum((one.accepted.value for one in ordered.returns.values()), eur(0))
        assert worth == sum((piece.unit_price * piece.quantity for piece in ordered.taken), eur(0))
        if isinstance(event, ReturnCompleted) and event.everything:
            assert ordered.status == "returned"
            assert worth == ordered.content.total


@patiently
@given(walks.order_commands())
def test_down_payment_and_equal_instalments_are_the_total(commands: list[Any]) -> None:
    for event, _ in walk(order, Order(), commands):
        if isinstance(event, OrderPlaced):
            financed = event.total - event.down_payment
            assert financed.amount % event.instalments == 0
            assert event.total == sum((x.unit_price * x.quantity for x in event.lines), eur(0))


@patiently
@given(total=st.integers(1, 10**9), instalments=st.integers(1, 48))
def test_the_shares_are_equal_and_add_up(total: int, instalments: int) -> None:
    due = down_payment(eur(total), instalments)
    share, rest = divmod((eur(total) - due).amount, instalments)
    assert rest == 0
    assert eur(share) * instalments + due == eur(total)
    assert share <= due.amount <= share + instalments
