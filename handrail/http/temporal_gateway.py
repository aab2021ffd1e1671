"""The API's way into Temporal: start a process, ask one, or have one command done.

Every call is bounded in time and may be repeated. What is asked twice is done once: a process has
the id of its business, an update the id of its wish, a command its key at the fence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import uuid4

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
from temporalio.service import RPCError, RPCStatusCode

from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from handrail.http.last_run import REQUEST, Previous, previous
from handrail.http.problems import Problem, of_rule, unavailable
from handrail.http.start_input import begun_with
from handrail.http.start_request import Beginning
from handrail.http.temporal_errors import LIMIT, RPC, Known, known, reachable, reaching, tell
from handrail.http.tracing import traceparent
from handrail.kernel import Command, context_of
from handrail.sagas.fairness import fair
from handrail.sagas.options import Cancellation, RunOptions
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.sagas.visibility import begun_as
from runtime.registry.sagas import SAGAS
from workflows import collect_instalments, deliver_order, settle_early
from workflows.carrier_notice import CarrierNotice
from workflows.collect_instalments import CollectInstalments
from workflows.dunning import Terms
from workflows.plan_wishes import NewDate, PayAllNow

T = TypeVar("T")

_COMMAND: Final = timedelta(seconds=5)
_PLANS: Final = (collect_instalments.TYPE,)
_DELIVERIES: Final = (deliver_order.TYPE,)


class Processes:
    def __init__(self, client: Client, options: RunOptions) -> None:
        self._client = client
        self._options = options

    @property
    def namespace(self) -> str:
        return self._client.namespace

    def _options_of(self, beginning: Beginning) -> RunOptions:
        options = self._options.of(SAGAS[beginning.saga_type].workflow)
        return replace(options, traceparent=traceparent())

    async def start(self, beginning: Beginning, actor: str, *, begun: bool = False) -> Any:
        """What it was begun with: the input, or that of the first time it was begun.

        `begun` says that its stream is there: whether or not Temporal remembers it, it has begun.
        Raises Problem where what was begun under this id was asked for with other content.
        """
        if not begun:
            async with reaching():
                with contextlib.suppress(WorkflowAlreadyStartedError):
                    await self._client.start_workflow(
                        beginning.saga_type,
                        args=[
                            beginning.input,
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
            if same(before):
                return before
        raise Problem("content-differs", f"{saga} was begun before, with other content")

    async def cancel(
        self, saga: str, cancellation: Cancellation, *, of: Collection[str] = tuple(SAGAS)
    ) -> None:
        """Raises Problem where it is too late, and where it is a saga of none of these types."""
        await tell(self._client, saga, "cancel", [cancellation], id_="cancel", of=of)

    async def tell_carrier_notice(self, order: str, notice: CarrierNotice) -> None:
        """Raises Problem where no delivery of the order waits for what the carrier says."""
        delivery = deliver_order.workflow_id(order)
        if await self.known(delivery, of=_DELIVERIES) is None:
            said = f"no parcel of {order} is under way"
            raise Problem("webhook-subject-unknown", said)
        try:
            async with reaching():
                handle = self._client.get_workflow_handle(delivery)
                await handle.signal("carrier_told", notice, rpc_timeout=RPC)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise Problem("out-of-order", f"the delivery of {order} has ended") from None

    async def settle_early(self, order: str, wish: PayAllNow, key: str | None) -> str:
        """The id of the saga that does. Raises Problem where nothing is due, or an instalment is
        being collected.
        """
        with _of_plan(order):
            plan = collect_instalments.workflow_id(order)
            id_ = f"settle-{key or uuid4().hex}"
            saga = await tell(self._client, plan, "settle_early", [wish], id_=id_, of=_PLANS)
            # Older code answered nothing, and knew one settlement of each plan.
            return str(saga or settle_early.saga_id(order))

    async def reschedule(self, order: str, wish: NewDate) -> None:
        """Raises Problem where the date breaks a rule, or the instalment is being collected."""
        with _of_plan(order):
            plan = collect_instalments.workflow_id(order)
            id_ = f"reschedule-{wish.id}"
            await tell(self._client, plan, "reschedule", [wish], id_=id_, of=_PLANS)

    async def collect(self, asked: CollectInstalments, actor: str) -> None:
        """Have a plan collected whose process has ended. Where it goes on, nothing is done."""
        async with reaching():
            await self._client.start_workflow(
                collect_instalments.TYPE,
                args=[
                    asked,
                    replace(self._options, traceparent=traceparent()),
                    actor,
                    collect_instalments.Progress(reopened=True),
                ],
                id=collect_instalments.workflow_id(asked.order),
                task_queue=self._options.queue_prefix + "sagas",
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                search_attributes=begun_as(collect_instalments.TYPE, asked.merchant),
                static_summary=collect_instalments.summary_again(asked),
                priority=fair(asked.merchant),
                rpc_timeout=RPC,
            )

    @property
    def terms(self) -> Terms:
        """Those of instalments."""
        return self._options.terms  # type: ignore[attr-defined,no-any-return]  # the shop's

    async def known(self, id_: str, *, of: Collection[str] = tuple(SAGAS)) -> Known | None:
        """None where Temporal knows no workflow of these types under the id."""
        found = await known(self._client, id_)
        return found if found and found.workflow_type in of else None

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
        queue = context_of(type(command))
        id_, said = f"{name}-{key}", f"for {actor}"
        return await self._have(
            name, [command, context], Answer, id_=id_, queue=queue, summary=said
        )

    async def quote(self, of: QuoteReturnOf) -> ReturnQuote:
        """What a return would come to now. Raises Problem where no such order stands."""
        id_ = f"QuoteReturn-{uuid4().hex}"
        return await self._have("QuoteReturn", [of], ReturnQuote, id_=id_, queue="sagas")

    async def previous(self, saga: str) -> Previous | None:
        return await previous(self._client, saga)

    async def _have(
        self,
        activity: str,
        arguments: list[Any],
        type_: type[T],
        *,
        id_: str,
        queue: str,
        summary: str = "",
    ) -> T:
        """Have an activity done, without a workflow. Raises Problem for a broken rule."""
        try:
            async with reaching():
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
            async with reaching(_COMMAND.total_seconds() + LIMIT):
                return await asked.result()
        except ActivityFailureError as failure:
            if isinstance(failure.cause, ApplicationError):
                raise of_rule(failure.cause.type or "", failure.cause.message) from None
            raise unavailable("worker-unavailable", f"{activity} was not done in time") from None

    async def reachable(self) -> bool:
        return await reachable(self._client)

    def _how(self, beginning: Beginning) -> dict[str, Any]:
        again = beginning.attempt > 1
        return {
            "id": beginning.saga,
            "task_queue": self._options.queue_prefix + "sagas",
            "id_conflict_policy": WorkflowIDConflictPolicy.FAIL,
            "id_reuse_policy": (
                WorkflowIDReusePolicy.ALLOW_DUPLICATE
                if again
                else WorkflowIDReusePolicy.REJECT_DUPLICATE
            ),
            "search_attributes": begun_as(beginning.saga_type, beginning.merchant),
            "static_summary": beginning.summary,
            "static_details": beginning.details,
            "memo": {REQUEST: beginning.request},
            "priority": fair(beginning.merchant),
        }


@contextlib.contextmanager
def _of_plan(order: str) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        if problem.slug == "not-found":
            raise Problem("not-found", f"there is no plan of {order}") from None
        raise
