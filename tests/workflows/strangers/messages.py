"""The messages of a business that is no shop: expeditions, and what each takes along.

Each step of a saga has a command of its own, since a step is named by its command's class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from handrail import bounds
from handrail.eventstore.codec import Codec
from handrail.field_policy import FieldPolicy
from handrail.kernel import Command, Event
from handrail.sagas import events as sagas_events
from handrail.sagas import stream_commands as sagas_commands

CATEGORY: Final = "item"
POLICY: Final = FieldPolicy(
    bounds={"cause": bounds.CAUSE, "expedition": bounds.ID}, correctable=frozenset({"cause"})
)


@dataclass(frozen=True, kw_only=True)
class Taken(Event, context="expeditions"):
    expedition: str
    item: str


@dataclass(frozen=True, kw_only=True)
class PutBack(Event, context="expeditions"):
    expedition: str
    item: str


@dataclass(frozen=True, kw_only=True)
class Take(Command, context="expeditions"):
    """`cause` is why, in words that a person may correct."""

    field_policy: ClassVar[FieldPolicy] = POLICY

    expedition: str
    cause: str = "it is on the list"

    @property
    def item(self) -> str:
        """One thing for each command: steps do not depend on each other."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True)
class PutDown(Command, context="expeditions"):
    expedition: str
    item: str


def _take(name: str) -> type[Take]:
    made: type[Take] = dataclass(frozen=True, kw_only=True)(
        type(name, (Take,), {"__module__": __name__})
    )
    return made


AskForPermit: Final = _take("AskForPermit")
AskForWeather: Final = _take("AskForWeather")
PackRope: Final = _take("PackRope")
PackTent: Final = _take("PackTent")
CheckMap: Final = _take("CheckMap")
"""The map is always there: it has nothing to do, and so nothing to take back."""
Depart: Final = _take("Depart")
SendWord: Final = _take("SendWord")
ThankCrew: Final = _take("ThankCrew")
WriteReport: Final = _take("WriteReport")
CRATES: Final = tuple(_take(f"LoadCrate{number:02}") for number in range(1, 25))

COMMANDS: Final[tuple[type[Command], ...]] = (
    AskForPermit,
    AskForWeather,
    PackRope,
    PackTent,
    CheckMap,
    Depart,
    SendWord,
    ThankCrew,
    WriteReport,
    *CRATES,
    PutDown,
)
CODEC: Final = Codec.of((Taken, PutBack, *COMMANDS, *sagas_events.EVENTS, *sagas_commands.COMMANDS))
