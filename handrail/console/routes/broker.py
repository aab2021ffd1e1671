"""Broker: how far the relay is, and which streams it could not publish."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from handrail.console.actions import RETRY_RELAY, RETRY_RELAY_STREAM, offered
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.console.routes.parked_rows import what_to_do
from handrail.eventstore.subscriptions.lag import lag
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.problems import Problem
from handrail.http.routes import dead_messages
from handrail.http.routes import parked_events as api
from handrail.http.routes.streams import StreamName
from handrail.http.schemas import Name
from handrail.messaging.relay.parked_messages import RELAY, name_at

router = APIRouter()


@router.get("/console/broker", dependencies=[needs("consumers:read")])
async def show(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    if services.app.broker is None:
        return await page(request, services, "no_broker.html")
    found = await api.show_parked_at_the_relay(services)
    state, why_not = await _state(request, services)
    async with services.database.connection() as connection:
        relay = next((one for one in await lag(connection) if one.follower == RELAY), None)
    offer = offered(
        RETRY_RELAY,
        principal,
        says="A relay publishes what waits, each stream in its order, up to the first event that"
        " the broker refuses again.",
        why_not="" if found.items else "nothing waits at the relay",
    )
    return await page(
        request,
        services,
        "broker.html",
        relay=relay,
        items=[one.model_dump() for one in found.items],
        waiting=[one.model_dump() for one in found.waiting],
        retries=[one.model_dump() for one in found.retries],
        offer=offer,
        state=state,
        why_not=why_not,
    )


async def _state(request: Request, services: Services) -> tuple[dict[str, Any] | None, str]:
    """What the broker says, and why it does not: of the whole page, and not of each refresh."""
    if request.headers.get("hx-request") == "true":
        return None, ""
    try:
        return (await dead_messages.show_broker(services)).model_dump(), ""
    except Problem as problem:
        return None, problem.detail


@router.get("/console/broker/{exchange}/parked/{stream}", dependencies=[needs("consumers:read")])
async def show_stream(
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    exchange: Name,
    stream: StreamName,
) -> Response:
    found = await api.show_parked_at_the_relay(services, stream)
    items = [one for one in found.items if one.exchange == exchange]
    offer = offered(
        RETRY_RELAY_STREAM,
        principal,
        says="A relay publishes what waits of the stream in its order, up to the first event that"
        " the broker refuses again.",
        why_not="" if items else "nothing of it waits for this exchange",
        path={"exchange": exchange, "stream": stream},
    )
    return await page(
        request,
        services,
        "relay_stream.html",
        exchange=exchange,
        stream=stream,
        items=[{**one.model_dump(), "does": what_to_do_at_relay(one.cause)} for one in items],
        retries=[one.model_dump() for one in found.retries if one.subscriber == name_at(exchange)],
        offer=offer,
    )


@router.post("/console/relay/retry", dependencies=[needs("consumers:operate")])
async def retry(request: Request, services: ServicesDep) -> Response:
    wanted = model_of(api.Retrying, await form_of(request))
    await api.retry_relay(services, await actor_in(request), wanted)
    return see("/console/broker")


@router.post(
    "/console/relay/{exchange}/parked/{stream}/retry", dependencies=[needs("consumers:operate")]
)
async def retry_stream(
    request: Request, services: ServicesDep, exchange: Name, stream: StreamName
) -> Response:
    wanted = model_of(api.Retrying, await form_of(request))
    await api.retry_relay_stream(services, await actor_in(request), exchange, stream, wanted)
    return see(f"/console/broker/{part(exchange)}/parked/{part(stream)}")


def what_to_do_at_relay(cause: str) -> str:
    """What puts right that an event was not published for this cause."""
    if cause.startswith("unroutable"):
        return "Have a queue bound to what the event is published as (handrail topology apply)."
    return what_to_do(cause)
