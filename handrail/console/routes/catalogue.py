"""The catalogue: what the App that runs declares, drawn from the values themselves."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from handrail.catalogue import Catalogue
from handrail.console.drawing import drawing_of
from handrail.console.event_forms import forms_of_events
from handrail.console.rendering import page
from handrail.console.saga_view import definition_of
from handrail.database_engine import driver_connection
from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.schemas import Name
from handrail.kernel import context_of

router = APIRouter(dependencies=[needs("sagas:read", own_rows=True)])


@router.get("/console/catalogue")
async def catalogue(request: Request, services: ServicesDep) -> Response:
    """Three statements."""
    app = services.app
    async with services.database.connection() as connection:
        driver = await driver_connection(connection)
        forms = await forms_of_events(driver, app.codec.lineages, app.events)
    return await page(
        request,
        services,
        "catalogue.html",
        types=[
            {"name": one.name, "purpose": one.purpose, "steps": list(one.example().names)}
            for one in app.saga_types.values()
        ],
        events=[_event(app, one) for one in app.events],
        consumers=[
            {"name": one.name, "queue": f"{one.vhost}/{one.queue}", "wants": sorted(one.types)}
            for one in app.consumers
        ],
        models=[one.name for one in app.read_models],
        forms=forms,
        readers=_readers(app),
    )


@router.get("/console/catalogue/sagas/{name}")
async def saga_type(request: Request, services: ServicesDep, name: Name) -> Response:
    found = services.app.saga_types.get(name)
    if found is None:
        raise Problem("not-found", f"there is no saga type {name}")
    view = definition_of(found.example())
    return await page(
        request,
        services,
        "saga_type.html",
        name=found.name,
        purpose=found.purpose,
        view=view,
        drawing=drawing_of(view),
    )


def _readers(app: Catalogue) -> dict[str, list[str]]:
    """The consumers and read models of each event, in any of its forms."""
    return {
        event.__name__: [
            *(one.name for one in app.consumers if event.__name__ in one.types),
            *(one.name for one in app.read_models if event.__name__ in one.types),
        ]
        for event in app.events
    }


def _event(app: Catalogue, event: type[Any]) -> dict[str, Any]:
    name = event.__name__
    return {
        "name": name,
        "context": context_of(event),
        "version": app.codec.version(name),
        "models": [one.name for one in app.read_models if name in one.types],
        "consumers": [one.name for one in app.consumers if name in one.types],
    }
