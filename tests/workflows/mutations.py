"""Mistakes in engine, fence and recovery: each is made on purpose, and has to make a story fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

import handrail.activities.command_activity
import handrail.activities.saga_recorder
import handrail.sagas.recovery
import handrail.sagas.rollback
import handrail.sagas.rollback_plan
from handrail.activities.command_handler import CommandHandler
from handrail.activities.saga_recorder import SagaRecorder
from handrail.eventstore.store import VersionConflict
from handrail.kernel import Attribution, Event, stream_name
from handrail.sagas.control import SagaControl
from handrail.sagas.definition import Step
from handrail.sagas.events import (
    CancelRequested,
    SagaDecided,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepFailed,
)
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaResult
from handrail.sagas.recovery import Leftovers, Standing
from handrail.sagas.rollback_plan import WayBack
from handrail.sagas.step_executor import StepExecutor
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.sagas.step_request import StepRequest
from handrail.sagas.stream_answers import Begun, Turned
from handrail.sagas.stream_commands import TurnBack

Patched = pytest.MonkeyPatch
Story = Sequence[SagaEvent]


# Doors, and the keys that other companies know.


def an_undo_drops_the_doors_of_new_keys(patched: Patched) -> None:
    undo = SagaExecution._undo

    async def dropping(
        self: SagaExecution, question: StepRequest, closes: tuple[str, ...], left: Leftovers | None
    ) -> None:
        await undo(self, question, tuple(key for key in closes if "~" not in key), left)

    patched.setattr(SagaExecution, "_undo", dropping)


def an_undo_does_not_shut_the_pivot(patched: Patched) -> None:
    undo = SagaExecution._undo

    async def dropping(
        self: SagaExecution, question: StepRequest, closes: tuple[str, ...], left: Leftovers | None
    ) -> None:
        pivot = self.saga.pivot_step.name
        kept = tuple(key for key in closes if key.partition("~")[0] != pivot)
        await undo(self, question, kept, left)

    patched.setattr(SagaExecution, "_undo", dropping)


def turning_back_closes_no_doors(patched: Patched) -> None:
    patched.setattr(handrail.activities.saga_recorder, "_keys_of_steps", lambda *_: ())


def a_cancellation_does_not_close_the_pivot(patched: Patched) -> None:
    append = SagaRecorder._append

    async def leaving_open(
        self: SagaRecorder,
        version: int | None,
        events: Story,
        context: StepContext,
        answer: Mapping[str, Any],
    ) -> Any:
        if [type(event) for event in events] == [CancelRequested]:
            context = replace(context, closes=())
        return await append(self, version, events, context, answer)

    patched.setattr(SagaRecorder, "_append", leaving_open)


def no_key_of_an_earlier_attempt_is_superseded(patched: Patched) -> None:
    patched.setattr(StepExecutor, "_superseded", lambda *_: ())


def later_keys_of_earlier_attempts_stay_open(patched: Patched) -> None:
    superseded = StepExecutor._superseded

    def first_only(self: StepExecutor, question: StepRequest) -> tuple[StepKey, ...]:
        return tuple(key for key in superseded(self, question) if key.ask == 1)

    patched.setattr(StepExecutor, "_superseded", first_only)


def a_companys_pivot_is_not_voided(patched: Patched) -> None:
    undo_all = SagaExecution._undo_all

    async def without(self: SagaExecution, way: WayBack, standing: Standing, **how: Any) -> None:
        await undo_all(self, way, standing, **{**how, "void": False})

    patched.setattr(SagaExecution, "_undo_all", without)


def a_companys_orphans_are_left(patched: Patched) -> None:
    way_back = handrail.sagas.rollback_plan.way_back

    def without(*asked: Any) -> WayBack:
        return replace(way_back(*asked), orphans=())

    patched.setattr(handrail.sagas.rollback, "way_back", without)


# What attempts take over.


def attempts_but_the_last_are_forgotten(patched: Patched) -> None:
    taking_over = handrail.activities.saga_recorder._taking_over

    def last_only(attempt: int, token: str, story: Story) -> Begun:
        begun = taking_over(attempt, token, story)
        return replace(begun, lefts=begun.lefts[-1:])

    patched.setattr(handrail.activities.saga_recorder, "_taking_over", last_only)


def _left(patched: Patched, change: Callable[[Leftovers], Leftovers]) -> None:
    leftovers_of = handrail.sagas.recovery.leftovers_of

    def changed(started: SagaStarted, story: Story) -> Leftovers:
        return change(leftovers_of(started, story))

    patched.setattr(handrail.activities.saga_recorder, "leftovers_of", changed)


def recovery_takes_back_only_what_is_known_to_be_done(patched: Patched) -> None:
    def known(left: Leftovers) -> Leftovers:
        assert left.standing is not None
        forgotten = tuple(sorted({*left.standing.not_done, *left.standing.unknown}))
        return replace(left, standing=replace(left.standing, unknown=(), not_done=forgotten))

    _left(patched, known)


def recovery_does_retriable_steps_again(patched: Patched) -> None:
    _left(patched, lambda left: replace(left, done=()))


def recovery_forgets_how_it_turned_back(patched: Patched) -> None:
    def forgotten(left: Leftovers) -> Leftovers:
        ending = left.turned_back and "compensated"
        return replace(left, turned_back=ending, because="", reason="")

    _left(patched, forgotten)


def an_ended_attempt_is_taken_for_a_left_one(patched: Patched) -> None:
    def whatever_ended(story: Story, before: int) -> Sequence[SagaStarted]:
        return [one for one in story if isinstance(one, SagaStarted) and one.attempt < before]

    patched.setattr(handrail.activities.saga_recorder, "unended", whatever_ended)


def what_the_last_attempt_decided_counts(patched: Patched) -> None:
    """It only finished the way back of the first, which was refused."""
    recover = SagaExecution._recover

    async def newest_first(self: SagaExecution, lefts: Sequence[Leftovers]) -> SagaResult | None:
        return await recover(self, [*reversed(lefts)])

    patched.setattr(SagaExecution, "_recover", newest_first)


# Who begins.


def a_completed_saga_may_be_begun_again(patched: Patched) -> None:
    patched.setattr(handrail.activities.saga_recorder, "_final_end", lambda *_: None)


def any_run_may_begin_an_attempt(patched: Patched) -> None:
    def next_one(_: SagaStarted, story: Story) -> int:
        return 1 + max((one.attempt for one in story if isinstance(one, SagaStarted)), default=0)

    patched.setattr(handrail.activities.saga_recorder, "_number", next_one)


def another_run_may_turn_an_attempt_back(patched: Patched) -> None:
    """What a reset asks for anew is answered as if it had asked for it before."""

    async def whoever_asks(
        self: SagaRecorder, asked: TurnBack, context: StepContext
    ) -> Turned | None:
        try:
            found = await self._append(-1, [], context, {})
        except VersionConflict:
            return None
        first = {key: value for key, value in (found.answer or {}).items() if key != "run"}
        return replace(
            handrail.activities.saga_recorder._TURNED.validate_python(first), token=found.token
        )

    patched.setattr(SagaRecorder, "_first_turn", whoever_asks)


# What the stream says.


def the_first_decision_counts(patched: Patched) -> None:
    def first(attempt: int, story: Story) -> SagaDecided | None:
        decided = (one for one in story if isinstance(one, SagaDecided) and one.attempt == attempt)
        return next(decided, None)

    for module in (handrail.sagas.recovery, handrail.activities.saga_recorder):
        patched.setattr(module, "decision_of", first)


def a_doubt_is_forgotten_by_a_later_certain_failure(patched: Patched) -> None:
    turned = handrail.activities.saga_recorder._turned

    def certain(asked: TurnBack, attempt: int, story: Story) -> Turned | None:
        back = turned(asked, attempt, story)
        if back is None:
            return None
        told = [*story, *asked.failed]
        failed = {one.step for one in told if isinstance(one, StepFailed)}
        standing = back.standing
        not_done = tuple(sorted({*standing.not_done, *failed}))
        unknown = tuple(step for step in standing.unknown if step not in failed)
        return replace(back, standing=replace(standing, not_done=not_done, unknown=unknown))

    patched.setattr(handrail.activities.saga_recorder, "_turned", certain)


def a_refusal_in_the_stream_is_no_reason(patched: Patched) -> None:
    patched.setattr(handrail.activities.saga_recorder, "refusal_in", lambda *_: None)


def a_person_may_deny_what_our_books_have(patched: Patched) -> None:
    patched.setattr(handrail.activities.saga_recorder, "standing_of", lambda *_: Standing())


def what_was_asked_is_not_looked_for(patched: Patched) -> None:
    patched.setattr(handrail.activities.saga_recorder, "was_asked", lambda *_: False)


def an_empty_step_is_taken_back(patched: Patched) -> None:
    may_stand = handrail.sagas.rollback_plan._may_stand

    def whatever_passed(step: Step, standing: Standing) -> bool:
        return may_stand(step, replace(standing, unchanged=()))

    patched.setattr(handrail.sagas.rollback_plan, "_may_stand", whatever_passed)


# What a workflow remembers.


def journal_keys_are_counted(patched: Patched) -> None:
    journal = StepExecutor._journal

    async def counted(self: StepExecutor, activity: str, _: str, *told: Any, **more: Any) -> Any:
        return await journal(self, activity, str(self._recorded + 1), *told, **more)

    patched.setattr(StepExecutor, "_journal", counted)


def a_cancellation_is_accepted_unasked(patched: Patched) -> None:
    async def remembered(self: SagaControl, cancellation: Attribution) -> None:
        self._cancellation = self._cancellation or cancellation

    patched.setattr(SagaControl, "cancel", remembered)


def an_intervention_stands_although_another_was_first(patched: Patched) -> None:
    resume = StepExecutor.resume

    async def each_for_itself(
        self: StepExecutor, name: str, resumed: SagaResumed, *how: Any
    ) -> tuple[SagaResumed, Any]:
        return await resume(self, f"{name}:{resumed.intervention}", resumed, *how)

    patched.setattr(StepExecutor, "resume", each_for_itself)


# What is served.


def a_state_is_remembered_that_was_only_repeated(patched: Patched) -> None:
    append = CommandHandler._append

    async def remembering(
        self: CommandHandler[Any],
        context: StepContext,
        states: Mapping[str, tuple[int, Any]],
        events: Iterable[Event],
    ) -> Answer:
        told = list(events)
        answer = await append(self, context, states, told)
        of = self._aggregate
        for stream, (version, state) in states.items():
            added = [one for one in told if stream_name(of.category, of.id_of(one)) == stream]
            await self._remember(stream, version, state, added, stored=len(added))
        return answer

    patched.setattr(CommandHandler, "_append", remembering)


def a_broken_rule_at_a_later_try_is_called_certain(patched: Patched) -> None:
    patched.setattr(handrail.activities.command_activity, "_is_asked_again", lambda: False)
