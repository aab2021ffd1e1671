"""`handrail check`: makes every part of the App, so that what is declared wrongly is refused."""

from __future__ import annotations

from handrail.app import App
from handrail.settings import Settings


def check(app: App, settings: Settings) -> str:
    """A line with what there is.

    Raises WronglyDeclared, or what the modules raise that a part imports.
    """
    sagas, workflows = app.saga_types, app.all_workflows
    for saga in sagas.values():
        saga.example()
    app.lake_views(app.lake())
    app.event_contracts()
    app.webhooks()
    app.options_of(settings)
    if app.verification is not None:
        app.verification(settings)
    counted = {
        "contexts": app.contexts,
        "sagas": sagas,
        "workflows around sagas": workflows[len(sagas) : -1],
        "read models": app.read_models,
        "consumers": app.consumers,
        "routers": app.routers(),
    }
    return ", ".join(f"{len(parts)} {what}" for what, parts in counted.items()) + ": no mistake"
