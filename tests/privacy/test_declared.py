"""An App refuses what is declared wrongly of personal fields, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest

from handrail.app import App, Context
from handrail.kernel import Command, Event
from handrail.personal import Personal, subject_of
from handrail.sagas.definition import Saga
from handrail.sagas.saga_type import SagaType
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL


@dataclass(frozen=True, kw_only=True)
class OfNobody(Event, context="hotels"):
    passport: Annotated[str, Personal(subject="guest")]


@dataclass(frozen=True, kw_only=True)
class OfAPassport(Event, context="hotels"):
    guest: Annotated[str, Personal()]
    passport: Annotated[str, Personal(subject="guest")]


@dataclass(frozen=True, kw_only=True)
class OfANumber(Event, context="hotels"):
    guest: str
    age: Annotated[int, Personal(subject="guest")]


@dataclass(frozen=True)
class Passport:
    number: Annotated[str, Personal(subject="holder")]


@dataclass(frozen=True, kw_only=True)
class DeepWithin(Event, context="hotels"):
    guest: str
    passports: tuple[Passport, ...]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (OfNobody, "OfNobody.passport is personal with the subject guest, which OfNobody does not"),
        (OfAPassport, "OfAPassport.passport has a subject that is personal itself"),
        (OfANumber, "OfANumber.age is personal and no text"),
        (DeepWithin, "Passport.number is personal with the subject holder, which Passport does"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_field_that_is_marked_wrongly_is_refused(event: type[Event], said: str) -> None:
    with pytest.raises(WronglyDeclared, match=said):
        App(contexts=[Context(name="hotels", events=(event,))])


@dataclass(frozen=True, kw_only=True)
class BookRoom(Command, context="hotels"):
    trip: str
    passport: Annotated[str, Personal()]


@dataclass(frozen=True, kw_only=True)
class Trip:
    trip: str
    guest: str
    passport: Annotated[str, Personal(subject="guest")]


def a_saga(asked: Trip) -> Saga:
    command = BookRoom(trip=asked.trip, passport=asked.passport)
    return Saga(compensatable=[], pivot=command, retriable=[])


TRIP: SagaType[Trip] = SagaType(
    name="Trip",
    purpose="Book a room.",
    saga=a_saga,
    example_input=Trip(trip="trip-1", guest="ann", passport="X-4711"),
    id=lambda asked: asked.trip,
    summary=lambda asked: asked.trip,
    subject=lambda asked: subject_of("guest", asked.guest),
)


def app_of(type_: SagaType[Any]) -> App:
    return App(contexts=[Context(name="hotels", commands=(BookRoom,))], sagas=[type_])


def test_a_saga_with_a_subject_is_declared_well() -> None:
    assert app_of(TRIP).has_personal_fields


def in_tenant(asked: Trip) -> Any:
    return asked.passport


@pytest.mark.parametrize("name", ["id", "tenant", "subject", "summary", "details"])
def test_a_personal_field_names_no_saga_and_is_not_shown(name: str) -> None:
    shows: dict[str, Callable[[Trip], Any]] = {name: lambda asked: f"of-{asked.passport}"}
    with pytest.raises(WronglyDeclared, match=f"the {name} of the saga Trip holds a personal"):
        app_of(replace(TRIP, **shows))  # type: ignore[arg-type]  # the name is a parameter


def test_a_saga_without_a_subject_is_refused_where_a_command_needs_one() -> None:
    with pytest.raises(WronglyDeclared, match=r"BookRoom\.passport is personal, of the subject"):
        app_of(replace(TRIP, subject=lambda _: ""))


def test_the_shop_has_personal_fields_and_an_empty_app_has_none() -> None:
    assert HANDRAIL.has_personal_fields
    assert not App(contexts=[]).has_personal_fields
