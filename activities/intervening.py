"""Interventions in many sagas at once: who is meant, telling one, and keeping the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, Protocol

import orjson
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.handling import metadata_of
from domain.kernel import Command, Event, stream_name
from domain.sagas.interventions import (
    Begun,
    Heard,
    InterveneInMany,
    InterventionBegun,
    InterventionEvent,
    InterventionStopped,
    SagaTold,
    Target,
    Which,
    update_id,
)
from domain.sagas.steps import StepContext, StepKey
from eventstore.correcting import WrongCorrection, corrected
from eventstore.store import ANY_VERSION, EventStore

ANSWER_WITHIN: Final = 5.0
"""Seconds that a saga has to answer, before this try is given up."""


class Board(Protocol):
    """Where it is seen what is parked."""

    async def found(self, which: Which) -> tuple[datetime, int]:
        """The board's own time, and how many match."""
        ...

    async def page(
        self, which: Which, until: datetime, after: str, limit: int
    ) -> Sequence[tuple[str, str]]:
        """Sagas and their parked steps, by the saga's id, those after `after`."""
        ...


def activities(
    store: EventStore, client: Client, board: Board, intervention: Callable[..., Any]
) -> Sequence[Callable[..., Any]]:
    """`intervention` makes what a saga's update takes."""

    async def keep(
        asked: InterveneInMany, opened_on: date, what: str, event: Event, answer: dict[str, Any]
    ) -> dict[str, Any]:
        """Once for each `what`; the answer is that of the first time."""
        key = StepKey(
            saga=stream_name("intervention", asked.intervention),
            attempt=1,
            step=what,
            opened_on=opened_on,
        )
        actor = event.actor if isinstance(event, InterventionStopped) else asked.actor
        context = StepContext(key=key, actor=actor, alone=True)
        appended = await store.append(
            [(key.saga, ANY_VERSION, [event])],
            context=context,
            answer=answer,
            metadata=metadata_of(context),
        )
        return dict(appended.answer or {})

    @activity.defn(name="BeginIntervention")
    async def begin(asked: InterveneInMany, opened_on: date) -> Begun:
        until, found = await board.found(asked.which)
        begun = InterventionBegun(
            intervention=asked.intervention, asked=asked, found=found, until=until
        )
        first = await keep(
            asked, opened_on, "begin", begun, {"until": until.isoformat(), "found": found}
        )
        return Begun(until=datetime.fromisoformat(first["until"]), found=first["found"])

    @activity.defn(name="SelectParked")
    async def select(which: Which, until: datetime, after: str, limit: int) -> Sequence[Target]:
        found = await board.page(which, until, after, limit)
        return [Target(saga=saga, step=step) for saga, step in found]

    @activity.defn(name="InterveneInOne")
    async def intervene(asked: InterveneInMany, target: Target, opened_on: date) -> Heard:
        """Raises where the saga cannot be reached; then nothing is kept."""
        told = intervention(
            id=f"{asked.intervention}:{target.saga}",
            kind=asked.kind,
            actor=asked.actor,
            reason=asked.reason,
            step=target.step,
            evidence=asked.evidence,
            happened=asked.happened,
        )
        async with asyncio.timeout(ANSWER_WITHIN):
            heard, said = await _told(client.get_workflow_handle(target.saga), told, asked, target)
        result = SagaTold(
            intervention=asked.intervention,
            saga=target.saga,
            step=target.step,
            heard=heard,
            said=said,
        )
        first = await keep(asked, opened_on, target.saga, result, {"heard": heard})
        answer: Heard = first["heard"]
        return answer

    @activity.defn(name="RecordIntervention")
    async def record(
        asked: InterveneInMany, what: str, event: InterventionEvent, opened_on: date
    ) -> str:
        """How a saga took it, where that was kept before, or else what the event says of it."""
        heard = event.heard if isinstance(event, SagaTold) else ""
        first = await keep(asked, opened_on, what, event, {"heard": heard})
        return str(first["heard"])

    return [begin, select, intervene, record]


async def _told(
    saga: WorkflowHandle[Any, Any], told: Any, asked: InterveneInMany, target: Target
) -> tuple[Heard, str]:
    """How the saga took it, and what it said. Raises where it cannot be reached."""
    instead: Command | None = None
    try:
        if asked.kind == "correct":
            command: Command = await saga.query("parked_command", target.step)
            instead = corrected(command, orjson.loads(asked.correction))
        id_ = update_id("intervene", told.id)
        await saga.execute_update("intervene", args=[told, instead], id=id_)
    except (WrongCorrection, WorkflowQueryFailedError) as wrong:
        return "refused", str(wrong)
    except WorkflowUpdateFailedError as failed:
        if isinstance(failed.cause, ApplicationError):
            return "refused", failed.cause.message
        raise
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return "refused", "it has ended"
        raise
    return "accepted", ""
