"""What is true wherever all wait for time, and what is true in the end. Each law answers why it is
not, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

from domain.credit import credit_line
from domain.payments.events import InstalmentMissed, PlanWrittenOff
from handrail.kernel import Money
from handrail.sagas.events import SagaEnded, SagaResumed
from tests.model.plans.contexts import CUSTOMER, FINANCED, ORDER, PRICE
from tests.model.plans.people import COLLECTOR, COLLECTS
from tests.model.plans.process import Process
from tests.model.plans.state import State
from workflows import return_order

Law = Callable[[State, Callable[[str], Process]], str]
NOTHING: Final = PRICE * 0


def what_is_due_is_asked_for(state: State, code: Callable[[str], Process]) -> str:
    """By who collects the plan, and no later than it is due."""
    if not state.plan.due or COLLECTS in state.owed:
        return ""
    if not state.is_running(COLLECTOR):
        return f"{state.plan.outstanding} is due, and nobody collects it"
    collector = code(COLLECTOR)
    if collector.children:
        return ""
    first = collector.code._state.progress.dunning.next(state.plan)
    when = collector.code._state.progress.dunning.when(first)
    if not collector.timers or min(collector.timers.values()) > max(when, state.now):
        return f"instalment {first.number} is to be asked for on {when:%d %B}, and it is not"
    return ""


def what_was_missed_is_known(state: State, code: Callable[[str], Process]) -> str:
    """By who collects the plan, of all that is due: fees and giving up go by it."""
    if not state.is_running(COLLECTOR):
        return ""
    events = state.contents.streams[f"plan-{ORDER}"]
    missed = Counter(one.number for one in events if isinstance(one, InstalmentMissed))
    known = code(COLLECTOR).code._state.progress.dunning
    for one in state.plan.due:
        if known.misses(one.number) != missed[one.number]:
            said = f"instalment {one.number} was missed {missed[one.number]} times"
            return f"{said}, and who collects it knows of {known.misses(one.number)}"
    return ""


def nothing_is_collected_twice(state: State, _: Callable[[str], Process]) -> str:
    """The bank took what the books say was paid; and what was financed is somewhere, once."""
    taken = _sum(one.amount for one in state.ledger.standing("charge"))
    plan = state.plan
    if taken != plan.paid_principal + plan.paid_fees:
        return f"the bank took {taken}, and the books say {plan.paid_principal + plan.paid_fees}"
    absorbed = _sum(one.absorbed for one in plan.adjustments.values())
    events = state.contents.streams[f"plan-{ORDER}"]
    lost = _sum(one.principal for one in events if isinstance(one, PlanWrittenOff))
    found = plan.paid_principal + plan.outstanding + absorbed + lost
    return "" if found == FINANCED else f"of {FINANCED} that was financed, {found} is accounted for"


def refunds_are_those_of_the_books(state: State, _: Callable[[str], Process]) -> str:
    """Or a person said that it was paid, of which the plan is not told."""
    adjustments = state.plan.adjustments.items()
    owed = _sum(one.refund for id_, one in adjustments if one.paid or _is_by_hand(state, id_))
    paid = _sum(one.amount for one in state.ledger.standing("refund"))
    return "" if owed == paid else f"the bank paid {paid} back, and the books say {owed}"


AT_REST: Final[Sequence[Law]] = (
    what_is_due_is_asked_for,
    what_was_missed_is_known,
    nothing_is_collected_twice,
    refunds_are_those_of_the_books,
)


def a_return_ends_once(state: State, _: Callable[[str], Process]) -> str:
    for id_, instance in state.instances.items():
        if instance.begun.type == return_order.TYPE:
            ends = [one for one in state.story(id_) if isinstance(one, SagaEnded)]
            if len(ends) != 1:
                return f"{id_} ended {len(ends)} times"
    return ""


def all_was_asked_for(state: State, _: Callable[[str], Process]) -> str:
    return f"{state.plan.outstanding} is never asked for" if state.plan.due else ""


def who_pays_may_borrow_again(state: State, _: Callable[[str], Process]) -> str:
    """The credit line knows of no debt that is not due any more."""
    line: Any = credit_line.CreditLine()
    line = reduce(credit_line.evolve, state.contents.streams[f"credit-{CUSTOMER}"], line)  # type: ignore[arg-type]  # events of a credit line
    owes = line.debts.get(ORDER, NOTHING)
    if state.plan.write_offs or owes == state.plan.outstanding:
        return ""
    return f"{state.plan.outstanding} is due, and {owes} is on the credit line"


IN_THE_END: Final[Sequence[Law]] = (
    all_was_asked_for,
    a_return_ends_once,
    who_pays_may_borrow_again,
)


def _is_by_hand(state: State, return_id: str) -> bool:
    story = state.story(return_order.saga_id(return_id))
    resolved = (one for one in story if isinstance(one, SagaResumed) and one.kind == "resolve")
    return any(one.happened for one in resolved)


def _sum(amounts: Any) -> Money:
    return sum(amounts, NOTHING)
