"""Runs all schedules of a plan, who collects it, and returns of its order; each state once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.model.bank import Ledger
from tests.model.explore import Counterexample, Found
from tests.model.moves import Retried
from tests.model.plans import people
from tests.model.plans.codes import Codes
from tests.model.plans.contexts import Contexts, a_return
from tests.model.plans.laws import AT_REST, IN_THE_END, Law
from tests.model.plans.moves import Moves
from tests.model.plans.state import State, begins
from tests.model.runtime import BEGAN, OPTIONS
from tests.model.state import Path
from workflows import plan_collection, return_order
from workflows.return_order import ReturnOrder

LONGEST: Final = 400
"""Moves of a schedule: more means that it goes on for ever."""
RETURNS: Final = {
    "all of it": (a_return("all", pieces=3, absorbed=2),),
    "two returns": (a_return("first", 1, absorbed=1), a_return("then", 2, absorbed=1)),
}


def explore(
    returns: str, kinds: frozenset[str], budget: int, *, without: frozenset[str] = frozenset()
) -> Found:
    """All schedules with at most `budget` disturbances of these `kinds`, until a law is broken.

    `without` are patches of workflows that are not there.
    """
    return Explorer(kinds, without).all(RETURNS[returns], budget)


class Explorer:
    def __init__(self, kinds: frozenset[str], without: frozenset[str]) -> None:
        self._contexts = Contexts()
        self._codes = Codes(without)
        self._moves = Moves(self._contexts, self._codes, kinds)
        self._seen: set[int] = set()
        self.found = Found()

    def all(self, returns: Sequence[ReturnOrder], budget: int) -> Found:
        waiting, found = [self._first(returns, budget)], self.found
        while waiting and not found.broken:
            self._walk(waiting.pop(), waiting)
        return found

    def _first(self, returns: Sequence[ReturnOrder], budget: int) -> State:
        """The order is delivered, and its plan collected."""
        state = State(
            contents=self._contexts.bought(),
            ledger=Ledger(),
            now=BEGAN,
            instances={},
            budget=budget,
            path=Path(None, "an order is delivered, and its plan collected"),
            active=people.COLLECTOR,
        )
        arguments = [people.PLAN, OPTIONS, "customer", None]
        state = begins(state, plan_collection.TYPE, people.COLLECTOR, arguments)
        for asked in returns:
            id_ = return_order.saga_id(asked.return_id)
            state = begins(state, return_order.TYPE, id_, [asked, OPTIONS, "customer", 1])
        return state

    def _walk(self, state: State, waiting: list[State]) -> None:
        """On from a state without disturbances; what may disturb it waits."""
        for _ in range(LONGEST):
            self.found.ways += 1
            if state.broken:
                self._breaks(state.broken, state)
                return
            if state.key in self._seen:
                return
            self._seen.add(state.key)
            self.found.states += 1
            try:
                others = self._moves.of(state)
                following = next(others, None)
                waiting.extend(others)
            except Retried as failure:
                self._breaks(f"an activity is tried for ever: {failure}", state)
                return
            if following is None:
                following = self._later(state, waiting)
            if following is None:
                return
            state = following
        self._breaks("it goes on for ever", state)

    def _later(self, state: State, waiting: list[State]) -> State | None:
        """What follows where nobody can go on; None in the end."""
        self.found.ends += 1
        if self._judge(AT_REST, state):
            return None
        if state.budget:
            less = replace(state, budget=state.budget - 1)
            waiting.extend(self._moves.from_outside(less))
        if people.is_owed(state):
            return people.has_it_collected(state, "an operator sees that nobody collects it")
        following = next(self._moves.later(state), None)
        if following is None:
            self._judge(IN_THE_END, state)
        return following

    def _judge(self, laws: Sequence[Law], state: State) -> bool:
        for law in laws:
            if said := law(state, lambda id_: self._codes.of(state.instances[id_])):
                self._breaks(f"{law.__name__}: {said}", state)
                return True
        return False

    def _breaks(self, law: str, state: State) -> None:
        self.found.broken.append(Counterexample(law, state))
