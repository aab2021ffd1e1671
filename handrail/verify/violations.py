"""What is wrong, and whether a person has answered for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from handrail.verify.evidence import SagaEvidence


@dataclass(frozen=True)
class Violation:
    """`steps` are those that leave such a difference where a person skips or resolves them: what
    was done by hand is in no store of ours. `deleted` says what its retention deleted, where that
    alone makes the difference.
    """

    text: str
    steps: frozenset[str] = frozenset()
    deleted: str = ""

    def explained_by(self, evidence: SagaEvidence) -> str | None:
        """What was deleted after its retention, or the step and the saga in which a person answers
        for it; None where nothing explains it.
        """
        if self.deleted:
            return self.deleted
        for saga, facts in sorted(evidence.sagas.items()):
            for step in sorted(self.steps & facts.documented):
                return f"by hand, {step} of saga {saga}"
        return None


EvidenceT = TypeVar("EvidenceT", bound=SagaEvidence)

Invariant = Callable[[EvidenceT], Iterator[Violation]]
"""Yields what is not as it must be, of one id."""


def steps(*names: str) -> frozenset[str]:
    return frozenset(names)
