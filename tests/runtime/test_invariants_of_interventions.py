"""What people told the sagas is in the sagas' own streams, and answers for what it put right."""

from __future__ import annotations

from handrail.kernel import Event, TenantId
from handrail.sagas.events import SagaEnded, SagaResumed, SagaStarted, StepUnknown
from handrail.sagas.interventions import SagaTold
from tests.runtime.stores import evidence, violations

told = (
    "intervention-i1",
    SagaTold(intervention="i1", saga="o1", step="BookShipment", heard="accepted", said=""),
)
started: tuple[str, Event] = (
    "saga-o1",
    SagaStarted(
        saga="o1",
        saga_type="Checkout",
        shape=1,
        attempt=1,
        tenant=TenantId("m1"),
        at_stake=None,  # type: ignore[arg-type]  # nobody looks
        actor="a",
    ),
)


def resumed(*, kind: str = "correct", evidence: str = "", reason: str = "ok") -> tuple[str, Event]:
    return (
        "saga-o1",
        SagaResumed(
            saga="o1",
            attempt=1,
            step="HoldCredit",
            direction="do",
            intervention="i1:o1",
            kind=kind,
            actor="ops",
            reason=reason,
            evidence=evidence,
        ),
    )


def test_a_saga_that_says_what_it_was_told_is_as_it_should_be() -> None:
    assert violations("interventions", evidence(told, resumed())) == []


def test_a_saga_that_was_told_and_says_nothing_is_seen() -> None:
    assert violations("interventions", evidence(told))


def test_a_saga_that_was_told_twice_is_seen() -> None:
    assert violations("interventions", evidence(told, resumed(), resumed()))


def test_an_intervention_without_a_reason_is_seen() -> None:
    assert violations("interventions", evidence(told, resumed(reason="")))


def test_a_step_that_a_person_answers_for_needs_no_other_outcome() -> None:
    unknown = (
        "saga-o1",
        StepUnknown(saga="o1", attempt=1, step="HoldCredit", direction="do", cause="silence"),
    )
    ended = (
        "saga-o1",
        SagaEnded(saga="o1", attempt=1, ending="compensated", because="x", reason="y"),
    )
    by_hand = resumed(kind="resolve", evidence="ticket 7")
    without_evidence = resumed(kind="resolve")
    assert violations("steps_have_outcomes", evidence(started, unknown, by_hand, ended)) == []
    assert violations("steps_have_outcomes", evidence(started, unknown, without_evidence, ended))
