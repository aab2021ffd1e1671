"""What a customer is told, by which attempt, and what stands at companies: broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handrail.kernel import Event
from handrail.sagas.events import (
    CancelRequested,
    SagaDecided,
    SagaEnded,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
)
from tests.runtime.stores import Happening, Stores, evidence, violations
from tests.runtime.test_invariants import (
    A_COMPLETED_ORDER,
    BANK,
    MERCHANT,
    completed,
    eur,
    placed,
    refused,
    started,
)


def of_saga(event: Event) -> Happening:
    return "saga-o1", event


def begun(attempt: int, saga_type: str = "Checkout") -> Happening:
    event = SagaStarted(
        saga="o1",
        saga_type=saga_type,
        shape=1,
        attempt=attempt,
        tenant=MERCHANT,
        at_stake=eur(100),
        actor="test",
    )
    return of_saga(event)


def yes(attempt: int = 1) -> Happening:
    return of_saga(SagaDecided(saga="o1", attempt=attempt, approved=True, because="", reason=""))


def no(attempt: int = 1) -> Happening:
    because = "CreditRefused"
    return of_saga(
        SagaDecided(saga="o1", attempt=attempt, approved=False, because=because, reason="")
    )


def ended(ending: Any, attempt: int = 1) -> Happening:
    return of_saga(SagaEnded(saga="o1", attempt=attempt, ending=ending, because="", reason=""))


def done(attempt: int = 1) -> Happening:
    event = StepDone(saga="o1", attempt=attempt, step="HoldCredit", outcome="CreditHeld")
    return of_saga(event)


def undone(attempt: int = 1) -> Happening:
    event = StepCompensated(saga="o1", attempt=attempt, step="HoldCredit", outcome="CreditReleased")
    return of_saga(event)


compensate = of_saga(
    SagaResumed(
        saga="o1",
        attempt=1,
        step="CapturePayment",
        direction="do",
        intervention="i1:o1",
        kind="compensate",
        actor="ops",
        reason="nobody knows whether it was captured",
    )
)


cancelled = of_saga(CancelRequested(saga="o1", attempt=1, actor="customer", reason="a whim"))


@pytest.mark.parametrize(
    "story",
    [
        (started, yes(), completed),
        (started, cancelled, no(), ended("compensated")),
        (started, no(), refused),
        (started, yes(), compensate, no(), ended("compensated")),
        (started, yes(), begun(2), completed),
        (started, completed),
    ],
    ids=[
        "approved",
        "cancelled",
        "refused",
        "taken back by a person",
        "by two attempts",
        "before there was one",
    ],
)
def test_an_answer_that_is_kept_is_as_it_should_be(story: tuple[Happening, ...]) -> None:
    assert violations("decisions_hold", evidence(*story)) == []


@pytest.mark.parametrize(
    "story",
    [
        (started, yes(), refused),
        (started, no(), completed),
        (started, yes(), no(), refused),
        (started, yes(), begun(2), no(2), ended("refused", 2)),
        (started, no(), yes(), completed),
        (started, no(), refused, begun(2), yes(2), ended("completed", 2)),
        (started, yes(), compensate, no(), yes(), completed),
        (started, cancelled, begun(2), yes(2), ended("completed", 2)),
    ],
    ids=[
        "approved, and refused in the end",
        "refused, and completed in the end",
        "yes, then no, by nobody",
        "yes, then no by the next attempt",
        "no, then yes",
        "no, then yes after its end",
        "changed twice",
        "cancelled, and completed in the end",
    ],
)
def test_an_answer_that_is_not_kept_is_seen(story: tuple[Happening, ...]) -> None:
    assert violations("decisions_hold", evidence(*story))


def test_who_may_ask_again_may_get_another_answer() -> None:
    again = (no(), refused, begun(2, "OnboardMerchant"))
    story = (begun(1, "OnboardMerchant"), *again, yes(2), ended("completed", 2))

    assert violations("decisions_hold", evidence(*story)) == []


@pytest.mark.parametrize(
    "story",
    [(started, begun(1)), (started, begun(2), done(1)), (started, begun(2), ended("refused", 1))],
    ids=["begun twice", "a step of the one before", "an end of the one before"],
)
def test_two_attempts_at_a_time_are_seen(story: tuple[Happening, ...]) -> None:
    assert violations("attempts_in_turn", evidence(*story))


def test_an_attempt_may_take_back_what_the_one_before_it_left() -> None:
    story = (started, done(), begun(3), undone(1), ended("compensated", 3))

    assert violations("attempts_in_turn", evidence(*story)) == []
    assert violations("steps_have_outcomes", evidence(*story)) == []


@pytest.mark.parametrize("attempt", [2, 3])
def test_what_an_attempt_left_and_no_later_one_took_back_is_seen(attempt: int) -> None:
    left = (started, done(), begun(attempt), ended("compensated", attempt))

    [found] = violations("steps_have_outcomes", evidence(*left))

    assert found == "saga o1 (compensated): HoldCredit of attempt 1 was not taken back"


def test_what_an_attempt_did_anew_is_not_taken_back_by_what_undid_the_one_before() -> None:
    story = (started, done(), begun(2), done(2), undone(1), ended("compensated", 2))

    [found] = violations("steps_have_outcomes", evidence(*story))

    assert found == "saga o1 (compensated): HoldCredit of attempt 2 was not taken back"
    assert violations("steps_have_outcomes", evidence(*story[:-1], undone(2), story[-1])) == []


def test_a_step_that_changed_nothing_need_not_be_taken_back() -> None:
    nothing = of_saga(StepDone(saga="o1", attempt=1, step="HoldCredit", outcome=""))

    assert violations("steps_have_outcomes", evidence(started, nothing, refused)) == []


def asked(key: str, state: str = "captured") -> dict[str, Any]:
    return {"order": "o1", "state": state, "amount": 25, "key": key}


@pytest.mark.parametrize(
    "second",
    [
        "o1/2/AuthoriseDownPayment/do",
        "o1/1/AuthoriseDownPayment~2/do",
        "o1%2F3%2FAuthoriseDownPayment%2Fdo",
    ],
    ids=["of another attempt", "of another try", "as it came over HTTP"],
)
def test_a_second_effect_of_a_step_is_seen_at_the_bank(second: str) -> None:
    first = asked("o1/1/AuthoriseDownPayment/do")
    found = evidence(*A_COMPLETED_ORDER)

    found.bank = BANK | {"authorisations": [first, asked(second, "refunded")]}
    assert violations("one_effect_per_step", found) == []
    found.bank = BANK | {"authorisations": [first, asked(second)]}
    assert violations("one_effect_per_step", found)


def test_a_second_booking_of_a_step_is_seen_at_the_carrier() -> None:
    first = {"order": "o1", "state": "booked", "key": "o1/1/BookShipment/do"}
    found = evidence(*A_COMPLETED_ORDER)

    found.carrier = {"bookings": [first, first | {"key": "o1/2/BookShipment/do"}]}

    assert violations("one_effect_per_step", found)


def with_nothing_at_the_bank(*story: Happening) -> Stores:
    found = evidence(*story)
    found.bank = BANK | {"authorisations": []}
    return found


def test_a_completed_order_that_the_bank_did_not_capture_is_seen() -> None:
    assert violations("bank_agrees", with_nothing_at_the_bank(started, placed, completed))


def test_a_refused_order_that_the_bank_captured_is_seen_though_our_books_say_so_too() -> None:
    captured = [one for one in A_COMPLETED_ORDER if one[0] == "payment-o1"]
    found = evidence(started, placed, *captured, refused)
    found.bank = BANK

    assert violations("bank_agrees", found)
    assert violations("bank_agrees", with_nothing_at_the_bank(started, placed, refused)) == []


def test_what_takes_back_a_step_that_changed_nothing_is_seen() -> None:
    nothing = of_saga(StepDone(saga="o1", attempt=1, step="HoldCredit", outcome=""))

    [found] = violations("steps_have_outcomes", evidence(started, nothing, undone(), refused))

    assert found == "saga o1: CreditReleased takes back HoldCredit, which did nothing"


def test_what_a_person_did_by_hand_may_be_taken_back() -> None:
    by_hand = of_saga(resolved("HoldCredit"))

    assert violations("steps_have_outcomes", evidence(started, by_hand, undone(), refused)) == []


def resolved(step: str) -> SagaResumed:
    return SagaResumed(
        saga="o1",
        attempt=1,
        step=step,
        direction="do",
        intervention="i1:o1",
        kind="resolve",
        actor="ops",
        reason="the bank says so",
        evidence="ticket 7",
    )


def certainly_not(step: str) -> Happening:
    return of_saga(replace(resolved(step), happened=False))


def test_a_saga_that_goes_on_over_what_certainly_did_not_happen_is_seen() -> None:
    over = (started, certainly_not("HoldCredit"), completed)
    done_after_all = (started, certainly_not("HoldCredit"), done(), completed)

    assert violations("steps_have_outcomes", evidence(*over))
    assert violations("steps_have_outcomes", evidence(*done_after_all)) == []


def test_what_certainly_did_not_happen_explains_nothing() -> None:
    unpaid = [one for one in A_COMPLETED_ORDER if one[0] != "payment-o1"]

    assert violations("money_conserved", evidence(*unpaid, certainly_not("CapturePayment")))


def test_a_saga_that_ended_without_an_answer_is_seen() -> None:
    run = replace(started[1], run="run-1")

    assert violations("decisions_hold", evidence(of_saga(run), completed))
    assert violations("decisions_hold", evidence(of_saga(run), yes(), completed)) == []
