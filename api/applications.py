"""Merchants' applications: who wants to sell here applies, and somebody decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.merchants import NewMerchant
from api.schemas import Reference
from domain.identifiers import MerchantId
from domain.settlement.commands import Document as PaperOf
from handrail import bounds
from handrail.http.access import needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import JSON_BODY, ActorDep, AsOf, Services, ServicesDep
from handrail.http.idempotency import ONCE, Answered, Claim, Requests, RequiredKey, derived_id, once
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, Id, Links, members, of_row
from handrail.http.start_input import last_attempt
from handrail.http.start_request import StartRequest
from projections import merchant_application, merchant_balance
from projections.merchant_application import MerchantApplication, Status
from workflows import onboard_merchant
from workflows.onboard_merchant import OnboardMerchant

_LEASE: Final = timedelta(seconds=30)
"""Longer than everything that happens while a request is claimed."""

router = APIRouter(tags=["merchants"])


class Document(Asked):
    kind: Annotated[
        Id, Field(description="`identity`, `bank_account` and `registration` at least.")
    ]
    reference: Annotated[Reference, Field(description="Where it is kept, and never what it says.")]


class NewApplication(NewMerchant):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "registration": "reg_ok",
                    "documents": [
                        {"kind": "identity", "reference": "doc-1"},
                        {"kind": "bank_account", "reference": "doc-2"},
                        {"kind": "registration", "reference": "doc-3"},
                    ],
                    "currency": "EUR",
                    "fee_bps": 250,
                }
            ]
        }
    )

    registration: Annotated[Id, Field(description="The number in the registry of businesses.")]
    documents: Annotated[list[Document], members(bounds.DOCUMENTS)]


class Applying(BaseModel):
    """The application is on its way; how it stands is under `saga`."""

    merchant: str
    saga: str
    status: Literal["running"] = "running"
    links: Links


class Application(BaseModel):
    merchant: str
    status: Status
    registration: str
    documents: list[Document]
    entry: str = Field(description="What the registry calls the business.")
    reason: str = Field(description="Why something was refused, in words the merchant may read.")
    submitted_at: datetime | None
    updated_at: datetime
    links: Links


@router.post(
    "/merchants/{merchant}/application",
    status_code=202,
    summary="Apply as a merchant",
    response_model=Applying,
    dependencies=[needs("applications:write"), *JSON_BODY],
    responses=responses("out-of-order", "database-unavailable", "temporal-unavailable", *ONCE),
)
async def apply(
    *,
    services: ServicesDep,
    key: RequiredKey,
    actor: ActorDep,
    merchant: Id,
    asked: NewApplication,
) -> Response:
    """The registry is asked, an account is opened, and a person says yes or no under
    `/sagas/onboard-{merchant}/answers`, within 14 days. Who was refused may apply again; who has an
    account may not.
    """
    route = f"POST /merchants/{merchant}/application"

    async def work(_claim: Claim) -> Answered:
        return await _begin(services, merchant, asked, derived_id("app", route, key), actor)

    kept = Requests(services.database)
    return await once(kept, route, key, asked=asked, lease=_LEASE, work=work)


@router.get(
    "/merchants/{merchant}/application",
    summary="How a merchant's application stands",
    dependencies=[needs("applications:read")],
    responses=responses("not-found"),
)
async def show_application(
    services: ServicesDep, fresh: FreshnessDep, merchant: Id, as_of: AsOf = None
) -> Application:
    row = await fresh.row(
        merchant_application.PROJECTION,
        merchant,
        lambda connection: merchant_application.application(connection, merchant),
        as_of,
    )
    if row is None:
        raise Problem("not-found", f"{merchant} has not applied")
    return _application(services, row)


async def _begin(
    services: Services, merchant: str, asked: NewApplication, request: str, actor: str
) -> Answered:
    saga = onboard_merchant.saga_id(merchant)
    before = await services.processes.last_run(saga)
    told = await last_attempt(services.database, services.app.codec, saga)
    if before is not None and before.request == request:
        beginning = _beginning(merchant, asked, request, before.attempt)
        await services.processes.start(beginning, actor, begun=True)
    else:
        if before and before.running:
            raise Problem("out-of-order", f"an application of {merchant} is being looked at")
        if "completed" in {before and before.ending, told and told.ending}:
            raise Problem("out-of-order", f"{merchant} was taken on already")
        if before is None and told is None and await _has_account(services, merchant):
            raise Problem("out-of-order", f"{merchant} has an account already")
        # Temporal forgets, and an attempt that never ran has told nothing: the next follows both.
        attempt = max(before.attempt if before else 0, told.number if told else 0) + 1
        await services.processes.start(_beginning(merchant, asked, request, attempt), actor)
    body = Applying(merchant=merchant, saga=saga, links=_links(services, merchant))
    return Answered(202, body.model_dump(mode="json"), {"Location": f"/sagas/{saga}"})


async def _has_account(services: Services, merchant: str) -> bool:
    async with services.database.connection() as connection:
        return await merchant_balance.merchant_currency(connection, merchant) is not None


def _beginning(merchant: str, asked: NewApplication, request: str, attempt: int) -> StartRequest:
    application = OnboardMerchant(
        merchant=MerchantId(merchant),
        registration=asked.registration,
        documents=tuple(
            PaperOf(kind=document.kind, reference=document.reference)
            for document in asked.documents
        ),
        currency=asked.currency,
        fee_bps=asked.fee_bps,
        submitted_at=datetime.now(UTC),
    )
    return StartRequest(
        saga=onboard_merchant.saga_id(merchant),
        saga_type=onboard_merchant.TYPE,
        input=application,
        tenant=merchant,
        summary=onboard_merchant.summary(application),
        details=onboard_merchant.details(application),
        attempt=attempt,
        request=request,
        same=lambda one: replace(one, submitted_at=application.submitted_at) == application,
    )


def _application(services: Services, row: MerchantApplication) -> Application:
    documents = [Document(**document) for document in row.documents]
    return of_row(Application, row, documents=documents, links=_links(services, row.merchant))


def _links(services: Services, merchant: str) -> Links:
    saga = onboard_merchant.saga_id(merchant)
    return {
        "application": f"/merchants/{merchant}/application",
        "balance": f"/merchants/{merchant}/balance",
        "saga": f"/sagas/{saga}",
        "answers": f"/sagas/{saga}/answers",
        **services.in_temporal_ui(saga),
    }
