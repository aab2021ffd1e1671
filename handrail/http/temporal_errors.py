"""Reaching Temporal and the workflows in it: calls are bounded in time, and say who is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from handrail.http.problems import Problem, at, unavailable
from handrail.sagas.visibility import SAGA_TYPE, tenant_key
from handrail.tenant_word import STORED_WORD, TENANT_WORD

RPC: Final = timedelta(seconds=3)
LIMIT: Final = 4.0  # seconds: the core may retry a call within `RPC`
_OF_REJECTION: Final[Mapping[str, str]] = {
    "TooLate": "too-late",
    "OutOfOrder": "out-of-order",
    "NotParked": "not-parked",
    "NotPossible": "not-possible",
    "WrongCorrection": "invalid-request",
    "WrongValue": "invalid-request",
    "Unwritable": "invalid-request",
    # Temporal's own: the workflow was closed before its handler had come to an end.
    "AcceptedUpdateCompletedWorkflow": "saga-ended",
}
UNAVAILABLE: Final = ("temporal-unavailable", "worker-unavailable")
"""The problems of a route that waits for a worker."""
_MAY_BE_TAKEN: Final = "It may still be taken: repeat it, with the same key"
_AWAY: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
_TOO_MANY: Final = "limit on the total number of distinct updates"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Known:
    """What Temporal knows of a saga that no read model has seen yet."""

    saga: str
    saga_type: str
    tenant: str
    running: bool
    started_at: datetime
    workflow_type: str = ""


async def known(client: Client, saga: str, tenant_word: str = TENANT_WORD) -> Known | None:
    """`tenant_word` is what the App calls its tenant."""
    try:
        async with temporal_reachable():
            found = await client.get_workflow_handle(saga).describe(rpc_timeout=RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    attributes = found.typed_search_attributes
    return Known(
        saga=saga,
        saga_type=attributes.get(SAGA_TYPE, found.workflow_type),
        tenant=attributes.get(tenant_key(tenant_word), attributes.get(tenant_key(STORED_WORD), "")),
        running=found.status is WorkflowExecutionStatus.RUNNING,
        started_at=found.start_time,
        workflow_type=found.workflow_type,
    )


async def reachable(client: Client) -> bool:
    with contextlib.suppress(RPCError, RuntimeError, TimeoutError):
        async with asyncio.timeout(2):
            return await client.service_client.check_health(timeout=timedelta(seconds=1))
    return False


async def execute_update(
    client: Client,
    saga: str,
    update: str,
    arguments: Sequence[Any],
    *,
    id_: str,
    of: Collection[str],
    rules: Mapping[str, str],
) -> Any:
    """What a workflow answers to an update. Raises Problem where it refuses, or cannot be reached,
    and where it is of none of these types.

    `rules` are the problem slugs of broken rules, by the names of their classes.
    """
    async with asking(client, saga, of=of, told=True):
        try:
            handle = client.get_workflow_handle(saga)
            return await handle.execute_update(update, args=arguments, id=id_, rpc_timeout=RPC)
        except WorkflowUpdateFailedError as failure:
            cause = failure.cause
            if isinstance(cause, ApplicationError) and (slug := _slug(cause.type or "", rules)):
                of_correction = cause.type == "WrongCorrection"
                wrong = [at("#/correction", cause.message)] if of_correction else []
                raise Problem(slug, cause.message, wrong) from None
            raise


def _slug(rejection: str, rules: Mapping[str, str]) -> str | None:
    return _OF_REJECTION.get(rejection) or rules.get(rejection)


async def query_workflow(
    client: Client, saga: str, query: str, argument: str, *, of: Collection[str]
) -> Any:
    """What a workflow answers to a query. Raises Problem where it has no answer, or cannot be
    reached, and where it is of none of these types.

    A saga that has ended answers, too.
    """
    async with asking(client, saga, of=of):
        try:
            return await client.get_workflow_handle(saga).query(query, argument, rpc_timeout=RPC)
        except WorkflowQueryFailedError as failure:
            raise Problem("not-parked", str(failure)) from None


@asynccontextmanager
async def asking(
    client: Client, saga: str, *, of: Collection[str], told: bool = False
) -> AsyncIterator[None]:
    """Raises Problem where there is no such workflow of these types, it has ended, or no worker
    answers for it. What was `told` in vain may be taken all the same, and the problem says so.
    """
    more = f". {_MAY_BE_TAKEN}" if told else ""
    try:
        async with asyncio.timeout(LIMIT):
            await _check_type(client, saga, of)
            yield
    except (TimeoutError, RPCTimeoutOrCancelledError, RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status not in _AWAY:
            if error.status is RPCStatusCode.FAILED_PRECONDITION:
                # Of a workflow whose task failed thrice Temporal asks nothing any more.
                said = f"{saga} takes nothing now: its workflow task fails, as its history shows"
                if _TOO_MANY in error.message:
                    said = f"{saga} has heard as much as one run of a workflow takes"
                raise unavailable("worker-unavailable", said) from None
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            found = await known(client, saga)
            if found is None:
                raise _unknown(saga) from None
            if found.running:  # it began between the two questions
                raise unavailable("worker-unavailable", f"{saga} has just begun") from None
            raise Problem("saga-ended", f"{saga} has ended") from None
        if not await reachable(client):
            raise unavailable("temporal-unavailable", f"Temporal cannot be reached{more}") from None
        said = f"no worker answered for {saga} in time{more}"
        raise unavailable("worker-unavailable", said) from None


async def _check_type(client: Client, saga: str, types: Collection[str]) -> None:
    """An id from outside may be that of any workflow in the namespace."""
    try:
        found = await client.get_workflow_handle(saga).describe(rpc_timeout=RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return  # whatever is asked next hears the same, and says so
        raise
    if found.workflow_type not in types:
        raise _unknown(saga)


def _unknown(saga: str) -> Problem:
    return Problem("not-found", f"there is no saga {saga}")


@asynccontextmanager
async def temporal_reachable(limit: float = LIMIT) -> AsyncIterator[None]:
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
