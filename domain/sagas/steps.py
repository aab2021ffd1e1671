"""How a saga addresses a step: the key that the fence, the bank and the carrier recognise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.sagas.events import Direction, SagaEvent


@dataclass(frozen=True, kw_only=True)
class StepKey:
    """The idempotency key of one step in one direction.

    It holds no run id, activity id or retry count: those change when the step is asked again.
    """

    saga: str
    attempt: int
    step: str
    direction: Direction = "do"

    def __str__(self) -> str:
        return f"{self.saga}/{self.attempt}/{self.step}/{self.direction}"


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What travels beside a command: its key, whom to blame, and which doors its undo shuts.

    `closes` are forward keys that must never take effect once this step has run.
    """

    key: StepKey
    actor: str
    closes: tuple[StepKey, ...] = ()


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
