"""What goes into a running saga and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Self, TypeVar

from handrail.kernel import NO_TENANT, Money, TenantId
from handrail.sagas.events import Ending, FreeText
from handrail.tenant_word import STORED_WORD

OptionsT = TypeVar("OptionsT", bound="RunOptions")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the sagas of this deployment run. Chosen at the start and kept in the input, so that a
    replay never sees it change. A business adds fields of its own in a subclass, which its
    workflows then name: their JSON is one object.

    `steps`: "local" runs what touches only our own Postgres as local activities, inside the
    workflow's worker; "queues" runs every step on the task queue of its context. Both put what asks
    another company on its context's queue; but "local" asks it once beside the saga before, for
    `first_try_seconds` (0: not at all), under the same key: most of the time that is all there is
    to do. Durations are seconds: how long a compensatable step is asked before its outcome is
    unknown, and how long anything later is asked before it is parked.
    `shape` is that of the saga when it was started, and 0 the newest: a saga goes on in the shape
    in which it began.
    `keys_kept_seconds` is for how long other companies keep an idempotency key; 0: for ever.
    `traceparent` is the trace of the request that began it, and of all that follows from it.
    `tenant_word` is what the App calls its tenant: the search attribute is named after it. An input
    that says none is of a saga that began before there was a choice.
    """

    steps: Literal["local", "queues"] = "local"
    queue_prefix: str = ""
    first_try_seconds: float = 0
    deadline_seconds: float = 30
    patience_seconds: float = 300
    shape: int = 0
    keys_kept_seconds: float = 0
    traceparent: str = ""
    tenant_word: str = STORED_WORD

    def of(self, saga: type[Any]) -> Self:
        """For a saga that begins on the worker that begins it, in the newest shape it knows."""
        return replace(self, shape=getattr(saga, "shape", 0))

    @property
    def deadline(self) -> timedelta:
        return timedelta(seconds=self.deadline_seconds)

    @property
    def patience(self) -> timedelta:
        return timedelta(seconds=self.patience_seconds)


@dataclass(frozen=True, kw_only=True)
class SagaIdentity:
    """Which saga it is, of which type, and on whose behalf it runs.

    `tenant` is the party that limits, fairness and figures are kept for; empty where the business
    has none. `at_stake` is the money in question until the saga ends; None: there is none.
    `actor` is who asked for it, and `input` what its workflow was begun with. `subject` is whose
    personal data it is about.
    """

    saga: str
    saga_type: str
    tenant: TenantId = NO_TENANT
    at_stake: Money | None = None
    actor: str
    attempt: int = 1
    input: Any = None
    subject: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The early answer. `because` is the refusal's name, `cancelled`, or the technical cause."""

    approved: bool
    because: str
    reason: FreeText
    token: str


@dataclass(frozen=True, kw_only=True)
class SagaResult:
    """How a saga ended."""

    ending: Ending
    because: str
    reason: FreeText


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a person, or another system, answered to a step that waits for it.

    The same `id` twice is one verdict; `step` may be empty where only one waits.
    """

    id: str
    approved: bool
    actor: str
    reason: FreeText
    step: str = ""


InterventionKind = Literal["retry", "correct", "skip", "resolve", "compensate"]


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """How a person lets a parked step go on; `step` may be empty where only one is parked.

    - retry: ask again.
    - correct: ask again with other input, which comes as a command beside the intervention.
    - skip: go on without it. Only for retriable steps, and for compensations.
    - resolve: it was done by hand; or, where `happened` is False, it certainly did not happen.
    - compensate: take everything back. Not once the pivot is done.

    `evidence` tells what a skip or a resolution rests on. The same `id` twice is one intervention.
    """

    id: str
    kind: InterventionKind
    actor: str
    reason: FreeText
    step: str = ""
    evidence: FreeText = ""
    happened: bool = True
