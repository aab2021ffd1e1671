"""Webhooks: what bank and carrier tell us, and a place to look at what was not understood.

A message is verified as the bytes it came in, then kept, then it has its effect. So it can be lost
nowhere: who dies in between is followed by whoever sends it again.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter

from api.webhook_messages import TYPES, Envelope, act, read
from handrail import bounds
from handrail.http import webhook_signatures, webhook_store
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.pagination import Page, PageQuery, page, position
from handrail.http.problems import Problem, in_header, responses
from handrail.http.schemas import Links, Moment, form, text
from handrail.http.webhook_signatures import Stale, Unsigned, WrongSignature, verify
from handrail.http.webhook_store import Source, Status, Webhook, WithBody

router = APIRouter(tags=["webhooks"])

MessageId = Annotated[str, text(bounds.MESSAGE)]
_AFTER: Final[TypeAdapter[tuple[datetime, Source, str]]] = TypeAdapter(
    tuple[Moment, Source, MessageId]
)
_EFFECTS: Final = (
    "malformed-header",
    "webhook-subject-unknown",
    "content-differs",
    "out-of-order",
    "rule-broken",
    "wrong-currency",
    "invalid-request",
    "webhook-not-understood",
    "database-unavailable",
    "temporal-unavailable",
    "worker-unavailable",
)
_SERVER_ERROR: Final = 500


class Accepted(BaseModel):
    source: Source
    id: str
    status: Literal["accepted"] = "accepted"
    links: Links


class KeptWebhook(BaseModel):
    """`waiting` had no effect yet, and comes again; `unknown` needs somebody to look at it."""

    source: Source
    id: str
    received_at: datetime
    type: str = Field(description="Empty where the body has none.")
    order: str | None
    status: Status
    problem: str | None = Field(description="What went wrong when it was last tried.")
    links: Links


class KeptWebhookWithBody(KeptWebhook):
    body: str = Field(description="As it was signed.")


class WebhooksQuery(PageQuery):
    source: Source | None = None
    status: Status | None = None


def _described() -> dict[str, Any]:
    """What the framework cannot see, because the body is read as the bytes that were signed."""
    types = [type_ for of_source in TYPES.values() for type_ in of_source]
    data = Envelope.model_json_schema()["properties"]["data"]
    body = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"enum": types}, "data": data},
    }
    example = {
        "type": "parcel.delivered",
        "timestamp": "2026-03-02T12:00:00Z",
        "data": {"order": "ord-7d4k2m9q", "booking": "b-1", "at": "2026-03-02T11:58:00Z"},
    }
    headers = {
        webhook_signatures.ID: bounds.MESSAGE,
        webhook_signatures.TIMESTAMP: bounds.TIMESTAMP,
        webhook_signatures.SIGNATURE: bounds.SIGNATURES,
    }
    return {
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "schema": {"type": "string", **form(bound)},
            }
            for name, bound in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "example": example}},
        },
    }


@router.post(
    "/webhooks/{source}",
    status_code=202,
    summary="Tell what happened at the bank, or to a parcel",
    dependencies=JSON_BODY,
    openapi_extra=_described(),
    responses=responses(
        "malformed-request",
        "webhook-unsigned",
        "webhook-signature-wrong",
        "webhook-stale",
        "body-too-large",
        "unsupported-media-type",
        "webhook-secret-missing",
        *_EFFECTS,
    ),
)
async def receive(services: ServicesDep, request: Request, source: Source) -> Accepted:
    """Signed by Standard Webhooks. The same id again is answered the same, and has no other effect;
    with another body it is refused. What is answered 503 or 404 may be sent again.
    """
    body = await request.body()
    id_ = _verified(services, source, request, body)
    message = read(source, body)
    async with services.database.connection() as connection:
        kept = await webhook_store.keep(
            connection, source, id_, type_=message.type, order=message.order, body=body
        )
    if kept.body != body:
        raise Problem("content-differs", f"{id_} came before with another body")
    return await _handle(services, kept, actor=source)


@router.get(
    "/webhooks",
    summary="List the webhooks that came, newest first",
    responses=responses("bad-cursor", "invalid-request", "database-unavailable"),
)
async def list_webhooks(
    services: ServicesDep, response: Response, query: Annotated[WebhooksQuery, Query()]
) -> Page[KeptWebhook]:
    """Those that had their effect are kept for 30 days, the others until they have it."""
    after = position("/webhooks", query, _AFTER)
    async with services.database.connection() as connection:
        found = await webhook_store.listed(
            connection, source=query.source, status=query.status, after=after, limit=query.limit
        )
    items = [KeptWebhook(**_of(row)) for row in found.rows]
    return page(items, found.next, "/webhooks", query, response)


@router.get(
    "/webhooks/{source}/{message}",
    summary="One webhook, as it came",
    responses=responses("not-found", "invalid-request", "database-unavailable"),
)
async def show_webhook(
    services: ServicesDep, source: Source, message: MessageId
) -> KeptWebhookWithBody:
    kept = await _kept(services, source, message)
    return KeptWebhookWithBody(**_of(kept), body=kept.body.decode(errors="replace"))


@router.post(
    "/webhooks/{source}/{message}/retry",
    status_code=202,
    summary="Try a webhook again",
    responses=responses("not-found", *_EFFECTS),
)
async def retry(
    services: ServicesDep, actor: ActorDep, source: Source, message: MessageId
) -> Accepted:
    """As if its sender had sent it again. What was accepted before does nothing more."""
    return await _handle(services, await _kept(services, source, message), actor=actor)


def _verified(services: Services, source: Source, request: Request, body: bytes) -> str:
    """The id of the message. Raises Problem where it is not from whom it says."""
    trust = services.webhooks
    secrets = trust.secrets.get(source, ())
    if not secrets:
        said = f"HANDRAIL_{source.upper()}_WEBHOOK_SECRETS is not set"
        raise Problem("webhook-secret-missing", said)
    try:
        return verify(secrets, request.headers, body, time.time(), trust.tolerance_seconds)
    except Unsigned as error:
        named = [in_header(error.header, error.said)]
        raise Problem("webhook-unsigned", str(error), named) from None
    except WrongSignature as error:
        raise Problem("webhook-signature-wrong", str(error)) from None
    except Stale as error:
        raise Problem("webhook-stale", str(error)) from None


async def _kept(services: Services, source: Source, id_: str) -> WithBody:
    async with services.database.connection() as connection:
        kept = await webhook_store.find(connection, source, id_)
    if kept is None:
        raise Problem("not-found", f"no webhook {id_} of the {source} is kept")
    return kept


async def _handle(services: Services, kept: WithBody, *, actor: str) -> Accepted:
    """Give it its effect, unless it had it, and remember how that went."""
    if kept.status != "accepted":
        try:
            await act(services, kept.id, read(kept.source, kept.body), actor)
        except Problem as problem:
            is_ours = (problem.status or problem.kind.status) >= _SERVER_ERROR
            said = f"{problem.slug}: {problem.detail}"
            await _settle(services, kept, "waiting" if is_ours else "unknown", said)
            raise
        await _settle(services, kept, "accepted", None)
    return Accepted(source=kept.source, id=kept.id, links=_links(kept))


async def _settle(services: Services, kept: Webhook, status: Status, problem: str | None) -> None:
    async with services.database.connection() as connection:
        await webhook_store.settle(connection, kept.source, kept.id, status, problem)


def _of(row: Webhook) -> dict[str, Any]:
    return {
        "source": row.source,
        "id": row.id,
        "received_at": row.received_at,
        "type": row.type,
        "order": row.order_id,
        "status": row.status,
        "problem": row.problem,
        "links": _links(row),
    }


def _links(row: Webhook) -> Links:
    address = f"/webhooks/{row.source}/{row.id}"
    links = {"webhook": address, "retry": f"{address}/retry"}
    return links if row.order_id is None else {**links, "order": f"/orders/{row.order_id}"}
