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
    app.options(settings)
    if app.verification is not None:
        app.verification(settings)
    counted = {
        ("context", "contexts"): app.contexts,
        ("saga", "sagas"): sagas,
        ("workflow around sagas", "workflows around sagas"): workflows[len(sagas) : -1],
        ("read model", "read models"): app.read_models,
        ("consumer", "consumers"): app.consumers,
        ("router", "routers"): app.routers(),
    }
    return (
        ", ".join(_counted(len(parts), *what) for what, parts in counted.items()) + ": no mistake"
    )


def _counted(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
