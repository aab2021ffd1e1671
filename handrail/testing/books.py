"""What stands in the event store: aggregates folded from their streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from handrail.kernel import Event

Books = Mapping[str, Any]
"""What stands, by the name of its stream or ledger; what has no effect any more is left out."""


def _all_of_it(state: dict[str, Any]) -> Any:
    return state


def unless_status(*over: str) -> Callable[[dict[str, Any]], Any]:
    """The `standing` of an aggregate of which nothing stands in these statuses."""
    return lambda state: None if state["status"] in over else state


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """How the streams of one category are folded.

    `standing` is what of the folded state, as JSON, has an effect on anything: the rest is memory
    of what is over. It is None where nothing stands, as in a state that equals `initial`.
    """

    initial: Any
    evolve: Callable[[Any, Any], Any]
    standing: Callable[[dict[str, Any]], Any] = _all_of_it


@dataclass
class Folded:
    """The states of aggregates by stream; `unknown` are categories that no aggregate folds."""

    aggregates: Mapping[str, Aggregate]
    states: dict[str, Any] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def take(self, stream: str, event: Event) -> None:
        category = stream.partition("-")[0]
        if (aggregate := self.aggregates.get(category)) is None:
            self.unknown.add(category)
            return
        state = self.states.get(stream, aggregate.initial)
        self.states[stream] = aggregate.evolve(state, event)

    def books(self) -> Books:
        found = {stream: self._standing(stream, state) for stream, state in self.states.items()}
        return {stream: state for stream, state in found.items() if state is not None}

    def _standing(self, stream: str, state: Any) -> Any:
        aggregate = self.aggregates[stream.partition("-")[0]]
        if state == aggregate.initial:
            return None
        plain = TypeAdapter(type(state)).dump_python(state, mode="json")
        return aggregate.standing(plain)


def differences(found: Books, expected: Books) -> Sequence[str]:
    """A sentence for each stream or ledger that is not as expected."""
    names = sorted(found.keys() | expected.keys())
    return [
        f"{name} is {_in_words(found.get(name))}, and should be {_in_words(expected.get(name))}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


def _in_words(state: Any) -> str:
    return "nothing" if state is None else str(state)
