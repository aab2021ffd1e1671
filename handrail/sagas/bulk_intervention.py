"""Intervene in many parked sagas: each once, so many in a second, until done or stopped.

It can be suspended between two sagas, and resumed: that outlives every process.

Who is meant is fixed when it begins: what is parked later, also again, is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Future
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from handrail import bounds
from handrail.kernel import Attribution, Event
from handrail.sagas.interventions import (
    Begun,
    InterveneInMany,
    InterventionBegun,
    InterventionFinished,
    InterventionResumed,
    InterventionStopped,
    InterventionSuspended,
    SagaTold,
    Target,
)
from handrail.sagas.worker_versions import MovesOn, continue_as_new, is_version_changed

PAGE: Final = 100
AT_ONCE: Final = 20
"""How many sagas may be asked and not have answered yet."""
ASKING: Final[dict[str, Any]] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=3, maximum_attempts=4
    ),
}
"""A saga that did not answer by then is unreachable: there are others to be told."""
OURS: Final[dict[str, Any]] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
}
"""What only needs our own database is tried until it is done."""
LEFT_TO_BEGIN: Final = timedelta(seconds=3)
"""How long one that is stopped before it has begun is waited for to begin."""
NOBODY: Final = "handrail"
"""Who has stopped one that cannot begin."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`after` is the last saga of the pages that are done; `opened_on` is the day it began.

    `pauses` counts how often it was suspended or resumed: it is suspended where that is odd.
    """

    until: datetime
    opened_on: date
    found: int
    after: str = ""
    accepted: int = 0
    refused: int = 0
    unreachable: int = 0
    stopped: Attribution | None = None
    pauses: int = 0

    @property
    def is_suspended(self) -> bool:
        return self.pauses % 2 == 1

    @property
    def told(self) -> int:
        return self.accepted + self.refused + self.unreachable


@workflow.defn(name="InterveneInMany")
class InterveneInManyWorkflow(MovesOn):
    @workflow.init
    def __init__(self, asked: InterveneInMany, progress: Progress | None = None) -> None:
        self._asked = asked
        self._progress = progress
        self._stop = progress.stopped if progress else None
        self._pause = timedelta(seconds=1 / asked.per_second)
        self._next_at = workflow.now()
        self._under_way = 0
        self._pausing = asyncio.Lock()
        self._has_ended = False

    @workflow.run
    async def run(self, _asked: InterveneInMany, _progress: Progress | None = None) -> Progress:
        progress = self._progress or await self._begun()
        self._progress = progress
        self._show("running")
        while self._stop is None:
            if self._now.is_suspended:
                await self._resumed()
                continue
            if not (page := await self._selected()):
                break
            told = await self._intervene(page)
            if told < len(page):
                if told and self._stop is None:
                    self._update(after=page[told - 1].saga)
                continue
            self._update(after=page[-1].saga)
            if len(page) < PAGE:
                break
            if workflow.info().is_continue_as_new_suggested() or is_version_changed():
                await workflow.wait_condition(workflow.all_handlers_finished)
                continue_as_new([self._asked, self._now])
        return await self._ended()

    @workflow.update(description="Tell no more sagas. Stopped twice is stopped once.")
    def stop(self, stop: Attribution) -> None:
        self._stop = self._stop or stop
        if self._progress is not None:
            self._update(stopped=self._stop)

    @workflow.update(description="Tell no sagas until it is resumed.")
    async def suspend(self, suspend: Attribution) -> None:
        await self._pause_or_go_on(suspend, is_suspended=True)

    @workflow.update(description="Go on with the sagas that were not told yet.")
    async def resume(self, resume: Attribution) -> None:
        await self._pause_or_go_on(resume, is_suspended=False)

    async def _pause_or_go_on(self, by: Attribution, *, is_suspended: bool) -> None:
        """Recorded in the order in which it takes effect. What it is already, it stays."""
        await workflow.wait_condition(lambda: self._progress is not None)
        async with self._pausing:
            if self._has_ended or self._stop or self._now.is_suspended == is_suspended:
                return
            kind = InterventionSuspended if is_suspended else InterventionResumed
            event = kind(intervention=self._asked.intervention, actor=by.actor, reason=by.reason)
            self._update(pauses=self._now.pauses + 1)
            await self._record(f"pause {self._now.pauses}", event, self._now.opened_on)

    async def _resumed(self) -> None:
        """Waits until it is resumed or stopped; a newer version of the workers waits on with it."""
        await workflow.wait_condition(
            lambda: not self._now.is_suspended or self._stop is not None or is_version_changed()
        )
        if self._now.is_suspended and self._stop is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            continue_as_new([self._asked, self._now])

    @workflow.query(description="How many were found, and how those that were told took it.")
    def progress(self) -> Progress | None:
        return self._progress

    @property
    def _now(self) -> Progress:
        assert self._progress is not None
        return self._progress

    async def _begun(self) -> Progress:
        today = workflow.now().date()
        beginning: Future[Begun] = workflow.start_activity(
            "BeginIntervention", args=[self._asked, today], result_type=Begun, **OURS
        )
        await workflow.wait_condition(lambda: beginning.done() or self._stop is not None)
        if not beginning.done() and workflow.patched("stopped-while-beginning"):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    beginning.done, timeout=LEFT_TO_BEGIN, timeout_summary="whether it begins"
                )
            if not beginning.done():
                beginning.cancel()
                return await self._never_began(today)
        try:
            begun = await beginning
        except ActivityError as failed:
            said = f"it cannot begin: {failed.cause}"
            self._stop = self._stop or Attribution(actor=NOBODY, reason=said)
            return await self._never_began(today)
        return Progress(until=begun.until, opened_on=today, found=begun.found, stopped=self._stop)

    async def _never_began(self, today: date) -> Progress:
        """It is on the board all the same, with who has stopped it. It has told no saga."""
        now = workflow.now()
        asked = self._asked
        never = InterventionBegun(intervention=asked.intervention, asked=asked, found=0, until=now)
        await self._record("begin", never, today)
        return Progress(until=now, opened_on=today, found=0, stopped=self._stop)

    async def _selected(self) -> list[Target]:
        asked, now = self._asked, self._now
        page: list[Target] = await workflow.execute_activity(
            "SelectParked",
            args=[asked.which, now.until, now.after, PAGE],
            result_type=list[Target],
            **OURS,
        )
        return page

    async def _intervene(self, page: list[Target]) -> int:
        """How many were told: fewer where it was stopped or suspended before the others."""
        tasks = []
        for target in page:
            if not await self._may_go_on():
                break
            self._under_way += 1
            tasks.append(asyncio.create_task(self._intervene_in_one(target)))
        await asyncio.gather(*tasks)
        return len(tasks)

    async def _may_go_on(self) -> bool:
        """Waits for its turn; False once it was stopped or suspended."""
        await workflow.wait_condition(lambda: self._under_way < AT_ONCE or self._halts)
        if (wait := self._next_at - workflow.now()) > timedelta():
            await workflow.sleep(wait, summary="not faster than asked for")
        self._next_at = workflow.now() + self._pause
        return not self._halts

    @property
    def _halts(self) -> bool:
        return self._stop is not None or self._now.is_suspended

    async def _intervene_in_one(self, target: Target) -> None:
        try:
            heard: str = await workflow.execute_activity(
                "InterveneInOne",
                args=[self._asked, target, self._now.opened_on],
                result_type=str,
                summary=f"{self._asked.kind} {target.step} of {target.saga}",
                **ASKING,
            )
        except ActivityError as failed:
            told = SagaTold(
                intervention=self._asked.intervention,
                saga=target.saga,
                step=target.step,
                heard="unreachable",
                said=f"it did not answer: {failed.cause}",
            )
            heard = await self._record(target.saga, told, self._now.opened_on)
        self._under_way -= 1
        self._update(**{heard: getattr(self._now, heard) + 1})

    async def _ended(self) -> Progress:
        name = self._asked.intervention
        async with self._pausing:  # what is recorded of it comes before its end
            self._has_ended = True
        if stop := self._stop:
            event: Event = InterventionStopped(
                intervention=name, actor=stop.actor, reason=stop.reason
            )
        else:
            event = InterventionFinished(intervention=name)
        await self._record("end", event, self._now.opened_on)
        self._show("stopped" if self._stop else "finished")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._now

    async def _record(self, what: str, event: Event, opened_on: date) -> str:
        """How it was kept: what was kept under the same name before, counts."""
        kept: str = await workflow.execute_activity(
            "RecordIntervention",
            args=[self._asked, what, bounds.storable_parts(event), opened_on],
            result_type=str,
            **OURS,
        )
        return kept

    def _update(self, **changes: Any) -> None:
        self._progress = replace(self._now, **changes)
        halts = "suspended" if self._now.is_suspended else "running"
        self._show("stopping" if self._stop else halts)

    def _show(self, state: str) -> None:
        asked, now = self._asked, self._now
        names = ("found", "told", "accepted", "refused", "unreachable")
        lines = "\n".join(f"| {name} | {getattr(now, name)} |" for name in names)
        workflow.set_current_details(
            f"**{state}**: {asked.kind}, asked for by {asked.actor}: {asked.reason}\n\n"
            f"| sagas | |\n|---|---|\n{lines}"
        )
