"""What has to run in Temporal for what the stores say: broken on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from domain.payments.events import PlanSettled, PlanWrittenOff
from domain.shipping.events import ShipmentBooked, ShipmentDelivered
from handrail.kernel import Event
from handrail.sagas.events import CompensationStarted, SagaParked, SagaResumed
from handrail.verify.evidence import Workflow
from tests.runtime.stores import AT, Happening, Stores, evidence, violations
from tests.runtime.test_invariants import A_COMPLETED_ORDER, ORDER, eur, planned, started

RUNS, ENDED = Workflow(running=True), Workflow(running=False)
booked = ("shipment-o1", ShipmentBooked(order=ORDER, booking="b"))
delivered = ("shipment-o1", ShipmentDelivered(order=ORDER, at=AT))
settled = (
    "plan-o1",
    PlanSettled(order=ORDER, principal=eur(75), fees=eur(0), charge="c"),
)
given_up = ("plan-o1", PlanWrittenOff(order=ORDER, principal=eur(75), fees=eur(0)))
STEP: dict[str, Any] = {"saga": "o1", "attempt": 1, "step": "BookShipment", "direction": "do"}
parked = SagaParked(**STEP, cause="undeliverable")
resumed = SagaResumed(**STEP, intervention="i1:o1", kind="retry", actor="ops", reason="again")
turned_back = CompensationStarted(saga="o1", attempt=1, because="cancelled", reason="")
BOTH = {"plan-o1": RUNS, "delivery-o1": RUNS, "o1": ENDED}


def with_temporal(workflows: Mapping[str, Workflow], *story: Happening) -> Stores:
    found = evidence(*A_COMPLETED_ORDER, *story)
    found.workflows = workflows
    return found


def test_an_order_whose_processes_run_is_as_it_should_be() -> None:
    assert violations("processes_run", with_temporal(BOTH, booked)) == []


@pytest.mark.parametrize("missing", ["plan-o1", "delivery-o1"])
@pytest.mark.parametrize("instead", [{}, {"plan-o1": ENDED, "delivery-o1": ENDED}])
def test_a_process_that_does_not_run_is_seen(missing: str, instead: Mapping[str, Workflow]) -> None:
    left = {name: one for name, one in BOTH.items() if name != missing}

    [found] = violations("processes_run", with_temporal({**instead, **left}, booked))

    assert found.endswith(f"{missing} does not run")


@pytest.mark.parametrize("end", [settled, given_up], ids=["paid", "written off"])
def test_what_has_ended_may_be_forgotten_by_temporal(end: Happening) -> None:
    assert violations("processes_run", with_temporal({}, booked, end, delivered)) == []


def test_a_checkout_that_still_runs_has_yet_to_begin_what_follows() -> None:
    assert violations("processes_run", with_temporal({"o1": RUNS}, booked)) == []


def test_a_process_that_ended_after_the_stores_were_read_was_still_running() -> None:
    later = Workflow(running=False, closed_at=AT + timedelta(seconds=1))
    earlier = Workflow(running=False, closed_at=AT - timedelta(seconds=1))

    assert violations("processes_run", with_temporal(BOTH | {"plan-o1": later}, booked)) == []
    assert violations("processes_run", with_temporal(BOTH | {"plan-o1": earlier}, booked))


def test_a_completed_order_without_a_plan_is_seen() -> None:
    story = [one for one in A_COMPLETED_ORDER if one != planned]

    assert violations("processes_run", evidence(*story))


def begun(*more: Event) -> Stores:
    found = evidence(started, *(("saga-o1", event) for event in more))
    found.workflows = {"o1": RUNS}
    return found


def test_a_saga_that_has_not_ended_and_does_not_run_is_seen() -> None:
    found = begun()
    assert violations("processes_run", found) == []

    for workflows in ({}, {"o1": ENDED}):
        found.workflows = workflows
        assert violations("processes_run", found)


def test_a_parked_saga_that_is_not_parked_in_temporal_is_seen() -> None:
    found = begun(parked)
    assert violations("parked_in_temporal", found)

    found.workflows = {"o1": Workflow(running=True, parked=True)}
    assert violations("parked_in_temporal", found) == []


@pytest.mark.parametrize("more", [resumed, turned_back], ids=["resumed", "turned back"])
def test_a_saga_that_goes_on_need_not_be_parked(more: Event) -> None:
    assert violations("parked_in_temporal", begun(parked, more)) == []
