"""Webhook routes: signed reception, once for each id, and what waits to be looked at.

A message is verified as the bytes it came in, then stored, then given its effect. So none is lost:
where a process dies in between, the sender repeats it.
"""

# Which sources there are, the App says: the types of the routes are made within a function, and
# named as types are. FastAPI reads the annotations of such routes only where they are evaluated:
# hence no `from __future__ import annotations`.
# ruff: noqa: N806

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, create_model

from handrail import bounds, webhook_signatures
from handrail.http import webhook_store
from handrail.http.access import needs
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.named_models import SUBJECT_FIELD, named
from handrail.http.pagination import Page, PageQuery, page, position
from handrail.http.problems import Problem, in_header, kinds_of, responses
from handrail.http.public import PUBLIC
from handrail.http.schemas import Links, Moment, form, of_row, text
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.http.webhook_sources import Envelope, Webhooks, act, read
from handrail.http.webhook_store import Status, Webhook, WithBody
from handrail.refused_settings import variable
from handrail.webhook_signatures import Stale, Unsigned, WrongSignature, verify

ModelT = TypeVar("ModelT", bound=BaseModel)

MessageId = Annotated[str, text(bounds.MESSAGE)]
_EFFECTS: Final = (
    "malformed-header",
    "webhook-subject-unknown",
    "content-differs",
    "out-of-order",
    "rule-broken",
    "wrong-currency",
    "webhook-not-understood",
    "database-unavailable",
    *UNAVAILABLE,
)
_RECEPTION: Final = """\
Signed by Standard Webhooks. The same id again is answered the same, and has no other effect;
with another body it is refused. What is answered 503 or 404 may be sent again.
"""
_SERVER_ERROR: Final = 500


class Accepted(BaseModel):
    source: str
    id: str
    status: Literal["accepted"] = "accepted"
    links: Links


class KeptWebhook(BaseModel):
    """`waiting` had no effect yet, and comes again; `unknown` needs somebody to look at it."""

    source: str
    id: str
    received_at: datetime
    type: str = Field(description="Empty where the body has none.")
    subject: Annotated[str | None, SUBJECT_FIELD]
    status: Status
    problem: str | None = Field(description="What went wrong when it was last tried.")
    links: Links


class KeptWebhookWithBody(KeptWebhook):
    body: str = Field(description="As it was signed.")


class WebhooksQuery(PageQuery):
    source: str | None = None
    status: Status | None = None


def router_of(declared: Webhooks) -> APIRouter:
    """The routes for the webhooks of a business."""
    if TYPE_CHECKING:
        Source: TypeAlias = str
        AcceptedHere: TypeAlias = Accepted
        KeptHere: TypeAlias = KeptWebhook
        KeptWithBodyHere: TypeAlias = KeptWebhookWithBody
        QueryHere: TypeAlias = WebhooksQuery
    else:
        Source = Literal[tuple(declared.by_name)]
        AcceptedHere = _narrowed(Accepted, Source)
        KeptHere = _narrowed(KeptWebhook, Source)
        KeptWithBodyHere = _narrowed(KeptWebhookWithBody, Source)
        QueryHere = _narrowed(WebhooksQuery, Source | None)
    router = APIRouter(tags=["webhooks"])
    by_time: TypeAdapter[tuple[datetime, Source, str]]
    by_time = TypeAdapter(tuple[Moment, Source, MessageId])

    @router.post(
        "/webhooks/{source}",
        status_code=202,
        summary=declared.summary,
        description=_RECEPTION,
        dependencies=[PUBLIC, *JSON_BODY],
        openapi_extra=_described(declared),
        responses=responses(
            "webhook-unsigned",
            "webhook-signature-wrong",
            "webhook-stale",
            "webhook-secret-missing",
            *_EFFECTS,
        ),
    )
    async def receive(services: ServicesDep, request: Request, source: Source) -> AcceptedHere:
        body = await request.body()
        id_ = _verified(services, declared, source, request, body)
        message = read(declared.by_name[source], body)
        subject = None if message.data is None else declared.subject_of(message.data)
        async with services.database.connection() as connection:
            kept = await webhook_store.keep(
                connection, source, id_, type_=message.type, subject=subject, body=body
            )
        if kept.body != body:
            raise Problem("content-differs", f"{id_} came before with another body")
        actor = source if services.development else f"company:{source}"
        await _handle(services, declared, kept, request, actor=actor)
        return AcceptedHere(source=kept.source, id=kept.id, links=_links(declared, kept))

    @router.get(
        "/webhooks",
        summary="List the webhooks that came, newest first",
        dependencies=[needs("webhooks:read")],
        responses=responses("database-unavailable"),
    )
    async def list_webhooks(
        services: ServicesDep, response: Response, query: Annotated[QueryHere, Query()]
    ) -> Page[KeptHere]:
        """Those that had their effect are kept for 30 days, the others until they have it."""
        after = position("/webhooks", query, by_time)
        # What a source has left that the App does not have any more has no form here.
        sources = [query.source] if query.source else list(declared.by_name)
        async with services.database.connection() as connection:
            found = await webhook_store.listed(
                connection, sources=sources, status=query.status, after=after, limit=query.limit
            )
        items = [_shown(declared, row, KeptHere) for row in found.rows]
        return page(items, found.next, "/webhooks", query, response)

    @router.get(
        "/webhooks/{source}/{message}",
        summary="One webhook, as it came",
        dependencies=[needs("webhooks:read")],
        responses=responses("not-found", "database-unavailable"),
    )
    async def show_webhook(
        services: ServicesDep, source: Source, message: MessageId
    ) -> KeptWithBodyHere:
        kept = await _kept(services, source, message)
        body = kept.body.decode(errors="replace")
        return _shown(declared, kept, KeptWithBodyHere, body=body)

    @router.post(
        "/webhooks/{source}/{message}/retry",
        status_code=202,
        summary="Try a webhook again",
        dependencies=[needs("webhooks:operate")],
        responses=responses("not-found", *_EFFECTS),
    )
    async def retry(
        *,
        services: ServicesDep,
        request: Request,
        actor: ActorDep,
        source: Source,
        message: MessageId,
    ) -> AcceptedHere:
        """As if its sender had sent it again. What was accepted before does nothing more."""
        kept = await _kept(services, source, message)
        await _handle(services, declared, kept, request, actor=actor)
        return AcceptedHere(source=kept.source, id=kept.id, links=_links(declared, kept))

    return router


def _narrowed(model: type[ModelT], source: Any) -> type[ModelT]:
    """The same model, whose `source` is one of those of the App."""
    default = model.model_fields["source"].get_default()
    given = ... if model.model_fields["source"].is_required() else default
    return create_model(
        model.__name__,
        __base__=model,
        __doc__=model.__doc__,
        __module__=model.__module__,
        source=(source, given),
    )


def _described(declared: Webhooks) -> dict[str, Any]:
    """What the framework cannot see, because the body is read as the bytes that were signed."""
    types = [type_ for source in declared.sources for type_ in source.types]
    data = Envelope.model_json_schema()["properties"]["data"]
    body = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"enum": types}, "data": data},
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
            "content": {"application/json": {"schema": body, "example": declared.example}},
        },
    }


def _verified(
    services: Services, declared: Webhooks, source: str, request: Request, body: bytes
) -> str:
    """The id of the message. Raises Problem where it is not from whom it says."""
    trust = services.webhooks
    secrets = trust.secrets.get(source, ())
    if not secrets:
        said = f"{variable(declared.by_name[source].secrets)} is not set"
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


async def _kept(services: Services, source: str, id_: str) -> WithBody:
    async with services.database.connection() as connection:
        kept = await webhook_store.find(connection, source, id_)
    if kept is None:
        raise Problem("not-found", f"no webhook {id_} of the {source} is kept")
    return kept


async def _handle(
    services: Services, declared: Webhooks, kept: WithBody, request: Request, *, actor: str
) -> None:
    """Give it its effect, unless it had it, and remember how that went."""
    if kept.status == "accepted":
        return
    source = declared.by_name[kept.source]
    try:
        await act(services, source, kept.id, read(source, kept.body), actor)
    except Problem as problem:
        status = problem.status or kinds_of(request)[problem.slug].status
        said = f"{problem.slug}: {problem.detail}"
        await _settle(services, kept, "waiting" if status >= _SERVER_ERROR else "unknown", said)
        raise
    await _settle(services, kept, "accepted", None)


async def _settle(services: Services, kept: Webhook, status: Status, problem: str | None) -> None:
    async with services.database.connection() as connection:
        await webhook_store.settle(connection, kept.source, kept.id, status, problem)


def _shown(declared: Webhooks, row: Webhook, model: type[ModelT], **more: Any) -> ModelT:
    shown = named(model, declared.subject, SUBJECT_FIELD)
    return of_row(shown, row, links=_links(declared, row), **more)


def _links(declared: Webhooks, row: Webhook) -> Links:
    address = f"/webhooks/{row.source}/{row.id}"
    of_subject = {} if row.subject is None else declared.links(row.subject)
    return {"webhook": address, "retry": f"{address}/retry", **of_subject}
