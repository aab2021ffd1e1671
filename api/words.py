"""The words of the HTTP surface that several resources share."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from domain import kernel

MOST_UNITS: Final = 1_000_000
LARGEST_AMOUNT: Final = 1_000_000_000_000
"""Minor units. Sums of many such amounts still fit a bigint, and a JSON number a double."""

ID_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
ACTOR: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_.@:+-]{0,63}")
_CARD_NUMBER: Final = re.compile("[0-9]{12,19}")


def _no_card_number(reference: str) -> str:
    if _CARD_NUMBER.fullmatch(reference):
        raise ValueError("send the vault's reference of the card, never its number")
    return reference


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
SagaId = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
"""A saga's id may hold that of a merchant or an order, and more."""
Name = Annotated[str, StringConstraints(pattern="^[A-Za-z][A-Za-z0-9_.:~-]{0,63}$")]
Reference = Annotated[Id, AfterValidator(_no_card_number)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Actor = Annotated[str, StringConstraints(pattern=f"^{ACTOR.pattern}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]*$")]
Quantity = Annotated[int, Field(strict=True, ge=1, le=MOST_UNITS)]


class Asked(BaseModel):
    """A body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Money(BaseModel):
    """An amount in minor units (cents) of one ISO 4217 currency."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 5000, "currency": "EUR"}]})

    amount: int
    currency: str

    @classmethod
    def of(cls, amount: int, currency: str) -> Money:
        return cls(amount=amount, currency=currency)


class AskedMoney(Asked):
    amount: Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT)]
    currency: Currency

    def to_domain(self) -> kernel.Money:
        return kernel.Money(self.amount, self.currency)


class AskedPrice(AskedMoney):
    amount: Annotated[int, Field(strict=True, ge=1, le=LARGEST_AMOUNT)]


Links = dict[str, str]
