"""What a saga's page says of its steps and its rollback, out of a definition and a timeline."""

from __future__ import annotations

from typing import Any, Final

import pytest

from handrail.console.choices import choices
from handrail.console.drawing import drawing_of
from handrail.console.saga_view import SagaView, definition_of, view_of
from workflows.checkout import SAGA as CHECKOUT

SAGA: Final = CHECKOUT.example()
FIRST, SECOND = (group[0].name for group in SAGA.groups[:2])
PIVOT: Final = SAGA.pivot_step.name


def entry(what: str, step: str | None = None, second: int = 0, **said: Any) -> dict[str, Any]:
    return {
        "at": f"2026-03-02T12:00:{second:02}+00:00",
        "what": what,
        "step": step,
        "direction": "do",
        "outcome": None,
        "cause": None,
        **said,
    }


def back(what: str, step: str, **said: Any) -> dict[str, Any]:
    return entry(what, step, direction="undo", **said)


def view(status: str, *timeline: dict[str, Any]) -> SagaView:
    return view_of(SAGA, status, [entry("SagaStarted"), *timeline], newest=True)


TURNED: Final = entry("CompensationStarted")
DONE: Final = (entry("StepDone", FIRST, 2), entry("StepDone", SECOND, 5))


def test_each_step_has_its_state_its_time_and_its_tries() -> None:
    found = view("running", entry("StepUnknown", FIRST, 1, cause="silent"), *DONE)
    first, second = found.step(FIRST), found.step(SECOND)
    assert first is not None
    assert second is not None
    assert (first.state, first.tries, first.seconds) == ("done", 2, 1.0)
    assert (second.state, second.tries, second.seconds) == ("done", 1, 3.0)


def test_only_the_last_attempt_counts() -> None:
    found = view("running", *DONE, entry("SagaStarted"))
    assert {one.state for one in found.steps} == {"asked", "to come"}


@pytest.mark.parametrize(
    ("status", "timeline", "said", "complete"),
    [
        ("running", DONE, "The saga goes forward: nothing is being taken back.", True),
        ("completed", DONE, "The saga completed: nothing was to be taken back.", True),
        (
            "compensating",
            (*DONE, TURNED, back("StepCompensated", SECOND)),
            (
                f"The rollback is not complete: {SECOND} was taken back; {FIRST} is still to be"
                " taken back."
            ),
            False,
        ),
        (
            "parked",
            (*DONE, TURNED, back("SagaParked", SECOND, cause="away")),
            (
                f"The rollback is not complete: {SECOND} waits for a person; {FIRST} is still to be"
                " taken back."
            ),
            False,
        ),
        (
            "compensated",
            (*DONE, TURNED, back("StepCompensated", SECOND), back("StepCompensated", FIRST)),
            f"The rollback is complete: {FIRST} and {SECOND} were taken back.",
            True,
        ),
        (
            "compensated",
            (
                *DONE,
                TURNED,
                back("SagaResumed", SECOND, outcome="skip"),
                back("StepCompensated", FIRST),
            ),
            (
                f"The rollback has ended, and is not whole: {FIRST} was taken back; {SECOND} was"
                " not taken back: a person skipped it."
            ),
            False,
        ),
        (
            "refused",
            (entry("StepRefused", FIRST), TURNED),
            "The rollback is complete: there was nothing to take back.",
            True,
        ),
    ],
)
def test_whether_the_rollback_is_complete_is_said_in_words(
    status: str,
    timeline: tuple[dict[str, Any], ...],
    said: str,
    complete: bool,  # noqa: FBT001  # a column of the table
) -> None:
    found = view(status, *timeline)
    assert (found.rollback, found.is_complete) == (said, complete)


def test_what_is_unknown_is_taken_back_and_what_certainly_did_not_happen_is_not() -> None:
    found = view("running", entry("StepUnknown", FIRST), entry("StepFailed", SECOND))
    assert found.to_take_back == [FIRST]


def test_what_a_person_said_did_not_happen_is_not_taken_back() -> None:
    said = entry("SagaResumed", FIRST, outcome="resolve", happened=False)
    parked = entry("SagaParked", FIRST, cause="silent")
    assert view("compensating", parked, said, TURNED).to_take_back == []


def why_not(found: SagaView, step: str, direction: str = "do") -> dict[str, str]:
    one = found.step(step)
    assert one is not None
    return {each.kind: each.why_not for each in choices(SAGA, found, one, direction, ["amount"])}


def test_before_the_pivot_nothing_can_be_skipped() -> None:
    found = why_not(view("parked", entry("SagaParked", FIRST)), FIRST)
    assert "build on it" in found.pop("skip")
    assert not any(found.values())


def test_after_the_pivot_nothing_can_be_taken_back() -> None:
    last = SAGA.retriable_groups[0][0].name
    found = why_not(view("parked", entry("SagaParked", last)), last)
    assert "no way back" in found.pop("compensate")
    assert not any(found.values())


def test_on_the_way_back_it_is_taken_back_already() -> None:
    parked = view("parked", *DONE, TURNED, back("SagaParked", FIRST))
    found = why_not(parked, FIRST, "undo")
    assert found.pop("compensate") == "it is being taken back already"
    assert not any(found.values())


def test_what_taking_back_means_is_said_by_the_names_of_the_steps() -> None:
    parked = view("parked", *DONE, entry("SagaParked", PIVOT))
    one = parked.step(PIVOT)
    assert one is not None
    [said] = [
        each.says for each in choices(SAGA, parked, one, "do", []) if each.kind == "compensate"
    ]
    assert said == f"Takes back {SECOND}, {FIRST}, the newest first, and ends the saga."


def test_a_drawing_says_in_words_all_that_its_boxes_show() -> None:
    found = drawing_of(definition_of(SAGA))
    assert len(found.boxes) == len(SAGA.names) + sum(map(len, SAGA.groups))
    for step in SAGA.names:
        assert step in found.words
    assert all(box.x >= 0 and box.x + box.width <= found.width for box in found.boxes)
    assert all(box.y + box.height <= found.height for box in found.boxes)
