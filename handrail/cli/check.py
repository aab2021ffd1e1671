"""`handrail check`: makes every part of the App, so that what is declared wrongly is refused."""

from __future__ import annotations

from typing import Final

from handrail.app import App
from handrail.counted import counted
from handrail.messaging.contracts.change_laws import broken_laws
from handrail.settings import Settings
from handrail.wrongly_declared import WronglyDeclared

_CASES: Final = 25
"""Messages that each change is tried on."""


def check(app: App, settings: Settings) -> str:
    """A line with what there is.

    Raises WronglyDeclared, or what the modules raise that a part imports.
    """
    sagas, workflows = app.saga_types, app.all_workflows
    for saga in sagas.values():
        saga.example()
    for said in broken_laws(app.codec, cases=_CASES):
        raise WronglyDeclared(said)
    app.lake_views(app.lake())
    app.event_contracts()
    app.webhooks()
    app.options_of(settings)
    if app.verification is not None:
        app.verification(settings)
    parts = (
        counted(len(app.contexts), "context"),
        counted(len(sagas), "saga"),
        counted(len(workflows) - len(sagas) - 1, "workflow") + " around sagas",
        counted(len(app.read_models), "read model"),
        counted(len(app.consumers), "consumer"),
        counted(len(app.routers()), "router"),
    )
    return ", ".join(parts) + ": no mistake"
