"""Verification: what `handrail verify` proves of a business, and the invariants of every app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic

from handrail.verify.evidence import SagaEvidence
from handrail.verify.evidence_reader import EvidenceReader, SagaEvidenceReader, Sources
from handrail.verify.feed_checks import Check
from handrail.verify.feed_invariants import streams_without_gaps
from handrail.verify.read_model_invariants import read_models_equal_fold
from handrail.verify.saga_invariants import (
    attempts_in_turn,
    decisions_hold,
    interventions,
    steps_have_outcomes,
)
from handrail.verify.temporal_comparison import Compared
from handrail.verify.violations import EvidenceT, Invariant
from handrail.verify.workflow_invariants import parked_in_temporal, sagas_needed, sagas_run

INVARIANTS: Final[Mapping[str, Invariant[SagaEvidence]]] = {
    "steps_have_outcomes": steps_have_outcomes,
    "attempts_in_turn": attempts_in_turn,
    "decisions_hold": decisions_hold,
    "interventions": interventions,
    "processes_run": sagas_run,
    "parked_in_temporal": parked_in_temporal,
    "feed_once_in_order": streams_without_gaps,
    "read_models_equal_fold": read_models_equal_fold,
}
"""Of every app."""


@dataclass(frozen=True, kw_only=True)
class Verification(Generic[EvidenceT]):
    """What is proven of a business beside what holds for every app.

    `invariants` are asked of each id's evidence; of a name that the library has, too, the
    business's is asked, which includes the library's. `compared` is what is asked of Temporal, and
    `stores` of the database as a whole.
    """

    reader: Callable[[Sources], EvidenceReader[EvidenceT]]
    invariants: Mapping[str, Invariant[EvidenceT]] = field(default_factory=dict)
    compared: Compared[EvidenceT] = field(
        default_factory=lambda: Compared(sagas_needed, (sagas_run, parked_in_temporal))
    )
    stores: Mapping[str, Check] = field(default_factory=dict)

    @property
    def everything(self) -> Mapping[str, Invariant[EvidenceT]]:
        """By name, those of the business first."""
        others = {name: one for name, one in INVARIANTS.items() if name not in self.invariants}
        return {**self.invariants, **others}


OF_EVERY_APP: Final = Verification(reader=SagaEvidenceReader)
"""Of a business without invariants of its own."""
