"""Payouts: a run pays every merchant who is owed enough. Each payout is a saga of its own."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.payout_runs import PayoutRunsDep
from handrail import bounds
from handrail.http.access import needs, needs_two
from handrail.http.dependencies import JSON_BODY, ActorDep
from handrail.http.four_eyes import OF_TWO, ProposedAction, SecondPersonDep
from handrail.http.idempotency import OptionalKey
from handrail.http.problems import responses
from handrail.http.schemas import Asked, Links, Money, Price, Why, of_row, text
from handrail.http.temporal_errors import UNAVAILABLE
from workflows.pay_merchants import Progress

router = APIRouter(tags=["payouts"])

Run = Annotated[str, text(bounds.RUN)]


class NewRun(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"minimum": 1000}]})

    minimum: Price = Field(
        default=1, description="In minor units of each merchant's currency: who is owed less waits."
    )


class RunSteered(Why):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "the bank's figures look wrong"}]}
    )


class RunBegun(BaseModel):
    run: str
    links: Links


class Paused(BaseModel):
    actor: str
    reason: str


class PayoutRun(BaseModel):
    """`remaining` is reckoned from what was `found` in the beginning."""

    run: str
    status: Literal["running", "paused", "ended"]
    day: date
    found: int
    paid: int
    refused: int
    taken_back: int = Field(description="Not paid, for a technical reason.")
    parked: int = Field(description="They wait for a person: see /sagas?saga_type=PayMerchant.")
    failed: int = Field(description="Their workflow ended before they did.")
    before: int = Field(description="They had a payout on this day already.")
    under_way: int
    remaining: int
    amounts: list[Money] = Field(description="What was paid.")
    paused: Paused | None
    links: Links


@router.post(
    "/payouts",
    status_code=202,
    summary="Pay all merchants now",
    response_model=RunBegun | ProposedAction,
    dependencies=[needs_two("payouts:write"), *JSON_BODY],
    responses=responses(*OF_TWO, "temporal-unavailable", "content-differs"),
)
async def start_run(
    runs: PayoutRunsDep,
    actor: ActorDep,
    second: SecondPersonDep,
    response: Response,
    asked: NewRun,
) -> RunBegun:
    """One run a day: asked for again, it is the same. With another minimum it is a conflict, whose
    Location is the run of today. A second person may be needed.
    """
    actor = await second.agreed(actor, asked)
    run = await runs.start(asked.minimum, actor)
    response.headers["Location"] = f"/payouts/{run}"
    return RunBegun(run=run, links=_links(run))


@router.get(
    "/payouts/{run}",
    summary="How a run of payouts stands",
    dependencies=[needs("payouts:read")],
    responses=responses("malformed-header", "not-found", *UNAVAILABLE),
)
async def show_run(runs: PayoutRunsDep, run: Run) -> PayoutRun:
    return _run(run, await runs.progress(run))


@router.post(
    "/payouts/{run}/pause",
    status_code=202,
    summary="Begin no more payouts",
    dependencies=[needs("payouts:write"), *JSON_BODY],
    responses=responses("not-found", "saga-ended", *UNAVAILABLE),
)
async def pause(
    runs: PayoutRunsDep, actor: ActorDep, key: OptionalKey, run: Run, asked: RunSteered
) -> RunBegun:
    """Those that are under way go on. Paused twice is paused once."""
    await runs.pause(run, asked.attribution(actor), key)
    return RunBegun(run=run, links=_links(run))


@router.post(
    "/payouts/{run}/resume",
    status_code=202,
    summary="Go on with the payouts",
    dependencies=[needs("payouts:write"), *JSON_BODY],
    responses=responses("not-found", "saga-ended", *UNAVAILABLE),
)
async def resume(
    runs: PayoutRunsDep, actor: ActorDep, key: OptionalKey, run: Run, asked: RunSteered
) -> RunBegun:
    await runs.resume(run, asked.attribution(actor), key)
    return RunBegun(run=run, links=_links(run))


def _run(run: str, now: Progress) -> PayoutRun:
    status: Literal["running", "paused", "ended"] = "paused" if now.paused else "running"
    return of_row(
        PayoutRun,
        now,
        run=run,
        status="ended" if now.ended else status,
        amounts=[Money.of(amount, currency) for currency, amount in now.amounts.items()],
        paused=now.paused and of_row(Paused, now.paused),
        links=_links(run),
    )


def _links(run: str) -> Links:
    return {
        "run": f"/payouts/{run}",
        "pause": f"/payouts/{run}/pause",
        "resume": f"/payouts/{run}/resume",
        "parked": "/sagas?status=parked&saga_type=PayMerchant",
    }
