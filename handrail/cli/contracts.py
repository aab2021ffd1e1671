"""Compare the contracts of events with the files others build on, or write those anew."""

from __future__ import annotations

import sys
from pathlib import Path

from handrail.app import App
from handrail.messaging.contracts.committed import Contracts


def check(folder: Path, app: App) -> int:
    """0 where the files say what the code says."""
    found = _contracts(folder, app).differences()
    for one in found:
        print(one, file=sys.stderr)
    if found and not any(one.breaking for one in found):
        print("`handrail contracts --write` brings them up to date", file=sys.stderr)
    return 1 if found else 0


def write(folder: Path, app: App) -> int:
    """0 where they were written; nothing is, where that would hide a broken promise."""
    for one in (broken := _contracts(folder, app).write()):
        print(one, file=sys.stderr)
    return 1 if broken else 0


def _contracts(folder: Path, app: App) -> Contracts:
    return Contracts(folder, app.events, app.described, app.routing, app.consumers)
