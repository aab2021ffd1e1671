"""What was proven: the findings of each invariant, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.text import Text

from handrail.counted import counted
from handrail.terminal_tables import Column, Table
from handrail.verify.feed_checks import REMEDIES
from handrail.verify.violations import Violation

SHOWN: Final = 5
"""Violations shown of each invariant; all of them are counted."""
KEPT: Final = 100
"""Violations of each invariant whose text is kept."""


@dataclass
class Findings:
    """What is wrong, and what only differs because a person did it by hand and said so, or because
    one of the two sides was deleted after its retention.
    """

    count: int = 0
    texts: list[str] = field(default_factory=list)
    explained: int = 0
    explanations: list[str] = field(default_factory=list)

    def add(self, violation: Violation, explained_by: str | None = None) -> None:
        if explained_by is None:
            self.count += 1
            if len(self.texts) < KEPT:
                self.texts.append(violation.text)
        else:
            self.explained += 1
            if len(self.explanations) < KEPT:
                self.explanations.append(f"{violation.text}: {explained_by}")


@dataclass(frozen=True)
class Proof:
    """What was looked at, and what of it is wrong."""

    findings: Mapping[str, Findings]
    events: int
    sagas: int

    @property
    def violations(self) -> Mapping[str, Sequence[str]]:
        """Of each invariant the first ones; empty where it holds."""
        return {name: found.texts for name, found in self.findings.items()}

    @property
    def holds(self) -> bool:
        return not any(found.count for found in self.findings.values())

    def as_json(self) -> dict[str, bool]:
        return {name: not found.count for name, found in self.findings.items()}

    def explained(self) -> dict[str, int]:
        """How many differences are explained, where there are any."""
        return {name: one.explained for name, one in self.findings.items() if one.explained}


def show(proof: Proof, console: Console) -> None:
    table = Table((Column(""), Column("invariant"), Column("what is wrong", kind="text")))
    for name, found in proof.findings.items():
        mark = Text("✗", style="red") if found.count else Text("✓", style="green")
        rest = found.count - SHOWN
        remedy = [f"→ {REMEDIES[name]}"] if found.count and name in REMEDIES else []
        lines = [*found.texts[:SHOWN], *([f"… and {rest} more"] if rest > 0 else []), *remedy]
        if found.explained:
            lines.append(f"{found.explained} explained: {found.explanations[0]}")
        table.add(mark, name.replace("_", " "), "\n".join(lines))
    table.print(console)
    console.print(f"{counted(proof.events, 'event')} of {counted(proof.sagas, 'saga')} were read.")
