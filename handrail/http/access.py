"""Access to routes: each declares the scopes that it needs or that it is public, and the rest is
denied.

    @router.get("/trips/{trip}", dependencies=[needs("trips:read")])

A middleware authenticates a request before its body is read; the route's declaration compares the
principal's scopes with those that are needed, and is what the OpenAPI document shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, FastAPI, Request, Security, params
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handrail.access.authentication import Authentication, NotSignedIn, SignInUnavailable
from handrail.access.principal import Principal
from handrail.access.roles import APPROVE
from handrail.http.operator_audit import ACTS, OperatorAudit
from handrail.http.path_owners import PathOwners
from handrail.http.problem_types import PROBLEM_TYPES
from handrail.http.problems import Problem, answer
from handrail.http.public import anybody
from handrail.http.rate_limit import RateLimits
from handrail.wrongly_declared import WronglyDeclared

_PRINCIPAL: Final = "handrail.principal"
_REALM: Final = 'Bearer realm="handrail"'
_FRAMEWORK: Final = frozenset({"/openapi.json"})
"""Routes that FastAPI adds by itself: public, for they say what may be read in the sources."""


class _Bearer(SecurityBase):
    """The one security scheme: a token of the issuer, or an API key, as a bearer token."""

    def __init__(self) -> None:
        self.model = HTTPBearer(
            bearerFormat="JWT or API key",
            description="A token of the identity provider, or an API key (`hr_…`).",
        )
        self.scheme_name = "bearer"

    async def __call__(self, request: Request, needed: SecurityScopes) -> Principal:
        """Raises Problem where the principal lacks a scope."""
        return await _admitted(request, needed.scopes, needed.scopes)


class _BearerOfTwo(_Bearer):
    """Of a route that asks for a second person: who approves needs no other scope than that."""

    async def __call__(self, request: Request, needed: SecurityScopes) -> Principal:
        """Raises Problem where the principal lacks a scope."""
        wanted = [APPROVE] if APPROVES in request.headers else needed.scopes
        return await _admitted(request, wanted, needed.scopes)


_BEARER: Final = _Bearer()
_BEARER_OF_TWO: Final = _BearerOfTwo()
APPROVES: Final = "Handrail-Approves"
"""Names the proposal that a request approves."""


def needs(*scopes: str) -> params.Depends:
    """The dependency of a route for which a principal needs all of these scopes."""
    return cast("params.Depends", Security(_BEARER, scopes=scopes))


def needs_two(*scopes: str) -> params.Depends:
    """The same of a route that asks for a second person (`SecondPersonDep`) in every case in which
    it does something: who approves a proposal there needs the scope for that instead.
    """
    return cast("params.Depends", Security(_BEARER_OF_TWO, scopes=scopes))


async def _admitted(request: Request, wanted: list[str], declared: list[str]) -> Principal:
    """The principal, where it has the `wanted` scopes and owns what the path names. What an
    operator asks of a route that `declared` scopes of operators is stored, and so is a refusal.

    Raises Problem.
    """
    principal = principal_of(request)
    audit = cast("OperatorAudit", request.app.state.audit)
    is_act = audit.is_act(request, declared)
    try:
        refuse_without(principal, wanted)
        await cast("PathOwners", request.app.state.path_owners).check(
            principal, request.path_params
        )
    except Problem as refused:
        if is_act:
            await audit.refused(request, principal, refused)
        raise
    if is_act:
        await audit.requested(request, principal)
    return principal


def principal_of(request: Request) -> Principal:
    """Who makes the request. Raises LookupError on a public route: it has no principal."""
    try:
        return cast("Principal", request.scope[_PRINCIPAL])
    except KeyError:
        raise LookupError(f"{request.scope['path']} is public, and has no principal") from None


def confined_principal(request: Request) -> Principal | None:
    """The caller, where it is confined to what is of one tenant, or of one party."""
    principal: Principal | None = request.scope.get(_PRINCIPAL)
    return None if principal is None or principal.visibility.everything else principal


async def _caller(request: Request) -> Principal:
    return principal_of(request)


PrincipalDep = Annotated[Principal, Depends(_caller)]
"""The caller of a route that is not public."""


def refuse_without(principal: Principal, needed: Iterable[str]) -> None:
    """Raises Problem, which names what is missing, unless the principal has all of these scopes."""
    missing = [scope for scope in needed if scope not in principal.scopes]
    if not missing:
        return
    names = " and ".join(missing)
    said = f"{principal.kind}:{principal.subject} has not the scope {names}, which this needs"
    challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(missing)}"'
    raise Problem("scope-missing", said, headers={"WWW-Authenticate": challenge})


class AccessMiddleware:
    """Authenticates every request that is not to a public route, before its body is read."""

    def __init__(
        self,
        app: ASGIApp,
        authentication: Authentication,
        public: Sequence[PublicRoute],
        rates: RateLimits,
    ) -> None:
        self._app = app
        self._rates = rates
        self._authentication = authentication
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_public(scope):
            try:
                principal = await self._authenticated(scope)
                scope[_PRINCIPAL] = principal
                send = self._rates.taken(principal, scope, send)
            except Problem as refused:  # also of the database, where API keys are looked up
                await answer(refused, Request(scope))(scope, receive, send)
                return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[ACTS] = []
        await self._audited(scope, receive, send)

    async def _audited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The outcome of an act is stored before its answer is sent."""
        audit = cast("OperatorAudit", scope["app"].state.audit)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                await audit.answered(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:
            await audit.answered(scope, 500)
            raise

    async def _authenticated(self, scope: Scope) -> Principal:
        """Raises Problem."""
        authorization = Headers(scope=scope).get("authorization")
        try:
            return await self._authentication.principal(authorization)
        except NotSignedIn as error:
            self._rates.failed(scope)
            raise _unauthorized(str(error), tried=authorization is not None) from None
        except SignInUnavailable as error:
            raise Problem("sign-in-unavailable", str(error), retry_after=2) from None

    def _is_public(self, scope: Scope) -> bool:
        path, method = scope["path"], scope["method"]
        return any(method in one.methods and one.path.match(path) for one in self._public)


def _unauthorized(said: str, *, tried: bool) -> Problem:
    """RFC 6750: without credentials the challenge names no error."""
    challenge = f'{_REALM}, error="invalid_token", error_description="{said}"' if tried else _REALM
    detail = said if tried else PROBLEM_TYPES["not-signed-in"].meaning
    return Problem("not-signed-in", detail, headers={"WWW-Authenticate": challenge})


@dataclass(frozen=True)
class PublicRoute:
    path: re.Pattern[str]
    methods: frozenset[str]


def public_routes(app: FastAPI, scopes: Collection[str]) -> Sequence[PublicRoute]:
    """The public routes of an application. `scopes` are those that exist.

    Raises WronglyDeclared where a route declares neither that it is public nor what it needs, or
    needs a scope that does not exist.
    """
    return tuple(_public_routes(app, scopes))


def _public_routes(app: FastAPI, scopes: Collection[str]) -> Iterator[PublicRoute]:
    for route in iter_route_contexts(app.routes):
        path, methods = route.path or "", frozenset(route.methods or ())
        if path in _FRAMEWORK and not isinstance(route.original_route, APIRoute):
            yield PublicRoute(re.compile(re.escape(path) + "$"), methods)
            continue
        name = f"{'/'.join(sorted(methods)) or 'any method'} {path}"
        public, needed = _declared(route)
        if public and needed:
            raise WronglyDeclared(
                f"the route {name} is public and needs {' and '.join(needed)}: keep one of the two"
            )
        if not public and not needed:
            raise WronglyDeclared(
                f"the route {name} does not say who may call it: give it"
                ' dependencies=[needs("things:read")] with its scope, or [PUBLIC]'
                " (handrail.http.access, handrail.http.public)"
            )
        for scope in needed:
            if scope not in scopes:
                raise WronglyDeclared(
                    f"the route {name} needs the scope {scope}, which does not exist: add it to"
                    " App.access, or name another"
                )
        if public:
            yield PublicRoute(re.compile(route.path_regex.pattern), methods)


def _declared(route: RouteContext) -> tuple[bool, Sequence[str]]:
    """Whether it is public, and the scopes that it needs."""
    if not isinstance(route.original_route, APIRoute):
        return False, ()
    public, needed = False, list[str]()
    for one in route.dependencies:
        public = public or one.dependency is anybody
        if isinstance(one, params.Security) and one.dependency in {_BEARER, _BEARER_OF_TWO}:
            needed.extend(one.scopes or ())
    return public, needed
