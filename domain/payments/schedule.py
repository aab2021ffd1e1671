"""When and in which shares a debt is paid: equal ones, a month apart."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from typing import Final

from domain.kernel import Money
from domain.payments.events import PlannedInstalment

MONTHS: Final = 12


def monthly(financed: Money, instalments: int, first_due: date) -> Sequence[PlannedInstalment]:
    """The cents that do not divide go to the first instalment."""
    share, rest = divmod(financed.amount, instalments)
    return [
        PlannedInstalment(
            number=number,
            due=months_after(first_due, number - 1),
            amount=Money(share + rest * (number == 1), financed.currency),
        )
        for number in range(1, instalments + 1)
    ]


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or the last one that this month has."""
    years, month = divmod(day.month - 1 + months, MONTHS)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
