"""The instalments of a plan, as they are: what is due, what was paid, what came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from domain.identifiers import CustomerId, ReturnId
from domain.payments.events import PlannedInstalment, Reduction
from handrail.kernel import Money

Status = Literal["none", "open", "settled", "written_off"]
NOTHING: Final = Money(0, "")


@dataclass(frozen=True)
class Instalment:
    """`amount` is the principal still to be paid by it; `fees` come on top.

    `reminders` are those that cost a fee. One that was reduced to nothing is cancelled, and its
    fees are not asked for.
    """

    number: int
    due: date
    amount: Money
    fees: Money
    status: Literal["due", "collected", "cancelled"] = "due"
    reminders: tuple[int, ...] = ()


@dataclass(frozen=True)
class Adjustment:
    """What a return did to the plan; `paid` is whether its refund went out."""

    value: Money
    absorbed: Money
    refund: Money
    reductions: tuple[Reduction, ...]
    paid: bool = False


@dataclass(frozen=True)
class InstalmentPlan:
    """`planned` is what was agreed on in the beginning, `instalments` what became of it.

    `settlements` and `write_offs` are how often all that was due was paid at once, or given up: a
    return that is refused after that brings something back.
    """

    status: Status = "none"
    customer: CustomerId = CustomerId("")  # noqa: RUF009  # a str, which nobody changes
    card: str = ""
    planned: tuple[PlannedInstalment, ...] = ()
    instalments: tuple[Instalment, ...] = ()
    adjustments: Mapping[ReturnId, Adjustment] = field(default_factory=dict)
    paid_principal: Money = NOTHING
    paid_fees: Money = NOTHING
    settlements: int = 0
    write_offs: int = 0

    @property
    def in_doubt(self) -> bool:
        """Whether what a return took off it may come back: its refund was not paid yet."""
        return not all(adjustment.paid for adjustment in self.adjustments.values())

    @property
    def due(self) -> Sequence[Instalment]:
        return [instalment for instalment in self.instalments if instalment.status == "due"]

    @property
    def financed(self) -> Money:
        return _sum((one.amount for one in self.planned), self.paid_principal.currency)

    @property
    def outstanding(self) -> Money:
        """The principal that is still to be paid, without fees."""
        return _sum((one.amount for one in self.due), self.paid_principal.currency)

    @property
    def fees_due(self) -> Money:
        return _sum((one.fees for one in self.due), self.paid_principal.currency)

    def instalment(self, number: int) -> Instalment | None:
        return next(
            (instalment for instalment in self.instalments if instalment.number == number), None
        )


def _sum(amounts: Iterable[Money], currency: str) -> Money:
    return sum(amounts, Money(0, currency))
