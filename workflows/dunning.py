"""When an instalment is asked for: when it is due and, where it was missed, at longer intervals."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from domain.payments.plan_state import Instalment, InstalmentPlan

NINE: Final = time(9, tzinfo=UTC)
FEE_FROM: Final = 2
"""The miss from which on each costs a fee."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """A missed instalment is asked for again after so many days, longer each time, and is given up
    when it was missed once more. `late_fee` is in minor units of the plan's currency; 0: none.
    """

    again_after_days: tuple[int, ...] = (3, 7, 14)
    late_fee: int = 5_00


@dataclass(frozen=True, kw_only=True)
class Dunning:
    """Of each instalment that was asked for and not paid, by its number: how often it was missed,
    and when it is asked for again.
    """

    missed: Mapping[int, int] = field(default_factory=dict)
    again_at: Mapping[int, datetime] = field(default_factory=dict)

    def when(self, one: Instalment) -> datetime:
        return self.again_at.get(one.number) or datetime.combine(one.due, NINE)

    def next(self, plan: InstalmentPlan, without: Container[int] = ()) -> Instalment | None:
        """Of those that are due, `without` these numbers."""
        due = [one for one in plan.due if one.number not in without]
        return min(due, key=lambda one: (self.when(one), one.number), default=None)

    def misses(self, number: int) -> int:
        return self.missed.get(number, 0)

    def is_late(self, number: int) -> bool:
        return self.misses(number) >= FEE_FROM

    def is_given_up(self, number: int, terms: Terms) -> bool:
        return self.misses(number) > len(terms.again_after_days)

    def with_miss(self, number: int) -> Dunning:
        return replace(self, missed={**self.missed, number: self.misses(number) + 1})

    def with_pause(self, number: int, now: datetime, terms: Terms) -> Dunning:
        """Asked for again after the interval that follows its last miss."""
        days = terms.again_after_days
        nth = min(max(self.misses(number), 1), len(days))
        pause = timedelta(days=days[nth - 1] if days else 1)
        return replace(self, again_at={**self.again_at, number: now + pause})

    def with_misses(self, missed: Mapping[int, int], now: datetime, terms: Terms) -> Dunning:
        """Those of an earlier process: when it would have asked again is not on record."""
        found = replace(self, missed={**missed, **self.missed})
        for number in missed.keys() - self.missed.keys():
            found = found.with_pause(number, now, terms)
        return found

    def without_pause(self, number: int) -> Dunning:
        """Asked for when it is due: that was agreed on anew."""
        again_at = {known: at for known, at in self.again_at.items() if known != number}
        return replace(self, again_at=again_at)
