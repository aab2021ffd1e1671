"""What must run in Temporal for what the stores say. Held to account are only processes that must
still run: a closed workflow is forgotten by Temporal after its retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.payments.plan import InstalmentPlan
from domain.shipping.shipment import ON_ITS_WAY
from handrail.verify.temporal_comparison import Compared
from handrail.verify.violations import Violation, steps
from handrail.verify.workflow_invariants import (
    NOT_THERE,
    has_run_on,
    parked_in_temporal,
    sagas_needed,
    sagas_run,
)
from runtime.verify.evidence import Evidence
from runtime.verify.orders import ending_of, placed_of
from workflows import deliver_order, plan_collection

_REPORTED: Final = steps("RecordDispatch", "RecordDelivery", "RecordLoss")


def needed(evidence: Evidence) -> Iterator[str]:
    """The ids of the workflows that the invariants below ask for."""
    if _must_be_collected(evidence):
        yield plan_collection.workflow_id(evidence.id)
        yield evidence.id
    if _must_be_delivered(evidence):
        yield deliver_order.workflow_id(evidence.id)
        yield evidence.id
    yield from sagas_needed(evidence)


def processes_run(evidence: Evidence) -> Iterator[Violation]:
    """Every completed order has its plan; a plan with anything due has a running collector, an
    order that is on its way a running delivery, and a saga that has not ended runs.
    """
    is_completed = ending_of(evidence) == "completed" and placed_of(evidence) is not None
    if is_completed and evidence.state("plan") is None:
        text = f"order {evidence.id}: it is completed, and has no plan"
        yield Violation(text, steps("OpenPlan"))
    if evidence.workflows is None:
        return
    if _must_be_collected(evidence):
        workflow = plan_collection.workflow_id(evidence.id)
        yield from _runs(evidence, workflow, "something is due", frozenset())
    if _must_be_delivered(evidence):
        workflow = deliver_order.workflow_id(evidence.id)
        yield from _runs(evidence, workflow, "it is on its way", _REPORTED)
    yield from sagas_run(evidence)


def _must_be_collected(evidence: Evidence) -> bool:
    plan: InstalmentPlan | None = evidence.state("plan")
    is_open = plan is not None and plan.status == "open" and bool(plan.due)
    return is_open and ending_of(evidence) == "completed"


def _must_be_delivered(evidence: Evidence) -> bool:
    shipment = evidence.state("shipment")
    is_on_its_way = shipment is not None and shipment.status in ON_ITS_WAY
    return is_on_its_way and ending_of(evidence) == "completed"


def _runs(
    evidence: Evidence, workflow: str, because: str, explaining: frozenset[str]
) -> Iterator[Violation]:
    assert evidence.workflows is not None
    checkout = evidence.workflows.get(evidence.id, NOT_THERE)
    # A checkout begins what follows after its end is stored.
    if not (checkout.running or has_run_on(evidence, workflow)):
        text = f"order {evidence.id}: {because}, but {workflow} does not run"
        yield Violation(text, explaining)


COMPARED: Final = Compared(needed, (processes_run, parked_in_temporal))
"""What `handrail verify` asks of Temporal."""
