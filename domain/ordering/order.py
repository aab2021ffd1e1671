"""An order: what was bought and on which terms, and whether it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, assert_never

from domain.errors import DownPaymentDiffers, NoLines, TotalDiffers
from domain.ordering.commands import (
    AcceptReturn,
    CloseReview,
    CompleteOrder,
    CompleteReturn,
    ConfirmOrder,
    OrderCommand,
    PlaceOrder,
    RejectOrder,
    RequestReview,
    WithdrawReturn,
)
from domain.ordering.events import (
    OrderCompleted,
    OrderConfirmed,
    OrderEvent,
    OrderLine,
    OrderPlaced,
    OrderRejected,
    ReturnAccepted,
    ReturnCompleted,
    ReturnRefused,
    ReturnWithdrawn,
    ReviewClosed,
    ReviewRequested,
    Why,
)
from domain.ordering.returns import (
    Returns,
    accept,
    complete,
    refused,
    taken_by,
    with_return,
    withdraw,
)
from domain.ordering.terms import down_payment
from handrail.errors import ContentDiffers, NotPositive, OutOfOrder, UnknownAggregate
from handrail.kernel import Money

CATEGORY: Final = "order"

Status = Literal["unknown", "placed", "rejected", "confirmed", "completed", "returned"]
STANDS: Final[frozenset[Status]] = frozenset({"confirmed", "completed", "returned"})


@dataclass(frozen=True)
class Order:
    """`returns` are those that were accepted and not withdrawn; `returned` is one that came back as
    a whole, and one that came back in part is what it was before.
    """

    status: Status = "unknown"
    content: OrderPlaced | None = None
    in_review: bool = False
    returns: Returns = field(default_factory=dict)

    @property
    def taken(self) -> Sequence[OrderLine]:
        """What its returns hold of it."""
        return taken_by(self.returns.values())


def evolve(  # noqa: PLR0911  # one arm an event
    order: Order, event: OrderEvent
) -> Order:
    match event:
        case OrderPlaced():
            return Order(status="placed", content=event)
        case OrderRejected():
            return Order(status="rejected")
        case OrderConfirmed():
            return replace(order, status="confirmed")
        case ReviewRequested():
            return replace(order, in_review=True)
        case ReviewClosed():
            return replace(order, in_review=False)
        case OrderCompleted():
            return replace(order, status="completed")
        case ReturnRefused():
            return order
        case ReturnAccepted() | ReturnWithdrawn() | ReturnCompleted():
            everything = isinstance(event, ReturnCompleted) and event.everything
            status: Status = "returned" if everything else order.status
            returns = with_return(order.returns, order.content, event)
            return replace(order, status=status, returns=returns)
        case _:
            assert_never(event)


def decide(  # noqa: PLR0911  # one arm a command
    command: OrderCommand, order: Order
) -> Sequence[OrderEvent]:
    match command:
        case PlaceOrder():
            return _place(command, order)
        case RejectOrder():
            return _reject(command, order)
        case ConfirmOrder():
            return _confirm(command, order)
        case RequestReview():
            return _request_review(command, order)
        case CloseReview():
            return [ReviewClosed(order=command.order)] if order.in_review else []
        case CompleteOrder():
            return _complete(command, order)
        case AcceptReturn():
            return _accept_return(command, order)
        case WithdrawReturn():
            return withdraw(command, order.returns)
        case CompleteReturn():
            return complete(command, order.content, order.returns)
        case _:
            assert_never(command)


def _place(command: PlaceOrder, order: Order) -> Sequence[OrderEvent]:
    placed = OrderPlaced(
        order=command.order,
        customer=command.customer,
        merchant=command.merchant,
        lines=command.lines,
        total=command.total,
        down_payment=command.down_payment,
        instalments=command.instalments,
        placed_at=command.placed_at,
    )
    if order.content == placed:
        return []
    if order.content is not None:
        raise ContentDiffers(command.order)
    _check(command)
    return [placed]


def _reject(command: RejectOrder, order: Order) -> Sequence[OrderEvent]:
    if order.status in STANDS:
        raise OutOfOrder(f"{command.order} is {order.status}")
    return [OrderRejected(order=command.order)] if order.status == "placed" else []


def _confirm(command: ConfirmOrder, order: Order) -> Sequence[OrderEvent]:
    if order.status == "unknown":
        raise UnknownAggregate(command.order)
    if order.status == "rejected":
        raise OutOfOrder(f"{command.order} is rejected")
    return [OrderConfirmed(order=command.order)] if order.status == "placed" else []


def _request_review(command: RequestReview, order: Order) -> Sequence[OrderEvent]:
    if order.content is None:
        raise UnknownAggregate(command.order)
    if command.total != order.content.total:
        raise TotalDiffers(f"{order.content.total}, not {command.total}")
    if order.in_review:
        return []
    return [ReviewRequested(order=command.order, total=command.total)]


def _complete(command: CompleteOrder, order: Order) -> Sequence[OrderEvent]:
    if order.status == "unknown":
        raise UnknownAggregate(command.order)
    if order.status not in STANDS:
        raise OutOfOrder(f"{command.order} is {order.status}")
    if order.status != "confirmed":
        return []
    return [OrderCompleted(order=command.order, completed_at=command.completed_at)]


# What came back as a whole is asked for as well: then it is told that nothing is left.
_MAY_COME_BACK: Final[Mapping[Why, frozenset[Status]]] = {
    "returned": frozenset({"completed", "returned"}),
    "lost": frozenset({"confirmed", "returned"}),
}


def _accept_return(command: AcceptReturn, order: Order) -> Sequence[OrderEvent]:
    if order.status == "unknown":
        raise UnknownAggregate(command.order)
    if order.content is None or order.status not in STANDS:
        return [refused(command, f"the order is {order.status}, so nothing can come back")]
    if command.return_id not in order.returns and order.status not in _MAY_COME_BACK[command.why]:
        late = "was delivered" if command.why == "lost" else "was not delivered yet"
        return [refused(command, f"the order {late}")]
    return accept(command, order.content, order.returns)


def _check(command: PlaceOrder) -> None:
    if not command.lines:
        raise NoLines(command.order)
    for line in command.lines:
        if line.quantity <= 0 or line.unit_price.amount < 0:
            raise NotPositive(f"{line.quantity} {line.sku} at {line.unit_price}")
    nothing = Money(0, command.total.currency)
    if sum((line.unit_price * line.quantity for line in command.lines), nothing) != command.total:
        raise TotalDiffers(str(command.total))
    due = down_payment(command.total, command.instalments)
    if command.down_payment != due:
        raise DownPaymentDiffers(f"{due} is due, not {command.down_payment}")
