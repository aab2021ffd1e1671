"""What became of everything, as the stores say, and what customers were told of it meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from handrail.verify.proof import Proof
from tests.journeys.books import Books
from tests.journeys.people import People
from tests.journeys.unrest import Terminations


@dataclass
class Told:
    """What customers were told, and may count on."""

    orders: list[str] = field(default_factory=list)
    decisions: dict[str, str] = field(default_factory=dict)
    cancellations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`board` has all sagas by their ids, as the API shows them."""

    told: Told
    killed: list[int]
    terminations: Terminations
    people: People
    board: Mapping[str, Mapping[str, Any]]
    proof: Proof
    books: Books

    def broken_promises(self) -> Iterator[str]:
        """Who was told yes has the order, unless an operator had it taken back; who was told no, or
        that it is cancelled, has not.
        """
        for order, decision in self.told.decisions.items():
            status = self.board[order]["status"]
            is_kept = (decision == "approved") == (status == "completed")
            if not is_kept and order not in self.people.compensated:
                yield f"{order}: the customer was told {decision}, and it is {status}"
        for order, said in self.told.cancellations.items():
            if said == "cancelling" and self.board[order]["status"] == "completed":
                yield f"{order}: the customer was told that it is cancelled, and it is completed"

    def wrong(self) -> Mapping[str, list[str]]:
        found = {name: list(texts) for name, texts in self.proof.violations.items()}
        found["the_books_agree_to_the_cent"] = list(self.books.differences())
        found["promises_are_kept"] = list(self.broken_promises())
        return {name: texts for name, texts in found.items() if texts}

    def __str__(self) -> str:
        rows = self.board.values()
        lines: Mapping[str, object] = {
            "orders": len(self.told.orders),
            "workers killed": len(self.killed),
            "sagas terminated": dict(self.terminations.terminated),
            "asked for again": dict(self.terminations.attempts),
            "last attempts": dict(sorted(Counter(one["attempt"] for one in rows).items())),
            "people said": dict(sorted(self.people.said.items())),
            "decisions told": dict(Counter(self.told.decisions.values())),
            "cancellations told": dict(Counter(self.told.cancellations.values())),
            "endings": dict(
                sorted(Counter(f"{one['saga_type']}: {one['status']}" for one in rows).items())
            ),
            "the bank has": dict(self.books.totals(self.books.bank)),
            "finance has": dict(self.books.totals(self.books.finance)),
            "done by hand": len(self.books.by_hand),
            "parcels": self.books.parcels.total(),
            "events, sagas": (self.proof.events, self.proof.sagas),
            "explained": self.proof.explained(),
            "wrong": self.wrong(),
        }
        return "\n".join(f"{name:<20}{said}" for name, said in lines.items())
