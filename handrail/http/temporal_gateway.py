"""The API's way into Temporal: start a process, ask one, or have one command done.

Every call is bounded in time and may be repeated. What is asked twice is done once: a process has
the id of its business, an update the id of its wish, a command its key at the fence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from temporalio.client import (
    ActivityFailureError,
    ActivityHandle,
    Client,
)
from temporalio.common import (
    ActivityIDConflictPolicy,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from handrail.http.last_run import REQUEST, LastRun, last_run
from handrail.http.personal_texts import SagaTexts
from handrail.http.problems import Problem, of_rule, unavailable
from handrail.http.start_input import begun_with
from handrail.http.start_request import StartRequest
from handrail.http.temporal_errors import (
    LIMIT,
    RPC,
    Known,
    execute_update,
    known,
    reachable,
    temporal_reachable,
)
from handrail.kernel import Attribution, Command, context_of
from handrail.personal import subject_of
from handrail.sagas.fairness import fair
from handrail.sagas.options import RunOptions
from handrail.sagas.saga_type import SagaType
from handrail.sagas.shapes import SagaShapes
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.sagas.visibility import begun_as
from handrail.tracing.spans import traceparent

T = TypeVar("T")

_COMMAND: Final = timedelta(seconds=5)


class TemporalGateway:
    """`types` are the saga types by name; `rules` the problem slugs of broken rules, by the
    names of their classes.
    """

    def __init__(
        self,
        client: Client,
        options: RunOptions,
        types: Mapping[str, SagaType[Any]],
        rules: Mapping[str, str],
        *,
        texts: SagaTexts,
        shapes: SagaShapes,
    ) -> None:
        self._client = client
        self._shapes = shapes
        self._texts = texts
        self._options = options
        self._types = types
        self._rules = rules

    @property
    def client(self) -> Client:
        return self._client

    @property
    def options(self) -> RunOptions:
        return self._options

    @property
    def queue(self) -> str:
        """The task queue of workflows."""
        return self._options.queue_prefix + "sagas"

    @property
    def namespace(self) -> str:
        return self._client.namespace

    def _options_of(self, beginning: StartRequest) -> RunOptions:
        shape = self._shapes.of(beginning.saga_type)
        return replace(self._options, shape=shape, traceparent=traceparent())

    async def start(self, beginning: StartRequest, actor: str, *, begun: bool = False) -> Any:
        """What it was begun with: the input, or that of the first time it was begun.

        `begun` says that its stream is there: whether or not Temporal remembers it, it has begun.
        Raises Problem where what was begun under this id was asked for with other content.
        """
        subject = self._types[beginning.saga_type].subject(beginning.input)
        otherwise = subject or subject_of("saga", beginning.saga)
        sealed = await self._texts.personal.seal(beginning.input, otherwise)
        if not begun:
            async with temporal_reachable():
                with contextlib.suppress(WorkflowAlreadyStartedError):
                    await self._client.start_workflow(
                        beginning.saga_type,
                        args=[
                            sealed,
                            self._options_of(beginning),
                            actor,
                            beginning.attempt,
                        ],
                        rpc_timeout=RPC,
                        **self._how(beginning),
                    )
                    return beginning.input
        input_ = beginning.input
        same = beginning.same or (lambda before: bool(before == input_))
        return await self.begun_before(beginning.saga, beginning.saga_type, type(input_), same)

    async def begun_before(
        self, saga: str, saga_type: str, input_: type[T], same: Callable[[T], bool]
    ) -> T:
        """What the process was begun with. Raises Problem where that is something else."""
        found = await begun_with(self._client, saga)
        if found is None:
            said = f"{saga} was begun long ago, and it is not known any more with what"
            raise Problem("content-differs", said)
        if found.workflow_type == saga_type:
            before = await found.argument(0, input_)
            if same(await self._texts.personal.open(before)):
                return before
        raise Problem("content-differs", f"{saga} was begun before, with other content")

    async def cancel(
        self, saga: str, cancellation: Attribution, *, of: Collection[str] | None = None
    ) -> None:
        """Raises Problem where it is too late, and where it is a saga of none of these types.

        Without `of` it may be any saga.
        """
        await self.execute_update(saga, "cancel", [cancellation], id_="cancel", of=of)

    async def execute_update(
        self,
        workflow: str,
        update: str,
        arguments: Sequence[Any],
        *,
        id_: str,
        of: Collection[str] | None = None,
        subject: str = "",
    ) -> Any:
        """What a workflow of these types, or any saga, answers to an update. Raises Problem.

        `subject` is whose personal data the arguments are about that name none, where that is not
        the saga's.
        """
        types = self._types if of is None else of
        sealed = await self._texts.sealed_all(workflow, arguments, subject)
        return await execute_update(
            self._client, workflow, update, sealed, id_=id_, of=types, rules=self._rules
        )

    async def sealed(self, message: T, subject: str) -> T:
        """A message as it may be sent through Temporal: `subject` is that of texts without one."""
        return await self._texts.personal.seal(message, subject)

    async def known(self, id_: str, *, of: Collection[str] | None = None) -> Known | None:
        """None where Temporal knows no workflow of these types, or no saga, under the id."""
        found = await known(self._client, id_, self.options.tenant_word)
        types = self._types if of is None else of
        return found if found and found.workflow_type in types else None

    async def is_running(self, saga: str, *, of: Collection[str]) -> bool:
        """False, too, where nobody can tell: then the read models have the last word."""
        try:
            found = await self.known(saga, of=of)
        except Problem:
            return False
        return found is not None and found.running

    async def do(self, command: Command, *, key: str, actor: str) -> Answer:
        """Have one command done by its context, without a saga.

        The same `key` on the same day is the same wish. Raises Problem for a broken rule.
        """
        name = type(command).__name__
        context = StepContext(
            key=StepKey(
                saga=f"request-{key}", attempt=1, step=name, opened_on=datetime.now(UTC).date()
            ),
            actor=actor,
            traceparent=traceparent(),
            alone=True,
        )
        command = await self._texts.personal.seal(command, context.of_texts)
        queue = context_of(type(command))
        id_, said = f"{name}-{key}", f"for {actor}"
        return await self.run_activity(
            name, [command, context], Answer, id_=id_, queue=queue, summary=said
        )

    async def last_run(self, saga: str) -> LastRun | None:
        return await last_run(self._client, saga)

    async def run_activity(
        self,
        activity: str,
        arguments: list[Any],
        type_: type[T],
        *,
        id_: str,
        queue: str,
        summary: str = "",
    ) -> T:
        """The result of an activity without a workflow, run by the context of `queue`.

        Raises Problem for a broken rule, and where no worker answers in time.
        """
        try:
            async with temporal_reachable():
                asked: ActivityHandle[T] = await self._client.start_activity(
                    activity,
                    args=arguments,
                    id=id_,
                    task_queue=self._options.queue_prefix + queue,
                    result_type=type_,
                    schedule_to_close_timeout=_COMMAND,
                    id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
                    summary=summary,
                    rpc_timeout=RPC,
                )
            async with temporal_reachable(_COMMAND.total_seconds() + LIMIT):
                return await asked.result()
        except ActivityFailureError as failure:
            if isinstance(failure.cause, ApplicationError):
                cause = failure.cause
                raise of_rule(cause.type or "", cause.message, self._rules) from None
            raise unavailable("worker-unavailable", f"{activity} was not done in time") from None

    async def reachable(self) -> bool:
        return await reachable(self._client)

    def _how(self, beginning: StartRequest) -> dict[str, Any]:
        again = beginning.attempt > 1
        return {
            "id": beginning.saga,
            "task_queue": self.queue,
            "id_conflict_policy": WorkflowIDConflictPolicy.FAIL,
            "id_reuse_policy": (
                WorkflowIDReusePolicy.ALLOW_DUPLICATE
                if again
                else WorkflowIDReusePolicy.REJECT_DUPLICATE
            ),
            "search_attributes": begun_as(beginning.saga_type, beginning.tenant, self.options),
            "static_summary": beginning.summary,
            "static_details": beginning.details,
            "memo": {REQUEST: beginning.request},
            "priority": fair(beginning.tenant),
        }
