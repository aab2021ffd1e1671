"""What the console's routes have beside the services of the API: how people sign in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from handrail.access.authentication import Authentication
from handrail.console.declared import Console
from handrail.console.session import ConsoleSessions
from handrail.http.rate_limit import RateLimits


@dataclass(frozen=True)
class ConsoleState:
    """Of one API process. `declared` are the pages of the business."""

    declared: Console
    authentication: Authentication
    sessions: ConsoleSessions
    rates: RateLimits


def state_of(request: Request) -> ConsoleState:
    """The console of the process that serves the request."""
    return cast("ConsoleState", request.app.state.console)


async def _state(request: Request) -> ConsoleState:
    return state_of(request)


StateDep = Annotated[ConsoleState, Depends(_state)]
"""The console of the process that serves the request."""
