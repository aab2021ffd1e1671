"""A real workflow with children, signals and timers, on the loop of `tests/model/runtime.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn

from temporalio import workflow
from temporalio.api.enums.v1 import RetryState
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)

from handrail.kernel import Attribution
from handrail.sagas.options import Intervention
from tests.model import runtime
from tests.model.runtime import Code, Told
from workflows.collect_instalment import CollectInstalmentWorkflow
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.plan_wishes import PayAllNow
from workflows.return_order import ReturnOrderWorkflow
from workflows.settle_early import SettleEarlyWorkflow
from workflows.write_off import WriteOffWorkflow

BEGINS_AGAIN: Final = WorkflowIDReusePolicy.ALLOW_DUPLICATE
TYPES: Final[tuple[type, ...]] = (
    CollectInstalmentsWorkflow,
    CollectInstalmentWorkflow,
    ReturnOrderWorkflow,
    SettleEarlyWorkflow,
    WriteOffWorkflow,
)
_DEFINITIONS: Final = {
    found.name: found for found in map(workflow._Definition.must_from_class, TYPES)
}
_UPDATES: Final = {Attribution: "cancel", Intervention: "intervene", PayAllNow: "settle_early"}


@dataclass(frozen=True)
class Begun:
    """With what a workflow was begun. `run` names its run, `first` the run that it goes on from."""

    type: str
    id: str
    arguments: Sequence[Any]
    at: datetime
    run: str
    first: str
    parent: str = ""


@dataclass(frozen=True)
class Start:
    """A child that is to be begun; `again`: also where one of its id has been before."""

    nth: int
    type: str
    id: str
    arguments: Sequence[Any]
    again: bool


@dataclass(frozen=True)
class Send:
    """A signal to another workflow."""

    nth: int
    id: str
    name: str
    arguments: Sequence[Any]


@dataclass(frozen=True)
class Started:
    """The child of the command `nth` was begun, or there was one already."""

    nth: int
    began: bool


@dataclass(frozen=True)
class Sent:
    nth: int
    arrived: bool


@dataclass(frozen=True)
class ChildEnded:
    """With a result or, where that is None, without any."""

    nth: int
    result: Any = None


@dataclass(frozen=True)
class Signalled:
    name: str
    arguments: Sequence[Any]


class GoesOn(workflow.ContinueAsNewError):
    """Carries what the next run is begun with."""

    def __init__(self, arguments: Sequence[Any]) -> None:
        super().__init__()
        self.arguments = arguments


class _Handle:
    """Of a child, whose end can be waited for."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, Any]:
        return self._future.__await__()


@dataclass(frozen=True)
class _Other:
    """The handle of a workflow that is no child."""

    process: Process
    id: str

    async def signal(self, name: str, *arguments: Any) -> None:
        await self.process.send(self.id, name, arguments)


class _Temporal(runtime.Temporal):
    _run: Process

    async def workflow_sleep(self, duration: float, **_: Any) -> None:
        try:
            await self._run.until(lambda: False, duration)
        except TimeoutError:
            return

    async def workflow_start_child_workflow(  # type: ignore[override]  # any options
        self, code: Any, *arguments: Any, **how: Any
    ) -> Any:
        return await self._run.start(code, arguments, how)

    def workflow_get_external_workflow_handle(self, id: str, **_: Any) -> Any:  # noqa: A002  # as the SDK calls it
        return _Other(self._run, id)

    def workflow_continue_as_new(self, *arguments: Any, **_: Any) -> NoReturn:
        raise GoesOn(arguments)


class Process(Code):
    """One run of a workflow, with all that it may ask Temporal for."""

    temporal = _Temporal

    def __init__(self, begun: Begun, *, without: frozenset[str] = frozenset()) -> None:
        """`without` are patches that are not there yet."""
        super().__init__(
            begun.at,
            workflow_id=begun.id,
            run_id=begun.run,
            first_execution_run_id=begun.first,
            parent=_Parent(begun.parent) if begun.parent else None,
            is_continue_as_new_suggested=lambda: False,
            is_target_worker_deployment_version_changed=lambda: False,
        )
        self.begun = begun
        self.commands: dict[int, Start | Send] = {}
        self.children: dict[int, Start] = {}
        """Those that were begun and have not ended."""
        self._without = without
        self._commanded: dict[int, asyncio.Future[Any]] = {}
        self._results: dict[int, asyncio.Future[Any]] = {}
        self._definition = _DEFINITIONS[begun.type]
        with self.loop.running():
            self.code: Any = self._definition.cls(*begun.arguments)

    def is_patched(self, patch: str) -> bool:
        return patch not in self._without

    async def begin(self) -> Any:
        return await self._definition.run_fn(self.code, *self.begun.arguments)

    def asked(self, told: Told) -> tuple[Callable[[], None], Coroutine[Any, Any, Any]]:
        update = self._definition.updates[_UPDATES[type(told.what)]]
        with_it = (told.what, told.instead) if isinstance(told.what, Intervention) else (told.what,)
        validator = update.validator

        def check() -> None:
            if validator is not None:
                validator(self.code, *with_it)

        async def handle() -> Any:
            answer = update.fn(self.code, *with_it)
            return await answer if asyncio.iscoroutine(answer) else answer

        return check, handle()

    def hear_at(self, at: datetime, entry: Any) -> None:
        self.now = max(self.now, at)
        self.hear(entry)

    def _take(self, entry: Any) -> None:
        match entry:
            case Started(nth=nth, began=began):
                asked = self.commands.pop(nth)
                assert isinstance(asked, Start)
                if began:
                    self.children[nth] = asked
                    self._results[nth] = self.loop.create_future()
                    self._commanded.pop(nth).set_result(None)
                else:
                    no = WorkflowAlreadyStartedError(asked.id, asked.type)
                    self._commanded.pop(nth).set_exception(no)
            case Sent(nth=nth, arrived=arrived):
                self.commands.pop(nth)
                if arrived:
                    self._commanded.pop(nth).set_result(None)
                else:
                    self._commanded.pop(nth).set_exception(ApplicationError("it is not there"))
            case ChildEnded(nth=nth, result=result):
                self._child_ended(self.children.pop(nth), result)
            case Signalled(name=name, arguments=arguments):
                getattr(self.code, name)(*arguments)
            case _:
                super()._take(entry)

    def _child_ended(self, child: Start, result: Any) -> None:
        if result is not None:
            self._results[child.nth].set_result(result)
            return
        failed = ChildWorkflowError(
            "it has no result",
            namespace="",
            workflow_id=child.id,
            run_id="",
            workflow_type=child.type,
            initiated_event_id=0,
            started_event_id=0,
            retry_state=RetryState.RETRY_STATE_UNSPECIFIED,  # type: ignore[arg-type]  # the same numbers
        )
        self._results[child.nth].set_exception(failed)

    async def start(self, code: Any, arguments: Sequence[Any], how: dict[str, Any]) -> _Handle:
        name = workflow._Definition.must_from_run_fn(code).name
        assert name is not None
        again = how["id_reuse_policy"] == BEGINS_AGAIN
        self._nth += 1
        nth = self._nth
        self.commands[nth] = Start(nth, name, how["id"], arguments, again)
        await self._is_done(nth)
        return _Handle(self._results[nth])

    async def send(self, id_: str, name: str, arguments: Sequence[Any]) -> None:
        self._nth += 1
        self.commands[self._nth] = Send(self._nth, id_, name, arguments)
        await self._is_done(self._nth)

    async def _is_done(self, nth: int) -> None:
        self._commanded[nth] = self.loop.create_future()
        await self._commanded[nth]


@dataclass(frozen=True)
class _Parent:
    workflow_id: str
