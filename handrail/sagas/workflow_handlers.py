"""What every saga's workflow can be asked and told while it runs."""

from __future__ import annotations

from typing import ClassVar

from temporalio import workflow

from handrail.kernel import Attribution, Command
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import Decision, Intervention, Verdict


class SagaHandlers:
    """The base of a saga's workflow, which makes `_saga` in its `workflow.init`.

    `shape` is the newest one: who starts the saga puts it into the options (docs/versioning.md).
    """

    shape: ClassVar[int] = 1
    _saga: SagaExecution

    @workflow.update(description="Wait for the decision: approved, or refused with the reason.")
    async def decision(self) -> Decision:
        return await self._saga.decided()

    @workflow.update(description="Take everything back; refused once the pivot was asked.")
    async def cancel(self, cancellation: Attribution) -> None:
        await self._saga.cancel(cancellation)

    @cancel.validator
    def _may_cancel(self, cancellation: Attribution) -> None:
        self._saga.may_cancel(cancellation)

    @workflow.update(
        description="Let a parked step go on: retry, correct, skip, resolve by hand, or compensate."
    )
    async def intervene(self, intervention: Intervention, correction: Command | None) -> None:
        await self._saga.intervene(intervention, correction)

    @intervene.validator
    def _may_intervene(self, intervention: Intervention, correction: Command | None) -> None:
        self._saga.may_intervene(intervention, correction)

    @workflow.update(description="Answer a step that waits for a person or another system.")
    async def answer(self, verdict: Verdict) -> None:
        await self._saga.answer(verdict)

    @answer.validator
    def _may_answer(self, verdict: Verdict) -> None:
        self._saga.may_answer(verdict)

    @workflow.query(description="The command that a parked step would be asked with again.")
    def parked_command(self, step: str) -> Command:
        return self._saga.parked_command(step)
