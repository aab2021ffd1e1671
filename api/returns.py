"""Returns: an order comes back, all of it or a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.shop_processes import ShopProcesses
from domain.identifiers import OrderId, ReturnId, Sku
from domain.ordering.events import ReturnLine
from domain.ordering.return_quote import QuoteReturnOf, ReturnQuote
from handrail import bounds
from handrail.http import stream_reader
from handrail.http.access import needs
from handrail.http.consistency import TOKEN
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.idempotency import ONCE, Answered, Claim, Requests, RequiredKey, derived_id, once
from handrail.http.prefer_header import applied, seconds_to_wait
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, Id, Links, Money, Quantity, Reason, members
from handrail.http.start_request import StartRequest
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.kernel import stream_name
from handrail.sagas.options import Decision
from workflows import return_order
from workflows.return_order import ReturnOrder

_LONGEST_WAIT: Final = 30
_LEASE: Final = timedelta(seconds=30)
"""Longer than everything that happens while a request is claimed, except for what it waits."""

router = APIRouter(tags=["orders"])


class NewReturnLine(Asked):
    sku: Id
    quantity: Quantity


class NewReturn(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"lines": [{"sku": "lamp-2", "quantity": 1}], "reason": "it does not fit"},
                {"reason": "not wanted any more"},
            ]
        }
    )

    lines: Annotated[list[NewReturnLine], members(bounds.LINES)] | None = Field(
        default=None, description="Without it: all that is left of the order."
    )
    reason: Reason


class Returning(BaseModel):
    """The return has begun; how it stands is under `saga`."""

    return_id: str
    order: str
    saga: str
    status: Literal["running"] = "running"
    value: Money = Field(description="What the goods cost.")
    absorbed: Money = Field(description="What of it will no longer be due.")
    refund: Money = Field(description="What of it will be paid back.")
    links: Links


class ReturnDecided(BaseModel):
    """Whether it is taken. The rest goes on behind it."""

    return_id: str
    order: str
    saga: str
    decision: Literal["approved", "refused"]
    because: str = Field(description="The refusal's name, `cancelled`, a cause, or empty.")
    reason: str = Field(description="Why, in words a customer may read.")
    value: Money
    absorbed: Money
    refund: Money
    token: str = Field(description="Also in the header Handrail-Token: send it with reads.")
    links: Links


@router.post(
    "/orders/{order}/returns",
    status_code=202,
    summary="Return an order, or a part of it",
    response_model=Returning,
    dependencies=[needs("orders:write"), *JSON_BODY],
    responses={
        200: {
            "model": ReturnDecided,
            "description": "The decision, where `Prefer: wait` was sent and it fell in time",
        },
        **responses("not-found", "out-of-order", "database-unavailable", *ONCE, *UNAVAILABLE),
    },
)
async def create_return(
    *,
    request: Request,
    services: ServicesDep,
    key: RequiredKey,
    actor: ActorDep,
    order: Id,
    asked: NewReturn,
) -> Response:
    """What the goods cost is no longer due or, where it was paid already, is paid back. It is
    quoted now; where an instalment is paid before that is booked, the return is refused with
    `PlanMovedOn`: ask again, under a new key.
    """
    route, wait = f"POST /orders/{order}/returns", seconds_to_wait(request, _LONGEST_WAIT)
    return_id = derived_id("ret", route, key)
    saga = return_order.saga_id(return_id)

    async def work(claim: Claim) -> Answered:
        lines = tuple(
            ReturnLine(sku=Sku(line.sku), quantity=line.quantity) for line in asked.lines or ()
        )
        if claim.begun:  # and may have taken already what it would be quoted for
            same = _same(order, lines, asked.reason)
            asked_for = await services.processes.begun_before(
                saga, return_order.TYPE, ReturnOrder, same
            )
        else:
            quote = await quoted(services, order, lines)
            beginning = _beginning(_asked_for(order, return_id, quote, asked.reason), lines)
            asked_for = await services.processes.start(beginning, actor)
        return await _answered(services, asked_for, wait)

    return await once(
        Requests(services.database),
        route,
        key,
        asked=asked,
        lease=_LEASE + timedelta(seconds=wait or 0),
        work=work,
        stream=stream_name("saga", saga),
    )


async def return_everything(
    services: Services,
    order: str,
    *,
    key: str | None,
    actor: str,
    reason: str,
    too_late: Problem,
) -> Returning:
    """Instead of cancelling an order that the customer has.

    Raises `too_late` where the order does not stand, or is on its way.
    """
    try:
        quote = await quoted(services, order, ())
    except Problem as problem:
        raise too_late if problem.slug == "not-found" else problem from None
    if not quote.delivered:
        message = f"{too_late.detail}. Once it is delivered, it can be returned"
        raise Problem("too-late", message) from None
    # Without a key the same wish is known by what it would come to.
    wish = key or f"{quote.lines} {quote.absorbed} {quote.refund}"
    return_id = derived_id("ret", f"POST /orders/{order}/cancellation", wish)
    saga = return_order.saga_id(return_id)
    async with services.database.connection() as connection:
        begun = (
            await stream_reader.newest_version(connection, stream_name("saga", saga)) is not None
        )
    everything = replace(
        _beginning(_asked_for(order, return_id, quote, reason), ()),
        same=lambda before: before.order == order,
    )
    return _returning(services, await services.processes.start(everything, actor, begun=begun))


async def quoted(services: Services, order: str, lines: tuple[ReturnLine, ...]) -> ReturnQuote:
    """Raises Problem where there is no such order, or nothing is left of it."""
    of = QuoteReturnOf(order=OrderId(order), lines=lines, why="returned")
    quote = await ShopProcesses(services.processes, services.database).quote(of)
    if not quote.lines:
        raise Problem("out-of-order", f"nothing of {order} is left to come back")
    return quote


def _asked_for(order: str, return_id: str, quote: ReturnQuote, reason: str) -> ReturnOrder:
    return ReturnOrder(
        return_id=ReturnId(return_id),
        order=OrderId(order),
        customer=quote.customer,
        merchant=quote.merchant,
        lines=quote.lines,
        value=quote.value,
        absorbed=quote.absorbed,
        refund=quote.refund,
        why="returned",
        accepted_at=datetime.now(UTC),
        reason=reason,
    )


async def _answered(services: Services, asked_for: ReturnOrder, wait: int | None) -> Answered:
    if wait is None or services.decisions.is_full:
        return _accepted(services, asked_for, {})
    decision = await services.decisions.wait_for(_beginning(asked_for, asked_for.lines), wait)
    if decision is None:
        return _accepted(services, asked_for, applied(wait))
    return _decided(services, asked_for, decision, applied(wait))


def _beginning(asked_for: ReturnOrder, lines: tuple[ReturnLine, ...]) -> StartRequest:
    """`lines` are those that were named; without any it is all that is left."""
    return StartRequest(
        saga=return_order.saga_id(asked_for.return_id),
        saga_type=return_order.TYPE,
        input=asked_for,
        tenant=asked_for.merchant,
        summary=return_order.summary(asked_for),
        details=return_order.details(asked_for),
        same=_same(asked_for.order, lines, asked_for.reason),
    )


def _same(order: str, lines: tuple[ReturnLine, ...], reason: str) -> Callable[[ReturnOrder], bool]:
    """Whether a return is of the same lines of the order, whatever they were quoted for."""

    def same(before: ReturnOrder) -> bool:
        named = not lines or _pieces(before.lines) == _pieces(lines)
        return named and (before.order, before.reason) == (order, reason)

    return same


def _pieces(lines: tuple[ReturnLine, ...]) -> Counter[str]:
    pieces = Counter[str]()
    for line in lines:
        pieces[line.sku] += line.quantity
    return pieces


def _returning(services: Services, asked_for: ReturnOrder) -> Returning:
    saga = return_order.saga_id(asked_for.return_id)
    return Returning(
        return_id=asked_for.return_id,
        order=asked_for.order,
        saga=saga,
        **_amounts(asked_for),
        links=_links(services, asked_for),
    )


def _accepted(services: Services, asked_for: ReturnOrder, headers: dict[str, str]) -> Answered:
    body = _returning(services, asked_for)
    return Answered(
        202,
        body.model_dump(mode="json"),
        {"Location": f"/sagas/{body.saga}", "Retry-After": "1", **headers},
    )


def _decided(
    services: Services, asked_for: ReturnOrder, decision: Decision, headers: dict[str, str]
) -> Answered:
    saga = return_order.saga_id(asked_for.return_id)
    body = ReturnDecided(
        return_id=asked_for.return_id,
        order=asked_for.order,
        saga=saga,
        decision="approved" if decision.approved else "refused",
        because=decision.because,
        reason=decision.reason,
        **_amounts(asked_for),
        token=decision.token,
        links=_links(services, asked_for),
    )
    return Answered(
        200,
        body.model_dump(mode="json"),
        {"Content-Location": f"/sagas/{saga}", TOKEN: decision.token, **headers},
    )


def _amounts(asked_for: ReturnOrder) -> dict[str, Money]:
    named = {
        "value": asked_for.value,
        "absorbed": asked_for.absorbed,
        "refund": asked_for.refund,
    }
    return {name: Money.of(one.amount, one.currency) for name, one in named.items()}


def _links(services: Services, asked_for: ReturnOrder) -> Links:
    saga = return_order.saga_id(asked_for.return_id)
    return {**services.links(saga), "order": f"/orders/{asked_for.order}"}
