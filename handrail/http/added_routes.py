"""The library's routes in an application, as they were analysed once.

FastAPI's `include_router` analyses every route again for each application: parameters, bodies,
answers, and all that they depend on. It is half of what an API needs to start.
"""

from __future__ import annotations

from copy import copy

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute


def add_routes(app: FastAPI, router: APIRouter, *, in_schema: bool = True) -> None:
    """Adds the routes of a router that brings nothing else: no lifespan, no bounds of its own.
    `in_schema` says whether they are in the OpenAPI document.
    """
    if not all(isinstance(one, APIRoute) for one in router.routes):
        app.include_router(router, include_in_schema=in_schema)
        return
    app.router.routes.extend(router.routes if in_schema else map(_hidden, router.routes))


def _hidden(route: BaseRoute) -> BaseRoute:
    hidden = copy(route)
    assert isinstance(hidden, APIRoute)
    hidden.include_in_schema = False
    return hidden
