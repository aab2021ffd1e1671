"""The routers of the console, and what the application needs for them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from handrail.access.authentication import Authentication
from handrail.console.declared import Console
from handrail.console.middleware import ConsoleMiddleware
from handrail.console.routes import (
    audit,
    broker,
    catalogue,
    consumers,
    dead_messages,
    entities,
    events,
    find,
    in_many,
    now,
    parked_rows,
    proposals,
    read_models,
    saga_acts,
    sagas,
    sign_in,
    static,
    streams,
)
from handrail.console.session import ConsoleSessions
from handrail.console.state import ConsoleState
from handrail.http.added_routes import add_routes
from handrail.http.named_models import router_for
from handrail.http.rate_limit import RateLimits


def include_console(
    app: FastAPI,
    declared: Console,
    *,
    tenant: str,
    authentication: Authentication,
    rates: RateLimits,
    sessions: ConsoleSessions,
) -> None:
    """Adds the console's routes, with those of the pages that are `declared`. `tenant` is what the
    business calls its tenant. They are no part of the OpenAPI document: they answer people.
    """
    app.state.console = ConsoleState(
        declared=declared,
        authentication=authentication,
        sessions=sessions,
        rates=rates,
    )
    for router in _routers(declared):
        add_routes(app, router_for(router, tenant), in_schema=False)


def add_console_middleware(app: FastAPI, declared: Console) -> None:
    """To be the last that is added: the outermost."""
    sessions = app.state.console.sessions
    app.add_middleware(ConsoleMiddleware, sessions=sessions, title=declared.title)


def _routers(declared: Console) -> Sequence[APIRouter]:
    return (
        *(static.router, sign_in.router, find.router, now.router, catalogue.router),
        *(sagas.router, saga_acts.router, in_many.router, proposals.router),
        *(events.router, audit.router),
        *(read_models.router, consumers.router, streams.router),
        *(parked_rows.router, broker.router, dead_messages.router),
        entities.router_of(declared),
    )
