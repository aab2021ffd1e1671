"""Spans of workflows and activities, and their trace context in Temporal's headers.

The header has the name and the form that Temporal's own interceptors give it. What a workflow hands
on is the context in which it was started, never that of a span in its worker: a worker that is
killed takes the spans with it that it has not exported, and theirs would be parents that nobody
finds. `docs/decisions/0042-one-trace.md` says what else differs from Temporal's interceptors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar, cast

from temporalio import activity, client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.exceptions import FailureError

from handrail.sagas.step_keys import StepContext
from handrail.tracing import spans

HEADER: Final = "_tracer-data"
_EXTERN: Final = "__handrail_ended_span"
_PAYLOADS: Final = PayloadConverter.default
Headers = Mapping[str, Payload]
T = TypeVar("T")


def interceptors() -> Sequence[TracingInterceptor]:
    """For a client, whose workers have them too; none where no spans are exported."""
    return [TracingInterceptor()] if spans.is_on() else []


class TracingInterceptor(client.Interceptor, worker.Interceptor):
    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002  # Temporal's name
        return _Client(next)

    def intercept_activity(
        self,
        next: worker.ActivityInboundInterceptor,  # noqa: A002  # Temporal's name
    ) -> worker.ActivityInboundInterceptor:
        return _Activity(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002  # Temporal's name
    ) -> type[worker.WorkflowInboundInterceptor]:
        input.unsafe_extern_functions.update({_EXTERN: _ended_span})
        return _Workflow


def header_of(traceparent: str) -> Headers:
    named = {spans.TRACEPARENT: traceparent}
    return {HEADER: _PAYLOADS.to_payloads([named])[0]} if traceparent else {}


def traceparent_in(headers: Headers) -> str:
    """Empty where the headers have none, or one of another form."""
    payload = headers.get(HEADER)
    if payload is None:
        return ""
    try:
        [named] = _PAYLOADS.from_payloads([payload])
    except Exception:  # noqa: BLE001  # a header never fails a task
        return ""
    found = named.get(spans.TRACEPARENT) if isinstance(named, dict) else None
    return found if isinstance(found, str) else ""


class _Client(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> Any:  # noqa: A002
        said = {"temporalWorkflowID": input.id}
        with spans.span(f"StartWorkflow:{input.workflow}", said, spans.CLIENT):
            input.headers = {**input.headers, **header_of(spans.traceparent())}
            return await super().start_workflow(input)

    async def start_activity(self, input: client.StartActivityInput) -> Any:  # noqa: A002
        said = {"temporalActivityID": input.id}
        with spans.span(f"StartActivity:{input.activity_type}", said, spans.CLIENT):
            input.headers = {**input.headers, **header_of(spans.traceparent())}
            return await super().start_activity(input)

    async def start_workflow_update(self, input: client.StartWorkflowUpdateInput) -> Any:  # noqa: A002
        said = {"temporalWorkflowID": input.id}
        with spans.span(f"StartWorkflowUpdate:{input.update}", said, spans.CLIENT):
            input.headers = {**input.headers, **header_of(spans.traceparent())}
            return await super().start_workflow_update(input)

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:  # noqa: A002
        said = {"temporalWorkflowID": input.id}
        with spans.span(f"SignalWorkflow:{input.signal}", said, spans.CLIENT):
            input.headers = {**input.headers, **header_of(spans.traceparent())}
            await super().signal_workflow(input)

    async def query_workflow(self, input: client.QueryWorkflowInput) -> Any:  # noqa: A002
        said = {"temporalWorkflowID": input.id}
        with spans.span(f"QueryWorkflow:{input.query}", said, spans.CLIENT):
            return await super().query_workflow(input)


class _Activity(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002
        traceparent = traceparent_in(input.headers) or _of_the_step(input.args)
        if not traceparent:
            return await super().execute_activity(input)
        if not spans.is_sampled(traceparent):
            with spans.attached(spans.context_of(traceparent)):  # for the lines of the log
                return await super().execute_activity(input)
        info = activity.info()
        said: dict[str, str | int] = {
            "temporalActivityID": info.activity_id,
            "temporalWorkflowID": info.workflow_id or "",
            "temporalRunID": info.workflow_run_id or "",
            "handrail.try": info.attempt,
        }
        name = f"RunActivity:{info.activity_type}"
        with spans.started(name, spans.context_of(traceparent), said, spans.SERVER):
            return await super().execute_activity(input)


def _of_the_step(arguments: Sequence[Any]) -> str:
    """Of a saga that was started by a process without spans, or before there were any."""
    return next((one.traceparent for one in arguments if isinstance(one, StepContext)), "")


class _Workflow(worker.WorkflowInboundInterceptor):
    """Each span is made when what it is of has ended, by the worker where it ended: from the clock
    of the workflow, which every replay has.
    """

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        info = workflow.info()
        began = spans.nanoseconds(info.workflow_start_time)
        name, headers = f"RunWorkflow:{info.workflow_type}", info.headers
        try:
            result = await super().execute_workflow(input)
        except FailureError as failure:
            _say(name, headers, began, failure)
            raise
        _say(name, headers, began)
        return result

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:  # noqa: A002
        began = workflow.time_ns()
        try:
            result = await super().handle_update_handler(input)
        except FailureError as failure:
            _say(f"HandleUpdate:{input.update}", input.headers, began, failure)
            raise
        _say(f"HandleUpdate:{input.update}", input.headers, began)
        return result

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        began = workflow.time_ns()
        await super().handle_signal(input)
        _say(f"HandleSignal:{input.signal}", input.headers, began)


class _Outbound(worker.WorkflowOutboundInterceptor):
    """Hands the header of the workflow on, where its trace is sampled: else each activity would pay
    for what nothing comes of.
    """

    _header: Headers | None = None
    """None: it was not looked at yet, which an interceptor cannot do when it is made."""

    def _handed_on(self, headers: Headers) -> Headers:
        if self._header is None:
            given = workflow.info().headers
            sampled = spans.is_sampled(traceparent_in(given))
            self._header = {HEADER: given[HEADER]} if sampled else {}
        return {**headers, **self._header} if self._header else headers

    def start_activity(self, input: worker.StartActivityInput) -> Any:  # noqa: A002
        input.headers = self._handed_on(input.headers)
        return super().start_activity(input)

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> Any:  # noqa: A002
        input.headers = self._handed_on(input.headers)
        return super().start_local_activity(input)

    async def start_child_workflow(self, input: worker.StartChildWorkflowInput) -> Any:  # noqa: A002
        input.headers = self._handed_on(input.headers)
        return await super().start_child_workflow(input)

    def continue_as_new(self, input: worker.ContinueAsNewInput) -> NoReturn:  # noqa: A002
        input.headers = self._handed_on(input.headers)
        super().continue_as_new(input)


def _say(name: str, headers: Headers, began: int, failure: BaseException | None = None) -> None:
    if workflow.unsafe.is_replaying():
        return
    if spans.is_sampled(traceparent := traceparent_in(headers)):
        info = workflow.info()
        said = {"temporalWorkflowID": info.workflow_id, "temporalRunID": info.run_id}
        if failure:
            said["error.type"] = type(failure).__name__
        ended_span = cast("Callable[..., None]", workflow.extern_functions()[_EXTERN])
        ended_span(name, traceparent, began, said)


def _ended_span(name: str, traceparent: str, began: int, said: Mapping[str, str]) -> None:
    """Outside of the sandbox, where the clock is the machine's."""
    spans.ended(name, spans.context_of(traceparent), began, said, spans.SERVER)
