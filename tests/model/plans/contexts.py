"""The contexts that know of an order, over the store in memory: the real activities, and an order
that was bought, delivered, and is being paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from unittest.mock import patch

import handrail.activities.command_activity
from activities import credit, inventory, ordering, queries
from activities.payments.plan import Plans
from activities.settlement import activities as settlement
from domain.credit.commands import AssignLimit, ConsumeCredit, HoldCredit
from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId, Sku
from domain.inventory.commands import ReceiveStock, ReserveStock, ShipStock, StockLine
from domain.ordering.commands import CompleteOrder, ConfirmOrder, PlaceOrder
from domain.ordering.events import OrderLine, ReturnLine
from domain.payments.commands import OpenPlan
from domain.payments.plan import InstalmentPlan, evolve
from domain.settlement.commands import AccruePayable, OpenMerchantAccount
from handrail.activities import read_ending, saga_recorder
from handrail.activities.command_handler import CommandHandler
from handrail.kernel import Command, Money
from handrail.sagas.step_keys import StepContext, StepKey
from runtime.app import HANDRAIL
from tests.model.bank import Kind, Ledger, MemoryBank
from tests.model.driving import Deed, drive
from tests.model.runtime import BEGAN, Loop
from tests.model.store import Contents, MemoryStore
from workflows.return_order import ReturnOrder

NAME: Final = "__temporal_activity_definition"
ORDER, CUSTOMER, MERCHANT = OrderId("order"), CustomerId("customer"), MerchantId("merchant")
CUP, CARD = Sku("cup"), "card"
PIECES: Final = 3
INSTALMENTS: Final = 2
PRICE: Final = Money(30_00, "EUR")
TOTAL: Final = PRICE * PIECES
FINANCED: Final = PRICE * INSTALMENTS
FIRST_DUE: Final = date(2026, 12, 23)
_SKU: Final = (StockLine(sku=CUP, quantity=PIECES),)
BOUGHT: Final[Sequence[Command]] = (
    AssignLimit(customer=CUSTOMER, limit=TOTAL),
    HoldCredit(customer=CUSTOMER, order=ORDER, amount=FINANCED),
    ReceiveStock(merchant=MERCHANT, sku=CUP, delivery="first", quantity=PIECES),
    ReserveStock(order=ORDER, merchant=MERCHANT, lines=_SKU),
    PlaceOrder(
        order=ORDER,
        customer=CUSTOMER,
        merchant=MERCHANT,
        lines=(OrderLine(sku=CUP, quantity=PIECES, unit_price=PRICE),),
        total=TOTAL,
        down_payment=PRICE,
        instalments=INSTALMENTS,
        placed_at=BEGAN,
    ),
    ConfirmOrder(order=ORDER),
    ConsumeCredit(customer=CUSTOMER, order=ORDER),
    OpenMerchantAccount(merchant=MERCHANT, currency="EUR", fee_bps=250),
    AccruePayable(merchant=MERCHANT, order=ORDER, gross=TOTAL),
    OpenPlan(
        order=ORDER,
        customer=CUSTOMER,
        financed=FINANCED,
        instalments=INSTALMENTS,
        card=CARD,
        first_due=FIRST_DUE,
    ),
    ShipStock(order=ORDER, merchant=MERCHANT, skus=(CUP,)),
    CompleteOrder(order=ORDER, completed_at=BEGAN),
)


def a_return(name: str, pieces: int, absorbed: int) -> ReturnOrder:
    """Of so many pieces; as many of them as are `absorbed` were not paid yet when it was quoted."""
    value = PRICE * pieces
    return ReturnOrder(
        return_id=ReturnId(name),
        order=ORDER,
        customer=CUSTOMER,
        merchant=MERCHANT,
        lines=(ReturnLine(sku=CUP, quantity=pieces),),
        value=value,
        absorbed=PRICE * absorbed,
        refund=value - PRICE * absorbed,
        why="returned",
        accepted_at=BEGAN,
    )


def plan_in(contents: Contents) -> InstalmentPlan:
    plan = InstalmentPlan()
    for event in contents.streams.get(f"plan-{ORDER}", ()):
        plan = evolve(plan, event)  # type: ignore[arg-type]  # events of a plan
    return plan


class Contexts:
    """One is enough: what its store and its bank hold is put in before anything happens."""

    def __init__(self) -> None:
        self.store, self.bank = MemoryStore(), MemoryBank()
        store: Any = self.store
        nobody: Any = None
        with _made() as self._handlers:
            served: list[Callable[..., Any]] = [
                *saga_recorder.activities(store, HANDRAIL.codec),
                *read_ending.activities(store),
                *queries.activities(store),
                *ordering.activities(store),
                *inventory.activities(store),
                *credit.activities(store),
                *settlement.activities(store, nobody),
                *Plans(store, self.bank).activities(),
            ]
        self._served: Mapping[str, Callable[..., Any]] = {
            getattr(one, NAME).name: one for one in served
        }
        self._loop = Loop()  # type: ignore[abstract]  # an activity needs no more of it

    def bought(self) -> Contents:
        for command in BOUGHT:
            name = type(command).__name__
            key = StepKey(saga=f"bought-{name}", attempt=1, step=name, opened_on=BEGAN.date())
            self.run(name, [command, StepContext(key=key, actor="customer", alone=True)])
        return self.store.contents

    def put(self, contents: Contents, ledger: Ledger) -> None:
        self.store.contents, self.bank.ledger = contents, ledger
        for handler in self._handlers:
            # A worker that remembers nothing: what is remembered is guarded by versions anyway.
            handler._folded.clear()

    def run(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        declined: frozenset[Kind] = frozenset(),
        asked_again: bool = False,
        cut_after: int | None = None,
    ) -> tuple[Any, tuple[Deed, ...]]:
        """What the activity answers, and its deeds. Raises what it raises, and CutShort."""
        self.bank.declined = declined
        before, handrail.activities.command_activity._is_asked_again = (
            handrail.activities.command_activity._is_asked_again,
            lambda: asked_again,
        )
        try:
            with self._loop.running():
                story = self._served[name](*arguments)
                return drive(story, self._loop.settle, cut_after=cut_after)
        finally:
            handrail.activities.command_activity._is_asked_again = before
            self.bank.declined = frozenset()


@contextmanager
def _made() -> Iterator[list[CommandHandler[Any]]]:
    """The handlers that are made meanwhile: activities show none."""
    made: list[CommandHandler[Any]] = []
    init = CommandHandler.__init__

    def noted(self: CommandHandler[Any], *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        made.append(self)

    with patch.object(CommandHandler, "__init__", noted):
        yield made
