"""Place an order: a checkout starts, once for each Idempotency-Key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.orders.validation import NewOrder, check, own_party
from api.problem_types import KINDS
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.ordering.events import OrderLine
from handrail.http.access import PrincipalDep, needs
from handrail.http.consistency import TOKEN, Freshness, FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.idempotency import ONCE, Answered, Requests, RequiredKey, derived_id, fingerprint
from handrail.http.prefer_header import applied, seconds_to_wait
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Links
from handrail.http.start_request import StartRequest
from handrail.kernel import stream_name
from handrail.sagas.options import Decision
from workflows import checkout as checking_out
from workflows.checkout import Checkout

_ROUTE: Final = "POST /orders"
_LONGEST_WAIT: Final = 30
_LEASE: Final = timedelta(seconds=20)
"""Longer than everything that happens while a request is claimed, except for what it waits."""

router = APIRouter(tags=["orders"])


class Accepted(BaseModel):
    """The process has begun; how it stands is under `saga`."""

    order: str
    saga: str
    status: Literal["running"] = "running"
    links: Links


class Decided(BaseModel):
    """The answer the customer was waiting for. The rest goes on behind it."""

    order: str
    saga: str
    decision: Literal["approved", "refused"]
    because: str = Field(description="The refusal's name, `cancelled`, a cause, or empty.")
    reason: str = Field(description="Why, in words a customer may read.")
    token: str = Field(description="Also in the header Handrail-Token: send it with reads.")
    links: Links


@router.post(
    "/orders",
    status_code=202,
    summary="Place an order",
    response_model=Accepted,
    dependencies=[needs("orders:write", own_rows=True), *JSON_BODY],
    responses={
        200: {
            "model": Decided,
            "description": "The decision, where `Prefer: wait` was sent and it fell in time",
        },
        **responses(
            "unknown-merchant",
            "merchant-not-active",
            "unknown-customer",
            "unknown-sku",
            "wrong-currency",
            "too-many-for-merchant",
            "temporal-unavailable",
            *ONCE,
            kinds=KINDS,
        ),
    },
)
async def place(
    *,
    request: Request,
    services: ServicesDep,
    key: RequiredKey,
    actor: ActorDep,
    principal: PrincipalDep,
    fresh: FreshnessDep,
    asked: NewOrder,
) -> Response:
    """Starts a checkout: stock and credit are promised, the down payment is taken, and a shipment
    is booked; or all of it is taken back. With `Prefer: wait=N` (up to 30 seconds) the decision is
    the answer, if it falls in time.
    """
    kept, print_ = Requests(services.database), fingerprint(asked)
    order, claim = derived_id("ord", _ROUTE, key), None
    try:
        async with services.places.held(asked.merchant, order):
            await _seen(fresh, asked)
            own_party(principal, asked)
            await check(services.unconfined, asked)
            wait = seconds_to_wait(request, _LONGEST_WAIT)
            lease, stream = _LEASE + timedelta(seconds=wait or 0), stream_name("saga", order)
            claim = await kept.claim(_ROUTE, key, print_, lease, stream=stream)
            if isinstance(claim, Answered):
                return claim.response(replayed=True)
            try:
                answer = await _begin(services, asked, order, actor, wait, begun=claim.begun)
            except BaseException as failure:
                await kept.give_up(claim, failure)
                raise
    except Problem:
        # Whatever has become of the shop since then: what was answered is answered again.
        if claim is None and (before := await kept.answered(_ROUTE, key, print_)):
            return before.response(replayed=True)
        raise
    await kept.keep(claim, answer)
    return answer.response()


async def _begin(
    services: Services, asked: NewOrder, order: str, actor: str, wait: int | None, *, begun: bool
) -> Answered:
    checkout = Checkout(
        order=OrderId(order),
        customer=CustomerId(asked.customer),
        merchant=MerchantId(asked.merchant),
        lines=tuple(
            OrderLine(
                sku=Sku(line.sku),
                quantity=line.quantity,
                unit_price=line.unit_price.to_domain(),
            )
            for line in asked.lines
        ),
        total=asked.total(),
        instalments=asked.instalments,
        card=asked.card,
        ship_to=asked.ship_to,
        placed_at=datetime.now(UTC),
    )
    beginning = _beginning(checkout)
    await services.processes.start(beginning, actor, begun=begun)
    if wait is None or services.decisions.is_full:
        return _accepted(services, order, {})
    decision = await services.decisions.wait_for(beginning, wait)
    if decision is None:
        return _accepted(services, order, applied(wait))
    return _decided(services, order, decision, applied(wait))


def _beginning(checkout: Checkout) -> StartRequest:
    return StartRequest(
        saga=checkout.order,
        saga_type="Checkout",
        input=checkout,
        tenant=checkout.merchant,
        summary=checking_out.summary(checkout),
        details=checking_out.details(checkout),
        same=lambda before: replace(before, placed_at=checkout.placed_at) == checkout,
    )


def _accepted(services: Services, order: str, headers: dict[str, str]) -> Answered:
    body = Accepted(order=order, saga=order, links=services.links(order))
    return Answered(
        202,
        body.model_dump(mode="json"),
        {"Location": f"/sagas/{order}", "Retry-After": "1", **headers},
    )


def _decided(
    services: Services, order: str, decision: Decision, headers: dict[str, str]
) -> Answered:
    body = Decided(
        order=order,
        saga=order,
        decision="approved" if decision.approved else "refused",
        because=decision.because,
        reason=decision.reason,
        token=decision.token,
        links=services.links(order),
    )
    return Answered(
        200,
        body.model_dump(mode="json"),
        {"Content-Location": f"/orders/{order}", TOKEN: decision.token, **headers},
    )


async def _seen(fresh: Freshness, asked: NewOrder) -> None:
    await fresh.of("merchant_balance", "merchant_application", id_=asked.merchant)
    await fresh.of("customer_account", id_=asked.customer)
    await fresh.of("stock_level")
