"""Personal texts at the HTTP API: sealed before they go on, opened as the last thing of an answer.

What the API reads, keeps as the answer of a request, or logs, is sealed; so only what goes out is
in clear, and an answer that is repeated after an erasure says `[erased]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

import orjson
import psycopg
from psycopg_pool import PoolTimeout
from pydantic import TypeAdapter
from sqlalchemy import TextClause, text
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.client import Client

from handrail.http.database import LIMIT, Database
from handrail.http.problems import Problem, answer, unavailable
from handrail.http.start_input import begun_with
from handrail.kernel import stream_name
from handrail.personal import has_marks, subject_of
from handrail.privacy.keys import Destroyed, SubjectKey, SubjectKeys
from handrail.privacy.texts import PersonalTexts
from handrail.sagas.saga_type import SagaType

T = TypeVar("T")

_MARKED: Final = b"\\u001esealed:"
_STARTED: Final[TextClause] = text("""
SELECT data FROM events WHERE stream = :stream AND type = 'SagaStarted' ORDER BY version LIMIT 1
""")


class AnsweringKeys:
    """Keys whose database does not answer become an answer of ours."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        async with _bounded():
            return await self._keys.of_subjects(subjects)

    async def by_ids(self, ids: Collection[str]) -> Mapping[str, SubjectKey]:
        async with _bounded():
            return await self._keys.by_ids(ids)

    async def destroy(self, subject: str, by: str) -> Destroyed:
        async with _bounded():
            return await self._keys.destroy(subject, by)


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIMIT):
            yield
    except (TimeoutError, PoolTimeout, psycopg.OperationalError):
        said = "the keys of personal data cannot be reached"
        raise unavailable("database-unavailable", said) from None


class SagaTexts:
    """Seals what people say of sagas, each under the key of the saga's subject. Without a client
    nothing is known of a saga whose first attempt is only about to begin.
    """

    def __init__(
        self,
        personal: PersonalTexts,
        database: Database,
        client: Client | None,
        types: Mapping[str, SagaType[Any]],
    ) -> None:
        self.personal = personal
        self._database = database
        self._client = client
        self._types = types

    async def sealed_all(self, saga: str, values: Sequence[T], subject: str = "") -> Sequence[T]:
        """Messages to a workflow, whose texts are of `subject`, or of the saga's."""
        if not any(has_marks(type(one)) for one in values):
            return values
        return await self.personal.seal_all(values, subject or await self.subject(saga))

    async def subject(self, saga: str) -> str:
        """Whose personal data a saga is about; the saga itself where it is about none."""
        if not self.personal.seals:
            return ""
        return await self._subject(saga) or subject_of("saga", saga)

    async def of_act(self, message: T, *, saga: str = "", stream: str = "") -> T:
        """The message with what an operator says of an act sealed: for the subject of the saga; or
        of the saga that has the id in the name of the stream; or, where that has none, for the day.
        """
        if not self.personal.seals or not has_marks(type(message)):
            return message
        subject = await self.subject(saga) if saga else ""
        if not subject and stream:
            _, _, id_ = stream.partition("-")
            subject = self._named(await self._started(id_))
        return await self.personal.seal(message, subject or _of_today())

    async def _subject(self, saga: str) -> str:
        started = await self._started(saga)
        if started is None:  # its first attempt may be about to begin
            found = await begun_with(self._client, saga) if self._client else None
            type_ = self._types.get(found.workflow_type) if found else None
            if found is None or type_ is None or not found.arguments:
                return ""
            return type_.subject(await found.argument(0, type(type_.example_input)))
        return self._named(started)

    async def _started(self, saga: str) -> Mapping[str, Any] | None:
        """The data of the event that the saga began with."""
        asked = {"stream": stream_name("saga", saga)}
        async with self._database.connection() as connection:
            found = (await connection.execute(_STARTED, asked)).scalar_one_or_none()
        return cast("Mapping[str, Any] | None", found)

    def _named(self, started: Mapping[str, Any] | None) -> str:
        """The subject of a saga that began so; empty where it has none."""
        if started is None:
            return ""
        if subject := str(started.get("subject", "")):
            return subject
        type_ = self._types.get(started["saga_type"])
        if type_ is None or not started.get("input"):
            return ""
        input_ = TypeAdapter(type(type_.example_input)).validate_json(started["input"])
        return type_.subject(input_)


def _of_today() -> str:
    """The subject of what is said of no saga: it has a key for each day."""
    return subject_of("audit", datetime.now(UTC).date().isoformat())


class OpeningMiddleware:
    """Opens the sealed texts of JSON answers and event streams, on their way out."""

    def __init__(self, app: ASGIApp, personal: PersonalTexts) -> None:
        self._app = app
        self._personal = personal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def sent(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message
                return
            if held is None or message["type"] != "http.response.body":
                await send(await self._opened_part(message))
                return
            start, held = held, None
            if not _is_json(start) or message.get("more_body"):
                await send(start)
                await send(await self._opened_part(message))
                return
            try:
                message = await self._opened_part(message)
            except Problem as problem:
                await answer(problem, Request(scope))(scope, receive, send)
                return
            MutableHeaders(scope=start)["content-length"] = str(len(message.get("body", b"")))
            await send(start)
            await send(message)

        await self._app(scope, receive, sent)

    async def _opened_part(self, message: Message) -> Message:
        body: bytes = message.get("body", b"")
        if _MARKED not in body:
            return message
        return {**message, "body": await self._opened(body)}

    async def _opened(self, body: bytes) -> bytes:
        """JSON as a whole, or the lines of an event stream that hold JSON."""
        try:
            return orjson.dumps(await self._personal.open(orjson.loads(body)))
        except orjson.JSONDecodeError:
            lines = body.split(b"\n")
        for number, line in enumerate(lines):
            name, colon, data = line.partition(b": ")
            if _MARKED in line and name == b"data" and colon:
                opened = await self._personal.open(orjson.loads(data))
                lines[number] = b"data: " + orjson.dumps(opened)
        return b"\n".join(lines)


def _is_json(start: Message) -> bool:
    kind = Headers(scope=start).get("content-type", "")
    return "json" in kind.partition(";")[0]
