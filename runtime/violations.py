"""What is wrong, and whether a person has answered for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.evidence import Evidence


@dataclass(frozen=True)
class Violation:
    """`steps` are those that leave such a difference where a person skips or resolves them: what
    was done by hand is in no store of ours.
    """

    text: str
    steps: frozenset[str] = frozenset()

    def explained_by(self, evidence: Evidence) -> str | None:
        """The saga in which a person answers for it, and the step; None where nobody does."""
        for saga, facts in sorted(evidence.sagas.items()):
            for step in sorted(self.steps & facts.documented):
                return f"{step} of saga {saga}"
        return None


Invariant = Callable[[Evidence], Iterator[Violation]]
"""Yields what is not as it must be, of one id."""


def steps(*names: str) -> frozenset[str]:
    return frozenset(names)
