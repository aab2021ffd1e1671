"""Compare the contracts of events with the files others build on, or write those anew."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from handrail.app import App
from handrail.lake.view_sources import views_by_event
from handrail.messaging.contracts.committed import Contracts
from handrail.messaging.contracts.event_readers import EventReaders, readers_by_event


def check(folder: Path, app: App) -> int:
    """0 where the files say what the code says."""
    found = contracts_of(app, folder).differences()
    for one in found:
        print(one, file=sys.stderr)
    if found and not any(one.breaking for one in found):
        print("`handrail contracts --write` brings them up to date", file=sys.stderr)
    return 1 if found else 0


def write(folder: Path, app: App) -> int:
    """0 where they were written; nothing is, where that would hide a broken promise."""
    for one in (broken := contracts_of(app, folder).write()):
        print(one, file=sys.stderr)
    return 1 if broken else 0


def contracts_of(app: App, folder: Path) -> Contracts:
    """What the app promises of its events, to be compared with the files in `folder`."""
    return Contracts(folder, app.events, app.described, app.routing, app.consumers, readers_of(app))


def readers_of(app: App) -> Mapping[str, EventReaders]:
    """By the name of each event."""
    return readers_by_event(
        {one.name: one.types for one in app.consumers},
        {one.name: one.types for one in app.read_models},
        views_by_event(app.lake_views(app.lake())),
    )
