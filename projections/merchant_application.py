"""How a merchant's application stands.

    submitted ─▶ in_review ─▶ active
        └────────────┴─▶ withdrawn

`incomplete` is one that was sent without all papers, and `withdrawn` one that was turned down, or
taken back. Both may be followed by another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Column, DateTime, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.settlement.events import (
    ApplicationIncomplete,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ApprovalClosed,
    ApprovalRequested,
    CheckDiscarded,
    MerchantActivated,
    RegistryChecked,
    RegistryRefused,
)
from handrail.access.row_owner import RowOwner
from handrail.kernel import Event
from handrail.paging import one_of
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import read_model

Status = Literal["incomplete", "submitted", "in_review", "withdrawn", "active"]


@dataclass(frozen=True, kw_only=True)
class MerchantApplication:
    """`entry` is what the registry calls the business; `reason` is why something was refused."""

    merchant: str
    status: Status
    registration: str = ""
    documents: Sequence[Mapping[str, str]] = ()
    entry: str = ""
    reason: str = ""
    submitted_at: datetime | None = None
    updated_at: datetime


table = read_model(
    "merchant_application",
    Column("merchant", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("registration", Text, nullable=False),
    # a list of: kind, reference
    Column("documents", JSONB, nullable=False),
    Column("entry", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("submitted_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

_LEADS_TO: Final[Mapping[type[Event], Status]] = {
    ApprovalRequested: "in_review",
    ApprovalClosed: "submitted",
    ApplicationWithdrawn: "withdrawn",
    MerchantActivated: "active",
}


def evolve(row: MerchantApplication | None, happened: Happened) -> MerchantApplication:
    at = happened.recorded_at
    match happened.event:
        case ApplicationSubmitted() as submitted:
            return MerchantApplication(
                merchant=submitted.merchant,
                status="submitted",
                registration=submitted.registration,
                documents=[
                    {"kind": document.kind, "reference": document.reference}
                    for document in submitted.documents
                ],
                submitted_at=submitted.submitted_at,
                updated_at=at,
            )
        case ApplicationIncomplete(merchant=merchant) as refused:
            return MerchantApplication(
                merchant=merchant, status="incomplete", reason=refused.reason, updated_at=at
            )
        case _:
            return _row_after(replace(begun(row, happened), updated_at=at), happened.event)


def _row_after(row: MerchantApplication, event: Event) -> MerchantApplication:
    match event:
        case RegistryChecked(entry=entry):
            return replace(row, entry=entry)
        case RegistryRefused():
            return replace(row, reason=event.reason)
        case CheckDiscarded():
            return replace(row, entry="")
        case other if status := _LEADS_TO.get(type(other)):
            return replace(row, status=status)
        case other:
            raise OutOfPlace(type(other).__name__)


PROJECTION = Projection(
    name="merchant_application",
    version=1,
    row=MerchantApplication,
    table=table,
    categories=("application",),
    handles=(
        ApplicationSubmitted,
        ApplicationIncomplete,
        RegistryChecked,
        RegistryRefused,
        CheckDiscarded,
        ApprovalRequested,
        ApprovalClosed,
        ApplicationWithdrawn,
        MerchantActivated,
    ),
    evolve=evolve,
    owner=RowOwner(tenant="merchant"),
)


async def application(connection: AsyncConnection, merchant: str) -> MerchantApplication | None:
    query = select(table).where(table.c.merchant == merchant)
    return await one_of(connection, query, MerchantApplication)
