"""When and in which shares a debt is paid: equal ones, a month apart."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from domain.payments.events import PlannedInstalment
from handrail.kernel import Money

MONTHS: Final = 12


def monthly(
    financed: Money, instalments: int, first_due: date, day: int = 0
) -> Sequence[PlannedInstalment]:
    """The cents that do not divide go to the first instalment.

    Each is due on the `day` of its month, or on the last that this month has; 0 is the day of
    `first_due`, which may itself be the end of a month that is too short.
    """
    share, rest = divmod(financed.amount, instalments)
    return [
        PlannedInstalment(
            number=number,
            due=months_after(first_due, number - 1, day),
            amount=Money(share + rest * (number == 1), financed.currency),
        )
        for number in range(1, instalments + 1)
    ]


def months_after(start: date, months: int, day: int = 0) -> date:
    """The `day` of a later month, or the last one that this month has; 0 is the day of `start`."""
    years, month = divmod(start.month - 1 + months, MONTHS)
    year, month = start.year + years, month + 1
    return date(year, month, min(day or start.day, monthrange(year, month)[1]))


def month_after(last: date, planned: Iterable[date]) -> date:
    """A month after the `last` due date of a plan that was `planned` so.

    Where `last` is the end of a short month, the day is the one that longer months had.
    """
    is_month_end = last.day == monthrange(last.year, last.month)[1]
    day = max((one.day for one in planned), default=0) if is_month_end else 0
    return months_after(last, 1, max(day, last.day))
