"""What goes into a running saga and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from domain.kernel import MerchantId, Money
from domain.sagas.events import Ending


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the sagas of this deployment run. Chosen at the start and kept in the input, so that a
    replay never sees it change.

    `steps`: "local" runs what touches only our own Postgres as local activities, inside the
    workflow's worker; "queues" runs every step on the task queue of its context. Both put what asks
    another company on its context's queue. Durations are seconds: how long a compensatable step is
    asked before its outcome is unknown, and how long anything later is asked before it is parked.
    """

    steps: Literal["local", "queues"] = "local"
    queue_prefix: str = ""
    deadline_seconds: float = 30
    patience_seconds: float = 300

    @property
    def deadline(self) -> timedelta:
        return timedelta(seconds=self.deadline_seconds)

    @property
    def patience(self) -> timedelta:
        return timedelta(seconds=self.patience_seconds)


@dataclass(frozen=True, kw_only=True)
class SagaIdentity:
    """`at_stake` is the money in question until the saga ends; `actor` is who asked for it."""

    saga: str
    saga_type: str
    merchant: MerchantId
    at_stake: Money
    actor: str
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The early answer. `because` is the refusal's name, `cancelled`, or the technical cause."""

    approved: bool
    because: str
    reason: str
    token: str


@dataclass(frozen=True, kw_only=True)
class SagaResult:
    ending: Ending
    because: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    actor: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """How a person lets a parked step go on; `step` may be empty where only one is parked.

    The same `id` twice is one intervention.
    """

    id: str
    kind: Literal["retry", "compensate"]
    actor: str
    reason: str
    step: str = ""
