"""Which fold each version of a read model has: `make folds` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from handrail.projections.projection_folds import lines_of
from runtime.app import HANDRAIL

FILE: Final = Path(__file__).parent / "folds.txt"
COMMAND: Final = "`make folds`"


def lines() -> str:
    return lines_of(HANDRAIL.read_models, HANDRAIL.codec)


if __name__ == "__main__":
    FILE.write_text(lines())
