"""A small business with an App of two sagas, as a team without any of our tests has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.activities.resources import Resources
from handrail.app import App, Context
from handrail.eventstore.store import EventStore
from handrail.kernel import Command, Event, Refusal
from handrail.sagas.definition import Saga, Step
from handrail.sagas.saga_type import SagaType
from handrail.temporal.client import Activities

# What is done.


@dataclass(frozen=True, kw_only=True)
class Kept(Event, context="concerts"):
    thing: str


@dataclass(frozen=True, kw_only=True)
class LetGo(Event, context="concerts"):
    thing: str


@dataclass(frozen=True, kw_only=True)
class NotPlayed(Refusal, context="concerts"):
    thing: str


@dataclass(frozen=True, kw_only=True)
class Keep(Command, context="concerts"):
    concert: str
    genre: str = "jazz"

    @property
    def thing(self) -> str:
        return f"{self.concert}:{type(self).__name__}"


class HoldHall(Keep, context="concerts"): ...


class HireBand(Keep, context="concerts"): ...


class Announce(Keep, context="concerts"): ...


class PrintPosters(Keep, context="concerts"): ...


@dataclass(frozen=True, kw_only=True)
class Release(Command, context="concerts"):
    thing: str


COMMANDS: Final[tuple[type[Command], ...]] = (HoldHall, HireBand, Announce, PrintPosters, Release)


@dataclass(frozen=True)
class Thing:
    status: str = "free"


def decide(command: Command, thing: Thing) -> Sequence[Event]:
    match command:
        case Keep(genre="noise"):
            return [NotPlayed(thing=command.thing)]
        case Keep() if thing.status != "kept":
            return [Kept(thing=command.thing)]
        case Release() if thing.status == "kept":
            return [LetGo(thing=command.thing)]
        case _:
            return []


def evolve(thing: Thing, event: Event) -> Thing:
    match event:
        case Kept():
            return Thing("kept")
        case LetGo():
            return Thing("let go")
        case _:
            return thing


# The sagas.


@dataclass(frozen=True, kw_only=True)
class Concert:
    id: str
    genre: str = "jazz"


def _step(keep: type[Keep], asked: Concert) -> Step:
    command = keep(concert=asked.id, genre=asked.genre)
    return Step(do=command, undo=Release(thing=command.thing))


def plan(asked: Concert) -> Saga:
    return Saga(
        compensatable=[_step(HoldHall, asked), _step(HireBand, asked)],
        pivot=Announce(concert=asked.id),
    )


def advertise(asked: Concert) -> Saga:
    return Saga(
        compensatable=[],
        pivot=Announce(concert=asked.id),
        retriable=[PrintPosters(concert=asked.id)],
    )


PLAN: Final = SagaType(
    name="PlanConcert",
    purpose="Hall and band are kept, and the concert is announced.",
    saga=plan,
    example_input=Concert(id="concert-1"),
    id=lambda asked: asked.id,
    summary=lambda asked: asked.genre,
)
PlanConcertWorkflow = PLAN.workflow
ADVERTISE: Final = SagaType(
    name="Advertise",
    purpose="A concert is announced, and posters are printed.",
    saga=advertise,
    example_input=Concert(id="concert-1"),
    id=lambda asked: asked.id,
    summary=lambda asked: asked.genre,
)
AdvertiseWorkflow = ADVERTISE.workflow


def _activities(resources: Resources) -> Activities:
    return activities(resources.store)


def activities(store: EventStore) -> Activities:
    things = CommandHandler(
        store, single_stream("thing", Thing(), lambda one: str(one.thing), decide, evolve)
    )
    return {"concerts": [serve(command, things.handle) for command in COMMANDS]}


APP: Final = App(
    contexts=[Context(name="concerts", events=(Kept, LetGo, NotPlayed), commands=COMMANDS)],
    sagas=[PLAN, ADVERTISE],
    activities=_activities,
)
