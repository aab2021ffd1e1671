"""Stepping in: let a parked step of one saga go on, answer one that waits, take back, try again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from handrail.http.access import needs, needs_two
from handrail.http.api_examples import NEUTRAL
from handrail.http.dependencies import JSON_BODY, ActorDep, ServicesDep
from handrail.http.four_eyes import OF_TWO, ProposedAction, SecondPersonDep
from handrail.http.idempotency import OptionalKey
from handrail.http.problems import ErrorItem, Problem, at, in_header, responses
from handrail.http.schemas import Changes, Evidence, Id, Links, Name, SagaId, Why
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.sagas.interventions import Kind
from handrail.sagas.options import Intervention, Verdict

router = APIRouter(tags=["sagas"])


class HowToGoOn(Why):
    kind: Kind = Field(
        description="`retry`: ask again. `correct`: ask again with other input. `skip`: go on "
        "without it. `resolve`: it was done by hand. `compensate`: take everything back."
    )
    evidence: Evidence | None = Field(
        default=None, description="What a skip or a resolution rests on: needed for those."
    )
    happened: bool = Field(
        default=True,
        strict=True,
        description="Of `resolve`: false where it certainly did not happen.",
    )
    correction: Changes | None = Field(
        default=None, description="Of `correct`: the fields of the step's command to change."
    )

    def check(self) -> None:
        """Raises Problem where the parts do not fit each other."""
        if wrong := list(self._wrong()):
            raise Problem("invalid-request", f"{wrong[0].pointer}: {wrong[0].detail}", wrong)

    def _wrong(self) -> Iterator[ErrorItem]:
        if self.kind in {"skip", "resolve"} and self.evidence is None:
            yield at("#/evidence", f"{self.kind} needs evidence: what it rests on")
        if self.kind == "correct" and not self.correction:
            yield at("#/correction", "correct needs the fields to change")
        if self.kind != "correct" and self.correction is not None:
            yield at("#/correction", f"{self.kind} corrects nothing")
        if self.kind != "resolve" and not self.happened:
            yield at("#/happened", f"{self.kind} says nothing about what happened")


class NewIntervention(HowToGoOn):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [dict(NEUTRAL.retry), dict(NEUTRAL.correct), dict(NEUTRAL.resolve)]
        }
    )

    id: Id | None = Field(default=None, description="Instead of the header Idempotency-Key.")
    step: Name | None = Field(default=None, description="May be left out where one step is parked.")


class Intervening(BaseModel):
    intervention: str
    saga: str
    status: Literal["accepted"] = "accepted"
    links: Links


class NewAnswer(Why):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "ans-1", "approved": True, "reason": "known for ten years"}]
        }
    )

    id: Id | None = Field(default=None, description="Instead of the header Idempotency-Key.")
    approved: bool = Field(strict=True)
    step: Name | None = Field(
        default=None, description="May be left out where one step waits for an answer."
    )


class Answering(BaseModel):
    answer: str
    saga: str
    status: Literal["accepted"] = "accepted"
    links: Links


class NewAttempt(Why):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the code is mended"}]})


class Attempting(BaseModel):
    saga: str
    attempt: int
    status: Literal["running"] = "running"
    links: Links


class NewCancellation(Why):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "asked for by mistake"}]})


class CancellingSaga(BaseModel):
    saga: str
    status: Literal["cancelling"] = "cancelling"
    links: Links


@router.post(
    "/sagas/{saga}/interventions",
    status_code=202,
    summary="Let a parked step go on",
    response_model=Intervening | ProposedAction,
    dependencies=[needs_two("sagas:intervene"), *JSON_BODY],
    responses=responses(
        *OF_TWO,
        "idempotency-key-missing",
        "not-found",
        "database-unavailable",
        "content-differs",
        "not-parked",
        "not-possible",
        "too-late",
        "saga-ended",
        *UNAVAILABLE,
    ),
)
async def intervene(
    *,
    services: ServicesDep,
    actor: ActorDep,
    key: OptionalKey,
    second: SecondPersonDep,
    saga: SagaId,
    asked: NewIntervention,
) -> Intervening:
    """The parked step goes on as `kind` says. A correction is checked as the step's own command is;
    `skip` and `resolve` need evidence. The same id twice is one intervention. But for a retry a
    second person may be needed.
    """
    id_ = _named(asked.id, key)
    asked.check()
    actor = await second.agreed(actor, asked, needed=asked.kind != "retry")
    await services.steering.intervene(
        saga,
        Intervention(
            id=id_,
            kind=asked.kind,
            actor=asked.by(actor),
            reason=asked.reason,
            step=asked.step or "",
            evidence=asked.evidence or "",
            happened=asked.happened,
        ),
        asked.correction,
    )
    return Intervening(intervention=id_, saga=saga, links=services.links(saga))


@router.post(
    "/sagas/{saga}/answers",
    status_code=202,
    summary="Answer a step that waits for a person",
    dependencies=[needs("sagas:answer"), *JSON_BODY],
    responses=responses(
        "idempotency-key-missing", "not-found", "not-parked", "saga-ended", *UNAVAILABLE
    ),
)
async def answer(
    services: ServicesDep, actor: ActorDep, key: OptionalKey, saga: SagaId, asked: NewAnswer
) -> Answering:
    """A yes lets the step be done, a no is a refusal. The same id twice is one answer."""
    id_ = _named(asked.id, key)
    verdict = Verdict(
        id=id_,
        approved=asked.approved,
        actor=asked.by(actor),
        reason=asked.reason,
        step=asked.step or "",
    )
    await services.steering.answer(saga, verdict)
    return Answering(answer=id_, saga=saga, links=services.links(saga))


@router.post(
    "/sagas/{saga}/attempts",
    status_code=202,
    summary="Try a saga again whose workflow failed",
    dependencies=[needs("sagas:intervene"), *JSON_BODY],
    responses=responses(
        "not-found",
        "not-failed",
        "saga-ended",
        "input-forgotten",
        "database-unavailable",
        "temporal-unavailable",
    ),
)
async def attempt(
    services: ServicesDep, actor: ActorDep, saga: SagaId, asked: NewAttempt
) -> Attempting:
    """For a workflow that failed, was terminated or ran out of time: the next attempt begins with
    the same input. It first shuts every door of all since the last end, and takes back what they
    left. What was refused or taken back stays so.
    """
    number = await services.steering.begin_again(saga, asked.by(actor), asked.reason)
    return Attempting(saga=saga, attempt=number, links=services.links(saga))


@router.post(
    "/sagas/{saga}/cancellation",
    status_code=202,
    summary="Cancel a saga",
    dependencies=[needs("sagas:intervene"), *JSON_BODY],
    responses=responses("not-found", "too-late", "saga-ended", *UNAVAILABLE),
)
async def cancel(
    services: ServicesDep, actor: ActorDep, saga: SagaId, asked: NewCancellation
) -> CancellingSaga:
    """Takes everything back, until its pivot was asked. Asked twice, it is done once."""
    await services.processes.cancel(saga, asked.attribution(actor))
    return CancellingSaga(saga=saga, links=services.links(saga))


def _named(id_: str | None, key: str | None) -> str:
    if id_ is None and key is None:
        said = "send an Idempotency-Key, or an id in the body"
        raise Problem("idempotency-key-missing", said, [in_header("Idempotency-Key", said)])
    return id_ or key or ""
