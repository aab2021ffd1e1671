"""The front desk of a simulated company: keys, faults, and requests that outlive their client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Generic

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from handrail.simulators.fault_injection import Faults, InjectedFaults
from handrail.simulators.request_journal import Answer, Asked, Book, RequestJournal
from handrail.simulators.webhook_sender import WebhookSender
from handrail.tracing.frameworks import NO_TELEMETRY

Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1)]
"""The header `Idempotency-Key`."""

_FAILED = Answer(500, {"error": "failed before anything was done"})
_DOWN = Answer(503, {"error": "down"})
_LOST = Answer(504, {"error": "the answer was lost"})
_KEY_REUSED = Answer(422, {"error": "this key came before with another content"})
_HUNG_UP = Answer(499, {"error": "nobody waits for this any more"})


class KeyedRequests(Generic[Asked]):
    def __init__(self, book: Book[Asked], journal: RequestJournal[Asked]) -> None:
        self.weather = InjectedFaults()
        self._book = book
        self._journal = journal
        self._answered: dict[str, tuple[Asked, Answer]] = {}
        self._landing: dict[str, tuple[Asked, asyncio.Task[Answer]]] = {}
        self._tries: Counter[str] = Counter()
        self._first_tried: dict[str, float] = {}

    def open(self) -> None:
        for key, asked in self._journal.open():
            self._settle(key, asked)

    async def close(self) -> None:
        """What has not landed yet never will, as when a real process ends."""
        tasks = [task for _, task in self._landing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._journal.close()

    async def answer(self, http: Request, key: str, asked: Asked) -> JSONResponse:
        answer = await _unless_hung_up(http, self._serve(key, asked))
        return JSONResponse(answer.content, answer.status)

    async def _serve(self, key: str, asked: Asked) -> Answer:
        if self.weather.is_down:
            return _DOWN
        luck = self.weather.luck()
        if luck == "fails":
            return _FAILED
        answer = await self._serve_once(key, asked)
        return _LOST if luck == "loses the answer" else answer

    async def _serve_once(self, key: str, asked: Asked) -> Answer:
        if key in self._answered:
            first, answer = self._answered[key]
            return answer if asked == first else _KEY_REUSED
        if key in self._landing:
            first, landing = self._landing[key]
            return await asyncio.shield(landing) if asked == first else _KEY_REUSED
        return await self._first_serve(key, asked)

    async def _first_serve(self, key: str, asked: Asked) -> Answer:
        told = self._book.arrives(asked)
        now = asyncio.get_running_loop().time()
        self._tries[key] += 1
        if now < self._first_tried.setdefault(key, now) + told.seconds_down:
            return _DOWN
        if self._tries[key] <= told.tries_to_fail:
            return _FAILED
        seconds = told.seconds_to_land + self.weather.latency_seconds
        landing = asyncio.create_task(self._land(key, asked, seconds))
        self._landing[key] = asked, landing
        # A client that hangs up cancels its own waiting, never what the company is doing.
        answer = await asyncio.shield(landing)
        return _LOST if told.answer_lost else answer

    async def _land(self, key: str, asked: Asked, seconds: float) -> Answer:
        """The one place where something becomes true."""
        try:
            await asyncio.sleep(seconds)
            self._journal.add(key, asked)
            return self._settle(key, asked)
        finally:
            del self._landing[key]

    def _settle(self, key: str, asked: Asked) -> Answer:
        answer = self._book.lands(key, asked)
        self._answered[key] = asked, answer
        return answer


def open_company(
    title: str,
    book: Book[Asked],
    lines: TypeAdapter[tuple[str, Asked]],
    ledger_path: Path | None,
    teller: WebhookSender | None = None,
) -> tuple[FastAPI, KeyedRequests[Asked]]:
    """An app that has everything but the company's own requests; `teller` is whom its book tells
    what others should hear.
    """
    desk = KeyedRequests(book, RequestJournal(ledger_path, lines))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if teller is not None:
            teller.open()
        desk.open()
        yield
        await desk.close()
        if teller is not None:
            await teller.close()

    app = FastAPI(title=title, lifespan=lifespan, telemetry=NO_TELEMETRY)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ledger")
    async def ledger() -> dict[str, object]:
        return book.ledger()

    @app.post("/faults")
    async def faults(told: Faults) -> Faults:
        desk.weather.turn(told)
        return told

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        """FastAPI would say 422, which here means a key that came with another content."""
        where = [".".join(map(str, problem["loc"])) for problem in error.errors()]
        return JSONResponse({"error": "malformed", "where": where}, 400)

    return app, desk


async def _unless_hung_up(http: Request, serving: Coroutine[None, None, Answer]) -> Answer:
    """A server that shuts down waits for its handlers: none may wait for a client that is gone."""
    served = asyncio.ensure_future(serving)
    gone = asyncio.ensure_future(_hung_up(http))
    try:
        await asyncio.wait({served, gone}, return_when=asyncio.FIRST_COMPLETED)
        return served.result() if served.done() else _HUNG_UP
    finally:
        served.cancel()
        gone.cancel()


async def _hung_up(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
