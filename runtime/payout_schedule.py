"""When runs of payouts begin by themselves: a schedule of Temporal's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from api.payout_runs import workflow_id
from handrail.sagas.options import RunOptions
from workflows import pay_merchants
from workflows.pay_merchants import PayMerchants


@dataclass(frozen=True, kw_only=True)
class Stands:
    """`note` is why it is paused, or was resumed; `runs` are the last ones, newest first."""

    paused: bool
    note: str
    next_at: Sequence[datetime]
    runs: Sequence[str]


async def put(client: Client, options: RunOptions, *, cron: str, minimum: int) -> None:
    """Begin runs at these times (in UTC) from now on, with these options. What is paused stays so.

    A run that is due while another one goes on begins after it, and at most one waits. Raises
    RPCError for a `cron` that makes no sense.
    """
    id_ = workflow_id(options.queue_prefix)
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            pay_merchants.TYPE,
            args=[PayMerchants(minimum=minimum), options, "schedule", None],
            # The time at which it is due is put behind it.
            id=id_,
            task_queue=options.queue_prefix + "sagas",
            static_summary="by schedule",
        ),
        spec=ScheduleSpec(cron_expressions=[cron]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.BUFFER_ONE, catchup_window=timedelta(days=1)
        ),
    )

    def with_its_state(now: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule.state = now.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    try:
        await client.create_schedule(id_, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(id_).update(with_its_state)


async def pause(client: Client, queue_prefix: str, note: str) -> bool:
    """False where there is no schedule."""
    return await _told(client, queue_prefix, note, paused=True)


async def resume(client: Client, queue_prefix: str, note: str) -> bool:
    """False where there is no schedule."""
    return await _told(client, queue_prefix, note, paused=False)


async def _told(client: Client, queue_prefix: str, note: str, *, paused: bool) -> bool:
    handle = client.get_schedule_handle(workflow_id(queue_prefix))
    try:
        await (handle.pause(note=note) if paused else handle.unpause(note=note))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def stands(client: Client, queue_prefix: str) -> Stands | None:
    """None where there is no schedule."""
    id_ = workflow_id(queue_prefix)
    try:
        found = await client.get_schedule_handle(id_).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    state = found.schedule.state
    return Stands(
        paused=state.paused,
        note=state.note or "",
        next_at=found.info.next_action_times[:3],
        runs=[
            one.action.workflow_id.removeprefix(f"{id_}-")
            for one in reversed(found.info.recent_actions)
            if isinstance(one.action, ScheduleActionExecutionStartWorkflow)
        ],
    )
