"""The figures of sagas for people; Prometheus reads the same under /metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from handrail.http.access import needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import AsOf, Services, ServicesDep
from handrail.http.pagination import INCOMPLETE
from handrail.http.problems import responses
from handrail.projections import saga_figures
from handrail.projections.parked_rows import any_parked
from handrail.projections.saga_figures import UP_TO, Figures, Timed

router = APIRouter(tags=["sagas"])

_OUTCOMES: Final = ("done", "refused", "failed", "unknown", "compensated")


class Took(BaseModel):
    """Seconds. `p50` and `p95` are estimated within the bucket of a histogram, as Prometheus does;
    what is longer than the longest bucket counts as that.
    """

    count: int
    mean: float
    p50: float
    p95: float


class StepFigures(BaseModel):
    step: str
    done: int
    refused: int
    failed: int
    unknown: int = Field(description="Times that no definite answer came, in either direction.")
    compensated: int
    parked: int = Field(description="Times that it was parked.")
    parked_now: int


class TypeFigures(BaseModel):
    """All sagas of one type, since the first."""

    saga_type: str
    started: int
    attempts: int = Field(description="Beyond the first of each saga.")
    standing: dict[str, int] = Field(description="By status, how many sagas stand so now.")
    ended: dict[str, int] = Field(description="By ending, how often a saga came to its end.")
    turned_back: dict[str, int] = Field(description="By what turned them back.")
    interventions: dict[str, int]
    awaiting: int = Field(description="How many await an answer.")
    parked: int = Field(description="How many are parked.")
    oldest_parked_since: datetime | None = Field(
        default=None, description="Of now alone: absent with `as_of`."
    )
    oldest_parked_seconds: float | None = None
    decision: Took | None = Field(default=None, description="From the beginning to the decision.")
    completion: Took | None = None
    compensation: Took | None = Field(default=None, description="Until all was taken back.")
    steps: list[StepFigures]


class SagaFigures(BaseModel):
    types: list[TypeFigures]
    incomplete: bool = Field(default=False, description=INCOMPLETE)


@router.get(
    "/sagas/figures",
    summary="How many sagas there are of each type, how they ended, and how long they took",
    dependencies=[needs("sagas:read")],
    responses=responses("sums-not-kept", "moment-lost", "moment-said-twice"),
)
async def show_figures(
    services: ServicesDep, fresh: FreshnessDep, as_of: AsOf = None
) -> SagaFigures:
    if as_of is not None:
        return await _as_of(services, as_of)
    await fresh.of(saga_figures.NAME)
    async with services.database.snapshot() as connection:
        found = await saga_figures.figures(connection)
        incomplete = await any_parked(connection, saga_figures.NAME)
    types = [_of_type(found, one) for one in found.types]
    return SagaFigures(types=types, incomplete=incomplete)


async def _as_of(services: Services, moment: datetime) -> SagaFigures:
    """A caller that is confined to some rows sees no sums over all."""
    if not services.database.visible.everything:
        return SagaFigures(types=[])
    found = Figures(await services.history.totals(services.app.saga_figures, moment), {})
    async with services.database.connection() as connection:
        incomplete = await any_parked(connection, saga_figures.NAME)
    types = [_of_type(found, one) for one in found.types]
    return SagaFigures(types=types, incomplete=incomplete)


def _of_type(found: Figures, saga_type: str) -> TypeFigures:
    since = found.oldest_parked.get(saga_type)
    standing = _by_name(found, saga_type, "standing")
    return TypeFigures(
        saga_type=saga_type,
        started=_one(found, saga_type, "started"),
        attempts=_one(found, saga_type, "attempts"),
        standing=standing,
        ended=_by_name(found, saga_type, "ended"),
        turned_back=_by_name(found, saga_type, "turned_back"),
        interventions=_by_name(found, saga_type, "interventions"),
        awaiting=_one(found, saga_type, "awaiting"),
        parked=standing.get("parked", 0),
        oldest_parked_since=since,
        oldest_parked_seconds=_age(since) if since else None,
        decision=_took(found, saga_type, "decision"),
        completion=_took(found, saga_type, "completion"),
        compensation=_took(found, saga_type, "compensation"),
        steps=list(_steps(found, saga_type)),
    )


def _one(found: Figures, saga_type: str, figure: str) -> int:
    return found.of(saga_type, figure).get((), 0)


def _by_name(found: Figures, saga_type: str, figure: str) -> dict[str, int]:
    counts = found.of(saga_type, figure)
    return {name: count for (name,), count in sorted(counts.items()) if count}


def _steps(found: Figures, saga_type: str) -> Iterator[StepFigures]:
    went, parked = found.of(saga_type, "steps"), found.of(saga_type, "parked")
    now = found.of(saga_type, "waiting")
    for step in sorted({one[0] for one in (*went, *parked)}):
        yield StepFigures(
            step=step,
            **{outcome: went.get((step, outcome), 0) for outcome in _OUTCOMES},
            parked=parked.get((step,), 0),
            parked_now=now.get((step,), 0),
        )


def _age(since: datetime) -> float:
    return max((datetime.now(UTC) - since).total_seconds(), 0.0)


def _took(found: Figures, saga_type: str, timed: Timed) -> Took | None:
    counts = found.buckets(saga_type, timed)
    if not (count := sum(counts)):
        return None
    return Took(
        count=count,
        mean=found.seconds(saga_type, timed) / count,
        p50=quantile(0.5, counts),
        p95=quantile(0.95, counts),
    )


def quantile(share: float, counts: Sequence[int]) -> float:
    """Seconds that this share of them took at most; `counts` are by bucket, and not all zero."""
    rank, reached = share * sum(counts), 0
    for count, low, high in zip(counts, (0.0, *UP_TO), UP_TO, strict=False):
        if count and reached + count >= rank:
            return low + (high - low) * (rank - reached) / count
        reached += count
    return UP_TO[-1]
