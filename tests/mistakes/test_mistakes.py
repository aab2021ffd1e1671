"""Ten mistakes in an App and its sagas, each refused before anything runs, with its remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import make_dataclass
from typing import Any

import pytest
from sqlalchemy import Column, Text

from handrail.app import App, Context
from handrail.kernel import Event
from handrail.messaging.consumers.consumer import Consumer
from handrail.projections.projection import Projection
from handrail.projections.tables import read_model
from handrail.sagas.definition import Saga, Step
from tests.mistakes import trip
from tests.mistakes.trip import FLIGHTS, HOTELS, BookTrip, a_type

Row = make_dataclass("Row", [("trip", str)], frozen=True, kw_only=True)
TABLE = read_model("mistakes", Column("trip", Text, primary_key=True))


def an_app(**other: Any) -> App:
    return App(**{"contexts": (FLIGHTS, HOTELS), "sagas": (a_type(),), **other})


class NeverDeclared(Event, context="flights"): ...


class SeatHeld(Event, context="seats"):
    """Named as an event of another context."""


async def _handle(*_: Any) -> None: ...


def a_step_that_no_context_serves() -> App:
    return an_app(contexts=(FLIGHTS, Context(name="hotels", commands=(trip.HoldRoom,))))


def an_undo_of_another_context() -> App:
    step = Step(do=trip.HoldSeat(trip="t"), undo=trip.ReleaseRoom(trip="t"))
    return an_app(
        sagas=(a_type(saga=lambda _: Saga(compensatable=[step], pivot=trip.Pay(trip="t"))),)
    )


def one_undo_for_two_steps() -> App:
    steps = [
        Step(do=trip.HoldRoom(trip="t"), undo=trip.ReleaseRoom(trip="t")),
        Step(do=trip.Pay(trip="t"), undo=trip.ReleaseRoom(trip="t")),
    ]
    return an_app(
        sagas=(a_type(saga=lambda _: Saga(compensatable=steps, pivot=trip.HoldSeat(trip="t"))),)
    )


def two_steps_of_one_name() -> App:
    step = Step(do=trip.HoldRoom(trip="t"), undo=trip.ReleaseRoom(trip="t"))
    return an_app(
        sagas=(a_type(saga=lambda _: Saga(compensatable=[step, step], pivot=trip.Pay(trip="t"))),)
    )


def a_projection_of_an_unknown_event() -> App:
    return an_app(
        projections=(
            Projection(
                name="mistakes",
                version=1,
                row=Row,
                table=TABLE,
                categories=("seat",),
                handles=(NeverDeclared,),
                evolve=lambda row, _: row,
            ),
        )
    )


def a_consumer_of_an_unknown_event() -> App:
    return an_app(
        consumers=(
            Consumer(name="c", vhost="v", queue="q", wants=(NeverDeclared,), handle=_handle),
        )
    )


def two_messages_of_one_name() -> App:
    return an_app(contexts=(FLIGHTS, HOTELS, Context(name="seats", events=(SeatHeld,))))


def a_message_of_another_context() -> App:
    return an_app(contexts=(FLIGHTS, Context(name="hotels", commands=(trip.HoldSeat,))))


def a_personal_tenant() -> App:
    return an_app(sagas=(a_type(tenant=lambda t: t.email),))


def two_sagas_of_one_name() -> App:
    return an_app(sagas=(a_type(), a_type()))


MISTAKES: dict[Callable[[], App], str] = {
    a_step_that_no_context_serves: "the saga BookTrip asks for ReleaseRoom, which no context has:"
    " add it to the commands of its context",
    an_undo_of_another_context: "the saga BookTrip takes HoldSeat back by ReleaseRoom, which"
    " belongs to hotels: a step is taken back in its own context, flights",
    one_undo_for_two_steps: "the saga BookTrip takes both HoldRoom and Pay back by the same"
    " ReleaseRoom: give each step an undo of its own",
    two_steps_of_one_name: "two steps are named HoldRoom",
    a_projection_of_an_unknown_event: "the projection mistakes handles NeverDeclared, which no"
    " context has: add it to the events of its context",
    a_consumer_of_an_unknown_event: "the consumer c wants NeverDeclared, which no context has: add"
    " it to the events of its context",
    two_messages_of_one_name: "two messages are named SeatHeld: rename one of them",
    a_message_of_another_context: "HoldSeat is listed in the context hotels, but declared with"
    " context='flights': make both the same",
    a_personal_tenant: "the tenant of the saga BookTrip must be letters, digits and _ . -, and is"
    " 'ann@example.com': it becomes a search attribute of Temporal, so it is an id and nothing"
    " personal",
    two_sagas_of_one_name: "two sagas are named BookTrip: rename one of them",
}


def test_the_app_without_a_mistake_is_taken() -> None:
    assert an_app().saga_types["BookTrip"].example_input == BookTrip()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_a_mistake_is_refused_with_its_remedy(mistake: Callable[[], App]) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(MISTAKES[mistake])}$"):
        mistake()
