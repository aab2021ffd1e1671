"""How a saga addresses a step: the key that the fence and other companies recognise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Final, Literal

from handrail.personal import subject_of
from handrail.sagas.events import AnswerAwaited, Direction, SagaDecided, SagaEnded
from handrail.tenant_word import TENANT_FIELD

OnceDone = AnswerAwaited | SagaDecided | SagaEnded

NOT_DONE: Final = "not done"
"""The detail of a failure that says for certain that nothing happened."""

KEY_SPENT: Final = "key spent"
"""The detail of a failure whose key will only ever be answered the same by the other company."""

OVER: Final = "journal:over"
"""The forward key whose closed row ends an attempt: no forward key of it takes effect any more."""


@dataclass(frozen=True, kw_only=True)
class StepKey:
    """The idempotency key of one step in one direction.

    It holds no run id, activity id or retry count: those change when the step is asked again.
    `opened_on` is the day the attempt began: it finds the month where the fence keeps the key.
    `ask` counts the times it was asked anew after a definite no, which the first key would only
    hear again.
    """

    saga: str
    attempt: int
    step: str
    direction: Direction = "do"
    opened_on: date
    ask: int = 1

    def __str__(self) -> str:
        return f"{self.saga}/{self.attempt}/{self.asked_step}/{self.direction}"

    @property
    def asked_step(self) -> str:
        return self.step if self.ask == 1 else f"{self.step}~{self.ask}"

    @property
    def forward(self) -> StepKey:
        """The key of the step that this one takes back."""
        return replace(self, direction="do")


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What travels beside a command: its key, who asked, and which keys it closes.

    `closes` are steps of the same attempt that may not take effect once this one has, as they were
    asked (`StepKey.asked_step`), or their compensations, where `/undo` follows the name.
    `supersedes` are keys of earlier attempts, which are closed here already, and which another
    company may still hold. `once_done` is what the saga's own stream is told in the same
    transaction when the step is done, and only then.
    `alone` is a command that no saga asked for: nobody keeps a journal of it. `tenant` is that of
    the saga, and `traceparent` the trace of the request that began it (W3C Trace Context):
    both are stored beside the events, where they are known. `subject` is whose personal data the
    texts are that name no subject themselves.
    """

    key: StepKey
    actor: str
    closes: tuple[str, ...] = ()
    supersedes: tuple[StepKey, ...] = ()
    once_done: tuple[OnceDone, ...] = ()
    tenant: Annotated[str, TENANT_FIELD] = ""
    traceparent: str = ""
    alone: bool = False
    subject: str = ""

    @property
    def of_texts(self) -> str:
        """The subject of texts without one: a saga about no person has a key of its own."""
        return self.subject or subject_of("saga", self.key.saga)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a step answered: `outcome` is the name of the event that says so.

    `token` names the transaction; a read that carries it sees what the step wrote. `until` is how
    long an answer to the step is awaited, as it was told first.
    """

    status: Literal["done", "refused"]
    outcome: str
    reason: str
    token: str
    until: datetime | None = None
