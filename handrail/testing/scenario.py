"""given(events).when(command).then(events): and every command is decided twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import attrgetter
from typing import Any, Protocol

from handrail.errors import DomainError
from handrail.kernel import Command, Event, Refusal


class Decider(Protocol):
    """An aggregate's module is one."""

    def evolve(self, state: Any, event: Any, /) -> Any: ...
    def decide(self, command: Any, state: Any, /) -> Sequence[Event]: ...


@dataclass(frozen=True)
class Keyed:
    """The decider of commands that touch several aggregates at once: its state maps key to one."""

    one: Decider
    initial: Any
    key: str

    def evolve(self, many: Mapping[Any, Any], event: Event) -> Mapping[Any, Any]:
        key = attrgetter(self.key)(event)
        return {**many, key: self.one.evolve(many.get(key, self.initial), event)}

    def decide(self, command: Command, many: Mapping[Any, Any]) -> Sequence[Event]:
        return self.one.decide(command, many)


@dataclass(frozen=True)
class Scenario:
    """A test of a decider in three lines: `given` a history, `when` a command, `then` its events.

        Scenario(seat, seat.Seat()).given(SeatHeld()).when(ReleaseSeat()).then(SeatReleased())

    Every command is decided twice: the second time it may decide nothing new.
    """

    decider: Decider
    initial: Any
    history: tuple[Event, ...] = ()
    decided: tuple[Event, ...] = ()
    broken: DomainError | None = None

    def given(self, *events: Event) -> Scenario:
        return replace(self, history=self.history + self.decided + events, decided=())

    def when(self, command: Command) -> Scenario:
        """What an earlier `when` decided has happened by now."""
        history = self.history + self.decided
        state = reduce(self.decider.evolve, history, self.initial)
        try:
            decided = decide_twice(self.decider, command, state)
        except DomainError as broken:
            return replace(self, history=history, decided=(), broken=broken)
        return replace(self, history=history, decided=decided, broken=None)

    def then(self, *events: Event) -> Scenario:
        if self.broken:
            raise self.broken
        assert self.decided == events
        return self

    def then_refuses_rule(self, rule: type[DomainError]) -> Scenario:
        assert type(self.broken) is rule, f"decided {self.decided}, broke {self.broken!r}"
        return self


def decide_twice(decider: Decider, command: Command, state: Any) -> tuple[Event, ...]:
    """The law of the house: the second time, nothing new. A refusal is repeated word for word."""
    first = tuple(decider.decide(command, state))
    try:
        again = tuple(decider.decide(command, reduce(decider.evolve, first, state)))
    except DomainError as broken:
        raise AssertionError(f"{command} decided {first}, and then broke a rule") from broken
    refused = all(isinstance(event, Refusal) for event in first)
    assert again == (first if refused else ()), f"{command} decided {first}, and then {again}"
    return first
