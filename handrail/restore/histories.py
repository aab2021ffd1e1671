"""What Temporal's histories remember of steps that the store has lost.

A history keeps what each step was answered, and with it the token: the number of the transaction
that the step was. So a step is lost where no fence row and no event has its number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from handrail.eventstore.pool import Connection
from handrail.eventstore.tokens import parts_of
from handrail.kernel import stream_name
from handrail.restore.boundary import Boundary
from handrail.temporal.client import opened

MOST: Final = 10_000
"""Workflows that are looked at."""
_AT_ONCE: Final = 20
_MARGIN: Final = timedelta(minutes=10)
"""What was recorded so long before the store ends came through, however clocks differ."""
_LOCAL: Final = "core_local_activity"


@dataclass(frozen=True)
class LostSaga:
    """`steps` were done, as Temporal knows, and are not in the store. `in_store` is how many events
    of its own stream are.
    """

    workflow: str
    workflow_type: str
    running: bool
    steps: Sequence[str]
    in_store: int

    @property
    def advice(self) -> str:
        """What an operator does."""
        if self.running and not self.in_store:
            return (
                f"terminate {self.workflow} in Temporal: the store has nothing of it;"
                " what it was begun for has to be asked for anew"
            )
        if self.running:
            return (
                f"terminate {self.workflow} in Temporal, then `handrail sagas again"
                f" {self.workflow}`: the next attempt goes by what the store has"
            )
        if not self.in_store:
            return (
                f"{self.workflow} has ended, and the store has nothing of it: whoever was told has"
                " to be told; `handrail verify` names what the other companies did"
            )
        return (
            f"{self.workflow} has ended with steps that are lost: `handrail sagas again"
            f" {self.workflow}` where it is offered; `handrail verify` names what does not add up"
        )


@dataclass
class Histories:
    looked_at: int = 0
    complete: bool = True
    """Whether all that may know of lost steps were looked at."""
    lost: list[LostSaga] = field(default_factory=list)
    newest_epoch: int = 0
    """Of all tokens that were found: the store may have lost it, and does not begin it again."""


_Token = tuple[int, str]
"""An epoch, and the number of a transaction in it."""


@dataclass(frozen=True)
class _Remembered:
    execution: WorkflowExecution
    steps: Mapping[_Token, str]
    """The name of each step by its token, of what may be lost."""
    newest_epoch: int


async def lost_steps(client: Client, connection: Connection, boundary: Boundary) -> Histories:
    """Of all workflows that run, or have ended since a moment before the store was cut off."""
    since = (boundary.at or datetime(2000, 1, 1, tzinfo=UTC)) - _MARGIN
    found = Histories()
    remembered: list[_Remembered] = []
    places = asyncio.Semaphore(_AT_ONCE)
    tasks: list[asyncio.Task[_Remembered]] = []
    async for execution in _listed(client, since):
        if len(tasks) == MOST:
            found.complete = False
            break
        tasks.append(asyncio.create_task(_remembered(client, execution, boundary, since, places)))
    for one in await asyncio.gather(*tasks):
        found.looked_at += 1
        found.newest_epoch = max(found.newest_epoch, one.newest_epoch)
        if one.steps:
            remembered.append(one)
    # A number of an epoch that the store has lost would be compared with those of another server.
    numbers = {
        number for one in remembered for epoch, number in one.steps if epoch == boundary.epoch
    }
    in_store = await _in_store(connection, sorted(numbers, key=int), boundary, since)
    there = {(boundary.epoch, number) for number in in_store}
    lost = [one for one in remembered if one.steps.keys() - there]
    heads = await _heads(connection, [one.execution.id for one in lost])
    found.lost = [
        LostSaga(
            one.execution.id,
            one.execution.workflow_type,
            one.execution.status == WorkflowExecutionStatus.RUNNING,
            [step for token, step in one.steps.items() if token not in there],
            heads.get(one.execution.id, 0),
        )
        for one in sorted(lost, key=lambda one: one.execution.id)
    ]
    return found


async def _listed(client: Client, since: datetime) -> AsyncIterator[WorkflowExecution]:
    after = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    async for one in client.list_workflows('ExecutionStatus = "Running"'):
        yield one
    async for one in client.list_workflows(f'CloseTime >= "{after}"'):
        yield one


async def _remembered(
    client: Client,
    execution: WorkflowExecution,
    boundary: Boundary,
    since: datetime,
    places: asyncio.Semaphore,
) -> _Remembered:
    steps: dict[_Token, str] = {}
    newest = 0
    async with places:
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        scheduled: dict[int, str] = {}
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                asked = event.activity_task_scheduled_event_attributes
                scheduled[event.event_id] = asked.activity_type.name
            if event.event_time.ToDatetime(UTC) < since:
                continue
            for step, token in await _answers(client, event, scheduled):
                epoch, number = parts_of(token)
                newest = max(newest, epoch)
                if boundary.is_behind(epoch):
                    steps[epoch, str(number)] = step
    return _Remembered(execution, steps, newest)


async def _answers(
    client: Client, event: HistoryEvent, scheduled: Mapping[int, str]
) -> list[tuple[str, str]]:
    """The steps that the event says were answered, each with its token."""
    if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
        marker = event.marker_recorded_event_attributes
        if marker.marker_name != _LOCAL or "result" not in marker.details:
            return []
        about = _json(marker.details["data"].payloads)
        result = _json(await opened(client, marker.details["result"].payloads))
        name = str(about.get("activity_type", ""))
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        done = event.activity_task_completed_event_attributes
        result = _json(await opened(client, done.result.payloads))
        name = scheduled.get(done.scheduled_event_id, "")
    else:
        return []
    token = result.get("token")
    return [(name, token)] if isinstance(token, str) and parts_of(token)[1] else []


def _json(payloads: Any) -> dict[str, Any]:
    for payload in payloads:
        if payload.metadata.get("encoding") == b"json/plain":
            value = orjson.loads(payload.data)
            return value if isinstance(value, dict) else {}
    return {}


async def _in_store(
    connection: Connection, numbers: Sequence[str], boundary: Boundary, since: datetime
) -> set[str]:
    """Those whose transaction came through. Where the next epoch has begun, it has given the same
    numbers out again: what was written in it says nothing.
    """
    rows = await connection.execute(
        "SELECT txid::text FROM commands WHERE recorded_at >= %(since)s"
        " AND (%(until)s::timestamptz IS NULL OR recorded_at < %(until)s)"
        " AND txid = ANY (%(numbers)s::text[]::xid8[])"
        " UNION SELECT txid::text FROM events WHERE position > ("
        "  SELECT coalesce(max(position), 0) FROM ("
        "   SELECT position FROM events WHERE recorded_at < %(since)s"
        "   ORDER BY position DESC LIMIT 1) AS before)"
        " AND (%(until)s::timestamptz IS NULL OR position <= %(position)s)"
        " AND txid = ANY (%(numbers)s::text[]::xid8[])",
        {
            "numbers": list(numbers),
            "since": since - _MARGIN,
            "until": boundary.until,
            "position": boundary.position,
        },
    )
    return {number for (number,) in await rows.fetchall()}


async def _heads(connection: Connection, sagas: Sequence[str]) -> Mapping[str, int]:
    """How many events each saga's own stream has."""
    names = {stream_name("saga", saga): saga for saga in sagas}
    rows = await connection.execute(
        "SELECT name, version FROM streams WHERE name = ANY (%s)", (list(names),)
    )
    return {names[name]: version for name, version in await rows.fetchall()}
