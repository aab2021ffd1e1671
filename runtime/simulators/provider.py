"""A provider of push, SMS and e-mail that speaks HTTP and does as the address says.

| address                | the provider                                                         |
|------------------------|----------------------------------------------------------------------|
| to_declined            | declines: `unreachable`                                              |
| to_slow                | carries it after 1.5 s, and answers then                             |
| to_late_N              | carries it after N seconds, even if the client has hung up by then   |
| to_error, to_error_N   | fails (500) on the first try, or the first N tries, of a key         |
| to_down_N              | fails (503) until N seconds after the first try of a key             |
| to_broken              | fails (500) always                                                   |
| to_lost                | carries it, and the answer is lost (504); asked again, it answers    |
| anything else          | carries it                                                           |

What stands after an `@` does not count: `to_lost@example.org` is an address, too. `POST /limit`
with `{"per_second": 50}` has it take so many requests a second and no more: others are answered 429
with Retry-After. `GET /ledger` lists the messages that were carried, in their order.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.request_journal import Answer, declined, reference_of

Text = Annotated[str, Field(min_length=1)]


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Literal["push", "sms", "email"]
    to: Text
    subject: str = ""
    text: Text


class Limit(BaseModel):
    """None: as many as come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: Annotated[float, Field(gt=0)] | None = None


class ProviderBook:
    def __init__(self) -> None:
        self._messages: list[dict[str, object]] = []
        self._declines = Declines()

    def arrives(self, asked: Message) -> Behaviour:
        return _behaviour_of(asked) or Behaviour()

    def lands(self, key: str, asked: Message) -> Answer:
        if self._declines.declined(_behaviour_of(asked), asked.to, "carry"):
            return declined("unreachable")
        id_ = reference_of("msg", key)
        self._messages.append({"key": key, "id": id_, **asked.model_dump()})
        return Answer(201, {"status": "taken", "id": id_})

    def ledger(self) -> dict[str, object]:
        return {"messages": self._messages}


class Gate:
    """Lets so many through in a second, and after a pause a second's worth at once."""

    def __init__(self) -> None:
        self.limit = Limit()
        self._next = -math.inf

    def seconds_to_wait(self) -> float:
        """0 for who may pass."""
        if self.limit.per_second is None:
            return 0.0
        now, each = asyncio.get_running_loop().time(), 1 / self.limit.per_second
        begin = max(self._next, now - max(1 - each, 0.0))
        if begin > now:
            return begin - now
        self._next = begin + each
        return 0.0


def create_provider(ledger_path: Path | None) -> FastAPI:
    lines: TypeAdapter[tuple[str, Message]] = TypeAdapter(tuple[str, Message])
    app, desk = open_company("Simulated message provider", ProviderBook(), lines, ledger_path)
    gate = Gate()

    @app.post("/messages")
    async def carry(http: Request, key: Key, asked: Message) -> JSONResponse:
        if wait := gate.seconds_to_wait():
            retry_after = {"Retry-After": str(math.ceil(wait))}
            return JSONResponse({"error": "too many requests"}, 429, retry_after)
        return await desk.answer(http, key, asked)

    @app.post("/limit")
    async def limit(behaviour: Limit) -> Limit:
        gate.limit = behaviour
        return behaviour

    return app


def _behaviour_of(asked: Message) -> Behaviour | None:
    return behaviour(asked.to.partition("@")[0], stage="carry", stages=("carry",))
