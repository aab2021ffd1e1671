"""What comes back of an order, and what it is worth: at the prices it was bought at.

An article may have been bought at two prices. Then the dearest pieces are the first to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import assert_never

from domain.errors import NoLines, TotalDiffers
from domain.identifiers import ReturnId, Sku
from domain.ordering.commands import AcceptReturn, CompleteReturn, WithdrawReturn
from domain.ordering.events import (
    OrderLine,
    OrderPlaced,
    ReturnAccepted,
    ReturnCompleted,
    ReturnEvent,
    ReturnLine,
    ReturnRefused,
    ReturnWithdrawn,
)
from handrail.errors import ContentDiffers, NotPositive, OutOfOrder
from handrail.kernel import Money


@dataclass(frozen=True)
class Return:
    """`pieces` are what it takes of the order, each with the price it was bought at."""

    accepted: ReturnAccepted
    pieces: tuple[OrderLine, ...]
    completed: bool = False


Returns = Mapping[ReturnId, Return]


def taken_by(returns: Iterable[Return]) -> Sequence[OrderLine]:
    """The pieces that no other return can have."""
    return tuple(chain.from_iterable(one.pieces for one in returns))


def value_of(
    content: OrderPlaced, taken: Iterable[OrderLine], lines: Iterable[ReturnLine]
) -> Money:
    """What the lines cost, where `taken` is gone already; what is not there is worth nothing."""
    nothing = Money(0, content.total.currency)
    pieces = pieces_of(content, taken, lines)
    return sum((piece.unit_price * piece.quantity for piece in pieces), nothing)


def left_of(content: OrderPlaced, taken: Iterable[OrderLine]) -> tuple[ReturnLine, ...]:
    """All that can still come back."""
    returnable = _quantities(_returnable(content, taken))
    return tuple(ReturnLine(sku=sku, quantity=returnable[sku]) for sku in sorted(returnable))


def pieces_of(
    content: OrderPlaced, taken: Iterable[OrderLine], lines: Iterable[ReturnLine]
) -> tuple[OrderLine, ...]:
    """The dearest pieces of each article that are not `taken`, as many as there are."""
    wanted = _quantities(lines)
    found = []
    for piece in _returnable(content, taken):
        quantity = min(piece.quantity, wanted[piece.sku])
        if quantity:
            found.append(replace(piece, quantity=quantity))
            wanted[piece.sku] -= quantity
    return tuple(found)


def with_return(
    returns: Returns,
    content: OrderPlaced | None,
    event: ReturnAccepted | ReturnWithdrawn | ReturnCompleted,
) -> Returns:
    name = event.return_id
    match event:
        case ReturnAccepted(lines=lines):
            taken = taken_by(returns.values())
            pieces = pieces_of(content, taken, lines) if content else ()
            return {**returns, name: Return(event, pieces)}
        case ReturnWithdrawn():
            return {one: kept for one, kept in returns.items() if one != name}
        case ReturnCompleted():
            return {**returns, name: replace(returns[name], completed=True)}
        case _:
            assert_never(event)


def accept(command: AcceptReturn, content: OrderPlaced, returns: Returns) -> Sequence[ReturnEvent]:
    """Raises NoLines, NotPositive, TotalDiffers, ContentDiffers."""
    accepted = ReturnAccepted(
        order=command.order,
        return_id=command.return_id,
        lines=command.lines,
        value=command.value,
        why=command.why,
        accepted_at=command.accepted_at,
    )
    if before := returns.get(command.return_id):
        if before.accepted != accepted:
            raise ContentDiffers(command.return_id)
        return []
    _check(command)
    taken = taken_by(returns.values())
    if more := _more_than_is_left(content, taken, command.lines):
        return [refused(command, more)]
    value = value_of(content, taken, command.lines)
    if command.value != value:
        raise TotalDiffers(f"the lines cost {value}, not {command.value}")
    return [accepted]


def refused(command: AcceptReturn, cause: str) -> ReturnRefused:
    return ReturnRefused(order=command.order, return_id=command.return_id, cause=cause)


def withdraw(command: WithdrawReturn, returns: Returns) -> Sequence[ReturnEvent]:
    found = returns.get(command.return_id)
    if found is None:
        return []
    if found.completed:
        raise OutOfOrder(f"{command.return_id} is completed")
    return [ReturnWithdrawn(order=command.order, return_id=command.return_id)]


def complete(
    command: CompleteReturn, content: OrderPlaced | None, returns: Returns
) -> Sequence[ReturnEvent]:
    found = returns.get(command.return_id)
    if content is None or found is None:
        raise OutOfOrder(f"{command.return_id} was not accepted")
    if found.completed:
        return []
    back = taken_by(one for one in returns.values() if one.completed or one is found)
    return [
        ReturnCompleted(
            order=command.order,
            return_id=command.return_id,
            everything=not _returnable(content, back),
        )
    ]


def _check(command: AcceptReturn) -> None:
    if not command.lines:
        raise NoLines(command.return_id)
    for line in command.lines:
        if line.quantity <= 0:
            raise NotPositive(f"{line.quantity} {line.sku}")


def _more_than_is_left(
    content: OrderPlaced, taken: Iterable[OrderLine], lines: Iterable[ReturnLine]
) -> str:
    """Empty where nothing is missing."""
    returnable = _quantities(_returnable(content, taken))
    wanted = _quantities(lines)
    return ", ".join(
        f"{returnable[sku]} of {wanted[sku]} {sku} can come back"
        for sku in sorted(wanted)
        if wanted[sku] > returnable[sku]
    )


def _returnable(content: OrderPlaced, taken: Iterable[OrderLine]) -> Sequence[OrderLine]:
    returnable = Counter[tuple[Sku, Money]]()
    for line in content.lines:
        returnable[line.sku, line.unit_price] += line.quantity
    for piece in taken:
        returnable[piece.sku, piece.unit_price] -= piece.quantity
    pieces = [
        OrderLine(sku=sku, quantity=quantity, unit_price=price)
        for (sku, price), quantity in returnable.items()
        if quantity > 0
    ]
    return sorted(pieces, key=lambda piece: piece.unit_price.amount, reverse=True)


def _quantities(lines: Iterable[OrderLine | ReturnLine]) -> Counter[Sku]:
    quantities = Counter[Sku]()
    for line in lines:
        quantities[line.sku] += line.quantity
    return quantities
