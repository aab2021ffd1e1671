"""Idempotency-Key: the same request twice is done once, and answered twice with the same answer.

A request is claimed before it is worked on and keeps its answer. A claim is a lease: who dies with
it is followed by whoever repeats the request. That is safe, because what a request starts has an id
that follows from its key: started again, it is the same. Keys are forgotten after some days, ids
are not: what was begun under an id answers only for a request with the same content.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
import structlog
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Executable,
    Interval,
    SmallInteger,
    Text,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from handrail.bounds import KEY
from handrail.eventstore.tables import requests, streams
from handrail.http.access import confined_principal
from handrail.http.database import Database
from handrail.http.problems import Problem, in_header

_FORM: Final = re.compile(f'{KEY.pattern}|"{KEY.pattern}"')
HEADER: Final = "Idempotency-Key"
ONCE: Final = (
    "idempotency-key-missing",
    "idempotency-in-flight",
    "content-differs",
    "idempotency-key-reused",
)
"""The problems of a route that is done once for each key."""
_log = structlog.get_logger(__name__)


def _read(text: str) -> str:
    if not _FORM.fullmatch(text):
        said = "1 to 128 letters, digits and _ . : ~ + / = -"
        raise Problem("malformed-header", f"{HEADER}: {said}", [in_header(HEADER, said)])
    return text.strip('"')


NEEDED: Final = "x-needed"
"""Marks, for `openapi.mend`, a header without which the answer is a problem of ours: FastAPI would
call it required only where it refused the request itself."""


def _header(**more: Any) -> Any:
    return Header(
        alias=HEADER,
        json_schema_extra={
            "minLength": KEY.shortest,
            "maxLength": KEY.longest + 2,  # quotes
            "pattern": f"^({_FORM.pattern})$",
            **more,
        },
        description="New for each intention, the same when it is repeated: a UUID will do.",
        examples=["7d0a8c52-8f1e-4d0e-9d6b-3a1c2f4b5e6d"],
    )


_Text = Annotated[str | None, _header()]
_NeededText = Annotated[str | None, _header(**{NEEDED: True})]


def required_key(text: str | None) -> str:
    """Raises Problem where there is none, or where it is no key."""
    if text is None:
        said = "this header is needed here"
        raise Problem("idempotency-key-missing", said, [in_header(HEADER, said)])
    return _read(text)


async def _own_key(request: Request, text: _NeededText = None) -> str:
    return _of_caller(request, required_key(text))


async def _own_optional_key(request: Request, text: _Text = None) -> str | None:
    return None if text is None else _of_caller(request, _read(text))


def _of_caller(request: Request, key: str) -> str:
    """A key of a confined principal is its own: the same text of another is another key."""
    principal = confined_principal(request)
    if principal is None:
        return key
    owned = f"{principal.tenant}\n{principal.party}\n{key}"
    return hashlib.sha256(owned.encode()).hexdigest()


RequiredKey = Annotated[str, Depends(_own_key)]
"""The header `Idempotency-Key`: a request without it is refused."""
OptionalKey = Annotated[str | None, Depends(_own_optional_key)]
"""The header `Idempotency-Key`, or None."""


def derived_id(prefix: str, route: str, key: str) -> str:
    """The same for the same request, so that whatever has this id is begun once."""
    digest = hashlib.sha256(f"{route}\n{key}".encode()).digest()[:15]
    return f"{prefix}-{base64.b32encode(digest).decode().lower()}"


def fingerprint(body: BaseModel) -> str:
    """The same for bodies that mean the same, whatever the order of their fields."""
    canonical = orjson.dumps(
        body.model_dump(mode="json", by_alias=True), option=orjson.OPT_SORT_KEYS
    )
    return hashlib.sha256(canonical).hexdigest()


def wish(subject: str, key: str | None, body: BaseModel) -> str:
    """What one command is asked for. Without a key every request is a wish of its own: a limit of
    100, then 200, then 100 again must end at 100. With one, only the same body is the same wish.
    """
    return f"{subject}:{key}:{fingerprint(body)[:16]}" if key else f"{subject}:{uuid4().hex}"


@dataclass(frozen=True)
class Answered:
    """An answer as it is kept. The body is JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, *, replayed: bool = False) -> Response:
        headers = {**self.headers, **({"Idempotent-Replayed": "true"} if replayed else {})}
        return Response(
            orjson.dumps(self.body), self.status, headers, media_type="application/json"
        )


@dataclass(frozen=True)
class Claim:
    """Leave to work on a request; `until` tells it from the claim that may follow it.

    `begun` says that what the request would begin has begun: by an earlier try, or by a request
    that had the key before, longer ago than keys are kept.
    """

    route: str
    key: str
    until: datetime
    begun: bool = False


# Built once: to build one takes longer than to run it, and a client waits.
_ROUTE: Final = bindparam("of_route", type_=Text)
_KEY: Final = bindparam("of_key", type_=Text)
_PRINT: Final = bindparam("print", type_=Text)
_STREAM: Final = bindparam("stream", type_=Text)


def _claiming() -> Executable:
    claim = insert(requests).values(
        route=_ROUTE,
        key=_KEY,
        fingerprint=_PRINT,
        claimed_until=func.clock_timestamp() + bindparam("lease", type_=Interval),
    )
    return claim.on_conflict_do_update(
        constraint="requests_pkey",
        set_={"claimed_until": claim.excluded.claimed_until},
        where=requests.c.status.is_(None)
        & (requests.c.claimed_until < func.clock_timestamp())
        & (requests.c.fingerprint == _PRINT),
    ).returning(requests.c.claimed_until, exists().where(streams.c.name == _STREAM))


def _mine() -> ColumnElement[bool]:
    mine = (requests.c.route == _ROUTE) & (requests.c.key == _KEY) & requests.c.status.is_(None)
    return mine & (requests.c.claimed_until == bindparam("mine", type_=DateTime(timezone=True)))


def _ending(**values: ColumnElement[Any]) -> Executable:
    return update(requests).where(_mine()).values(**values)


_CLAIM: Final = _claiming()
_KEEP: Final = _ending(
    status=bindparam("status", type_=SmallInteger),
    headers=bindparam("headers", type_=JSONB),
    body=bindparam("body", type_=JSONB),
)
_GIVE_UP: Final = _ending(claimed_until=func.clock_timestamp())
_FORGET: Final = delete(requests).where(_mine())
_ANSWERED: Final = select(
    requests.c.fingerprint,
    requests.c.status,
    requests.c.headers,
    requests.c.body,
    requests.c.claimed_until < func.clock_timestamp(),
).where(requests.c.route == _ROUTE, requests.c.key == _KEY)


class Requests:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def answered(self, route: str, key: str, print_: str) -> Answered | None:
        """None where the request may be worked on: for the first time, or as nobody does any more.

        Raises Problem where the key was used for another request, or somebody is working on it.
        """
        async with self._database.connection() as connection:
            asked = {"of_route": route, "of_key": key}
            found = (await connection.execute(_ANSWERED, asked)).first()
        if found is None:
            return None
        before, status, headers, body, free = found
        if before != print_:
            raise Problem("idempotency-key-reused", "this key came before with another body")
        if status is not None:
            return Answered(status, body, headers)
        if not free:
            raise _in_flight()
        return None

    async def claim(
        self, route: str, key: str, print_: str, lease: timedelta, *, stream: str = ""
    ) -> Claim | Answered:
        """Leave to work on the request, or what it was answered before.

        `stream` is that of the process which the request would begin.
        Raises Problem where the key was used for another request, or somebody is working on it.
        """
        asked = {"of_route": route, "of_key": key, "print": print_, "lease": lease}
        async with self._database.connection() as connection:
            taken = await connection.execute(_CLAIM, {**asked, "stream": stream})
            mine = taken.one_or_none()
        if mine:
            until, begun = mine
            return Claim(route, key, until, begun)
        if before := await self.answered(route, key, print_):
            return before
        raise _in_flight()  # whoever was faster gave it up in between

    async def keep(self, claim: Claim, answer: Answered) -> None:
        """Where it cannot be kept it is given all the same: repeated, it would come out alike."""
        kept = {"status": answer.status, "headers": answer.headers, "body": answer.body}
        try:
            await self._end(_KEEP, claim, **kept)
        except Problem as problem:
            _log.warning("answer not kept", route=claim.route, reason=problem.detail)

    async def give_up(self, claim: Claim, failure: BaseException | None = None) -> None:
        """Let the next one try at once. The row stays, so that its key stays bound to its body: but
        not where the key turned out to be bound to another one, of which there was no row any more.
        """
        other = isinstance(failure, Problem) and failure.slug == "content-differs"
        try:
            await self._end(_FORGET if other else _GIVE_UP, claim)
        except Problem as problem:
            _log.warning("claim not given up", route=claim.route, reason=problem.detail)

    async def _end(self, statement: Executable, claim: Claim, **values: Any) -> None:
        asked = {"of_route": claim.route, "of_key": claim.key, "mine": claim.until, **values}
        async with self._database.connection() as connection:
            await connection.execute(statement, asked)


async def once(
    kept: Requests,
    route: str,
    key: str,
    *,
    asked: BaseModel,
    lease: timedelta,
    work: Callable[[Claim], Awaitable[Answered]],
    stream: str = "",
) -> Response:
    """The answer of the first time, or else what `work` answers: it is done once for each key.

    `stream` is that of the process which the request would begin. Raises Problem where the key was
    used for another request, or somebody is working on it.
    """
    claim = await kept.claim(route, key, fingerprint(asked), lease, stream=stream)
    if isinstance(claim, Answered):
        return claim.response(replayed=True)
    try:
        answer = await work(claim)
    except BaseException as failure:
        await kept.give_up(claim, failure)
        raise
    await kept.keep(claim, answer)
    return answer.response()


def _in_flight() -> Problem:
    said = "a request with this key is being worked on"
    return Problem("idempotency-in-flight", said, retry_after=1)
