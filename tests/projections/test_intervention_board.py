"""Interventions in many sagas: how far each has come, and how it ended."""

from __future__ import annotations

from functools import partial

import pytest

from handrail.projections import intervention_board
from handrail.projections.projection import OutOfPlace
from handrail.sagas.interventions import (
    Heard,
    InterveneInMany,
    InterventionBegun,
    InterventionFinished,
    InterventionResumed,
    InterventionStopped,
    InterventionSuspended,
    SagaFilter,
    SagaTold,
)
from tests.controls import NOON
from tests.projections import folds
from tests.projections.folds import at

PROJECTION = intervention_board.projection("merchant")
after = partial(folds.after, PROJECTION)

BEGUN = InterventionBegun(
    intervention="1",
    asked=InterveneInMany(
        intervention="1",
        which=SagaFilter(step="BookShipment"),
        kind="skip",
        actor="ann",
        reason="sent by hand",
        per_second=10,
        evidence="ticket 88",
    ),
    found=3,
    until=NOON,
)
FINISHED = InterventionFinished(intervention="1")


def told(heard: Heard) -> SagaTold:
    return SagaTold(intervention="1", saga="s", step="BookShipment", heard=heard, said="")


def test_what_was_asked_for_is_shown() -> None:
    row = after(BEGUN)

    assert (row.intervention, row.state, row.kind, row.actor) == ("1", "running", "skip", "ann")
    assert (row.evidence, row.found, row.began_at) == ("ticket 88", 3, at(1))
    assert row.which["step"] == "BookShipment"


def test_each_result_is_counted() -> None:
    row = after(BEGUN, told("accepted"), told("refused"), told("accepted"), told("unreachable"))

    assert (row.accepted, row.refused, row.unreachable) == (2, 1, 1)
    assert (row.version, row.updated_at) == (5, at(5))


def test_it_ends_when_all_were_told() -> None:
    row = after(BEGUN, told("accepted"), FINISHED)

    assert (row.state, row.ended_at, row.stopped_by) == ("finished", at(3), "")


def test_or_when_it_is_stopped_by_whom_and_why() -> None:
    row = after(BEGUN, InterventionStopped(intervention="1", actor="bob", reason="made it worse"))

    assert (row.state, row.ended_at) == ("stopped", at(2))
    assert (row.stopped_by, row.stop_reason) == ("bob", "made it worse")


def test_nothing_comes_before_its_beginning() -> None:
    with pytest.raises(OutOfPlace):
        after(FINISHED)


def test_suspended_it_says_by_whom_until_it_is_resumed() -> None:
    suspended = InterventionSuspended(intervention="1", actor="bob", reason="to look first")
    resumed = InterventionResumed(intervention="1", actor="ann", reason="it looks well")

    row = after(BEGUN, suspended)
    assert (row.state, row.stopped_by, row.stop_reason) == ("suspended", "bob", "to look first")
    row = after(BEGUN, suspended, resumed)
    assert (row.state, row.stopped_by, row.stop_reason) == ("running", "", "")
