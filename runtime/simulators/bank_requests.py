"""What a simulated bank is asked for, as it arrives and as its journal keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Amount = Annotated[int, Field(ge=0, strict=True)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sum(_Asked):
    amount: Amount
    currency: Currency


class Authorise(_Sum):
    stage: Literal["authorise"] = "authorise"
    order: Text
    card: Text


class Capture(_Sum):
    stage: Literal["capture"] = "capture"
    order: Text


class Charge(_Sum):
    stage: Literal["charge"] = "charge"
    order: Text
    card: Text


class Refund(_Sum):
    stage: Literal["refund"] = "refund"
    order: Text
    refund_id: Text


class PayOut(_Sum):
    stage: Literal["payout"] = "payout"
    payout: Text
    merchant: Text


class Void(_Asked):
    """`order` is what the closed request was for: an order, or a payout."""

    stage: Literal["void"] = "void"
    order: Text
    closes: Text


AnyRequest = Authorise | Capture | Charge | Refund | PayOut | Void
BankRequest = Annotated[AnyRequest, Field(discriminator="stage")]
