"""The words of the HTTP surface that several resources share. What bounds them is in
`handrail/bounds.py`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)
from pydantic_core import PydanticCustomError, to_json

from handrail import bounds, kernel
from handrail.sagas.events import NOTHING_AT_STAKE

ModelT = TypeVar("ModelT", bound=BaseModel)

_DEEPEST: Final = 8
"""Levels of lists and objects within a value whose form is not known."""


def whole(bound: bounds.Integer, *, strict: bool = True) -> Any:
    """What bounds an `int`."""
    return Field(strict=strict, ge=bound.least, le=bound.most)


def text(bound: bounds.Text) -> Any:
    """What bounds a `str`."""
    return StringConstraints(
        min_length=bound.shortest, max_length=bound.longest, pattern=f"^{bound.pattern}$"
    )


def never(bound: bounds.Never) -> AfterValidator:
    """Refuses what such a text must not be, and says what to send instead."""

    def check(value: str) -> str:
        if bound.is_in(value):
            raise ValueError(bound.instead)
        return value

    return AfterValidator(check)


def form(bound: bounds.Text) -> dict[str, Any]:
    """The bounds of a text in JSON Schema, for a header whose form the route checks itself."""
    return {
        "minLength": bound.shortest,
        "maxLength": bound.longest,
        "pattern": f"^{bound.pattern}$",
    }


def members(bound: bounds.Many) -> Any:
    """What bounds a `list`."""
    return Field(min_length=bound.fewest, max_length=bound.most)


def _within(bound: bounds.Day | bounds.Moment) -> Any:
    # JSON Schema has no word for it; these are those of its best known extension.
    named: dict[str, JsonValue] = {
        "formatMinimum": bound.earliest.isoformat(),
        "formatMaximum": bound.latest.isoformat(),
    }
    return Field(ge=bound.earliest, le=bound.latest, json_schema_extra=named)


def _fits(value: JsonValue) -> JsonValue:
    if said := _wrong_with(value, 0):
        raise PydanticCustomError("unbounded", said)
    return value


def _wrong_with(value: JsonValue, depth: int) -> str | None:
    match value:
        case str() if not bounds.is_storable(value):
            return "holds a character that cannot be stored"
        case bool() | float() | None | str():
            return None
        case int() if abs(value) > bounds.LARGEST_INTEGER:
            return "holds a number of more than 64 bits"
        case int():
            return None
        case _ if depth == _DEEPEST:
            return f"goes deeper than {_DEEPEST} levels"
        case list():
            inner: list[JsonValue] = list(value)
        case dict():
            inner = [*value, *value.values()]
    return next((said for one in inner if (said := _wrong_with(one, depth + 1))), None)


def _is_small(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(to_json(fields)) > bounds.CORRECTION_BYTES:
        raise ValueError(f"takes more than {bounds.CORRECTION_BYTES} bytes")
    return fields


Id = Annotated[str, text(bounds.ID)]
"""An id in a path, query or body, within its bounds."""
SagaId = Annotated[str, text(bounds.SAGA_ID)]
Name = Annotated[str, text(bounds.NAME)]
Currency = Annotated[str, text(bounds.CURRENCY)]
Actor = Annotated[str, text(bounds.ACTOR)]
Reason = Annotated[str, text(bounds.REASON)]
Evidence = Annotated[str, text(bounds.EVIDENCE)]
Cause = Annotated[str, text(bounds.CAUSE)]
Quantity = Annotated[int, whole(bounds.QUANTITY)]
Amount = Annotated[int, whole(bounds.AMOUNT)]
Price = Annotated[int, whole(bounds.PRICE)]
Day = Annotated[date, _within(bounds.DAY)]
Moment = Annotated[AwareDatetime, _within(bounds.MOMENT)]
Changes = Annotated[
    dict[Name, Annotated[JsonValue, AfterValidator(_fits)]],
    Field(
        min_length=bounds.CORRECTED_FIELDS.fewest,
        max_length=bounds.CORRECTED_FIELDS.most,
        json_schema_extra={
            "additionalProperties": False,  # beside those whose names have the form of one
            "x-most-bytes": bounds.CORRECTION_BYTES,
            "x-deepest": _DEEPEST,
        },
    ),
    AfterValidator(_is_small),
]
"""Fields of a command by their names. What each may be, its command says."""


class Asked(BaseModel):
    """A body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ActorInstead = Annotated[Actor | None, Field(description="Instead of the header Handrail-Actor.")]


class ActorOfRequest(Protocol):
    """As `handrail.http.actor_name.ActorName`."""

    def instead(self, name: str | None) -> str: ...


class Why(Asked):
    """What each request of an operator says: the reason, and an actor instead of the header's."""

    reason: Reason
    actor: ActorInstead = None

    def by(self, of_request: ActorOfRequest) -> str:
        """The actor: the one that the body names, or else the request's. Raises Problem where the
        caller may not act for others.
        """
        return of_request.instead(self.actor)

    def attribution(self, of_request: ActorOfRequest) -> kernel.Attribution:
        """`by`, with the reason. Raises Problem as that does."""
        return kernel.Attribution(self.by(of_request), self.reason)


class Money(BaseModel):
    """An amount in minor units (cents) of one ISO 4217 currency."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 5000, "currency": "EUR"}]})

    amount: int
    currency: str

    @classmethod
    def of(cls, amount: int, currency: str) -> Money:
        return cls(amount=amount, currency=currency)

    @classmethod
    def at_stake(cls, amount: int, currency: str) -> Money | None:
        """None where a saga is not about money."""
        if kernel.Money(amount, currency) == NOTHING_AT_STAKE:
            return None
        return cls.of(amount, currency)


def of_row(model: type[ModelT], row: Any, **given: Any) -> ModelT:
    """The answer for a row: each field from the attribute of its name.

    A field of the type Money is an amount in the `currency` of the row. `given` are the fields that
    the row has under another name, in another form, or not at all.
    """
    for name, field in model.model_fields.items():
        if name in given:
            continue
        value = getattr(row, name)
        given[name] = Money.of(value, row.currency) if field.annotation is Money else value
    return model(**given)


class AskedMoney(Asked):
    """An amount in minor units (cents) of one ISO 4217 currency."""

    amount: Amount
    currency: Currency

    def to_domain(self) -> kernel.Money:
        return kernel.Money(self.amount, self.currency)


class AskedPrice(AskedMoney):
    amount: Price


Links = dict[str, str]
