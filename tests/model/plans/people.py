"""What people do in a schedule: operators, who act on what they are shown, and the customer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from temporalio.client import WorkflowExecutionStatus

from handrail.http.problems import Problem
from handrail.http.saga_control import check_left
from handrail.http.start_input import newest_attempt
from handrail.kernel import Attribution
from handrail.sagas.options import Intervention
from handrail.sagas.parking import Parked
from tests.model.plans.contexts import CUSTOMER, MERCHANT, ORDER
from tests.model.plans.process import Process
from tests.model.plans.state import State, begins
from tests.model.runtime import OPTIONS, Told
from workflows import plan_collection, return_order
from workflows.plan_collection import CollectInstalments, Progress
from workflows.plan_wishes import PayAllNow

AGAIN: Final = "again "
"""Before the id of a saga: an operator has it begun again."""
COLLECTOR: Final = plan_collection.workflow_id(ORDER)
COLLECTS: Final = "collector"
"""What is owed once who collects the plan was terminated."""
CANCELS: Final = Attribution(actor="customer", reason="changed my mind")
PAYS_ALL: Final = PayAllNow(actor="customer", card="")
PLAN: Final = CollectInstalments(order=ORDER, customer=CUSTOMER, merchant=MERCHANT)
RETRIES: Final = 1


def left(state: State) -> Sequence[str]:
    """The returns that were terminated and may be begun again, as the API says."""
    found = []
    for id_ in sorted(state.owed - {COLLECTS}):
        told = newest_attempt(state.story(id_))
        try:
            check_left(id_, WorkflowExecutionStatus.TERMINATED, told)
        except Problem:
            continue
        found.append(id_)
    return found


def begins_again(state: State, id_: str) -> State:
    begun = state.instances[id_].begun
    input_, options, actor, attempt = begun.arguments
    told = newest_attempt(state.story(id_))
    number = max(attempt, told.number if told else 0) + 1
    state = state.after(f"an operator has {id_} begun again", owed=state.owed - {id_}, active=id_)
    return begins(state, return_order.TYPE, id_, [input_, options, actor, number])


def has_it_collected(state: State, what: str) -> State:
    """As the API does where the plan is open and its process has ended."""
    arguments = [PLAN, OPTIONS, "operator", Progress(reopened=True)]
    state = state.after(f"{what}: {COLLECTOR} is begun anew", owed=state.owed - {COLLECTS})
    return begins(state, plan_collection.TYPE, COLLECTOR, arguments)


def is_owed(state: State) -> bool:
    """Whether who collects the plan was terminated, and nobody does now."""
    return COLLECTS in state.owed and bool(state.plan.due) and not state.is_running(COLLECTOR)


def waiting(code: Process) -> Sequence[Parked]:
    saga = getattr(code.code, "_saga", None)
    if saga is None or code.handlers:
        return []
    places = saga._parking._places.values()
    return [one for one in places if one.shown and not one.claimed and not one.goes_on]


def interventions(state: State, id_: str, code: Process) -> Iterator[State]:
    """Of a step in doubt it is found out what became of it; any other is taken back."""
    [parked, *_] = waiting(code)
    kinds: list[tuple[Any, bool]] = [("compensate", True)]
    if parked.role in {"retriable", "compensation"}:
        kinds = [("retry", True)]
    elif parked.in_doubt:
        stands = any(one.key.startswith(f"{id_}/") for one in state.ledger.standing("refund"))
        adjustment = state.plan.adjustments.get(parked.command.return_id)  # type: ignore[attr-defined]  # a refund
        is_known = adjustment is not None and adjustment.paid
        kinds = [] if is_known else [("resolve", stands)]
        if is_known or parked.nth <= RETRIES:
            kinds.append(("retry", True))
    for kind, happened in kinds:
        by = Intervention(
            id=f"i{state.sent}",
            kind=kind,
            actor="operator",
            reason="looked into it",
            step=parked.step,
            evidence="ticket" if kind == "resolve" else "",
            happened=happened,
        )
        said = f"{kind}{'' if happened else ': it did not happen'}"
        told = state.after(f"{id_}: an operator says {said}, of {parked.step}", sent=state.sent + 1)
        instance = told.instances[id_].records()
        yield told.having(instance.hears(told.now, Told(by.id, by)))
