"""Temporal as a saga sees it: the real `SagaExecution` on an event loop of one thing at a time.

What Temporal records of a run is its `Entry`s. A run that is begun over is given those that were
recorded, in their order, and is then where it was: so a run is a value, too.
"""

from __future__ import annotations

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.workflow import _context

from domain.identifiers import MerchantId
from handrail.kernel import Attribution, Command, Money
from handrail.sagas.definition import Saga
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import Intervention, RunOptions, SagaIdentity, Verdict
from tests.temporal import DATA_CONVERTER
from workflows.options import ShopOptions

BEGAN: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
SAGA: Final = "saga"
LEFT_OUT: Final = frozenset({"kept-before-recorded", "cancellation-kept-before-recorded"})
"""What the engine does against Temporal's batches, which are not in the model."""
OPTIONS: Final[RunOptions] = ShopOptions()


@dataclass(frozen=True)
class Begin:
    """The workflow's code begins: what came before is seen first."""


@dataclass(frozen=True)
class Answered:
    """The `nth` activity of the run ended with `value`, or failed."""

    nth: int
    value: Any = None
    failure: ApplicationError | None = None
    local: bool = False


@dataclass(frozen=True)
class Fired:
    """The `nth` timer of the run; the clock is then at its hour."""

    nth: int


@dataclass(frozen=True)
class CancelledByTemporal:
    reason: str


@dataclass(frozen=True)
class Told:
    """An update: `id` is Temporal's; `instead` is the command of a correction."""

    id: str
    what: Any
    instead: Command | None = None


Entry = Begin | Answered | Fired | CancelledByTemporal | Told


@dataclass(frozen=True)
class Scheduled:
    """An activity that a run has asked for; a step has a limit, the saga's own stream has none."""

    nth: int
    name: str
    arguments: Sequence[Any]
    local: bool
    has_limit: bool


def anew(failure: ApplicationError) -> ApplicationError:
    """As it was before anybody raised it: it would keep all those alive that it went through."""
    details, kind = failure.details, failure.type
    return ApplicationError(
        failure.message, *details, type=kind, non_retryable=failure.non_retryable
    )


class Loop(asyncio.AbstractEventLoop):
    """Runs what is ready, in its order, until nothing is."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self.conditions: list[tuple[Callable[[], bool], asyncio.Future[bool]]] = []

    def call_soon(  # type: ignore[override]  # any arguments
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # any arguments
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Of activities alone, which wait only so that others may go first."""
        self.call_soon(callback, *args, context=context)
        return asyncio.TimerHandle(0, callback, args, self, context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It was over at once."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **more: Any) -> Any:
        return asyncio.Task(coro, loop=self, context=more.get("context"))

    def time(self) -> float:
        return 0.0

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A run that is left where it is, is left with all its tasks."""

    @contextmanager
    def running(self) -> Iterator[None]:
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def settle(self) -> None:
        while self._ready:
            while self._ready:
                self._ready.popleft()._run()
            for condition in [one for one in self.conditions if one[0]()]:
                self.conditions.remove(condition)
                if not condition[1].done():
                    condition[1].set_result(True)


def _not_here(*_: object, **__: object) -> Any:
    raise NotImplementedError("no saga asks Temporal for this")


class Temporal(_context._Runtime):
    """What `temporalio.workflow` asks of the worker."""

    def __init__(self, run: Code) -> None:
        super().__init__()
        self._run = run

    def workflow_all_handlers_finished(self) -> bool:
        return not self._run.handlers

    def workflow_cancellation_reason(self) -> str | None:
        return self._run.cancelled

    def workflow_info(self) -> Any:
        return self._run.info

    def workflow_patch(self, id: str, **_: Any) -> bool:  # noqa: A002  # as the SDK calls it
        return self._run.is_patched(id) and id not in LEFT_OUT

    def workflow_payload_converter(self) -> PayloadConverter:
        return DATA_CONVERTER.payload_converter

    def workflow_time_ns(self) -> int:
        return int(self._run.now.timestamp()) * 1_000_000_000

    def workflow_is_replaying(self) -> bool:
        return False

    def workflow_upsert_search_attributes(self, attributes: Any, **_: Any) -> None:
        """Shown to operators alone."""

    def workflow_set_current_details(self, details: str) -> None:
        """Shown to operators alone."""

    def workflow_start_activity(self, activity: Any, *args: Any, **more: Any) -> Any:
        return self._run.schedule(activity, args, more, local=False)

    def workflow_start_local_activity(self, activity: Any, *args: Any, **more: Any) -> Any:
        return self._run.schedule(activity, args, more, local=True)

    async def workflow_wait_condition(
        self, fn: Callable[[], bool], *, timeout: float | None = None, **_: Any
    ) -> None:
        if fn():
            return
        await self._run.until(fn, timeout)


for _name in _context._Runtime.__abstractmethods__ - set(vars(Temporal)):
    setattr(Temporal, _name, _not_here)
Temporal.__abstractmethods__ = frozenset()


class Code(ABC):
    """One run of a workflow's code, as its worker has it in memory."""

    temporal: type[Temporal] = Temporal  # type: ignore[type-abstract]  # filled in above

    def __init__(self, began: datetime, **info: Any) -> None:
        self.now = began
        self.cancelled: str | None = None
        self.handlers: dict[str, asyncio.Task[None]] = {}
        self.updates: dict[str, str] = {}
        """What each update came to: `accepted`, `done`, or `no: ` and why."""
        self.rejected: set[str] = set()
        """Updates that a validator refused: nothing is recorded of them."""
        self.pending: dict[int, Scheduled] = {}
        self.timers: dict[int, datetime] = {}
        """Until when each of them runs."""
        self.main: asyncio.Task[Any] | None = None
        self.info = SimpleNamespace(workflow_start_time=began, **info)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._alarms: dict[int, asyncio.Future[bool]] = {}
        self._nth = self._nth_timer = 0
        self.loop = Loop()  # type: ignore[abstract]  # a workflow needs no more of it
        setattr(self.loop, "__temporal_workflow_runtime", self.temporal(self))  # filled in above

    @abstractmethod
    def is_patched(self, patch: str) -> bool: ...

    @abstractmethod
    def begin(self) -> Coroutine[Any, Any, Any]:
        """The workflow's own story."""

    @abstractmethod
    def asked(self, told: Told) -> tuple[Callable[[], None], Coroutine[Any, Any, Any]]:
        """The validator and the handler of an update."""

    def hear(self, entry: Entry) -> None:
        with self.loop.running():
            self._take(entry)
            self.loop.settle()

    @property
    def is_over(self) -> bool:
        return self.main is not None and self.main.done()

    @property
    def failure(self) -> BaseException | None:
        """What ended the workflow, where it has no result."""
        assert self.main is not None
        if self.main.cancelled():
            return asyncio.CancelledError()
        return self.main.exception()

    def _take(self, entry: Entry) -> None:
        match entry:
            case Begin():
                self.main = self.loop.create_task(self.begin())
                if self.cancelled is not None:
                    self.loop.call_soon(self.main.cancel)
            case Answered(nth=nth, value=value, failure=failure):
                self.pending.pop(nth)
                future = self._waiting.pop(nth)
                if failure is not None:
                    future.set_exception(anew(failure))
                else:
                    future.set_result(value)
            case Fired(nth=nth):
                self.now = max(self.now, self.timers.pop(nth))
                self._alarms.pop(nth).set_result(False)
            case CancelledByTemporal(reason=reason):
                self.cancelled = reason
                if self.main:
                    self.main.cancel()
            case Told():
                self._update(entry)

    def _update(self, told: Told) -> None:
        check, handler = self.asked(told)
        try:
            check()
        except ApplicationError as no:
            handler.close()
            self.rejected.add(told.id)
            self.updates[told.id] = f"no: {no.message}"
            return
        self.updates[told.id] = "accepted"
        self.handlers[told.id] = self.loop.create_task(self._handled(told.id, handler))

    async def _handled(self, id_: str, handler: Coroutine[Any, Any, Any]) -> None:
        try:
            await handler
            self.updates[id_] = "done"
        except ApplicationError as no:
            self.updates[id_] = f"no: {no.message}"
        finally:
            self.handlers.pop(id_, None)

    # What the code asks for.

    def schedule(
        self, name: str, arguments: Sequence[Any], more: dict[str, Any], *, local: bool
    ) -> asyncio.Future[Any]:
        self._nth += 1
        has_limit = more.get("schedule_to_close_timeout") is not None
        self.pending[self._nth] = Scheduled(self._nth, name, arguments, local, has_limit)
        future = self._waiting[self._nth] = self.loop.create_future()
        return future

    async def until(self, fn: Callable[[], bool], timeout: float | None) -> None:
        future: asyncio.Future[bool] = self.loop.create_future()
        self.loop.conditions.append((fn, future))
        nth = 0
        if timeout is not None:
            nth = self._nth_timer = self._nth_timer + 1
            self.timers[nth] = self.now + timedelta(seconds=timeout)
            self._alarms[nth] = future
        try:
            in_time = await future
        finally:
            self.timers.pop(nth, None)
            self._alarms.pop(nth, None)
            left = [one for one in self.loop.conditions if one[1] is not future]
            self.loop.conditions[:] = left
        if not in_time:
            raise TimeoutError


class Run(Code):
    """One run of a saga's workflow."""

    def __init__(
        self, saga: Saga, attempt: int, run: str, first_run: str, *, patched: bool
    ) -> None:
        super().__init__(BEGAN, run_id=run, first_execution_run_id=first_run)
        self._patched = patched
        identity = SagaIdentity(
            saga=SAGA,
            saga_type="Model",
            tenant=MerchantId("merchant"),
            at_stake=Money(100, "EUR"),
            actor="customer",
            attempt=attempt,
        )
        with self.loop.running():
            self.saga = SagaExecution(saga, identity, OPTIONS)

    def is_patched(self, patch: str) -> bool:
        return self._patched

    def begin(self) -> Coroutine[Any, Any, Any]:
        return self.saga.run()

    def asked(self, told: Told) -> tuple[Callable[[], None], Coroutine[Any, Any, Any]]:
        match told.what:
            case Attribution() as wish:
                return partial(self.saga.may_cancel, wish), self.saga.cancel(wish)
            case Intervention() as by:
                check = partial(self.saga.may_intervene, by, told.instead)
                return check, self.saga.intervene(by, told.instead)
            case Verdict() as verdict:
                return partial(self.saga.may_answer, verdict), self.saga.answer(verdict)
            case other:
                raise NotImplementedError(f"no saga is told {other}")
