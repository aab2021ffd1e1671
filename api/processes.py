"""The API's way into Temporal: start a process, ask one, or have one command done.

Every call is bounded in time and may be repeated. What is asked twice is done once: a process has
the id of its business, an update the id of its wish, a command its key at the fence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from temporalio.client import (
    ActivityFailureError,
    ActivityHandle,
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    ActivityIDConflictPolicy,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.problems import Problem, of_rule, unavailable
from domain.kernel import Command, context_of
from domain.sagas.steps import Answer, StepContext, StepKey
from workflows.checkout import Checkout, CheckoutWorkflow, details, summary
from workflows.messages import Cancellation, Decision, Intervention, RunOptions
from workflows.timeline import MERCHANT, SAGA_STATUS, SAGA_TYPE

_RPC: Final = timedelta(seconds=3)
_LIMIT: Final = 4.0  # seconds: the core may retry a call within `_RPC`
_COMMAND: Final = timedelta(seconds=5)
_OF_REJECTION: Final[Mapping[str, str]] = {"TooLate": "too-late", "NotParked": "not-parked"}
_AWAY: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Known:
    """What Temporal knows of a saga that no read model has seen yet."""

    saga: str
    saga_type: str
    merchant: str
    running: bool
    started_at: datetime


class Processes:
    def __init__(self, client: Client, options: RunOptions) -> None:
        self._client = client
        self._options = options

    @property
    def namespace(self) -> str:
        return self._client.namespace

    async def start(self, checkout: Checkout, actor: str) -> None:
        """Started before, or even ended, is started."""
        async with _reaching():
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    CheckoutWorkflow.run,
                    args=[checkout, self._options, actor],
                    rpc_timeout=_RPC,
                    **self._how(checkout),
                )

    async def start_and_wait(
        self, checkout: Checkout, actor: str, seconds: float
    ) -> Decision | None:
        """The decision, where one falls in time. Whatever is returned, it is started."""
        operation = WithStartWorkflowOperation(
            CheckoutWorkflow.run,
            args=[checkout, self._options, actor],
            **self._how(checkout),
        )
        try:
            async with asyncio.timeout(seconds):
                decision: Decision = await self._client.execute_update_with_start_workflow(
                    "decision",
                    start_workflow_operation=operation,
                    id="decision",
                    result_type=Decision,
                )
                return decision
        except WorkflowAlreadyStartedError:
            return None
        except (TimeoutError, RPCTimeoutOrCancelledError, RPCError, RuntimeError) as error:
            _log.info("no decision in time", saga=checkout.order, error=repr(error))
        except WorkflowUpdateFailedError as error:
            _log.warning("no decision", saga=checkout.order, error=repr(error.cause))
            return None
        finally:
            await _retrieved(operation)
        # Nobody took the update on, so it is not certain that the start was heard.
        await self.start(checkout, actor)
        return None

    async def cancel(self, saga: str, cancellation: Cancellation) -> None:
        await self._update(saga, CheckoutWorkflow.cancel, cancellation, "cancel")

    async def intervene(self, saga: str, intervention: Intervention) -> None:
        await self._update(saga, CheckoutWorkflow.intervene, intervention, intervention.id)

    async def known(self, saga: str) -> Known | None:
        try:
            async with _reaching():
                found = await self._client.get_workflow_handle(saga).describe(rpc_timeout=_RPC)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        attributes = found.typed_search_attributes
        return Known(
            saga=saga,
            saga_type=attributes.get(SAGA_TYPE, found.workflow_type),
            merchant=attributes.get(MERCHANT, ""),
            running=found.status is WorkflowExecutionStatus.RUNNING,
            started_at=found.start_time,
        )

    async def is_running(self, saga: str) -> bool:
        """False, too, where nobody can tell: then the read models have the last word."""
        try:
            found = await self.known(saga)
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
            alone=True,
        )
        try:
            async with _reaching():
                asked: ActivityHandle[Answer] = await self._client.start_activity(
                    name,
                    args=[command, context],
                    id=f"{name}-{key}",
                    task_queue=self._options.queue_prefix + context_of(type(command)),
                    result_type=Answer,
                    schedule_to_close_timeout=_COMMAND,
                    id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
                    summary=f"for {actor}",
                    rpc_timeout=_RPC,
                )
            async with _reaching(_COMMAND.total_seconds() + _LIMIT):
                return await asked.result()
        except ActivityFailureError as failure:
            if isinstance(failure.cause, ApplicationError):
                raise of_rule(failure.cause.type or "", failure.cause.message) from None
            raise unavailable("worker-unavailable", f"{name} was not done in time") from None

    async def reachable(self) -> bool:
        with contextlib.suppress(RPCError, RuntimeError, TimeoutError):
            async with asyncio.timeout(2):
                return await self._client.service_client.check_health(timeout=timedelta(seconds=1))
        return False

    def _how(self, checkout: Checkout) -> dict[str, Any]:
        attributes = [
            SearchAttributePair(SAGA_TYPE, "Checkout"),
            SearchAttributePair(SAGA_STATUS, "running"),
            SearchAttributePair(MERCHANT, checkout.merchant),
        ]
        return {
            "id": checkout.order,
            "task_queue": self._options.queue_prefix + "sagas",
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
            "search_attributes": TypedSearchAttributes(attributes),
            "static_summary": summary(checkout),
            "static_details": details(checkout),
        }

    async def _update(self, saga: str, update: Any, argument: Any, id_: str) -> None:
        handle = self._client.get_workflow_handle(saga)
        try:
            async with asyncio.timeout(_LIMIT):
                await handle.execute_update(update, argument, id=id_, rpc_timeout=_RPC)
        except WorkflowUpdateFailedError as failure:
            cause = failure.cause
            slug = isinstance(cause, ApplicationError) and _OF_REJECTION.get(cause.type or "")
            if isinstance(cause, ApplicationError) and slug:
                raise Problem(slug, cause.message) from None
            raise
        except (TimeoutError, RPCTimeoutOrCancelledError, RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status not in _AWAY:
                if error.status is RPCStatusCode.NOT_FOUND and await self.known(saga):
                    raise Problem("saga-ended", f"{saga} has ended") from None
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise Problem("not-found", f"there is no saga {saga}") from None
                raise
            if not await self.reachable():
                raise unavailable("temporal-unavailable", "Temporal cannot be reached") from None
            raise unavailable("worker-unavailable", f"no worker answers for {saga}") from None


@asynccontextmanager
async def _reaching(limit: float = _LIMIT) -> AsyncIterator[None]:
    """Raises Problem where Temporal cannot be reached, or takes longer than `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            yield
    except (TimeoutError, RPCTimeoutOrCancelledError):
        raise unavailable("temporal-unavailable", "Temporal did not answer in time") from None
    except RPCError as error:
        if error.status in _AWAY:
            raise unavailable("temporal-unavailable", "Temporal cannot be reached") from None
        raise
    except RuntimeError as error:
        # What a client that has not connected yet says when it cannot.
        _log.warning("temporal unavailable", error=str(error))
        raise unavailable("temporal-unavailable", "Temporal cannot be reached") from None


async def _retrieved(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """Look at how the start went, which asyncio would otherwise complain that nobody did."""
    look = asyncio.ensure_future(operation.workflow_handle())
    await asyncio.wait({look}, timeout=0)
    if not look.done():
        look.cancel()
    elif not look.cancelled():
        look.exception()
