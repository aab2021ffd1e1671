from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from domain.identifiers import MerchantId
from handrail.kernel import Event
from handrail.projections import saga_board
from handrail.projections.projection import OutOfPlace
from handrail.sagas.events import (
    EVENTS,
    AnswerAwaited,
    AnswerReminded,
    CancelRequested,
    CompensationStarted,
    Direction,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from tests.controls import NOON, eur
from tests.projections import folds
from tests.projections.folds import at

FIRST: dict[str, Any] = {"saga": "1", "attempt": 1}
PROJECTION = saga_board.projection("merchant")
after = partial(folds.after, PROJECTION)


def started(attempt: int = 1) -> SagaStarted:
    return SagaStarted(
        saga="1",
        saga_type="checkout",
        shape=3,
        attempt=attempt,
        tenant=MerchantId("bob"),
        at_stake=eur(100_00),
        actor="ann",
    )


def done(step: str) -> StepDone:
    return StepDone(**FIRST, step=step, outcome="Done")


def undone(step: str) -> StepCompensated:
    return StepCompensated(**FIRST, step=step, outcome="Undone")


def parked(step: str, direction: Direction = "do", cause: str = "timeout") -> SagaParked:
    return SagaParked(**FIRST, step=step, direction=direction, cause=cause)


def resumed(step: str, direction: Direction = "do") -> SagaResumed:
    return SagaResumed(
        **FIRST,
        step=step,
        direction=direction,
        intervention="i1",
        kind="retry",
        actor="olga",
        reason="it is up again",
    )


def ended(ending: Ending, because: str = "") -> SagaEnded:
    return SagaEnded(**FIRST, ending=ending, because=because, reason="")


def awaited(step: str) -> AnswerAwaited:
    return AnswerAwaited(**FIRST, step=step, until=NOON)


def answered(step: str) -> StepAnswered:
    return StepAnswered(**FIRST, step=step, approved=False, actor="rita", reason="too risky")


GOING_BACK = CompensationStarted(**FIRST, because="CreditRefused", reason="over the limit")


def test_a_saga_that_started_is_running() -> None:
    row = after(started())

    assert (row.saga, row.saga_type, row.shape, row.attempt) == ("1", "checkout", 3, 1)
    assert (row.tenant, row.actor, row.at_stake, row.currency) == ("bob", "ann", 100_00, "EUR")
    assert (row.status, row.step, row.started_at, row.ended_at) == ("running", "", at(1), None)


@pytest.mark.parametrize(
    ("events", "status", "step"),
    [
        ([done("A")], "running", "A"),
        ([done("A"), StepRefused(**FIRST, step="B", outcome="No", reason="")], "running", "B"),
        ([StepFailed(**FIRST, step="A", cause="bug")], "running", "A"),
        ([parked("A")], "parked", "A"),
        ([parked("A"), resumed("A")], "running", "A"),
        ([parked("A"), resumed("A"), done("A")], "running", "A"),
        ([parked("A"), done("A")], "running", "A"),
        ([parked("A"), awaited("B"), done("A")], "awaiting", "B"),
        ([parked("A"), parked("B"), done("A")], "parked", "B"),
        ([awaited("A"), done("A")], "awaiting", "A"),
        ([done("A"), GOING_BACK], "compensating", "A"),
        ([GOING_BACK, parked("A", "undo")], "parked", "A"),
        ([GOING_BACK, parked("A", "undo"), resumed("A", "undo")], "compensating", "A"),
        ([GOING_BACK, parked("A", "undo"), undone("A")], "compensating", "A"),
        ([parked("A"), GOING_BACK], "compensating", "A"),
        ([awaited("A")], "awaiting", "A"),
        ([awaited("A"), AnswerReminded(**FIRST, step="A", until=NOON)], "awaiting", "A"),
        ([awaited("A"), answered("A")], "running", "A"),
        ([awaited("A"), parked("B")], "parked", "B"),
        ([parked("B"), awaited("A"), resumed("B")], "awaiting", "A"),
        ([awaited("A"), GOING_BACK], "compensating", "A"),
        ([done("A"), ended("completed")], "completed", ""),
        ([GOING_BACK, ended("refused", "CreditRefused")], "refused", ""),
        ([GOING_BACK, ended("compensated", "cancelled")], "compensated", ""),
        ([ended("completed"), parked("A")], "completed", ""),
        ([parked("A"), ended("completed"), resumed("A")], "completed", ""),
        ([ended("completed"), AnswerReminded(**FIRST, step="A", until=NOON)], "completed", ""),
        ([ended("completed"), awaited("A")], "completed", ""),
    ],
)
def test_the_status_and_the_step_follow_the_story(
    events: list[Event], status: str, step: str
) -> None:
    row = after(started(), *events)

    assert (row.status, row.step) == (status, step)


def test_a_parked_saga_shows_what_it_waits_for() -> None:
    row = after(started(), parked("Capture", cause="bank is silent"))

    assert (row.parked_since, row.direction, row.cause) == (at(2), "do", "bank is silent")


def test_of_several_parked_steps_the_longest_wait_is_shown() -> None:
    both = after(started(), parked("A", cause="a"), parked("B", cause="b"), done("C"))
    one = after(started(), parked("A", cause="a"), parked("B", cause="b"), resumed("A"))

    assert (both.step, both.cause, both.parked_since) == ("A", "a", at(2))
    assert (one.step, one.cause, one.parked_since, one.status) == ("B", "b", at(3), "parked")
    assert set(both.waiting) == {"A", "B"}


def test_a_saga_that_goes_on_waits_for_nobody() -> None:
    row = after(started(), parked("A"), resumed("A"))

    assert (row.parked_since, row.cause, row.waiting) == (None, "", {})


def test_the_early_answer_is_shown_while_the_rest_goes_on() -> None:
    yes = SagaDecided(**FIRST, approved=True, because="", reason="")
    no = SagaDecided(**FIRST, approved=False, because="CreditRefused", reason="over")

    assert (after(started(), yes).decision, after(started(), yes).status) == ("approved", "running")
    assert after(started(), no).decision == "refused"
    assert (after(started(), no).because, after(started(), no).reason) == ("CreditRefused", "over")


def test_an_ended_saga_says_when() -> None:
    assert after(started(), ended("completed")).ended_at == at(2)


def test_another_attempt_begins_anew_and_keeps_the_story() -> None:
    row = after(started(), done("A"), GOING_BACK, ended("refused", "CreditRefused"), started(2))

    assert (row.attempt, row.status, row.started_at) == (2, "running", at(5))
    assert (row.because, row.ended_at, row.decision, row.direction) == ("", None, None, "do")
    assert [line["what"] for line in row.timeline] == [
        "SagaStarted",
        "StepDone",
        "CompensationStarted",
        "SagaEnded",
        "SagaStarted",
    ]


def test_a_line_of_the_timeline_says_who_did_what_when_and_why() -> None:
    row = after(started(), parked("A", "undo", "silence"), resumed("A", "undo"))

    assert row.timeline[1:] == [
        {
            "at": at(2).isoformat(),
            "what": "SagaParked",
            "step": "A",
            "direction": "undo",
            "outcome": None,
            "cause": "silence",
            "actor": "ann",
            "reason": None,
            "version": 2,
        },
        {
            "at": at(3).isoformat(),
            "what": "SagaResumed",
            "step": "A",
            "direction": "undo",
            "outcome": "retry",
            "cause": None,
            "actor": "olga",
            "reason": "it is up again",
            "intervention": "i1",
            "version": 3,
        },
    ]


@pytest.mark.parametrize(
    ("event", "direction", "outcome", "cause"),
    [
        (done("A"), "do", "Done", None),
        (StepCompensated(**FIRST, step="A", outcome="Undone"), "undo", "Undone", None),
        (StepUnknown(**FIRST, step="A", direction="do", cause="x"), "do", None, "x"),
        (SagaDecided(**FIRST, approved=True, because="", reason=""), None, "approved", None),
        (GOING_BACK, None, None, "CreditRefused"),
        (ended("compensated", "cancelled"), None, "compensated", "cancelled"),
        (CancelRequested(**FIRST, actor="cy", reason="changed my mind"), None, None, None),
    ],
)
def test_every_kind_of_line_says_what_it_knows(
    event: Event, direction: str | None, outcome: str | None, cause: str | None
) -> None:
    line = after(started(), event).timeline[-1]

    assert (line["direction"], line["outcome"], line["cause"]) == (direction, outcome, cause)


def test_a_step_of_no_saga_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(done("A"))


def test_every_event_of_a_saga_is_on_the_board() -> None:
    assert set(PROJECTION.handles) == set(EVENTS)


def test_who_waits_for_an_answer_is_not_parked_and_shows_until_when() -> None:
    row = after(started(), awaited("Review"))

    assert row.parked_since is None
    assert row.waiting["Review"]["kind"] == "awaiting"
    assert row.waiting["Review"]["until"] == NOON.isoformat()


def test_the_timeline_keeps_what_an_intervention_rests_on() -> None:
    by_hand = replace(resumed("A"), kind="skip", evidence="ticket 88")
    row = after(started(), parked("A"), by_hand, awaited("B"), answered("B"))

    *_, skipped, waits, no = row.timeline
    assert (skipped["outcome"], skipped["intervention"]) == ("skip", "i1")
    assert (skipped["evidence"], "correction" in skipped) == ("ticket 88", False)
    assert waits["until"] == NOON.isoformat()
    assert (no["outcome"], no["actor"], no["reason"]) == ("refused", "rita", "too risky")
