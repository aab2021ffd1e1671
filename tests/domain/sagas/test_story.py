"""What a saga's stream says of its steps, event by event."""

from __future__ import annotations

from datetime import date

import pytest

from domain.identifiers import MerchantId
from handrail.kernel import Money
from handrail.sagas.events import (
    CancelRequested,
    SagaDecided,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from handrail.sagas.recovery import is_crossed, leftovers_of, refusal_in, standing_of

OF = {"saga": "s", "attempt": 1}


def begun(steps: tuple[str, ...] = ("A", "B", "C")) -> SagaStarted:
    return SagaStarted(
        saga="s",
        attempt=1,
        saga_type="Any",
        shape=1,
        tenant=MerchantId("m"),
        at_stake=Money(1, "EUR"),
        actor="tests",
        opened_on=date(2026, 3, 2),
        steps=steps,
    )


def done(step: str, outcome: str = "Done") -> StepDone:
    return StepDone(saga="s", attempt=1, step=step, outcome=outcome)


def failed(step: str) -> StepFailed:
    return StepFailed(saga="s", attempt=1, step=step, cause="a rule")


def unknown(step: str) -> StepUnknown:
    return StepUnknown(saga="s", attempt=1, step=step, direction="do", cause="silence")


def resumed(step: str, kind: str, *, happened: bool = True) -> SagaResumed:
    return SagaResumed(
        saga="s",
        attempt=1,
        step=step,
        direction="do",
        intervention="i",
        kind=kind,
        actor="operator",
        reason="looked",
        happened=happened,
    )


def refused(step: str) -> StepRefused:
    return StepRefused(saga="s", attempt=1, step=step, outcome="No", reason="no")


def wish() -> CancelRequested:
    return CancelRequested(saga="s", attempt=1, actor="customer", reason="a whim")


def decided(*, approved: bool, because: str = "") -> SagaDecided:
    return SagaDecided(saga="s", attempt=1, approved=approved, because=because, reason="")


def test_a_doubt_is_not_forgotten_by_a_later_certain_failure() -> None:
    standing = standing_of(1, [unknown("A"), resumed("A", "retry"), failed("A")])
    assert (standing.unknown, standing.not_done) == (("A",), ())


def test_what_failed_and_is_asked_again_may_have_happened_since() -> None:
    assert standing_of(1, [failed("A")]).not_done == ("A",)
    assert standing_of(1, [failed("A"), resumed("A", "retry")]).not_done == ()


def test_what_found_nothing_to_do_under_every_key_changed_nothing() -> None:
    assert standing_of(1, [done("A", "")]).unchanged == ("A",)
    assert standing_of(1, [done("A"), done("A", "")]).unchanged == ()


def test_what_a_person_denies_is_not_done_and_what_a_person_did_by_hand_is() -> None:
    denied = standing_of(1, [unknown("A"), resumed("A", "resolve", happened=False)])
    assert (denied.not_done, denied.denied, denied.unknown) == (("A",), ("A",), ())
    by_hand = standing_of(1, [unknown("A"), resumed("A", "resolve")])
    assert by_hand.passed == ("A",)


def test_every_key_of_a_step_is_known_by_how_often_it_went_on() -> None:
    standing = standing_of(1, [resumed("A", "retry"), resumed("A", "correct")])
    assert standing.keys_of("A") == ("A", "A~2", "A~3")
    assert standing.keys_of("B") == ("B",)


def test_the_last_decision_counts() -> None:
    story: list[SagaEvent] = [begun(), done("B"), decided(approved=True)]
    assert is_crossed("B", 1, story)
    story.append(decided(approved=False, because="intervention"))
    assert not is_crossed("B", 1, story)
    left = leftovers_of(begun(), story)
    assert (left.approved, left.turned_back, left.because) == (
        False,
        "compensated",
        "intervention",
    )


def test_who_was_declined_by_a_person_is_refused() -> None:
    no = StepAnswered(
        saga="s", attempt=1, step="A", approved=False, actor="officer", reason="too dear"
    )
    refusal = refusal_in(1, [no])
    assert refusal is not None
    assert (refusal.because, refusal.reason) == ("Declined", "too dear")
    left = leftovers_of(begun(), [no, decided(approved=False, because="Declined")])
    assert left.turned_back == "refused"


@pytest.mark.parametrize(
    ("told", "ending", "because"),
    [
        ([wish()], "compensated", "cancelled"),
        ([resumed("B", "compensate")], "compensated", "intervention"),
        ([resumed("B", "resolve", happened=False)], "compensated", "intervention"),
        (
            [decided(approved=True), resumed("B", "compensate")],
            "compensated",
            "intervention",
        ),
        ([refused("A")], "refused", "No"),
        (
            [
                refused("A"),
                wish(),
            ],
            "refused",
            "No",
        ),
    ],
)
def test_who_had_to_turn_back_and_stopped_before_has_turned_back(
    told: list[SagaEvent], ending: str, because: str
) -> None:
    left = leftovers_of(begun(), told)
    assert (left.turned_back, left.because) == (ending, because)


def test_an_attempt_that_only_stopped_has_not_turned_back() -> None:
    assert leftovers_of(begun(), [done("A"), resumed("B", "retry")]).turned_back is None
    assert leftovers_of(begun(), [decided(approved=True)]).turned_back is None


def test_a_refusal_after_the_pivot_refuses_no_saga() -> None:
    assert refusal_in(1, [decided(approved=True), refused("C")]) is None


def test_what_was_taken_back_by_a_later_attempt_is_not_left() -> None:
    back = StepCompensated(saga="s", attempt=1, step="A", outcome="Undone")
    left = leftovers_of(begun(), [done("A"), back])
    assert (left.done, left.not_done) == ((), ("A",))


def test_the_step_that_was_to_be_asked_next_may_stand_and_those_after_it_do_not() -> None:
    """So a shape that does not know it must not go on: another company may hold it."""
    assert leftovers_of(begun(), [done("A")]).may_stand() == {"A", "B"}
