"""Signing in at the console: credentials of the API, kept in the browser's session."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from handrail.access.authentication import NotSignedIn, SignInUnavailable
from handrail.access.principal import Principal
from handrail.console.forms import form_of, see
from handrail.console.rendering import page
from handrail.console.session import LONGEST
from handrail.console.state import StateDep
from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.public import PUBLIC

router = APIRouter(dependencies=[PUBLIC])

_LONGEST_ADDRESS: Final = 600
_FIRST: Final = "/console"


@router.get("/console/sign-in")
async def ask(
    request: Request,
    services: ServicesDep,
    state: StateDep,
    next: Annotated[str, Query(max_length=_LONGEST_ADDRESS)] = _FIRST,  # noqa: A002  # in the address
) -> Response:
    if services.development:
        return see(_FIRST)
    return await page(
        request,
        services,
        "sign_in.html",
        next=_own(next),
        said="",
        longest=LONGEST,
        seconds=state.sessions.seconds,
    )


@router.post("/console/sign-in")
async def sign_in(request: Request, services: ServicesDep, state: StateDep) -> Response:
    """Verifies the credentials as a request of the API does, and counts those that are wrong."""
    form = await form_of(request)
    credentials, next_ = form.get("credentials", ""), _own(form.get("next", _FIRST))
    try:
        await _principal(state, request, credentials)
    except NotSignedIn as no:
        return await page(
            request,
            services,
            "sign_in.html",
            code=401,
            next=next_,
            said=f"That does not sign you in: {no}.",
            longest=LONGEST,
            seconds=state.sessions.seconds,
        )
    except SignInUnavailable as away:
        raise Problem("sign-in-unavailable", str(away), retry_after=2) from None
    answer = see(next_)
    answer.headers["Set-Cookie"] = state.sessions.cookie(credentials, request.scope)
    return answer


@router.post("/console/sign-out")
async def sign_out(request: Request, state: StateDep) -> Response:
    """The browser forgets its session; the key or the token stays valid."""
    answer = see("/console/sign-in")
    answer.headers["Set-Cookie"] = state.sessions.ending(request.scope)
    return answer


async def _principal(state: StateDep, request: Request, credentials: str) -> Principal:
    """Raises NotSignedIn, SignInUnavailable, and Problem after too many that were wrong."""
    if len(credentials) > LONGEST:
        raise NotSignedIn(f"a session holds {LONGEST} characters at most: use an API key")
    if not credentials.isascii() or len(credentials.split()) != 1:
        raise NotSignedIn("it is neither a token nor an API key")
    try:
        return await state.authentication.principal(f"Bearer {credentials}")
    except NotSignedIn:
        state.rates.failed(request.scope)
        raise


def _own(address: str) -> str:
    """Only a page of the console is led to: an address from outside may name any host."""
    return address if address.startswith("/console/") and "//" not in address else _FIRST
