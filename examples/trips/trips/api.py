"""The resource `/trips`: book a trip and look at it. `/sagas/{trip}` cancels and approves it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from handrail.http.access import needs
from handrail.http.consistency import TOKEN, FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, ServicesDep
from handrail.http.idempotency import OptionalKey, wish
from handrail.http.problems import Problem, responses
from handrail.http.schemas import AskedMoney, Id
from handrail.http.start_request import StartRequest
from handrail.kernel import TenantId
from trips import trip_board
from trips.book_trip import SAGA, BookTrip
from trips.domain.budgets import GrantBudget
from trips.domain.messages import TripId

router = APIRouter(tags=["trips"])


class NewTrip(BaseModel, extra="forbid"):
    team: Id
    flight: Id
    hotel: Id
    price: AskedMoney


class Trip(BaseModel):
    trip: str
    team: str
    status: str
    price: Annotated[int, Field(description="In minor units of the currency.")]
    currency: str


@router.put(
    "/trips/{trip}",
    status_code=202,
    dependencies=[needs("trips:write"), *JSON_BODY],
    summary="Book a trip",
)
async def book(services: ServicesDep, actor: ActorDep, trip: Id, asked: NewTrip) -> dict[str, str]:
    """The same trip twice is booked once."""
    booked = BookTrip(
        trip=TripId(trip),
        team=TenantId(asked.team),
        flight=asked.flight,
        hotel=asked.hotel,
        price=asked.price.to_domain(),
    )
    await services.processes.start(StartRequest.of(SAGA, booked), actor)
    return {"trip": f"/trips/{trip}", "saga": f"/sagas/{trip}"}


@router.get(
    "/trips/{trip}",
    summary="How a trip stands",
    dependencies=[needs("trips:read")],
    responses=responses("not-found"),
)
async def show(fresh: FreshnessDep, trip: Id) -> Trip:
    row = await fresh.row(trip_board.PROJECTION, trip)
    if row is None:
        raise Problem("not-found", f"there is no trip {trip}")
    return Trip.model_validate(row, from_attributes=True)


@router.put(
    "/teams/{team}/budget",
    dependencies=[needs("budgets:write"), *JSON_BODY],
    summary="Grant a team a budget",
)
async def grant(
    *,
    services: ServicesDep,
    actor: ActorDep,
    key: OptionalKey,
    response: Response,
    team: Id,
    amount: AskedMoney,
) -> None:
    command = GrantBudget(team=TenantId(team), amount=amount.to_domain())
    once = wish(f"budget:{team}", key, amount)
    response.headers[TOKEN] = (await services.processes.do(command, key=once, actor=actor)).token
