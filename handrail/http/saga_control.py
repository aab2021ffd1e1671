"""Saga control: interventions in one saga and in many, answers, and further attempts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import orjson
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    Priority,
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.converter import decode_typed_search_attributes
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from handrail.activities.corrections import WrongCorrection, corrected
from handrail.eventstore.codec import Codec
from handrail.http import stream_reader
from handrail.http.database import Database
from handrail.http.personal_texts import SagaTexts
from handrail.http.problems import Problem, at, pointer_to
from handrail.http.start_input import LastAttempt, begun_with, last_attempt
from handrail.http.temporal_errors import RPC, execute_update, query_workflow, temporal_reachable
from handrail.kernel import Attribution, Command, stream_name
from handrail.personal import subject_of
from handrail.sagas.bulk_intervention import InterveneInManyWorkflow
from handrail.sagas.events import SagaResumed
from handrail.sagas.fairness import fair
from handrail.sagas.interventions import InterveneInMany, update_id
from handrail.sagas.options import Intervention, RunOptions, Verdict
from handrail.sagas.saga_type import SagaType
from handrail.sagas.shapes import SagaShapes
from handrail.sagas.visibility import SAGA_STATUS, begun_as
from handrail.temporal.client import opened

_GONE: Final = frozenset(
    {
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.TIMED_OUT,
    }
)
IN_MANY: Final = ("InterveneInMany",)
"""The type of the workflow of an intervention in many sagas."""
_ATTEMPT: Final = 3
"""Which argument of a saga's workflow is the attempt; before it come input, options and actor."""


class SagaClient:
    """`types` are the saga types by name; `rules` the problem slugs of broken rules, by the
    names of their classes.
    """

    def __init__(
        self,
        client: Client,
        options: RunOptions,
        database: Database,
        *,
        types: Mapping[str, SagaType[Any]],
        codec: Codec,
        rules: Mapping[str, str],
        texts: SagaTexts,
        shapes: SagaShapes,
    ) -> None:
        self._texts = texts
        self._shapes = shapes
        self._client = client
        self._database = database
        self._options = options
        self._types = types
        self._codec = codec
        self._rules = rules

    async def intervene(
        self, saga: str, intervention: Intervention, correction: Mapping[str, Any] | None = None
    ) -> None:
        """Raises Problem for a correction that does not fit the command of the parked step, where
        none was parked when it was looked for, and for another intervention than the one that the
        saga took under this id.
        """
        if await self._took(saga, intervention, correction):
            return
        instead = None
        if correction is not None:
            instead = await self._corrected(saga, intervention.step, correction)
        id_ = update_id("intervene", intervention.id)
        try:
            await self._tell(saga, "intervene", [intervention, instead], id_)
        except Problem as problem:
            if correction is None or instead is not None or problem.slug != "invalid-request":
                raise
            # It has parked since then: what was asked for is right, and came too early.
            raise Problem("not-parked", f"{saga} had not parked yet: say it again") from None

    async def _took(
        self, saga: str, intervention: Intervention, correction: Mapping[str, Any] | None
    ) -> bool:
        """Whether the saga went on by it already, as its stream says."""
        async with self._database.connection() as connection:
            found = await stream_reader.read(
                connection,
                stream_name("saga", saga),
                after=0,
                limit=1,
                type_=SagaResumed.__name__,
                data={"intervention": intervention.id},
            )
        for one in found:
            data = await self._texts.personal.open(one.data)
            names = ("kind", "reason", "evidence")
            happened = data.get("happened", True)
            differs = any(data[name] != getattr(intervention, name) for name in names)
            differs |= intervention.step not in {"", data["step"]}
            differs |= _is_other(correction or {}, data.get("correction") or "{}")
            if differs or happened != intervention.happened:
                said = f"{saga} took another intervention under the id {intervention.id}"
                raise Problem("content-differs", said)
        return bool(found)

    async def _corrected(
        self, saga: str, step: str, correction: Mapping[str, Any]
    ) -> Command | None:
        """None where no such step is parked. Whether it was told before is for the saga to say."""
        try:
            asked: Command = await query_workflow(
                self._client, saga, "parked_command", step, of=self._types
            )
        except Problem as problem:
            if problem.slug == "not-parked":
                return None
            raise
        try:
            return corrected(asked, correction)
        except WrongCorrection as wrong:
            where = pointer_to("correction", *wrong.path)
            said = f"{where}: {wrong.said}"
            raise Problem("invalid-request", said, [at(where, wrong.said)]) from None

    async def answer(self, saga: str, verdict: Verdict) -> None:
        id_ = update_id("answer", verdict.id)
        await self._tell(saga, "answer", [verdict], id_)

    async def _tell(self, saga: str, update: str, arguments: Sequence[Any], id_: str) -> None:
        sealed = await self._texts.sealed_all(saga, arguments)
        await execute_update(
            self._client, saga, update, sealed, id_=id_, of=self._types, rules=self._rules
        )

    async def begin_again(self, saga: str, actor: str, reason: str) -> int:
        """The number of the attempt that was started, by who asks for it now.

        It follows the last that has begun and the last that was to begin. Raises Problem where the
        attempt before goes on, or came to its own end: what was refused or taken back stays so,
        whatever has become of its workflow.
        """
        told = await last_attempt(self._database, self._codec, saga)
        last = await self._last(saga, told)
        attempt = max(last.attempt, told.number if told else 0) + 1
        subject = await self._texts.subject(saga)
        reason = await self._texts.personal.seal_text(reason, "reason", subject)
        said = f"attempt {attempt}, asked for by {actor}: {reason}"
        try:
            async with temporal_reachable():
                await self._client.start_workflow(
                    last.type,
                    args=[*last.input, actor, attempt],
                    id=saga,
                    task_queue=last.task_queue,
                    priority=last.priority,
                    search_attributes=last.search_attributes,
                    static_summary=f"attempt {attempt}, asked for by {actor}",
                    static_details=said,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    rpc_timeout=RPC,
                )
        except WorkflowAlreadyStartedError:
            raise Problem("not-failed", f"another attempt of {saga} was begun") from None
        return attempt

    async def start_in_many(self, asked: InterveneInMany, *, begun: bool = False) -> None:
        """Started before, or even ended, is started. `begun` says that its stream is there.

        Raises Problem where it was begun with other content.
        """
        id_ = stream_name("intervention", asked.intervention)
        sealed = await self._texts.personal.seal(asked)
        if not begun:
            async with temporal_reachable():
                with contextlib.suppress(WorkflowAlreadyStartedError):
                    await self._client.start_workflow(
                        InterveneInManyWorkflow.run,
                        args=[sealed, None],
                        id=id_,
                        task_queue=self._options.queue_prefix + "sagas",
                        static_summary=f"{asked.kind}, asked for by {asked.actor}",
                        static_details=sealed.reason,
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                        rpc_timeout=RPC,
                    )
                    return
        found = await begun_with(self._client, id_)
        if found is not None and found.workflow_type in IN_MANY:
            kept = await found.argument(0, InterveneInMany)
            before = await self._texts.personal.open(kept)
            if before == replace(asked, actor=before.actor):
                return
        said = f"{asked.intervention} was begun before, with other content"
        raise Problem("content-differs", said)

    async def stop_in_many(self, intervention: str, stop: Attribution) -> None:
        await self._tell_in_many(intervention, "stop", stop, "stop")

    async def suspend_in_many(self, intervention: str, by: Attribution) -> None:
        """What is suspended stays so."""
        await self._tell_in_many(intervention, "suspend", by, uuid4().hex)

    async def resume_in_many(self, intervention: str, by: Attribution) -> None:
        """What runs goes on."""
        await self._tell_in_many(intervention, "resume", by, uuid4().hex)

    async def _tell_in_many(
        self, intervention: str, update: str, by: Attribution, id_: str
    ) -> None:
        workflow = stream_name("intervention", intervention)
        try:
            about = subject_of("intervention", intervention)
            wish = await self._texts.personal.seal(by, about)
            await execute_update(
                self._client, workflow, update, [wish], id_=id_, of=IN_MANY, rules=self._rules
            )
        except Problem as problem:
            if problem.slug == "not-found":
                said = f"there is no intervention {intervention}"
                raise Problem("not-found", said) from None
            if problem.slug == "saga-ended":
                raise Problem("intervention-ended", f"{intervention} has ended") from None
            raise

    async def _last(self, saga: str, told: LastAttempt | None) -> _LastRun:
        try:
            async with temporal_reachable():
                found = await self._client.get_workflow_handle(saga).describe(rpc_timeout=RPC)
                if found.workflow_type not in self._types:
                    raise Problem("not-found", f"there is no saga {saga}")
                check_left(saga, found.status, told)
                run = self._client.get_workflow_handle(saga, run_id=found.run_id)
                async for event in run.fetch_history_events(page_size=1, rpc_timeout=RPC):
                    return await self._begun_by(event)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        if told is None:
            raise Problem("not-found", f"there is no saga {saga}")
        if told.ending:
            raise Problem("saga-ended", f"{saga} is {told.ending}")
        if not told.input or told.saga_type not in self._types:
            said = f"attempt {told.number} of {saga} has not ended, and its input is forgotten"
            raise Problem("input-forgotten", said)
        return self._as_told(told)

    def _as_told(self, told: LastAttempt) -> _LastRun:
        """As a saga of its type is begun now, with the input that its stream has kept."""
        input_ = Payload(metadata={"encoding": b"json/plain"}, data=told.input.encode())
        options = replace(self._options, shape=self._shapes.of(told.saga_type))
        return _LastRun(
            type=told.saga_type,
            task_queue=self._options.queue_prefix + "sagas",
            input=[RawValue(input_), options],
            attempt=told.number,
            priority=fair(told.tenant),
            search_attributes=begun_as(told.saga_type, told.tenant, self._options),
        )

    async def _begun_by(self, event: HistoryEvent) -> _LastRun:
        started: WorkflowExecutionStartedEventAttributes
        started = event.workflow_execution_started_event_attributes
        arguments = await opened(self._client, started.input.payloads)
        convert = self._client.data_converter.payload_converter.from_payload
        options: RunOptions = convert(arguments[_ATTEMPT - 2], type(self._options))
        if started.workflow_type.name in self._types:
            options = replace(options, shape=self._shapes.of(started.workflow_type.name))
        attributes = decode_typed_search_attributes(started.search_attributes)
        kept = [one for one in attributes if one.key.name != SAGA_STATUS.name]
        return _LastRun(
            type=started.workflow_type.name,
            task_queue=started.task_queue.name,
            input=[RawValue(arguments[0]), options],
            attempt=convert(arguments[_ATTEMPT], int),
            priority=Priority(
                priority_key=started.priority.priority_key or None,
                fairness_key=started.priority.fairness_key or None,
                fairness_weight=started.priority.fairness_weight or None,
            ),
            search_attributes=TypedSearchAttributes(
                [*kept, SearchAttributePair(SAGA_STATUS, "running")]
            ),
        )


def _is_other(correction: Mapping[str, Any], taken: str) -> bool:
    """Whether it would change a field to something else than was taken: what it leaves as it was is
    not kept, and neither are lists as they were sent.
    """
    return any(
        name not in correction
        or (isinstance(correction[name], str | int) and correction[name] != changed["is"])
        for name, changed in orjson.loads(taken).items()
    )


def check_left(saga: str, status: WorkflowExecutionStatus | None, told: LastAttempt | None) -> None:
    """Raises Problem unless the last attempt left something to do. `told` is what its stream says
    of it, `status` what Temporal does.
    """
    stands = status.name.lower() if status else "unknown"
    if status is WorkflowExecutionStatus.RUNNING:
        raise Problem("not-failed", f"the last attempt of {saga} is {stands}")
    if told and told.ending in {"refused", "compensated"}:
        raise Problem("saga-ended", f"{saga} is {told.ending}: nothing of it is left to do")
    if status not in _GONE:
        raise Problem("not-failed", f"the last attempt of {saga} is {stands}")


@dataclass(frozen=True)
class _LastRun:
    """How the last attempt was started; `input` is as it was sent, with the options of now."""

    type: str
    task_queue: str
    input: Sequence[Any]
    attempt: int
    priority: Priority
    search_attributes: TypedSearchAttributes
