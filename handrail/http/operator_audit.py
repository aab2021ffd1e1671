"""Audit of operators at the HTTP API: what is asked for is stored before it is done, and refusals.

An act is a request that changes something, to a route that needs a scope of operators. Where it
cannot be stored it is not done: the answer is 503. What came of it is stored before the answer is
sent, and a refusal beside it; where one of these cannot be stored, the answer stays and it is
logged.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import structlog
from fastapi import Request
from sqlalchemy.exc import DBAPIError
from starlette.types import Scope

from handrail import bounds
from handrail.access.principal import Principal
from handrail.access.roles import APPROVER, MANAGE_ENDPOINTS, OPERATOR, SERVICE, Access
from handrail.audit.acts import (
    AuditEvent,
    OperatorActAnswered,
    OperatorActRefused,
    OperatorActRequested,
)
from handrail.audit.append_audit import APPEND_AUDIT, LONGEST_TARGET, parameters
from handrail.eventstore.codec import Codec
from handrail.http.database import Database
from handrail.http.personal_texts import SagaTexts
from handrail.http.problems import Problem, unavailable

ACTS: Final = "handrail.acts"
"""Where a request's scope holds its act, once there is one."""
PROBLEM: Final = "handrail.problem"
"""Where a request's scope holds the slug of the problem that it is answered with."""
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_AFTERWARDS: Final = 1.0  # seconds
_WINDOW: Final = 60.0  # seconds
_EACH_WINDOW: Final = 60
_KNOWN: Final = 1_000
_FORM: Final = "application/x-www-form-urlencoded"
"""What the pages of the console send."""
_MOST_FIELDS: Final = 60
_log = structlog.get_logger(__name__)


def operator_scopes(access: Access) -> frozenset[str]:
    """The scopes to change something that operators or approvers have, and that neither services
    nor tenants nor parties have: what those do is the business itself. To manage webhook endpoints
    is an act in any case: it changes where events go.
    """
    roles = access.all_roles
    others = roles[SERVICE] | roles[access.tenant_role] | roles[access.party_role]
    theirs = (roles[OPERATOR] | roles[APPROVER]) - others
    return frozenset(one for one in theirs if not one.endswith(":read")) | {MANAGE_ENDPOINTS}


@dataclass(frozen=True)
class Act:
    """What was stored of a request, so that its outcome can name it."""

    request: str
    act: str
    principal: Principal
    actor: str


class Refusals:
    """Which refusals are stored: of each principal and act one a minute, and of all sixty. Those
    between are counted, and the next one that is stored says how many there were.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[tuple[str, str], _Counted] = OrderedDict()
        self._stored: deque[float] = deque()

    def due(self, principal: str, act: str) -> tuple[int, datetime] | None:
        """How many there were since when, this one included, where it is to be stored."""
        now = self._clock()
        one = self._counted.setdefault((principal, act), _Counted())
        self._counted.move_to_end((principal, act))
        one.count += 1
        while self._stored and self._stored[0] <= now - _WINDOW:
            self._stored.popleft()
        if len(self._counted) > _KNOWN:
            (who, what), gone = self._counted.popitem(last=False)
            if gone.count:
                _log.warning("refusals not stored", principal=who, act=what, count=gone.count)
        if now < one.not_before or len(self._stored) >= _EACH_WINDOW:
            return None
        self._stored.append(now)
        found = one.count, one.since
        one.count, one.since, one.not_before = 0, datetime.now(UTC), now + _WINDOW
        return found


class _Counted:
    def __init__(self) -> None:
        self.count = 0
        self.since = datetime.now(UTC)
        self.not_before = float("-inf")


class OperatorAudit:
    """`scopes` are those of operators. It appends by a function that may append nothing else."""

    def __init__(
        self,
        database: Database,
        codec: Codec,
        texts: SagaTexts,
        scopes: frozenset[str],
        refusals: Refusals | None = None,
    ) -> None:
        self._database = database
        self._codec = codec
        self._texts = texts
        self._scopes = scopes
        self._refusals = refusals or Refusals()

    def is_act(self, request: Request, scopes: list[str]) -> bool:
        """Whether a request to a route that needs these scopes is an act of an operator."""
        return request.method in _CHANGING and not self._scopes.isdisjoint(scopes)

    async def requested(self, request: Request, principal: Principal) -> None:
        """Raises Problem where it cannot be stored: then nothing may be done."""
        acts: list[Act] = request.scope.setdefault(ACTS, [])
        if acts:
            return
        act = Act(_id_of(request.scope), _act_of(request), principal, _actor(request, principal))
        event = OperatorActRequested(
            request=act.request,
            act=act.act,
            target=_target(request),
            principal=principal.actor,
            acting_for=_acting_for(request),
            origin=_origin(request),
            reason=await _reason(request),
        )
        about = {"saga": bounds.SAGA_ID, "stream": bounds.STREAM} if event.reason else {}
        named = {name: request.path_params.get(name, "") for name in about}
        sealed = await self._texts.of_act(
            event, **{name: one for name, one in named.items() if not about[name].wrong_with(one)}
        )
        try:
            await self._append(sealed, act.actor)
        except DBAPIError as error:
            _log.error("act of an operator not stored, and not done", error=repr(error.orig))
            said = "the act could not be stored, so it was not done"
            raise unavailable("audit-unavailable", said) from None
        acts.append(act)

    async def answered(self, scope: Scope, status: int) -> None:
        """What came of the acts of a request; without any it does nothing."""
        for act in scope.get(ACTS, ()):
            slug = scope.get(PROBLEM, "")
            event = OperatorActAnswered(
                request=act.request,
                act=act.act,
                principal=act.principal.actor,
                status=status,
                problem=slug,
            )
            await self._append_if_possible(event, act.actor)

    async def refused(self, request: Request, principal: Principal, problem: Problem) -> None:
        """Stored where it is due; otherwise it is counted."""
        act = _act_of(request)
        if (due := self._refusals.due(principal.actor, act)) is None:
            return
        count, since = due
        event = OperatorActRefused(
            request=_id_of(request.scope),
            act=act,
            target=_target(request),
            principal=principal.actor,
            origin=_origin(request),
            problem=problem.slug,
            count=count,
            since=since,
        )
        await self._append_if_possible(event, principal.actor)

    async def _append_if_possible(self, event: AuditEvent, actor: str) -> None:
        try:
            async with asyncio.timeout(_AFTERWARDS):
                await self._append(event, actor)
        except Exception as error:  # noqa: BLE001  # the answer is given whatever it is
            said = {"act": event.act, "principal": event.principal, "request": event.request}
            _log.error(
                "audit event not stored", kind=type(event).__name__, error=repr(error), **said
            )

    async def _append(self, event: AuditEvent, actor: str) -> None:
        asked = parameters(self._codec, event, actor=actor)
        async with self._database.connection() as connection:
            await connection.execute(APPEND_AUDIT, asked)


def _act_of(request: Request) -> str:
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', '')}"


def _target(request: Request) -> str:
    """The path as it can be stored: an act is stored before the route has refused what is no id."""
    path: str = request.scope["path"]
    storable = path.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return storable[:LONGEST_TARGET]


def _id_of(scope: Scope) -> str:
    return str(scope["handrail.request_id"])


def _origin(request: Request) -> str:
    return f"http {request.client.host}" if request.client else "http"


def _acting_for(request: Request) -> str:
    """As the header says. What a caller may not say there is refused later, by the route."""
    named = request.headers.get("Handrail-Actor", "")
    return "" if bounds.ACTOR.wrong_with(named) else named


def _actor(request: Request, principal: Principal) -> str:
    """What the events of the act name as their actor."""
    named = _acting_for(request)
    if not named:
        return principal.actor
    return named if principal.kind == "development" else principal.acting_for(named)


async def _reason(request: Request) -> str:
    """What the body says as its reason; empty where it has none that can be taken."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == _FORM:
            said = (await request.body()).decode()
            body: Any = dict(parse_qsl(said, max_num_fields=_MOST_FIELDS))
        else:
            body = orjson.loads(await request.body())
    except ValueError:
        return ""
    reason = body.get("reason", "") if isinstance(body, dict) else ""
    return "" if bounds.REASON.wrong_with(reason) else str(reason)
