"""What must run in Temporal for what the stores say. Held to account are only processes that must
still run: a closed workflow is forgotten by Temporal after its retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.payments.plan import InstalmentPlan
from domain.shipping.shipment import ON_ITS_WAY
from runtime.evidence import Evidence, Workflow
from runtime.invariants_of_orders import ending_of, placed_of
from runtime.violations import Violation, steps
from workflows import collect_instalments, deliver_order

_NOT_THERE: Final = Workflow(running=False)


def needed(evidence: Evidence) -> Iterator[str]:
    """The ids of the workflows that the invariants below ask for."""
    if _must_be_collected(evidence):
        yield collect_instalments.workflow_id(evidence.id)
        yield evidence.id
    if _must_be_delivered(evidence):
        yield deliver_order.workflow_id(evidence.id)
        yield evidence.id
    if _is_parked(evidence):
        yield evidence.id


def processes_run(evidence: Evidence) -> Iterator[Violation]:
    """Every completed order has its plan; a plan with anything due has a running collector, and an
    order that is on its way a running delivery.
    """
    is_completed = ending_of(evidence) == "completed" and placed_of(evidence) is not None
    if is_completed and evidence.state("plan") is None:
        text = f"order {evidence.id}: it is completed, and has no plan"
        yield Violation(text, steps("OpenPlan"))
    if evidence.workflows is None:
        return
    if _must_be_collected(evidence):
        yield from _runs(evidence, collect_instalments.workflow_id(evidence.id), "something is due")
    if _must_be_delivered(evidence):
        yield from _runs(evidence, deliver_order.workflow_id(evidence.id), "it is on its way")


def parked_in_temporal(evidence: Evidence) -> Iterator[Violation]:
    """A saga that is parked on the board waits in Temporal, where an operator can reach it."""
    if evidence.workflows is None or not _is_parked(evidence):
        return
    found = evidence.workflows.get(evidence.id, _NOT_THERE)
    if not (found.running and found.parked) and not _closed_later(evidence, found):
        state = "runs" if found.running else "does not run"
        yield Violation(f"saga {evidence.id}: parked on the board, but its workflow {state}")


def _must_be_collected(evidence: Evidence) -> bool:
    plan: InstalmentPlan | None = evidence.state("plan")
    is_open = plan is not None and plan.status == "open" and bool(plan.due)
    return is_open and ending_of(evidence) == "completed"


def _must_be_delivered(evidence: Evidence) -> bool:
    shipment = evidence.state("shipment")
    is_on_its_way = shipment is not None and shipment.status in ON_ITS_WAY
    return is_on_its_way and ending_of(evidence) == "completed"


def _is_parked(evidence: Evidence) -> bool:
    return evidence.rows.get("saga_board", {}).get("status") == "parked"


def _runs(evidence: Evidence, workflow: str, because: str) -> Iterator[Violation]:
    assert evidence.workflows is not None
    checkout = evidence.workflows.get(evidence.id, _NOT_THERE)
    found = evidence.workflows.get(workflow, _NOT_THERE)
    # A checkout begins what follows after its end is stored.
    if not (found.running or checkout.running or _closed_later(evidence, found)):
        yield Violation(f"order {evidence.id}: {because}, but {workflow} does not run")


def _closed_later(evidence: Evidence, found: Workflow) -> bool:
    """Temporal was asked last: what has ended meanwhile was still to run."""
    return bool(found.closed_at and evidence.looked_at and found.closed_at > evidence.looked_at)
