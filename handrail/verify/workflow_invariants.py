"""What must run in Temporal for what the sagas' streams say. Only what must still run is held to
account: Temporal forgets a closed workflow after its retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from handrail.verify.evidence import SagaEvidence, Workflow
from handrail.verify.saga_facts import parked_steps
from handrail.verify.violations import Violation

NOT_THERE: Final = Workflow(running=False)


def sagas_needed(evidence: SagaEvidence) -> Iterator[str]:
    """The id of the workflow that the invariants below ask for."""
    if is_under_way(evidence):
        yield evidence.id


def sagas_run(evidence: SagaEvidence) -> Iterator[Violation]:
    """A saga that has not ended runs."""
    if evidence.workflows is None:
        return
    if is_under_way(evidence) and not has_run_on(evidence, evidence.id):
        text = f"saga {evidence.id}: it has not ended, but its workflow does not run"
        yield Violation(f"{text}: see `handrail sagas again`")


def parked_in_temporal(evidence: SagaEvidence) -> Iterator[Violation]:
    """A saga that is parked is parked in Temporal, too, where an operator can reach it."""
    if evidence.workflows is None or not parked_steps(evidence.story):
        return
    found = evidence.workflows.get(evidence.id, NOT_THERE)
    if found.running and not found.parked:
        text = f"saga {evidence.id}: parked in its stream, but not in Temporal"
        yield Violation(text)


def is_under_way(evidence: SagaEvidence) -> bool:
    own = evidence.sagas.get(evidence.id)
    return own is not None and own.ending is None


def has_run_on(evidence: SagaEvidence, workflow: str) -> bool:
    """Temporal was asked last: what has ended meanwhile was still running."""
    assert evidence.workflows is not None
    found = evidence.workflows.get(workflow, NOT_THERE)
    closed_later = found.closed_at and evidence.looked_at and found.closed_at > evidence.looked_at
    return found.running or bool(closed_later)
