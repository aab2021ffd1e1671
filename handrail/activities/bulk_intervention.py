"""Interventions in many sagas at once: who is meant, telling one, and keeping the record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
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

from handrail import bounds
from handrail.activities.command_handler import metadata_of
from handrail.activities.corrections import WrongCorrection, corrected
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.kernel import Command, Event, stream_name
from handrail.personal import has_marks, subject_of
from handrail.sagas.events import SagaStarted
from handrail.sagas.interventions import (
    Begun,
    Heard,
    InterveneInMany,
    InterventionBegun,
    InterventionEvent,
    InterventionResumed,
    InterventionStopped,
    InterventionSuspended,
    SagaFilter,
    SagaTold,
    Target,
    update_id,
)
from handrail.sagas.step_keys import StepContext, StepKey

ANSWER_WITHIN: Final = 5.0
"""Seconds that a saga has to answer, before this try is given up."""


_BY_ANOTHER: Final = (InterventionStopped, InterventionSuspended, InterventionResumed)
"""Events that say themselves who caused them."""


class WrongFilter(ValueError):
    """Nothing can be found by it, now or later."""


class Board(Protocol):
    """Where it is seen what is parked, and what sagas tell of it themselves."""

    async def found(self, which: SagaFilter) -> tuple[datetime, int]:
        """The board's own time, and how many match. Raises WrongFilter."""
        ...

    async def page(
        self, which: SagaFilter, until: datetime, after: str, limit: int
    ) -> Sequence[tuple[str, str]]:
        """Sagas and their parked steps, by the saga's id, those after `after`."""
        ...

    async def has_accepted(self, saga: str, intervention: str) -> bool:
        """Whether the saga's stream says that it went on by this intervention."""
        ...

    async def parked_after(self, saga: str, step: str, until: datetime) -> bool:
        """Whether the saga's stream says that the step was parked later than this, also again."""
        ...


def activities(
    store: EventStore, client: Client, board: Board, intervention: Callable[..., Any]
) -> Sequence[Callable[..., Any]]:
    """`intervention` makes what a saga's update takes."""
    many = _InMany(store, client, board, intervention)
    return [many.begin, many.select, many.intervene, many.record]


class _InMany:
    def __init__(
        self, store: EventStore, client: Client, board: Board, intervention: Callable[..., Any]
    ) -> None:
        self._store = store
        self._client = client
        self._board = board
        self._intervention = intervention

    async def _keep(
        self,
        asked: InterveneInMany,
        opened_on: date,
        what: str,
        event: Event,
        answer: dict[str, Any],
    ) -> dict[str, Any]:
        """Once for each `what`; the answer is that of the first time."""
        key = StepKey(
            saga=stream_name("intervention", asked.intervention),
            attempt=1,
            step=what,
            opened_on=opened_on,
        )
        actor = event.actor if isinstance(event, _BY_ANOTHER) else asked.actor
        context = StepContext(key=key, actor=actor, alone=True)
        appended = await self._store.append(
            [(key.saga, ANY_VERSION, [bounds.storable_parts(event)])],
            context=context,
            answer=answer,
            metadata=metadata_of(context, self._store.tenant),
        )
        return dict(appended.answer or {})

    @activity.defn(name="BeginIntervention")
    async def begin(self, asked: InterveneInMany, opened_on: date) -> Begun:
        try:
            until, found = await self._board.found(asked.which)
        except WrongFilter as wrong:
            raise ApplicationError(
                str(wrong), type=WrongFilter.__name__, non_retryable=True
            ) from None
        begun = InterventionBegun(
            intervention=asked.intervention, asked=asked, found=found, until=until
        )
        first = await self._keep(
            asked, opened_on, "begin", begun, {"until": until.isoformat(), "found": found}
        )
        return Begun(until=datetime.fromisoformat(first["until"]), found=first["found"])

    @activity.defn(name="SelectParked")
    async def select(
        self, which: SagaFilter, until: datetime, after: str, limit: int
    ) -> Sequence[Target]:
        found = await self._board.page(which, until, after, limit)
        return [Target(saga=saga, step=step, until=until) for saga, step in found]

    @activity.defn(name="InterveneInOne")
    async def intervene(self, asked: InterveneInMany, target: Target, opened_on: date) -> Heard:
        """Raises where the saga cannot be reached; then nothing is kept."""
        id_ = f"{asked.intervention}:{target.saga}"
        heard, said = await self._send(asked, target, id_)
        if heard == "refused" and await self._board.has_accepted(target.saga, id_):
            # It was told before, and what it answered got lost.
            heard, said = "accepted", ""
        result = SagaTold(
            intervention=asked.intervention,
            saga=target.saga,
            step=target.step,
            heard=heard,
            said=said,
        )
        first = await self._keep(asked, opened_on, target.saga, result, {"heard": heard})
        answer: Heard = first["heard"]
        return answer

    async def _send(self, asked: InterveneInMany, target: Target, id_: str) -> tuple[Heard, str]:
        """How the saga takes it, and what it says. Raises where it cannot be reached."""
        saga, until = target.saga, target.until
        if await self._board.has_accepted(saga, id_):
            return "accepted", ""
        if until and await self._board.parked_after(saga, target.step, until):
            return "refused", "it was parked again meanwhile"
        told = self._intervention(
            id=id_,
            kind=asked.kind,
            actor=asked.actor,
            reason=asked.reason,
            step=target.step,
            evidence=asked.evidence,
            happened=asked.happened,
        )
        async with asyncio.timeout(ANSWER_WITHIN):
            handle = self._client.get_workflow_handle(saga)
            return await _execute_update(handle, told, asked, target, self._store)

    @activity.defn(name="RecordIntervention")
    async def record(
        self, asked: InterveneInMany, what: str, event: InterventionEvent, opened_on: date
    ) -> str:
        """How a saga took it, where that was kept before, or else what the event says of it.

        Of a saga that cannot be reached, its own stream may say that it took it.
        """
        heard = ""
        if isinstance(event, SagaTold):
            if await self._board.has_accepted(event.saga, f"{asked.intervention}:{event.saga}"):
                event = replace(event, heard="accepted", said="")
            heard = event.heard
        first = await self._keep(asked, opened_on, what, event, {"heard": heard})
        return str(first.get("heard", ""))


async def _sealed(
    store: EventStore, saga: str, told: Any, instead: Command | None
) -> tuple[Any, Command | None]:
    """Both under the key of the saga's subject, as its stream names it: what was said of many is
    erased with each of them.
    """
    if not store.personal.seals or not any(has_marks(type(one)) for one in (told, instead)):
        return told, instead
    stream = stream_name("saga", saga)
    story = (await store.load({stream: 0}))[stream].events
    begun = [one for one in story if isinstance(one, SagaStarted)]
    subject = (begun[-1].subject if begun else "") or subject_of("saga", saga)
    opened = await store.personal.open(told)
    sealed = await store.personal.seal_all((opened, instead), subject)
    return sealed[0], sealed[1]


async def _execute_update(
    saga: WorkflowHandle[Any, Any],
    told: Any,
    asked: InterveneInMany,
    target: Target,
    store: EventStore,
) -> tuple[Heard, str]:
    """How the saga took it, and what it said. Raises where it cannot be reached."""
    instead: Command | None = None
    try:
        if asked.kind == "correct":
            # Where it is not parked, the update says why; or that it was taken before.
            with contextlib.suppress(WorkflowQueryFailedError):
                command: Command = await saga.query("parked_command", target.step)
                correction = await store.personal.open(asked.correction)
                instead = corrected(command, orjson.loads(correction))
        told, instead = await _sealed(store, target.saga, told, instead)
        id_ = update_id("intervene", told.id)
        await saga.execute_update("intervene", args=[told, instead], id=id_)
    except WrongCorrection as wrong:
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
