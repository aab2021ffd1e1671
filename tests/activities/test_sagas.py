"""The saga's own stream decides: who begins, whether there is a way back, and what stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.identifiers import MerchantId
from handrail.activities import saga_recorder
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, StepClosed
from handrail.kernel import Money, stream_name
from handrail.sagas.events import (
    AnswerAwaited,
    CancelRequested,
    Direction,
    Ending,
    Repeats,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepDone,
    StepRefused,
)
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.sagas.stream_answers import Begun, Cancelled, Turned
from handrail.sagas.stream_commands import RequestCancellation, TurnBack
from runtime.app import HANDRAIL
from tests.controls import NOON, readable_id

TODAY = date(2026, 3, 2)
STEPS = ("Reserve", "Pay", "Ship")
PIVOT = "Pay"


definition_of = activity._Definition.must_from_callable


@dataclass
class Journal:
    """The activities of one saga's stream, and the steps that tell it something."""

    store: EventStore
    saga: str = field(default_factory=lambda: readable_id("saga"))

    def context(
        self,
        name: str,
        *,
        attempt: int = 1,
        on: date = TODAY,
        closes: Sequence[str] = (),
        direction: Direction = "do",
    ) -> StepContext:
        key = StepKey(saga=self.saga, attempt=attempt, step=name, direction=direction, opened_on=on)
        return StepContext(key=key, actor="tests", closes=tuple(closes))

    async def asks(self, name: str, asked: Any, context: StepContext) -> Any:
        serving = {
            definition_of(one).name: one
            for one in saga_recorder.activities(self.store, HANDRAIL.codec)
        }
        return await serving[name](asked, context)

    async def begins(
        self, attempt: int, run: str, *, on: date = TODAY, repeats: Repeats = "numbered"
    ) -> Begun:
        started = SagaStarted(
            saga=self.saga,
            saga_type="Any",
            shape=1,
            attempt=attempt,
            tenant=MerchantId("m-1"),
            at_stake=Money(1, "EUR"),
            actor="tests",
            run=run,
            opened_on=on,
            steps=STEPS,
            repeats=repeats,
        )
        context = self.context("journal:started", attempt=attempt, on=on)
        begun: Begun = await self.asks("BeginSaga", started, context)
        return begun

    async def does(self, step: str, *, attempt: int = 1, on: date = TODAY) -> None:
        done: list[SagaEvent] = [
            StepDone(saga=self.saga, attempt=attempt, step=step, outcome="Done")
        ]
        if step == PIVOT:
            done.append(
                SagaDecided(saga=self.saga, attempt=attempt, approved=True, because="", reason="")
            )
        await self.tells(self.context(step, attempt=attempt, on=on), *done)

    async def ends(self, ending: Ending, *, attempt: int = 1) -> None:
        ended = SagaEnded(saga=self.saga, attempt=attempt, ending=ending, because="", reason="")
        await self.tells(self.context("journal:ended", attempt=attempt), ended)

    async def tells(self, context: StepContext, *events: SagaEvent) -> None:
        stream = stream_name("saga", self.saga)
        await self.store.append([(stream, ANY_VERSION, events)], context=context, answer={})

    async def turns_back(
        self, because: str, *, run: str = "run-1", over_pivot: bool = False
    ) -> Turned:
        asked = TurnBack(
            because=because, reason="said so", run=run, pivot=PIVOT, over_pivot=over_pivot
        )
        turned: Turned = await self.asks("TurnBack", asked, self.context("journal:turned-back"))
        return turned

    async def is_cancelled(self, *, attempt: int = 1) -> Cancelled:
        requested = CancelRequested(
            saga=self.saga, attempt=attempt, actor="customer", reason="changed my mind"
        )
        asked = RequestCancellation(requested=requested, pivot=PIVOT)
        answer: Cancelled = await self.asks(
            "RequestCancellation", asked, self.context("journal:cancelled", attempt=attempt)
        )
        return answer

    async def resumes(self, kind: str, id_: str, *, happened: bool = True) -> SagaResumed:
        resumed = SagaResumed(
            saga=self.saga,
            attempt=1,
            step=PIVOT,
            direction="do",
            intervention=id_,
            kind=kind,
            actor="operator",
            reason="looked",
            happened=happened,
        )
        context = self.context(f"journal:resumed:{PIVOT}:do:1", closes=[PIVOT])
        [stands] = await self.asks("ResumeStep", (resumed,), context)
        assert isinstance(stands, SagaResumed)
        return stands

    async def story(self) -> list[Any]:
        stream = stream_name("saga", self.saga)
        return list((await self.store.load({stream: 0}))[stream].events)

    async def kinds(self) -> list[str]:
        return [type(event).__name__ for event in await self.story()]


@pytest.fixture
async def journal(database: str) -> AsyncIterator[Journal]:
    async with open_pool(database, role="handrail_app") as pool:
        yield Journal(EventStore(pool, HANDRAIL.codec))


def closed(why: str) -> Any:
    return pytest.raises(ApplicationError, match=why)


# Who begins.


async def test_an_attempt_is_begun_once_also_on_two_days(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    with closed("another run"):
        await journal.begins(1, "run-2", on=TODAY + timedelta(days=1))
    assert await journal.kinds() == ["SagaStarted"]


async def test_the_run_that_began_an_attempt_is_answered_the_same_again(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does("Reserve")
    first = await journal.begins(2, "run-2")
    again = await journal.begins(2, "run-2", on=TODAY + timedelta(days=1))
    assert (again.attempt, again.lefts) == (2, first.lefts)
    assert (await journal.kinds()).count("SagaStarted") == 2


async def test_an_attempt_follows_all_that_stopped_since_the_last_end(journal: Journal) -> None:
    """Also those before its predecessor, and with the days of their keys."""
    await journal.begins(1, "run-1")
    await journal.does("Reserve")
    later = TODAY + timedelta(days=40)
    await journal.begins(2, "run-2", on=later)
    begun = await journal.begins(4, "run-4", on=later)
    assert [(one.attempt, one.opened_on, one.done) for one in begun.lefts] == [
        (1, TODAY, ("Reserve",)),
        (2, later, ()),
    ]


async def test_what_ended_is_not_left(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does("Reserve")
    await journal.ends("compensated")
    begun = await journal.begins(2, "run-2")
    assert (begun.attempt, begun.lefts, begun.ended) == (2, (), None)


@pytest.mark.parametrize(
    ("ending", "repeats", "attempt", "begins"),
    [
        ("completed", "always", 2, None),
        ("compensated", "never", 2, None),
        ("refused", "never", 2, None),
        ("refused", "numbered", 2, 2),
        ("refused", "always", 2, 2),
        ("refused", "always", 1, 2),
    ],
)
async def test_what_may_follow_an_end(
    journal: Journal, ending: Ending, repeats: Repeats, attempt: int, begins: int | None
) -> None:
    await journal.begins(1, "run-1")
    await journal.ends(ending)
    begun = await journal.begins(attempt, "run-2", repeats=repeats)
    if begins is None:
        assert begun.ended is not None
        assert begun.ended.ending == ending
        assert await journal.kinds() == ["SagaStarted", "SagaEnded"]
    else:
        assert (begun.attempt, begun.ended) == (begins, None)


async def test_a_number_that_has_passed_is_refused(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.begins(3, "run-3")
    with closed("another run"):
        await journal.begins(2, "run-2")


async def test_a_beginning_that_lands_after_a_later_end_begins_nothing(journal: Journal) -> None:
    """Its workflow was terminated meanwhile: nobody would ever end what it began."""
    await journal.begins(1, "run-1", repeats="always")
    await journal.begins(3, "run-3", repeats="always")
    await journal.ends("refused", attempt=3)
    with closed("another run"):
        await journal.begins(2, "run-2", repeats="always")


async def test_an_attempt_that_was_followed_says_nothing_any_more(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.begins(2, "run-2")
    before = await journal.kinds()
    for step in STEPS:
        with pytest.raises(StepClosed):
            await journal.does(step)
    with pytest.raises(StepClosed):
        await journal.ends("completed")
    assert await journal.kinds() == before


# Whether there is a way back.


async def test_a_saga_turns_back_over_what_the_stream_says_was_done(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does("Reserve")
    turned = await journal.turns_back("cancelled")
    assert (turned.crossed, turned.because, turned.standing.passed) == (
        False,
        "cancelled",
        ("Reserve",),
    )
    for step in ("Pay", "Ship"):
        with pytest.raises(StepClosed):
            await journal.does(step)


async def test_there_is_no_way_back_over_a_pivot_that_took_effect(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    for step in ("Reserve", "Pay"):
        await journal.does(step)
    before = await journal.kinds()
    assert (await journal.turns_back("cancelled")).crossed
    assert await journal.kinds() == before
    await journal.does("Ship")


async def test_a_person_may_have_a_pivot_taken_back(journal: Journal) -> None:
    """After that the last decision counts: another attempt finishes the way back."""
    await journal.begins(1, "run-1")
    await journal.does("Pay")
    assert not (await journal.turns_back("intervention", over_pivot=True)).crossed
    [left] = (await journal.begins(2, "run-2")).lefts
    assert (left.approved, left.turned_back) == (False, "compensated")


async def test_whoever_turns_back_again_is_answered_what_was_answered_first(
    journal: Journal,
) -> None:
    await journal.begins(1, "run-1")
    await journal.does("Reserve")
    first = await journal.turns_back("cancelled")
    assert await journal.turns_back("unknown") == first
    assert await journal.turns_back("") == first
    assert (await journal.kinds()).count("SagaDecided") == 1


async def test_another_run_of_the_workflow_does_not_go_on_from_there(journal: Journal) -> None:
    """Which is what a reset by Temporal makes."""
    await journal.begins(1, "run-1")
    await journal.turns_back("cancelled")
    with closed("another run"):
        await journal.turns_back("", run="run-after-reset")


async def test_a_closed_key_alone_is_no_reason_to_turn_back(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    with closed("no reason"):
        await journal.turns_back("")
    assert await journal.kinds() == ["SagaStarted"]


async def test_a_refusal_is_the_reason_whatever_made_the_workflow_turn(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    refused = StepRefused(
        saga=journal.saga, attempt=1, step="Reserve", outcome="SoldOut", reason="none left"
    )
    await journal.tells(journal.context("Reserve"), refused)
    turned = await journal.turns_back("cancelled")
    assert (turned.because, turned.reason, turned.ending) == ("SoldOut", "none left", "refused")


# What people say.


async def test_a_cancellation_shuts_the_pivot_before_it_is_answered(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    assert (await journal.is_cancelled()).accepted
    with pytest.raises(StepClosed):
        await journal.does(PIVOT)
    assert (await journal.turns_back("")).because == "cancelled"


async def test_a_cancellation_after_the_pivot_is_too_late(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does(PIVOT)
    before = await journal.kinds()
    answer = await journal.is_cancelled()
    assert (answer.accepted, answer.said) == (
        False,
        "Pay was asked already: after that there is no way back",
    )
    assert await journal.kinds() == before


async def test_a_cancellation_is_too_late_where_an_attempt_before_did_the_pivot(
    journal: Journal,
) -> None:
    await journal.begins(1, "run-1")
    await journal.does(PIVOT)
    await journal.begins(2, "run-2")
    before = await journal.kinds()
    answer = await journal.is_cancelled(attempt=2)
    assert (answer.accepted, answer.said) == (
        False,
        "Pay was asked already: after that there is no way back",
    )
    assert await journal.kinds() == before


async def test_a_cancellation_is_too_late_for_an_attempt_that_only_reports_the_end(
    journal: Journal,
) -> None:
    await journal.begins(1, "run-1", repeats="never")
    await journal.does(PIVOT)
    await journal.ends("completed")
    assert (await journal.begins(2, "run-2", repeats="never")).ended
    before = await journal.kinds()
    answer = await journal.is_cancelled(attempt=2)
    assert (answer.accepted, answer.said) == (False, "it has ended")
    assert await journal.kinds() == before


async def test_a_cancellation_is_too_late_where_an_attempt_before_turned_back(
    journal: Journal,
) -> None:
    await journal.begins(1, "run-1")
    await journal.turns_back("failed")
    await journal.begins(2, "run-2")
    answer = await journal.is_cancelled(attempt=2)
    assert (answer.accepted, answer.said) == (False, "it is being taken back already")


async def test_what_an_attempt_was_told_before_it_stopped_is_heard_by_the_next(
    journal: Journal,
) -> None:
    await journal.begins(1, "run-1")
    assert (await journal.is_cancelled()).accepted
    left = (await journal.begins(2, "run-2")).lefts[-1]
    assert (left.turned_back, left.because, left.reason) == (
        "compensated",
        "cancelled",
        "changed my mind",
    )


async def test_what_took_effect_while_it_waited_is_not_done_otherwise(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does(PIVOT)
    with pytest.raises(ApplicationError, match="our own books say that Pay happened"):
        await journal.resumes("correct", "one")


async def test_a_correction_that_was_done_since_is_answered_as_it_was_first(
    journal: Journal,
) -> None:
    """The task that recorded it, and did the step, was lost: both are asked for again."""
    await journal.begins(1, "run-1")
    first = await journal.resumes("correct", "one")
    done = StepDone(saga=journal.saga, attempt=1, step=PIVOT, outcome="Done")
    await journal.tells(journal.context(f"{PIVOT}~2"), done)
    assert await journal.resumes("correct", "one") == first
    assert (await journal.kinds()).count("SagaResumed") == 1


async def test_of_two_interventions_the_first_stands(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    first = await journal.resumes("retry", "one")
    assert await journal.resumes("skip", "two") == first
    assert (await journal.kinds()).count("SagaResumed") == 1


async def test_what_our_books_hold_nobody_can_say_not_to_have_happened(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    await journal.does(PIVOT)
    with pytest.raises(ApplicationError, match="our own books say that Pay happened") as refused:
        await journal.resumes("resolve", "one", happened=False)
    assert refused.value.type == "NotPossible"
    assert "SagaResumed" not in await journal.kinds()


async def test_of_two_answers_the_first_stands(journal: Journal) -> None:
    await journal.begins(1, "run-1")
    yes = StepAnswered(
        saga=journal.saga, attempt=1, step="Reserve", approved=True, actor="officer", reason="fine"
    )
    late = replace(yes, approved=False, actor="deadline", reason="nobody answered in time")
    context = journal.context("journal:answered:Reserve")
    assert await journal.asks("AnswerStep", yes, context) == yes
    assert await journal.asks("AnswerStep", late, context) == yes


async def test_what_was_told_of_one_step_is_still_missing_of_another(journal: Journal) -> None:
    def awaits(step: str) -> AnswerAwaited:
        return AnswerAwaited(
            saga=journal.saga, attempt=1, step=step, until=NOON + timedelta(days=1)
        )

    await journal.begins(1, "run-1")
    await journal.tells(journal.context("Reserve"), awaits("Reserve"))
    await journal.asks(
        "RecordMissing", [awaits("Reserve"), awaits("Pay")], journal.context("journal:by-hand:Pay")
    )
    story = await journal.story()
    assert [one.step for one in story if isinstance(one, AnswerAwaited)] == ["Reserve", "Pay"]
