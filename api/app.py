"""The application, wired from what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from temporalio.client import Client

from api import applications, contacts, customers, merchants, payouts, plans, returns
from api.orders import place_order as placing
from api.orders import routes as orders
from api.payout_runs import PayoutRuns
from handrail.errors import DomainError
from handrail.eventstore.codec import Codec
from handrail.http import problems
from handrail.http.consistency import PARKED, PARKED_DESCRIPTION
from handrail.http.database import Database
from handrail.http.decision_waiter import Decisions
from handrail.http.dependencies import Services, WebhookTrust
from handrail.http.event_streams import AT_ONCE, PER_CLIENT, EventStreams
from handrail.http.metrics import Metrics
from handrail.http.middleware import Boundary
from handrail.http.point_in_time import History
from handrail.http.problems import Problem, ProblemDetails, answer, of_http, of_rule, of_validation
from handrail.http.routes import (
    api_docs,
    asyncapi,
    consumers,
    interventions,
    operations,
    saga_figures,
    sagas,
    streams,
    webhooks,
)
from handrail.http.routes import bulk_interventions as intervening
from handrail.http.routes.sagas import NothingMore
from handrail.http.saga_control import Steering
from handrail.http.temporal_gateway import Processes
from handrail.http.tenant_limit import Places
from handrail.messaging.contracts.schemas import Schema
from handrail.projections.as_of import EVENTS_AT_MOST
from handrail.sagas.options import RunOptions

_ABOUT: Final = """
Start business processes, follow them, and read what has become of them.

Writes are answered with a `Handrail-Token`; a read that carries it sees what the write did.
Problems are `application/problem+json` (RFC 9457); each type has a page under `/problems`.
"""
_PARTS: Final = (
    placing,
    orders,
    plans,
    returns,
    customers,
    contacts,
    merchants,
    applications,
    payouts,
    saga_figures,  # before the saga that might be called so
    sagas,
    interventions,
    intervening,
    streams,
    webhooks,
    consumers,
    problems,
    operations,
    api_docs,
)
_TAGS: Final = [
    {"name": "orders", "description": "Place orders, look at them, take them back."},
    {"name": "customers", "description": "Credit limits, what is held and owed, and messages."},
    {"name": "merchants", "description": "Accounts, balances and stock."},
    {"name": "payouts", "description": "Runs that pay all merchants what they are owed."},
    {"name": "sagas", "description": "The processes: their steps, live, and interventions."},
    {"name": "webhooks", "description": "What bank and carrier tell us, signed."},
    {"name": "consumers", "description": "Who is told of events, and what waits there."},
    {"name": "audit", "description": "The events themselves."},
    {"name": "problems", "description": "What can go wrong, and what to do about it."},
    {"name": "operations", "description": "For those who run it."},
]


def create_app(
    engine: AsyncEngine,
    client: Client,
    options: RunOptions,
    *,
    event_contracts: Callable[[], Schema],
    codec: Codec,
    temporal_ui: str | None = None,
    webhooks_from: WebhookTrust | None = None,
    sagas_per_merchant: int = 0,
    stopping: asyncio.Event | None = None,
    as_of_events: int = EVENTS_AT_MOST,
    event_streams: int = AT_ONCE,
    event_streams_per_client: int = PER_CLIENT,
) -> FastAPI:
    """`engine` must commit every statement by itself (AUTOCOMMIT). Streams end when `stopping` is
    set. `sagas_per_merchant` bounds the checkouts that run at the same time; 0: it does not.
    `event_contracts` makes the AsyncAPI document.
    `as_of_events` bounds what one point-in-time read folds, `event_streams` those that are open.
    Neither the engine nor the client has to be connected, or is closed here.
    """
    app = FastAPI(
        title="Handrail",
        version="1",
        description=_ABOUT,
        openapi_tags=_TAGS,
        redirect_slashes=False,
        docs_url=None,  # the framework's pages load scripts from other hosts: see `api_docs`
        redoc_url=None,
    )
    metrics, database = Metrics(), Database(engine)
    stopping = stopping or asyncio.Event()
    app.state.services = Services(
        database=database,
        history=History(database, codec, as_of_events),
        places=Places(database, sagas_per_merchant),
        processes=Processes(client, options),
        decisions=Decisions(database),
        streams=EventStreams(
            database, stopping, at_once=event_streams, per_client=event_streams_per_client
        ),
        steering=Steering(client, options, database),
        payouts=PayoutRuns(client, options),
        metrics=metrics,
        figures=operations.Figures(),
        temporal_ui=temporal_ui,
        webhooks=webhooks_from or WebhookTrust(),
        stopping=stopping,
    )
    for part in _PARTS:
        app.include_router(part.router)
    app.include_router(asyncapi.router_of(event_contracts))
    for error, handler in _HANDLERS.items():
        app.add_exception_handler(error, handler)
    app.add_middleware(Boundary, metrics=metrics)
    _mend_description(app)
    return app


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error, request)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = of_http(error)
    if problem.slug == "method-not-allowed":
        problem.headers = {"Allow": _allowed(request.scope["path"])}
    return answer(problem, request)


def _allowed(path: str) -> str:
    """The framework names only the methods of the first route that it comes across."""
    routes = (route for part in _PARTS for route in part.router.routes)
    found = [route for route in routes if isinstance(route, APIRoute)]
    methods = [route.methods or set() for route in found if route.path_regex.match(path)]
    return ", ".join(sorted(set[str]().union(*methods)))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer(of_validation(error), request)


def _rule(request: Request, error: Exception) -> Response:
    return answer(of_rule(type(error).__name__, str(error)), request)


def _nothing(_request: Request, _error: Exception) -> Response:
    return Response(status_code=204)


_HANDLERS: Final[dict[type[Exception], Callable[[Request, Exception], Response]]] = {
    Problem: _problem,
    HTTPException: _http,
    RequestValidationError: _invalid,
    DomainError: _rule,
    NothingMore: _nothing,
}


def _describe_parked(document: dict[str, Any]) -> None:
    """Whatever is read from a row says where it is parked."""
    for methods in document["paths"].values():
        for operation in methods.values():
            said = operation["responses"].get("503", {}).get("content", {})
            problems_shown = said.get(problems.MEDIA_TYPE, {}).get("examples", {})
            if "row-parked" in problems_shown and "200" in operation["responses"]:
                operation["responses"]["200"]["headers"] = {
                    PARKED: {
                        "description": PARKED_DESCRIPTION,
                        "schema": {"type": "string", "maxLength": 40},
                    }
                }


def _mend_description(app: FastAPI) -> None:
    """Describe our problems, and not the framework's errors, in words that OpenAPI 3.1 has."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            details = ProblemDetails.model_json_schema(
                ref_template="#/components/schemas/{model}", mode="serialization"
            )
            schemas.update(details.pop("$defs"))
            schemas["ProblemDetails"] = details
            _describe_parked(document)
            events = document["paths"]["/sagas/{saga}/events"]["get"]["responses"]["200"]
            events["content"] = {EventSourceResponse.media_type: {"schema": {"type": "string"}}}
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI asks for it
