"""No mistake in engine, fence or recovery survives: each makes a story of the harness fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from temporalio.service import RPCError

import handrail.eventstore
from handrail.dev.postgres import EmbeddedPostgres
from handrail.testing.alone import ALONE
from handrail.testing.attempts import ATTEMPTS
from handrail.testing.failure import PATIENT, SOON
from handrail.testing.interventions import CROSSED
from handrail.testing.lost_tasks import LOST, Meanwhile
from handrail.testing.running_saga import ONE_TASK
from handrail.testing.trial import Trial, a_trial
from tests.workflows import mutations as m
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import kept
from tests.workflows.harness.special import SPECIAL, what_was_only_repeated_is_not_remembered
from tests.workflows.steps import all_others_have_ended, side_by_side
from tests.world import World

AT_MOST: Final = 30.0  # seconds: a mutant makes its story fail, and not wait

FUNCTION: Final = Path(handrail.eventstore.__file__).parent / "functions" / "append_events.sql"
OVER: Final = "AND c.step = 'journal:over'"


@dataclass(frozen=True)
class Told:
    """A story of one saga at one step."""

    saga: str
    step: str
    story: Callable[[Trial], Awaitable[None]]
    impatient: bool = False
    task: timedelta = ONE_TASK


def lost(name: str, saga: str, step: str, meanwhile: Meanwhile) -> Told:
    told = LOST[name]
    return Told(
        saga, step, lambda trial: told.story(trial, step, meanwhile), bool(told.gives_up), told.task
    )


def attempts(name: str, saga: str, step: str, times: int) -> Told:
    told = ATTEMPTS[name]
    return Told(
        saga, step, lambda trial: told.story(trial, step, times), bool(told.gives_up), told.task
    )


def alone(name: str, saga: str, step: str) -> Told:
    told = ALONE[name]
    return Told(saga, step, lambda trial: told.story(trial, step), bool(told.gives_up))


def crossed(name: str, saga: str, step: str) -> Told:
    return Told(saga, step, lambda trial: CROSSED[name].story(trial, step), impatient=True)


def special(name: str) -> Told:
    told = SPECIAL[name]
    return Told(
        told.saga,
        told.step,
        lambda trial: told.story(trial, told.step),
        told.impatient,
        told.task,
    )


def also_known(told: Told, record: str, alias: str) -> Told:
    """A mutant may give a record another name: what is to happen to it happens under both."""

    async def story(trial: Trial) -> None:
        known, other = record.format(told.step), alias.format(told.step, trial.id)
        trial.world.faults.told[trial.id, other, "do"] = trial.fault(known)
        await told.story(trial)

    return replace(told, story=story)


MUTATIONS: Final = {
    m.an_undo_drops_the_doors_of_new_keys: alone(
        "is_corrected_and_not_asked_again", "CollectInstalment", "CollectInstalment"
    ),
    m.an_undo_does_not_shut_the_pivot: special("its_pivot_lands_late_at_the_bank"),
    m.turning_back_closes_no_doors: special("lands_late_beside_it"),
    m.a_cancellation_does_not_close_the_pivot: special(
        "its_pivot_lands_late_once_it_was_cancelled"
    ),
    m.no_key_of_an_earlier_attempt_is_superseded: alone(
        "is_asked_again_by_the_next_attempt", "Checkout", "BookShipment"
    ),
    m.later_keys_of_earlier_attempts_stay_open: alone(
        "is_corrected_and_asked_again", "Checkout", "BookShipment"
    ),
    m.a_companys_pivot_is_not_voided: alone("is_not_asked_again", "PayMerchant", "TransferPayout"),
    m.a_companys_orphans_are_left: alone("is_not_asked_again", "Checkout", "AuthoriseDownPayment"),
    m.attempts_but_the_last_are_forgotten: attempts(
        "are_terminated_while_they_clear_up", "Checkout", "AuthoriseDownPayment", 3
    ),
    m.recovery_takes_back_only_what_is_known_to_be_done: alone(
        "is_unknown_and_its_undo_is_terminated", "Checkout", "AuthoriseDownPayment"
    ),
    m.recovery_does_retriable_steps_again: attempts(
        "is_terminated_after_it_was_done_for_good", "Checkout", "ConfirmOrder", 2
    ),
    m.recovery_forgets_how_it_turned_back: attempts(
        "are_terminated_on_their_way_back", "Checkout", "AuthoriseDownPayment", 2
    ),
    m.an_ended_attempt_is_taken_for_a_left_one: attempts(
        "begin_anew_after_a_refusal", "WriteOff", "WriteOffPlan", 2
    ),
    m.what_the_last_attempt_decided_counts: attempts(
        "are_terminated_as_they_turn_back", "WriteOff", "WriteOffPlan", 4
    ),
    m.a_completed_saga_may_be_begun_again: attempts(
        "are_terminated_after_the_end_was_told", "WriteOff", "WriteOffPlan", 2
    ),
    m.any_run_may_begin_an_attempt: attempts("are_begun_twice", "WriteOff", "WriteOffPlan", 2),
    m.another_run_may_turn_an_attempt_back: lost(
        "is_lost_after_its_undo", "PayMerchant", "PreparePayout", "reset"
    ),
    m.the_first_decision_counts: attempts(
        "are_terminated_as_an_operator_takes_it_back", "Checkout", "CapturePayment", 2
    ),
    m.a_doubt_is_forgotten_by_a_later_certain_failure: alone(
        "is_in_doubt_before_it_certainly_fails", "CollectInstalment", "CollectInstalment"
    ),
    m.a_refusal_in_the_stream_is_no_reason: lost(
        "is_lost_once_it_was_declined", "OnboardMerchant", "RequestApproval", "requester"
    ),
    m.a_person_may_deny_what_our_books_have: crossed(
        "is_denied_although_it_happened", "PayMerchant", "TransferPayout"
    ),
    m.what_was_asked_is_not_looked_for: lost(
        "is_lost_once_it_parked_at_once", "WriteOff", "WriteOffPlan", "requester"
    ),
    m.an_empty_step_is_taken_back: special("was_done_before"),
    m.journal_keys_are_counted: also_known(
        special("another_parks_once_its_task_is_lost"), "journal:parked:{}:do:1", "journal:2"
    ),
    m.a_cancellation_is_accepted_unasked: lost(
        "is_lost_after_it", "WriteOff", "WriteOffPlan", "requester"
    ),
    m.an_intervention_stands_although_another_was_first: also_known(
        special("is_resumed_by_the_first_also_after_a_reset"),
        "journal:resumed:{}:do:1",
        "journal:resumed:{0}:do:1:{1}-retry",
    ),
    m.a_broken_rule_at_a_later_try_is_called_certain: special("breaks_a_rule_at_its_second_try"),
}

QUICK: Final = {m.a_cancellation_is_accepted_unasked, m.any_run_may_begin_an_attempt}


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", list(SPECIAL))
@side_by_side
async def test_the_engine_as_it_is_passes_the_stories_of_one_saga(world: World, name: str) -> None:
    told = special(name)
    async with await _a_trial(world, told) as trial:
        await told.story(trial)


async def test_what_was_only_repeated_is_not_remembered(world: World) -> None:
    await what_was_only_repeated_is_not_remembered(world)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("mutation", "told"),
    [
        pytest.param(
            mutation,
            told,
            id=mutation.__name__,
            marks=() if mutation in QUICK else (pytest.mark.matrix,),
        )
        for mutation, told in MUTATIONS.items()
    ],
)
async def test_no_mutation_survives(
    world: World, monkeypatch: pytest.MonkeyPatch, mutation: Any, told: Told
) -> None:
    await all_others_have_ended()
    with monkeypatch.context() as patched:
        await kept(world, told.saga)
        mutation(patched)
        await _fails(world.elsewhere(), told)


@pytest.mark.matrix
async def test_a_fence_that_does_not_look_whether_an_attempt_is_over_does_not_survive(
    world: World, postgres: EmbeddedPostgres
) -> None:
    await all_others_have_ended()
    told = attempts("are_terminated_as_they_turn_back", "WriteOff", "WriteOffPlan", 2)
    await kept(world, told.saga)
    sql = FUNCTION.read_text()
    assert sql.count(OVER) == 1
    async with _replaced(postgres, sql, sql.replace(OVER, f"{OVER} AND false")):
        await _fails(world.elsewhere(), told)


@pytest.mark.matrix
async def test_a_memory_of_what_was_only_repeated_does_not_survive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_others_have_ended()
    with monkeypatch.context() as patched:
        m.a_state_is_remembered_that_was_only_repeated(patched)
        with pytest.raises(AssertionError):
            await what_was_only_repeated_is_not_remembered(world)


async def _fails(place: World, told: Told) -> None:
    """By what the story says, and not because it waits for something for ever."""
    async with place.at_work():
        trial = await _a_trial(place, told)
        try:
            async with trial:
                # Where nothing ended, there is no end to look at.
                with pytest.raises((AssertionError, ValueError)):
                    async with asyncio.timeout(AT_MOST):
                        await told.story(trial)
        finally:
            await _is_over(trial)


async def _is_over(trial: Trial) -> None:
    for (saga, _, _), fault in trial.world.faults.told.items():
        if saga != trial.id:
            continue
        if fault.gate:
            fault.gate.open()
        if fault.loss:
            fault.loss.strikes()
    try:
        await trial.is_terminated()
    except RPCError:
        return  # it has ended by itself


async def _a_trial(world: World, told: Told) -> Trial:
    limit = SOON if told.impatient else PATIENT
    return await a_trial(
        world,
        CASES[told.saga],
        "local",
        await kept(world, told.saga),
        deadline=limit,
        patience=limit,
        task_timeout=told.task,
    )


@asynccontextmanager
async def _replaced(postgres: EmbeddedPostgres, sql: str, mutant: str) -> AsyncIterator[None]:
    """The function of the world's own database, until the block ends."""
    url = postgres.url_of("handrail_world")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(mutant.encode())
        try:
            yield
        finally:
            await connection.execute(sql.encode())
