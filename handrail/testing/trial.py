"""One saga under trial: begun with fresh parameters, disturbed, and judged by the stores."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, Self

from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError

from handrail.sagas.events import Ending
from handrail.sagas.options import Verdict
from handrail.testing.books import Books
from handrail.testing.clean_slate import assert_all_is_folded, assert_clean_slate
from handrail.testing.environment import FIRST_TRY, Environment
from handrail.testing.evidence import Evidence, anonymous, read
from handrail.testing.failure import PATIENT
from handrail.testing.running_saga import ONE_TASK, Placement, Running, eventually
from handrail.testing.saga_case import Case, Subject

Said = Literal["yes", "no", "nothing"]
NOT_HEARD = (WorkflowUpdateFailedError, RPCError)
"""Refused, or over; not what the client makes of it when whoever waits is told to stop."""


@dataclass(eq=False, kw_only=True)
class Trial(Running):
    """One saga that a failure is tried on: its faults, what people do with it, and how it ends.

    `kept` is what the saga leaves behind when nothing disturbs it.
    """

    case: Case
    subject: Subject
    kept: Books
    _ledgers: Books = field(default_factory=dict)
    _verdicts: dict[str, Said] = field(default_factory=dict)
    _approvers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def starts(self) -> None:
        if self.attempt == 1:
            self._ledgers = await self._read_ledgers()
        await super().starts()
        if not self._approvers:
            self._approve()

    async def is_begun_where_nobody_works(self) -> None:
        """As the next attempt, which is terminated before anybody has worked on it."""
        world = self.world
        self.world = world.elsewhere()
        try:
            await self.is_started_again()
            await self.is_terminated()
        finally:
            self.world = world

    async def ends_as(self, ending: Ending, because: str | None = None) -> Evidence:
        """Wait for the end, and judge it by the stores; the evidence is for what else is to say."""
        status = await self.ends()
        found = await self.evidence()
        assert status is not WorkflowExecutionStatus.FAILED, f"the workflow {self.id} failed"
        assert found.ended.ending == ending, found.ended
        if because is not None:
            assert found.ended.because == because, found.story
        assert_clean_slate(self.subject, found, self.kept)
        return found

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for approver in self._approvers.values():
            approver.cancel()
        await asyncio.gather(*self._approvers.values(), return_exceptions=True)

    async def evidence(self) -> Evidence:
        return await read(
            self.world,
            self.id,
            self.case.aggregates,
            ledgers_before=self._ledgers,
            ledgers_after=await self._read_ledgers(),
            stand=await self.case.companies(self.world).stand(self._names),
        )

    async def _read_ledgers(self) -> Books:
        return await self.case.companies(self.world).ledgers(self._names)

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(self.subject.names)

    @property
    def awaits(self) -> list[str]:
        groups = self.subject.saga.groups
        return [step.name for group in groups for step in group if step.answered_within]

    def is_answered_with(self, step: str, said: Said) -> None:
        """What becomes of the step that awaits an answer; of every other one: yes."""
        self._verdicts[step] = said

    def approvers_begin_again(self) -> None:
        """What is reset waits again, also for an answer that the stream has."""
        for approver in self._approvers.values():
            approver.cancel()
        self._approve()

    def _approve(self) -> None:
        """Each step that awaits an answer has an approver of its own: steps may wait side by side,
        and another attempt may wait for the first before it comes to the next.
        """
        self._approvers = {
            step: asyncio.create_task(self._answer(step, approved=said == "yes"))
            for step in self.awaits
            if (said := self._verdicts.get(step, "yes")) != "nothing"
        }

    async def _answer(self, step: str, *, approved: bool) -> None:
        """Each time the step awaits an answer."""
        for awaited in itertools.count(1):
            await self.tells("AnswerAwaited", step, times=awaited)
            await self.hears(approved=approved, step=step)

    async def is_heard(self, verdict: Verdict) -> asyncio.Task[None]:
        """Give it again and again until the workflow waits for it, and then for what it says."""

        async def heard() -> None:
            async def told() -> bool:
                try:
                    await self.handle.execute_update("answer", verdict)
                except NOT_HEARD:
                    return False
                return True

            await eventually(told, f"{self.id} heard {verdict.id}")

        return asyncio.create_task(heard())

    async def waits_at(self, step: str) -> None:
        """Until Temporal shows that the step is parked."""

        async def parked() -> bool:
            shown = await self.shown()
            return (shown.status, shown.step) == ("parked", step)

        await eventually(parked, f"{self.id} is parked at {step}")

    async def hears(self, *, approved: bool, step: str) -> None:
        """What the step has told, the workflow may learn a moment later; or it has turned back."""

        async def heard() -> bool:
            try:
                await self.is_answered(approved=approved, step=step)
            except NOT_HEARD:
                return False
            return True

        await eventually(heard, f"{step} of {self.id} heard an answer")


async def a_trial(
    world: Environment,
    case: Case,
    steps: Placement,
    kept: Books,
    *,
    deadline: float = PATIENT,
    patience: float = PATIENT,
    task_timeout: timedelta = ONE_TASK,
) -> Trial:
    """With a longer task, also another company has longer to answer inside it."""
    subject = await case.prepare(world)
    return Trial(
        world=world,
        id=subject.id,
        workflow=case.workflow,
        input=subject.input,
        options=replace(
            world.options,
            steps=steps,
            queue_prefix=world.queue_prefix,
            first_try_seconds=max(
                FIRST_TRY, task_timeout.total_seconds() - ONE_TASK.total_seconds()
            ),
            deadline_seconds=deadline,
            patience_seconds=patience,
        ).of(case.workflow),
        task_timeout=task_timeout,
        case=case,
        subject=subject,
        kept=kept,
    )


async def undisturbed(world: Environment, case: Case) -> Books:
    """What a saga that nothing disturbs leaves behind, without its names."""
    trial = await a_trial(world, case, "local", {})
    async with trial:
        await trial.starts()
        await trial.ends()
    found = await trial.evidence()
    assert found.ended.ending == "completed", found.ended
    assert_all_is_folded(found)
    return dict(anonymous(found.after, trial.subject.names))
