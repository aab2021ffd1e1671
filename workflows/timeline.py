"""What an operator reads in the Temporal UI while a saga runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Timeline:
    status: str = "running"
    _rows: list[str] = field(default_factory=list)

    def add(self, started: datetime, ended: datetime, step: str, direction: str, what: str) -> None:
        took = round((ended - started).total_seconds() * 1000)
        name = step if direction == "do" else f"{step} (undo)"
        self._rows.append(f"| {started:%H:%M:%S} | {name} | {what} | {took} ms |")

    def markdown(self) -> str:
        """A table, newest last; the last 40 rows, because Temporal keeps 20 KB."""
        head = f"**{self.status}**\n\n| at (UTC) | step | outcome | took |\n|---|---|---|---|\n"
        return head + "\n".join(self._rows[-40:])
