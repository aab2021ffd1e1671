"""The FastAPI application of an App: the routes of the business, then the library's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from temporalio.client import Client

from handrail.access.authentication import Authentication
from handrail.access.principal import EVERYTHING
from handrail.access.row_owner import OWNER
from handrail.app import App
from handrail.console.session import ConsoleSessions
from handrail.errors import DomainError
from handrail.http import openapi, problems
from handrail.http.access import AccessMiddleware, public_routes
from handrail.http.added_routes import add_routes
from handrail.http.database import Database
from handrail.http.decision_waiter import AT_ONCE as WAITING_AT_ONCE
from handrail.http.decision_waiter import DecisionWaiter
from handrail.http.dependencies import Services, WebhookTrust
from handrail.http.event_streams import AT_ONCE, PER_CLIENT, EventStreams
from handrail.http.four_eyes import Proposed
from handrail.http.metrics import Metrics
from handrail.http.middleware import RequestMiddleware
from handrail.http.named_models import SUBJECT_FIELD, router_for
from handrail.http.operator_audit import OperatorAudit, operator_scopes
from handrail.http.path_owners import OwnedKey, PathOwners
from handrail.http.personal_texts import OpeningMiddleware, SagaTexts
from handrail.http.point_in_time import PointInTime
from handrail.http.problems import Problem, answer, of_http, of_rule, of_validation
from handrail.http.rate_limit import NO_LIMITS, RateLimits
from handrail.http.request_origin import RequestOrigin
from handrail.http.routes import (
    api_docs,
    asyncapi,
    bulk_interventions,
    consumers,
    dead_messages,
    events,
    interventions,
    operations,
    parked_events,
    proposals,
    rebuilds,
    saga_figures,
    sagas,
    streams,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
)
from handrail.http.routes.sagas import NothingMore
from handrail.http.saga_control import SagaClient
from handrail.http.shared_check import SharedCheck
from handrail.http.temporal_gateway import TemporalGateway
from handrail.http.tenant_limit import TenantLimit
from handrail.http.webhook_sources import Webhooks
from handrail.messaging.broker.operator_access import BrokerAccess
from handrail.privacy.texts import CLEAR, PersonalTexts
from handrail.projections.as_of import EVENTS_AT_MOST
from handrail.sagas.options import RunOptions
from handrail.tracing.frameworks import NO_TELEMETRY
from handrail.webhook_endpoints.addresses import EndpointRules
from handrail.webhook_endpoints.tables import webhook_endpoints as endpoints_table

_ABOUT: Final = """
Start business processes, follow them, and read what has become of them.

Writes are answered with a `Handrail-Token`; a read that carries it sees what the write did.
Problems are `application/problem+json` (RFC 9457); each type has a page under `/problems`.
"""
_TAGS: Final[Mapping[str, str]] = {
    "sagas": "The processes: their steps, live, and interventions.",
    "webhooks": "What other companies tell us, signed.",
    "webhook endpoints": "Where tenants have their events sent, signed.",
    "consumers": "Who is told of events, and what waits there.",
    "audit": "The events themselves.",
    "problems": "What can go wrong, and what to do about it.",
    "operations": "For those who run it.",
}


def create_app(
    declared: App,
    engine: AsyncEngine,
    client: Client,
    options: RunOptions,
    *,
    authentication: Authentication,
    four_eyes: bool = False,
    temporal_ui: str | None = None,
    webhooks_from: WebhookTrust | None = None,
    endpoint_rules: EndpointRules | None = None,
    sagas_per_tenant: int = 0,
    stopping: asyncio.Event | None = None,
    as_of_events: int = EVENTS_AT_MOST,
    event_streams: int = AT_ONCE,
    event_streams_per_client: int = PER_CLIENT,
    personal: PersonalTexts = CLEAR,
    waiting_requests: int = WAITING_AT_ONCE,
    rates: RateLimits = NO_LIMITS,
    origin: RequestOrigin = RequestOrigin(),  # noqa: B008  # it holds nothing
    console: ConsoleSessions | None = None,
    broker: BrokerAccess | None = None,
) -> FastAPI:
    """The application of what is `declared`.

    `authentication` says who a caller is. Raises WronglyDeclared where a route does not say who may
    call it.

    With `four_eyes` a second person approves what moves money.

    `engine` must commit every statement by itself (AUTOCOMMIT). Streams end when `stopping` is
    set. `sagas_per_tenant` bounds the sagas of one tenant that run at the same time where the
    routes of the business ask for a place; 0: it does not. `as_of_events` bounds what one
    point-in-time read folds, `event_streams` those that are open, `waiting_requests` those that
    wait for a decision. `endpoint_rules` says which webhook endpoints tenants may register,
    `origin` under which names it answers, `rates` how many requests a second a caller may make.
    `personal` seals what comes in, and opens what goes out. `console` holds the sessions of the
    console, which is there where Jinja2 is installed. `broker` is its login at the broker, for what
    lies in `dead` and `unrouted`. Neither the engine nor the client has to be connected, or is
    closed here.
    """
    app = FastAPI(
        telemetry=NO_TELEMETRY,
        title="Handrail",
        version="1",
        description=_ABOUT,
        openapi_tags=_tags(declared.tags),
        redirect_slashes=False,
        docs_url=None,  # the framework's pages load scripts from other hosts: see `api_docs`
        redoc_url=None,
    )
    metrics, database = Metrics(), Database(engine, EVERYTHING)
    stopping = stopping or asyncio.Event()
    texts = SagaTexts(personal, database, client, declared.saga_types)
    hooks = declared.webhooks()
    scopes = operator_scopes(declared.access)
    app.state.audit = OperatorAudit(database, declared.codec, texts, scopes)
    app.state.problem_types = declared.problem_types
    app.state.path_owners = PathOwners(
        database,
        declared.access.tenant_role,
        declared.access.party_role,
        {
            "endpoint": OwnedKey(endpoints_table.c.id, endpoints_table.info[OWNER]),
            **{
                name: OwnedKey(one.table.c[one.key], one.owner)
                for name, one in {"saga": declared.saga_board, **declared.path_rows}.items()
            },
        },
    )
    app.state.services = Services(
        app=declared,
        database=database,
        unconfined=database,
        history=PointInTime(database, declared.codec, as_of_events),
        places=TenantLimit(database, sagas_per_tenant, declared.saga_board.table, declared.tenant),
        processes=TemporalGateway(
            client,
            options,
            declared.saga_types,
            declared.rule_problems,
            texts=texts,
            shapes=declared.shapes,
        ),
        decisions=DecisionWaiter(database, declared.codec, waiting_requests),
        streams=EventStreams(
            database, stopping, at_once=event_streams, per_client=event_streams_per_client
        ),
        steering=SagaClient(
            client,
            options,
            database,
            types=declared.saga_types,
            codec=declared.codec,
            rules=declared.rule_problems,
            texts=texts,
            shapes=declared.shapes,
        ),
        personal=personal,
        texts=texts,
        metrics=metrics,
        figures=operations.Figures(),
        readiness=SharedCheck(),
        temporal_ui=temporal_ui,
        webhooks=webhooks_from or WebhookTrust(),
        webhook_sources=tuple(hooks.by_name) if hooks else (),
        endpoint_rules=endpoint_rules or EndpointRules(),
        stopping=stopping,
        development=authentication.development,
        four_eyes=four_eyes,
        broker=broker,
    )
    own = [router_for(one, declared.tenant) for one in _routers(declared, hooks)]
    routers = (*declared.routers(), *own)
    for router in declared.routers():
        app.include_router(router)
    for router in own:
        add_routes(app, router)
    with_console = find_spec("jinja2") is not None
    if with_console:
        # Its packages are an extra: an API without them has no console.
        from handrail.console.router import add_console_middleware, include_console  # noqa: PLC0415

        include_console(
            app,
            declared.console,
            tenant=declared.tenant,
            authentication=authentication,
            rates=rates,
            sessions=console or ConsoleSessions(),
        )
    for error, handler in _handlers(routers, declared.rule_problems).items():
        app.add_exception_handler(error, handler)
    app.add_middleware(OpeningMiddleware, personal=personal)
    public = public_routes(app, declared.access.all_scopes)
    app.add_middleware(AccessMiddleware, authentication=authentication, public=public, rates=rates)
    app.add_middleware(RequestMiddleware, metrics=metrics, origin=origin)
    if with_console:
        add_console_middleware(app, declared.console)
    openapi.mend(app, declared.problem_types, declared.api_examples)
    return app


_OF_TENANT_EVENTS: Final = (webhook_endpoints.router, webhook_deliveries.router)


def _routers(declared: App, hooks: Webhooks | None) -> Sequence[APIRouter]:
    """The library's own."""
    return (
        saga_figures.router,  # before the saga that might be called so
        sagas.router,
        interventions.router,
        bulk_interventions.router,
        streams.router,
        events.router,
        *([_webhooks(hooks)] if hooks else []),
        *(_OF_TENANT_EVENTS if declared.tenant_events else ()),
        proposals.router,
        consumers.router,
        parked_events.router,
        dead_messages.router,
        rebuilds.router,
        asyncapi.router_of(declared.event_contracts),
        problems.router,
        operations.router,
        api_docs.router,
    )


def _webhooks(hooks: Webhooks) -> APIRouter:
    return router_for(webhooks.router_of(hooks), hooks.subject, SUBJECT_FIELD)


def _tags(business: Mapping[str, str]) -> list[dict[str, str]]:
    own = {name: said for name, said in business.items() if name not in _TAGS}
    described = own | {name: business.get(name, said) for name, said in _TAGS.items()}
    return [{"name": name, "description": said} for name, said in described.items()]


Handler = Callable[[Request, Exception], Response]


def _handlers(
    routers: Sequence[APIRouter], rules: Mapping[str, str]
) -> Mapping[type[Exception], Handler]:
    def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(error, request)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = of_http(error)
        if problem.slug == "method-not-allowed":
            problem.headers = {"Allow": _allowed(routers, request.scope["path"])}
        return answer(problem, request)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(of_validation(error), request)

    def rule(request: Request, error: Exception) -> Response:
        return answer(of_rule(type(error).__name__, str(error), rules), request)

    def proposed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Proposed)
        return error.response()

    def nothing(_request: Request, _error: Exception) -> Response:
        return Response(status_code=204)

    return {
        Problem: problem,
        HTTPException: http,
        RequestValidationError: invalid,
        DomainError: rule,
        NothingMore: nothing,
        Proposed: proposed,
    }


def _allowed(routers: Sequence[APIRouter], path: str) -> str:
    """The framework names only the methods of the first route that it comes across."""
    routes = (route for router in routers for route in router.routes)
    found = [route for route in routes if isinstance(route, APIRoute)]
    methods = [route.methods or set() for route in found if route.path_regex.match(path)]
    return ", ".join(sorted(set[str]().union(*methods)))
