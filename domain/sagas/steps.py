"""How a saga addresses a step: the key that the fence, the bank and the carrier recognise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from domain.sagas.events import Direction, SagaEvent


@dataclass(frozen=True, kw_only=True)
class StepKey:
    """The idempotency key of one step in one direction.

    It holds no run id, activity id or retry count: those change when the step is asked again.
    `opened_on` is the day the attempt began: it finds the month where the fence keeps the key.
    """

    saga: str
    attempt: int
    step: str
    direction: Direction = "do"
    opened_on: date

    def __str__(self) -> str:
        return f"{self.saga}/{self.attempt}/{self.step}/{self.direction}"


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What travels beside a command: its key, who asked, and which doors it shuts.

    `closes` are steps of the same attempt that may not take effect once this one has.
    """

    key: StepKey
    actor: str
    closes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a step answered: `outcome` is the name of the event that says so.

    `token` names the transaction; a read that carries it sees what the step wrote.
    """

    status: Literal["done", "refused"]
    outcome: str
    reason: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Events of the saga's own stream that no step writes; `number` makes them stored once."""

    number: int
    events: tuple[SagaEvent, ...]
