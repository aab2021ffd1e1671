"""What may happen to a step on its way, told for one saga, one step and one direction."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.activities.command_handler import metadata_of
from handrail.eventstore.store import ANY_VERSION, Appended, EventStore
from handrail.kernel import stream_name
from handrail.sagas.events import Direction, StepRefused
from handrail.sagas.step_keys import NOT_DONE, Answer, StepContext

ALWAYS = math.inf
A_LONG_TIME = 120.0  # seconds: a test that waits longer for anything has failed

Serve = Callable[[], Awaitable[Answer]]


class Trouble(Exception):
    """Something technical: Temporal tries again."""


class Gate:
    """Holds a step just before its effect; what was held takes effect later, even when nobody
    waits for it any more.
    """

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._opened = asyncio.Event()
        self._held: list[asyncio.Task[Answer]] = []

    async def reached(self) -> None:
        async with asyncio.timeout(A_LONG_TIME):
            await self._reached.wait()

    def open(self) -> None:
        self._opened.set()

    async def landed(self) -> list[Answer | BaseException]:
        """What each of the held tries came to."""
        self.open()
        return await asyncio.gather(*self._held, return_exceptions=True)

    async def through(self, serve: Serve) -> Answer:
        held = asyncio.ensure_future(self._hold(serve))
        self._held.append(held)
        return await asyncio.shield(held)

    async def _hold(self, serve: Serve) -> Answer:
        self._reached.set()
        await self._opened.wait()
        return await serve()


@dataclass
class Loss:
    """What was committed is not told to Temporal: its workflow task is kept, and then is lost.

    In `lost` are the runs whose next task fails, as if its worker had died.
    """

    lost: set[str]
    _committed: asyncio.Event = field(default_factory=asyncio.Event)
    _struck: asyncio.Event = field(default_factory=asyncio.Event)

    async def committed(self) -> None:
        async with asyncio.timeout(A_LONG_TIME):
            await self._committed.wait()

    def strikes(self) -> None:
        self._struck.set()

    async def over(self) -> None:
        """The first time only: what is asked again is answered."""
        if self._committed.is_set():
            return
        self._committed.set()
        await self._struck.wait()
        info = activity.info()
        assert info.workflow_run_id is not None
        self.lost.add(info.workflow_run_id)
        if not info.is_local:
            raise Trouble("the worker is gone, and the answer with it")


_away: ContextVar[asyncio.Event | None] = ContextVar("away", default=None)


class SometimesAway(EventStore):
    """The store; but for one try the database is away, once another company has answered."""

    async def append(self, *appends: Any, **how: Any) -> Appended:
        if noticed := _away.get():
            noticed.set()
            raise Trouble("the database is away")
        return await super().append(*appends, **how)


@dataclass
class Fault:
    """What goes wrong at one step of one saga, in one direction; nothing, unless it is set."""

    fails: float = 0
    """How many tries fail before their effect."""
    loses: float = 0
    """How many tries have their effect, and lose the answer."""
    twice: bool = False
    breaks_a_rule: bool = False
    refuses: bool = False
    alone: asyncio.Event | None = None
    """Whether the other company has done it, of which our own books never hear."""
    gate: Gate | None = None
    loss: Loss | None = None
    instead: Callable[[Any], Any] = lambda asked: asked
    """What is asked for in place of what was asked for."""
    tries: int = 0

    async def around(self, serve: Serve) -> Answer:
        self.tries += 1
        if self.loss:
            answer = await serve()
            await self.loss.over()
            return answer
        if self.alone:
            return await _without_our_books(serve, self.alone)
        if self.gate:
            return await self.gate.through(serve)
        if self.breaks_a_rule:
            raise ApplicationError("wrong", NOT_DONE, type="OutOfOrder", non_retryable=True)
        if self.tries <= self.fails:
            raise Trouble("failed before its effect")
        answers = await asyncio.gather(*(serve() for _ in range(1 + self.twice)))
        assert all(answer == answers[0] for answer in answers)
        if self.tries <= self.loses:
            raise Trouble("had its effect, and the answer was lost")
        return answers[0]


async def _without_our_books(serve: Serve, noticed: asyncio.Event) -> Answer:
    token = _away.set(noticed)
    try:
        return await serve()
    finally:
        _away.reset(token)


Where = tuple[str, str, Direction]


@dataclass
class Faults:
    """A wrapper around activities; a step that has no fault told is served as it is."""

    store: EventStore
    told: dict[Where, Fault] = field(default_factory=dict)

    def around(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        found = activity._Definition.must_from_callable(serve)  # noqa: SLF001  # the SDK has no other way
        name, asked_with = found.name, found.arg_types or []
        if StepContext not in asked_with:
            return serve

        @activity.defn(name=name)
        async def run(asked: Any, context: StepContext) -> Answer:
            key = context.key
            fault = self.told.get((key.saga, key.step, key.direction), Fault())
            if fault.refuses:
                fault.tries += 1
                answer = await _refused(self.store, context)
                if fault.loss:
                    await fault.loss.over()
                return answer
            return await fault.around(lambda: serve(fault.instead(asked), context))

        return run

    async def open_all(self) -> None:
        for fault in self.told.values():
            if fault.loss:
                fault.loss.strikes()
            if fault.gate:
                await fault.gate.landed()


UNWILLING = {"outcome": "Unwilling", "reason": "the context said no"}


async def _refused(store: EventStore, context: StepContext) -> Answer:
    """What a context stores and answers that has nothing to say but no."""
    key = context.key
    told = StepRefused(saga=key.saga, attempt=key.attempt, step=key.step, **UNWILLING)
    appended = await store.append(
        [(stream_name("saga", key.saga), ANY_VERSION, [told])],
        context=context,
        answer={"status": "refused", **UNWILLING},
        metadata=metadata_of(context, store.tenant),
    )
    return Answer(
        status="refused",
        outcome=UNWILLING["outcome"],
        reason=UNWILLING["reason"],
        token=appended.token,
    )
